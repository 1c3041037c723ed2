# SPDX-License-Identifier: LGPL-2.1-or-later
"""The whole command on a root directory: real runc, systemctl --root and ostree, no systemd."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from atomic_sys.__main__ import run
from atomic_sys.errors import ExitCode
from tests.support import images, layers
from tests.support.fake_registry import FakeRegistry, Reply
from tests.support.layers import listing

pytestmark = pytest.mark.conformance
CHECKOUTS = "var/lib/containers/atomic"
STORE = f"{CHECKOUTS}/.storage"
ACCEPT = {"type": "insecureAcceptAnything"}
NAME = "hello"  # of the layout `hello`


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RUNC_PATH", "ATOMIC_OSTREE_REPO", "ATOMIC_OSTREE_CHECKOUT_PATH", "TRUST_POLICY",
                 "CONTAINERS_POLICY_JSON", "CONTAINERS_REGISTRIES_CONF"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root whose policy accepts OCI layouts and nothing else."""
    root = tmp_path / "root"
    for directory in (
        "etc/containers", "etc/systemd/system", "etc/tmpfiles.d",
        "usr/bin", "usr/lib/systemd/system", CHECKOUTS, "run", "var/lib", "usr/local/bin",
    ):  # fmt: skip
        (root / directory).mkdir(parents=True, exist_ok=True)
    write_policy(root, {"oci": {"": [ACCEPT]}})
    runc = shutil.which("runc")
    assert runc is not None
    (root / "usr/bin/runc").symlink_to(runc)
    return root


@pytest.fixture
def hello(tmp_path: Path) -> str:
    """The argument that names the image."""
    return f"oci:{images.layout(tmp_path / 'hello')}"


def write_policy(root: Path, transports: Mapping[str, object]) -> None:
    policy = {"default": [{"type": "reject"}], "transports": transports}
    (root / "etc/containers/policy.json").write_text(json.dumps(policy))


