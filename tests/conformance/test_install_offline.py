# SPDX-License-Identifier: LGPL-2.1-or-later
"""The whole command on a root directory: real runc, systemctl --root and ostree, no systemd."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from atomic_sys.errors import ExitCode
from tests.conformance.offline import (
    CHECKOUTS,
    NAME,
    STORE,
    Atomic,
    as_json,
    seen,
)
from tests.support import images, layers

pytestmark = pytest.mark.conformance


def test_the_life_of_a_container(root: Path, hello: str, atomic: Atomic) -> None:
    before = seen(root)
    code, out, err = atomic("install", hello)
    assert (code, err) == (0, f"{NAME} is installed; start it with: systemctl start {NAME}\n")
    assert [line.rpartition("sha256:")[0] for line in out.splitlines()[:2]] == [
        "Copying blob ", "Pulling layer ",
    ]  # fmt: skip
    assert f"Extracting to /{CHECKOUTS}/{NAME}.0\n" in out
    assert "Created file /etc/hello.conf\n" in out

    deployment = root / CHECKOUTS / f"{NAME}.0"
    assert os.readlink(root / CHECKOUTS / NAME) == f"/{CHECKOUTS}/{NAME}.0"
    assert (deployment / "rootfs/hello").read_bytes() == b"hello\n"
    assert json.loads((deployment / "config.json").read_text())["process"]["args"][1] == "hi"
    assert (root / "etc/hello.conf").read_text() == "greeting=hi\n"
    unit = root / f"etc/systemd/system/{NAME}.service"
    assert unit.read_bytes() == (deployment / f"{NAME}.service").read_bytes()
    assert (root / f"etc/systemd/system/multi-user.target.wants/{NAME}.service").is_symlink()
    assert (root / "var/lib" / NAME).is_dir()

    (listed,) = as_json(atomic("containers", "list", "--all", "--json"))
    digest = images.make(images.members()).digest
    assert {key: listed[key] for key in ("name", "state", "digest", "enabled", "command")} == {
        "name": NAME, "state": "inactive", "digest": str(digest), "enabled": True,
        "command": "/hello hi",
    }  # fmt: skip
    assert as_json(atomic("containers", "list", "--json")) == []
    status = atomic("containers", "status", NAME, "--json")
    assert status[0] == ExitCode.NOT_ACTIVE
    assert as_json(status)["drift"] == []
    assert as_json(status)["verdict"]["accepted"] is True
    (image,) = as_json(atomic("images", "list", "--json"))
    assert (image["repo"], image["containers"]) == ("hello", [NAME])
    assert image["digest"] == str(digest)

    installed = seen(root)
    code, out, _ = atomic("install", hello)
    assert (code, out) == (0, f"{NAME} already present\n")
    assert seen(root) == installed

    assert atomic("uninstall", NAME) == (0, "", "")
    assert seen(root) == before
    assert atomic("containers", "status", NAME)[0] == ExitCode.NOT_FOUND
    assert atomic("uninstall", NAME)[0] == ExitCode.NOT_FOUND


def test_status_and_lists_for_people(root: Path, hello: str, atomic: Atomic) -> None:
    assert atomic("containers", "list") == (0, "", "")
    assert atomic("install", hello, "--name", "a-long-container-name")[0] == 0
    code, out, _ = atomic("containers", "list", "--all")
    heading, row = out.splitlines()
    assert heading.split()[:2] == ["CONTAINER", "ID"]
    assert row.startswith("a-long-conta   ")
    assert "a-long-container-name" in atomic("containers", "list", "-a", "--no-trunc")[1]
    assert atomic("containers", "list", "-aq")[1] == "a-long-container-name\n"
    for matching in ("name=a-long-container-name", "state=INACT", "command=hello hi",
                     "backend=ostree", "runtime=runc", "image=oci:", "container=long"):  # fmt: skip
        assert atomic("containers", "list", "-aq", "-f", matching)[1] != "", matching
    for other in ("name=a-long", "state=running", "created=1999", "command=bye"):
        assert atomic("containers", "list", "-aq", "-f", other) == (0, "", ""), other

    (root / "etc/hello.conf").write_text("mine")
    code, out, _ = atomic("containers", "status", "a-long-container-name")
    assert code == ExitCode.NOT_ACTIVE
    fields = {line.partition(":")[0].strip(): line.partition(": ")[2] for line in out.splitlines()}
    assert fields["Unit"] == "a-long-container-name.service (enabled)"
    assert fields["Signed by"] == "nobody"
    assert fields["Drift"] == "/etc/hello.conf"

    code, out, _ = atomic("images", "list")
    assert out.splitlines()[1].startswith(">   hello")
    code, out, _ = atomic("images", "list", "--noheading")
    assert len(out.splitlines()) == 1
    digest = images.make(images.members()).digest.hex
    assert atomic("images", "list", "-q")[1] == f"{digest[:12]}\n"
    assert atomic("images", "list", "-q", "--no-trunc")[1] == f"{digest}\n"
    for matching in ("repo=hel", "repository=HELLO", "tag=latest", f"id={digest}", "type=ostree",
                     "image=hello:latest", "size=B", "created=2", "is_dangling=false"):  # fmt: skip
        assert atomic("images", "list", "-q", "-f", matching)[1] != "", matching
    assert atomic("images", "list", "-q", "-f", "tag=1") == (0, "", "")


def test_a_broken_record_is_said_and_the_container_can_go(
    root: Path, hello: str, atomic: Atomic
) -> None:
    atomic("install", hello)
    (root / CHECKOUTS / f"{NAME}.0/info").write_text("{")
    code, out, err = atomic("containers", "list", "-a", "-q")
    assert (code, out) == (0, f"{NAME}\n")
    assert err.startswith(f"warning: {NAME}: ")
    assert "Problem" in atomic("containers", "status", NAME)[1]
    assert as_json(atomic("containers", "list", "-a", "--json"))[0]["image_id"] == ""
    (root / CHECKOUTS / f"{NAME}.0/config.json").write_text("[[")
    assert as_json(atomic("containers", "list", "-a", "--json"))[0]["command"] == ""
    assert atomic("uninstall", NAME)[0] == 0
    assert not (root / f"etc/systemd/system/{NAME}.service").exists()
    assert not list((root / CHECKOUTS).glob("hello*"))


def test_a_dry_run_changes_nothing_but_the_store(root: Path, hello: str, atomic: Atomic) -> None:
    before = seen(root)
    code, out, err = atomic("install", hello, "--dry-run", "--set=GREETING=dry", "--now")
    assert (code, err) == (0, "")
    assert seen(root) == before
    assert "+greeting=dry" in out
    assert f"enable {NAME}.service\n" in out
    done = atomic("install", "--json", "--display", hello)
    assert as_json(done)["changed"] is False
    assert f"start {NAME}.service and wait until it is active" not in as_json(done)["plan"]
    assert seen(root) == before
    assert len(as_json(atomic("images", "list", "--json"))) == 1


def test_secret_values_are_not_shown(root: Path, tmp_path: Path, atomic: Atomic) -> None:
    files = images.EXPORTS | {
        "manifest.json": b'{"values": {"GREETING": {"secret": true}}}',
        "hostfs/etc/hello.conf": b"",
    }
    source = f"oci:{images.layout(tmp_path / 'hello', images.members(files))}"
    code, out, err = atomic("install", source, "--dry-run", "--set", "GREETING=hunter2")
    assert code == 0
    assert "hunter2" not in out + err
    assert atomic("install", source, "--set", "GREETING=hunter2")[0] == 0
    for name in ("config.json", "info"):
        assert (root / CHECKOUTS / f"{NAME}.0" / name).stat().st_mode & 0o777 == 0o600


def test_options_of_install(root: Path, hello: str, tmp_path: Path, atomic: Atomic) -> None:
    (tmp_path / "values.yaml").write_text("GREETING: from a file\nPIDFILE: /run/x.pid\n")
    done = atomic(
        "install", hello, "--name=web", "--no-enable", "--values", str(tmp_path / "values.yaml"),
        "--set", "GREETING=wins", "--after=network.target", "--requires", "etcd.service",
        "--now", "--system", "--storage=ostree", "--json",
    )  # fmt: skip
    assert done[0] == 0
    assert "web.service will start at boot" in done[2]
    assert as_json(done)["name"] == "web"
    assert as_json(done)["changed"] is True
    drop_in = root / "etc/systemd/system/web.service.d/50-atomic-sys.conf"
    assert "After=network.target" in drop_in.read_text()
    assert "Requires=etcd.service" in drop_in.read_text()
    record = json.loads((root / CHECKOUTS / "web.0/info").read_text())
    assert record["user-values"] == {"GREETING": "wins", "PIDFILE": "/run/x.pid"}
    assert not (root / "etc/systemd/system/multi-user.target.wants/web.service").is_symlink()
    assert atomic("containers", "delete", "web")[0] == 0
    assert not drop_in.parent.exists()


def test_images_are_kept_while_they_are_used(root: Path, hello: str, atomic: Atomic) -> None:
    atomic("install", hello)
    code, _, err = atomic("images", "delete", "hello")
    assert code == ExitCode.FAILED
    assert f"is in use by {NAME}" in err
    objects = root / STORE / "ostree/objects"
    count = len(list(objects.rglob("*.*")))
    assert as_json(atomic("images", "prune", "--json"))["objects"] == 0
    atomic("uninstall", NAME)
    assert atomic("images", "delete", "none")[:2] == (4, "Unable to find the image none\n")
    assert atomic("images", "delete", "--all")[0] == ExitCode.USAGE
    assert atomic("-y", "images", "delete", "--all") == (0, "", "")
    assert atomic("images", "list") == (0, "", "")
    assert atomic("-y", "images", "delete", "--all")[1] == "No images to delete.\n"
    code, out, _ = atomic("images", "prune")
    assert (code, out.startswith("Removed ")) == (0, True)
    left = len(list(objects.rglob("*.*")))
    assert left < count
    assert left == 0


def test_a_deployment_outlives_its_image(root: Path, hello: str, atomic: Atomic) -> None:
    atomic("install", hello)
    assert atomic("images", "delete", "--force", "hello")[0] == 0
    assert atomic("images", "prune")[0] == 0
    assert (root / CHECKOUTS / f"{NAME}.0/rootfs/hello").read_bytes() == b"hello\n"
    assert atomic("uninstall", NAME)[0] == 0


def test_ostree_finds_the_store_sound(root: Path, hello: str, atomic: Atomic) -> None:
    assert atomic("pull", hello)[0] == 0
    assert atomic("pull", hello)[1] == "Image is up to date: hello:latest\n"
    assert as_json(atomic("pull", hello, "--json"))["changed"] is False
    assert atomic("install", "ostree:hello")[0] == 0
    repository = f"--repo={root / STORE / 'ostree'}"
    subprocess.run(["ostree", "fsck", repository], check=True, capture_output=True)


def test_delete_all_containers(root: Path, hello: str, atomic: Atomic) -> None:
    assert atomic("-y", "containers", "delete", "--all")[1] == "No containers to delete\n"
    before = seen(root)
    for name in ("web", "web.1"):
        files = images.EXPORTS | {"hostfs/etc/hello.conf": b"", "hostfs/usr/local/bin/hello": b""}
        del files["hostfs/etc/hello.conf"], files["hostfs/usr/local/bin/hello"]
        source = images.layout(root.parent / name, images.members(files))
        assert atomic("install", f"oci:{source}", "--name", name)[0] == 0
    assert atomic("containers", "delete", "--all")[0] == ExitCode.USAGE
    assert atomic("containers", "delete", "web", "none")[0] == ExitCode.NOT_FOUND
    assert atomic("containers", "delete", "web", "web")[0] == 0
    assert atomic("containers", "list", "-aq")[1] == "web.1\n"
    assert atomic("-y", "containers", "delete", "--all")[0] == 0
    assert seen(root) == before


def test_host_files_that_are_there_stay(root: Path, hello: str, atomic: Atomic) -> None:
    (root / "etc/hello.conf").write_text("mine")
    before = seen(root)
    code, _, err = atomic("install", hello)
    assert code == 0
    assert "warning: File /etc/hello.conf already exists\n" in err
    (root / "usr/local/bin/hello").write_text("changed")
    code, _, err = atomic("uninstall", NAME)
    assert code == 0
    assert "Will not delete /usr/local/bin/hello as it was manually modified." in err
    (root / "usr/local/bin/hello").unlink()
    assert seen(root) == before


def test_an_image_without_exports_uses_our_templates(root: Path, atomic: Atomic) -> None:
    content = [layers.file("bin/server", b"x", mode=0o755)]
    config = {"Cmd": ["/bin/server", "--port", "1"], "Env": ["A=b"]}
    source = images.layout(root.parent / "plain", content, config)
    before = seen(root)
    assert atomic("install", f"oci:{source}", "--set", "B=c")[0] == 0
    document = json.loads((root / CHECKOUTS / "plain.0/config.json").read_text())
    assert document["process"]["args"] == ["/bin/server", "--port", "1"]
    assert {"A=b", "B=c"} <= set(document["process"]["env"])
    assert atomic("uninstall", "plain")[0] == 0
    assert seen(root) == before
