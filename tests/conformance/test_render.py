# SPDX-License-Identifier: LGPL-2.1-or-later
"""What we render, judged by who reads it: systemd-analyze, systemd-tmpfiles and runc."""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from atomic_sys.model.image_config import ImageConfig
from atomic_sys.render.render import Rendered, RenderRequest, render
from tests.unit.render.shapes import DOCKER, ETCD, FLANNEL, request, with_image

pytestmark = pytest.mark.conformance
BUSYBOX = shutil.which("busybox")


def verify(unit: str, name: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Findings are only warnings for systemd-analyze; here each one is a failure."""
    path = directory / f"{name}.service"
    path.write_text(unit)
    return subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )


def stock(values: dict[str, str] | None = None, **config: tuple[str, ...]) -> RenderRequest:
    return request({}, "conformance-stock", values, ImageConfig(diff_ids=(), **config))  # type: ignore[arg-type]  # kwargs


@pytest.mark.parametrize(
    "wanted",
    [
        stock(command=("/bin/sh",), volumes=("/data", "/a b", "/100%")),
        request({"manifest.json": b'{"readiness": "command", "health": {"command": ["a\'b"]}}'}),
        request({"manifest.json": b'{"readiness": "notify"}'}),
        request({"config.json": b"{}"}),
        request(ETCD),
        request(FLANNEL),
        request(DOCKER),
    ],
    ids=["stock", "command", "notify", "default-unit", "etcd", "flannel", "docker"],
)
def test_units_are_accepted(wanted: RenderRequest, tmp_path: Path) -> None:
    unit = render(wanted).unit
    assert unit is not None
    done = verify(unit, wanted.name.value, tmp_path)
    lines = [line for line in done.stderr.splitlines() if "conformance" in line or "etcd" in line]
    # What the host lacks is not the unit's fault, and neither is what other units say.
    assert [
        line for line in lines if "not found" not in line and "not executable" not in line
    ] == []


def test_the_judge_finds_what_is_wrong(tmp_path: Path) -> None:
    unit = "[Service]\nTyp=exec\nExecStart=relative\n"
    assert "etcd" in verify(unit, "etcd", tmp_path).stderr


def test_directories_are_made_once_with_their_owner(tmp_path: Path) -> None:
    text = render(stock(volumes=("/data", "/a b", "/100%"))).tmpfiles
    assert text is not None
    (tmp_path / "etc").mkdir()
    conf = tmp_path / "stock.conf"
    conf.write_text(text)
    argv = ["systemd-tmpfiles", f"--root={tmp_path}", "--create", str(conf)]
    subprocess.run(argv, check=True)
    state = tmp_path / "var/lib/conformance-stock"
    assert sorted(path.name for path in state.iterdir()) == ["100%", "a b", "data"]
    assert (state / "data").stat().st_mode & 0o7777 == 0o700
    (state / "data").chmod(0o750)
    subprocess.run(argv, check=True)
    assert (state / "data").stat().st_mode & 0o7777 == 0o750


def run_in(bundle: Path, rendered: Rendered) -> str:
    """What the payload of a rendered deployment prints, run by runc without a unit."""
    config = json.loads(rendered.config)
    # Its place is the unit's cgroup, and here is no unit: runc's own default must do.
    config["linux"]["cgroupsPath"] = f"/atomic-sys-test-{os.getpid()}"
    (bundle / "config.json").write_text(json.dumps(config))
    done = subprocess.run(
        ["runc", "--root", str(bundle / "state"), "run", f"conformance-{os.getpid()}"],
        cwd=bundle,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle whose root has busybox and a log directory of a daemon."""
    assert BUSYBOX is not None
    rootfs = tmp_path / "rootfs"
    (rootfs / "bin").mkdir(parents=True)
    shutil.copy2(BUSYBOX, rootfs / "bin/busybox")
    (rootfs / "bin/sh").symlink_to("busybox")
    (rootfs / "var/log/daemon").mkdir(parents=True)
    os.chown(rootfs / "var/log/daemon", 5, 6)
    return tmp_path


PROBE = """
b=/bin/busybox
try() { "$@" >/dev/null 2>&1 && echo "$1 ${2-}: yes" || echo "$1 ${2-}: no"; }
touch_() { echo x >"$1"; }
echo "caps $($b sed -n 's/^CapBnd:\\t0*//p' /proc/self/status)"
echo "nnp $($b sed -n 's/^NoNewPrivs:\\t//p' /proc/self/status)"
echo "seccomp $($b sed -n 's/^Seccomp:\\t//p' /proc/self/status)"
echo "uid $($b id -u) $($b id -g)"
echo "value $VALUE"
for path in /x /run/x /tmp/x /var/log/x /data/x /proc/sys/kernel/hostname; do try touch_ $path; done
try $b unshare -m $b true
try $b unshare -U $b true
try $b mount -t tmpfs a /tmp
try $b mknod /tmp/null c 1 3
try $b chroot / /bin/sh -c :
$b stat -c 'log %u %g' /var/log/daemon
"""


def test_a_stock_image_runs_confined(bundle: Path) -> None:
    data = bundle / "data/conformance-stock/data"
    data.mkdir(parents=True)
    values = {"VALUE": 'a "b" \\ $c', "STATE_DIRECTORY": str(bundle / "data")}
    wanted = stock(values, command=("/bin/sh", "-c", PROBE), volumes=("/data",))
    wanted = with_image(wanted, in_image=lambda path: (bundle / "rootfs" / path[1:]).is_dir())
    wanted = replace(wanted, host=replace(wanted.host, exists=os.path.exists))
    assert run_in(bundle, render(wanted)).splitlines() == [
        "caps 4fb",
        "nnp 1",
        "seccomp 2",
        "uid 0 0",
        'value a "b" \\ $c',
        "touch_ /x: no",
        "touch_ /run/x: yes",
        "touch_ /tmp/x: yes",
        "touch_ /var/log/x: yes",
        "touch_ /data/x: yes",
        "touch_ /proc/sys/kernel/hostname: no",
        "/bin/busybox unshare: no",
        "/bin/busybox unshare: no",
        "/bin/busybox mount: no",
        "/bin/busybox mknod: no",
        "/bin/busybox chroot: no",
        "log 5 6",
    ]
    assert (data / "x").read_text() == "x\n"


def test_a_stock_image_runs_as_its_user(bundle: Path) -> None:
    show = "/bin/busybox id -u; /bin/busybox sed -n 's/^CapEff:\\t0*//p' /proc/self/status"
    image = ImageConfig(diff_ids=(), command=("/bin/sh", "-c", show), user="1234:5")
    wanted = request({}, image_config=image)
    wanted = replace(wanted, host=replace(wanted.host, exists=os.path.exists))
    assert run_in(bundle, render(wanted)).split() == ["1234", "400"]