def seen(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything below the root but the store and the empty file of the locks."""
    hidden = (STORE, f"{CHECKOUTS}/.lock", f"{CHECKOUTS}/.journal")
    return {path: what for path, what in listing(root).items() if not path.startswith(hidden)}


@pytest.fixture
def atomic(root: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command line on the root; gives the exit code, stdout and stderr."""

    def call(*words: str) -> tuple[int, str, str]:
        code = run(["--root", str(root), *words])
        out, err = capsys.readouterr()
        return code, out, err

    return call


Atomic = Callable[..., tuple[int, str, str]]


def as_json(done: tuple[int, str, str]) -> Any:
    """What a command printed, if it printed JSON and nothing else."""
    return json.loads(done[1])


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


@pytest.fixture
def registry(root: Path) -> Iterator[FakeRegistry]:
    """A registry with the image `hello`."""
    content = images.members()
    image = images.make(content)
    with FakeRegistry() as registry:
        place = "/v2/team/hello"
        manifest = Reply(
            headers={"Content-Type": "application/vnd.oci.image.manifest.v1+json"},
            body=image.raw_manifest,
        )
        registry.replies = {
            "/v2/": Reply(body=b"{}"),
            f"{place}/manifests/latest": manifest,
            f"{place}/manifests/{image.digest}": manifest,
            f"{place}/blobs/{image.config_digest}": Reply(body=image.config),
            f"{place}/blobs/{image.layers[0]}": Reply(body=layers.archive(content)),
        }
        (root / "etc/containers/registries.conf").write_text(
            f'[[registry]]\nlocation = "{registry.host}"\ninsecure = true\n'
        )
        yield registry


def blobs(registry: FakeRegistry) -> list[str]:
    return [path for path, _ in registry.requests if "/blobs/" in path]


def test_a_rejected_image_is_not_even_fetched(
    root: Path, registry: FakeRegistry, atomic: Atomic
) -> None:
    before = seen(root)
    code, out, err = atomic("install", f"{registry.host}/team/hello")
    assert (code, out) == (ExitCode.REJECTED, "")
    assert "hello" in err
    assert [path for path, _ in registry.requests if "/manifests/" in path]
    assert blobs(registry) == []
    assert seen(root) == before
    assert atomic("images", "list", "-q") == (0, "", "")


def test_an_image_of_the_store_is_judged_again(
    root: Path, registry: FakeRegistry, atomic: Atomic
) -> None:
    write_policy(root, {"docker": {registry.host: [ACCEPT]}})
    reference = f"{registry.host}/team/hello"
    assert atomic("install", reference)[0] == 0
    assert len(blobs(registry)) == 2
    assert atomic("install", reference, "--name", "second")[0] != 0  # the same host files
    asked = len(registry.requests)
    assert atomic("uninstall", NAME)[0] == 0
    write_policy(root, {})
    before = seen(root)
    for source in (reference, f"ostree:{reference}"):
        assert atomic("install", source)[0] == ExitCode.REJECTED
    assert seen(root) == before
    assert len(registry.requests) == asked


def test_a_policy_that_is_named_counts(root: Path, hello: str, atomic: Atomic) -> None:
    own = root.parent / "own.json"
    own.write_text('{"default": [{"type": "reject"}]}')
    assert atomic(f"--policy={own}", "install", hello)[0] == ExitCode.REJECTED
    (root / "etc/containers/policy.json").unlink()
    before = seen(root)
    assert atomic("install", hello)[0] == ExitCode.REJECTED
    assert seen(root) == before


BROKEN = {
    "template": ({"service.template": b"[Unit\n"}, "service"),
    "config": ({"config.json.template": b"{"}, "config.json"),
    "value": ({"config.json.template": images.CONFIG.replace(b"$GREETING", b"$VAR")},
              "still contains an unreplaced value for: ''VAR''"),
    "host file": ({"hostfs/etc/hello.conf": b"$VAR"},
                  "still contains an unreplaced value for: ''VAR''"),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_image_leaves_nothing(what: str, root: Path, atomic: Atomic) -> None:
    changes, message = BROKEN[what]
    content = images.members(images.EXPORTS | changes)
    source = images.layout(root.parent / "hello", content)
    before = seen(root)
    code, _, err = atomic("install", f"oci:{source}")
    assert code not in (0, ExitCode.USAGE)
    assert message in err
    assert seen(root) == before


def _occupy_unit(root: Path) -> None:
    (root / f"etc/systemd/system/{NAME}.service").write_text("[Unit]\n")


def _occupy_tmpfiles(root: Path) -> None:
    (root / f"etc/tmpfiles.d/{NAME}.conf").write_text("")


def _occupy_link(root: Path) -> None:
    (root / CHECKOUTS / NAME).mkdir()


def _break_host_directory(root: Path) -> None:
    (root / "usr/local/bin").rmdir()
    (root / "usr/local/bin").write_text("a file")


def _no_runtime(root: Path) -> None:
    (root / "usr/bin/runc").unlink()


@pytest.mark.parametrize(
    "obstacle", [_occupy_unit, _occupy_tmpfiles, _occupy_link, _break_host_directory, _no_runtime]
)
def test_a_conflict_leaves_nothing(
    obstacle: Callable[[Path], None], root: Path, hello: str, atomic: Atomic
) -> None:
    obstacle(root)
    before = seen(root)
    code, _, err = atomic("install", hello)
    assert code == ExitCode.FAILED
    assert err.startswith("atomic: installing hello: ")
    assert seen(root) == before


def test_layers_that_do_not_fit_together_leave_nothing(root: Path, atomic: Atomic) -> None:
    first = images.make(images.members())
    source = root.parent / "hello"
    layers.write_layout(source, first, [b"not the layer"])
    before = seen(root)
    code, _, err = atomic("install", f"oci:{source}")
    assert code != 0
    assert "fetching layer" in err or str(first.layers[0]) in err
    assert seen(root) == before
    assert atomic("images", "list", "-q") == (0, "", "")


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
