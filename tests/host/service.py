# SPDX-License-Identifier: LGPL-2.1-or-later
"""A service in a test host that is easily told apart by its version: busybox, and all that an
image can bring along.

Promised: each version differs from the others in what runs, unit, [Install] section, tmpfiles and
host files; `NEEDS` is a unit of the host that requires the service `base`.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.host.host import Host
from tests.host.process import Completed
from tests.host.product import install_product
from tests.host.snapshot import snapshot
from tests.support import images, layers

IMAGE = "oci:/srv/images/base"
SERVE = "echo version {}; trap 'exit 0' TERM; while :; do /bin/busybox sleep 1 & wait; done"
UNIT = """[Unit]
Description=version {version}

[Service]
Type=exec
ExecStart=$EXEC_START
ExecStop=$EXEC_STOP
WorkingDirectory=$DESTDIR
SuccessExitStatus=143

[Install]
WantedBy={target}
"""
NEEDS = "needs.service"
_NEEDS = """[Unit]
Requires=base.service
After=base.service
[Service]
ExecStart=/bin/sleep infinity
[Install]
WantedBy=multi-user.target
"""
CHECKOUTS = "/var/lib/containers/atomic"
# Where commands for a container may leave anything.
ROOTS = ("/etc", "/usr/local", CHECKOUTS, "/var/lib/of-base", "/run/of-base")
_HEALTH = {"Healthcheck": {"Test": ["CMD", "/bin/busybox", "true"], "Interval": 10**9}}


def exports(version: str, target: str = "multi-user.target") -> dict[str, bytes]:
    """The files below /exports of a version: some are only its own."""
    tmpfiles = f"d /run/of-base/{version} 0700 - - - -\nd /var/lib/of-base 0700 - - - -\n"
    return {
        "service.template": UNIT.format(version=version, target=target).encode(),
        "tmpfiles.template": tmpfiles.encode(),
        "hostfs/etc/base.conf": version.encode(),
        f"hostfs/usr/local/share/base/{version}": b"only of this version",
    }


def busybox(*tools: str) -> list[layers.Member]:
    """busybox in /bin, under these names too."""
    program = shutil.which("busybox")
    assert program is not None
    links = [layers.symlink(f"bin/{tool}", "busybox") for tool in tools]
    return [layers.file("bin/busybox", Path(program).read_bytes(), mode=0o755), *links]


def make_layout(
    directory: Path,
    script: str,
    files: Mapping[str, bytes],
    config: Mapping[str, object] | None = None,
    more: Sequence[layers.Member] = (),
) -> None:
    """An OCI layout of busybox that runs `script`, with these files below /exports."""
    content = [
        *busybox("sh", "sleep", "true"),
        # Else the runtime would make them, in the checkout.
        *(layers.directory(name) for name in ("dev", "proc", "sys", "tmp")),
        *(layers.file(f"exports/{name}", text) for name, text in files.items()),
        *more,
    ]
    images.layout(directory, content, {"Cmd": ["/bin/sh", "-c", script], **(config or {})})


def make_versions(directory: Path) -> None:
    """Two good versions, `one` and `two`."""
    make_layout(directory / "one", SERVE.format("one"), exports("one"))
    two = exports("two", "graphical.target multi-user.target")
    make_layout(directory / "two", SERVE.format("two"), two, _HEALTH)


def make_ready(host: Host, layouts: Path) -> None:
    """The product, the layouts in /srv/versions, a policy that takes them, and NEEDS, not started;
    what was interrupted is recovered at boot."""
    make_trusting(host, layouts)
    host.write(f"/etc/systemd/system/{NEEDS}", _NEEDS)
    host.run(["systemctl", "enable", NEEDS, "atomic-sys-recover.service"])


def make_trusting(host: Host, layouts: Path, directory: str = "/srv/versions") -> None:
    """The product, the layouts in the directory, and a policy that takes layouts only."""
    install_product(host)
    host.copy_in(layouts, directory)
    policy = {
        "default": [{"type": "reject"}],
        "transports": {"oci": {"": [{"type": "insecureAcceptAnything"}]}},
    }
    host.write("/etc/containers/policy.json", json.dumps(policy))
    host.path("/srv/images").mkdir(exist_ok=True)


def publish(host: Host, version: str, place: str = "/srv/images/base") -> None:
    """The source has this version from now on."""
    host.run(["sh", "-c", f"rm -rf {place}; cp -r /srv/versions/{version} {place}"])


def atomic(host: Host, *words: str, code: int | None = 0) -> Completed:
    """Runs the command, which must exit with `code`; None: with whatever it likes."""
    done = host.run(["atomic", *words], check=False, timeout=120)
    assert code in (None, done.returncode), (
        f"{done.argv}: {done.returncode}\n{done.stdout}{done.stderr}"
    )
    return done


def files(host: Host) -> dict[str, str]:
    """All files that a container could have, but for what is in the store; of a record only that
    it is there, as it has the time."""
    listed = snapshot(host, ROOTS)
    noise = (f"{CHECKOUTS}/.storage", f"{CHECKOUTS}/.lock")
    shared = (f"{CHECKOUTS}/.journal", f"{CHECKOUTS}/.state")  # made once, and kept
    return {
        path: "a record" if path.startswith(CHECKOUTS) and path.endswith("/info") else line
        for path, line in listed.items()
        if path not in shared and not path.startswith(noise)
    }


def assert_runs(host: Host, version: str) -> None:
    """This version runs as its current unit says, and NEEDS as well; nothing has failed."""
    for unit in ("base.service", NEEDS):
        assert host.systemctl_show(unit, "ActiveState") == {"ActiveState": "active"}, unit
    shown = host.systemctl_show("base.service", "Description", "NeedDaemonReload", "UnitFileState")
    assert shown == {
        "Description": f"version {version}", "NeedDaemonReload": "no", "UnitFileState": "enabled",
    }  # fmt: skip
    assert host.run(["runc", "list", "--quiet"]).stdout == "base\n"
    assert f"echo version {version};" in host.run(["runc", "exec", "base", "/bin/busybox", "ps"]
                                                  ).stdout  # fmt: skip
    assert host.path("/etc/base.conf").read_text() == version
    assert_nothing_wrong(host)


def assert_gone(host: Host) -> None:
    """Neither unit nor container is there."""
    shown = host.systemctl_show("base.service", "LoadState", "ActiveState")
    assert shown == {"LoadState": "not-found", "ActiveState": "inactive"}
    assert host.run(["runc", "list", "--quiet"]).stdout == ""
    assert_nothing_wrong(host)


def assert_nothing_wrong(host: Host) -> None:
    """No unit has failed, and no journal is left."""
    assert host.run(["systemctl", "--failed", "--plain", "--no-legend"]).stdout == ""
    journals = host.path(f"{CHECKOUTS}/.journal")
    assert not journals.exists() or list(journals.iterdir()) == []
