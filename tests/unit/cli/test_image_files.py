# SPDX-License-Identifier: LGPL-2.1-or-later
"""`images diff` and `images checkout`, as whole commands on a root with two images."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from atomic_sys.__main__ import run
from atomic_sys.errors import ExitCode
from tests.support import images, layers
from tests.support.layers import listing

OLD = [layers.file("etc/a", b"1"), layers.file("etc/b", b"1"), layers.file("gone/x", b"1")]
NEW = [layers.file("etc/a", b"2"), layers.file("etc/b", b"1"), layers.file("new/x\n", b"1")]
Atomic = Callable[..., tuple[str, str]]


@pytest.fixture
def atomic(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Atomic:
    """The command on a root with the images `old` and `new`."""
    (tmp_path / "root/etc/containers").mkdir(parents=True)
    policy = {"default": [{"type": "insecureAcceptAnything"}]}
    (tmp_path / "root/etc/containers/policy.json").write_text(json.dumps(policy))

    def call(*argv: str, code: ExitCode = ExitCode.DONE) -> tuple[str, str]:
        capsys.readouterr()
        status = run(["--root", f"{tmp_path}/root", *argv])
        out, err = capsys.readouterr()
        assert status == code, err
        return out, err

    for name, content in (("old", OLD), ("new", NEW)):
        call("pull", f"oci:{images.layout(tmp_path / name, content)}:latest")
    return call


@pytest.mark.parametrize("words", ["images diff", "diff"])
def test_diff(atomic: Atomic, words: str) -> None:
    out, _ = atomic(*words.split(), "old", "new")
    assert out == "C /etc\nC /etc/a\nD /gone\nA /new\nA /new/x\\n\n"
    for option in ("--json", "--format=json"):
        assert json.loads(atomic(*words.split(), option, "new", "old")[0]) == {
            "added": ["/gone", "/gone/x"],
            "changed": ["/etc", "/etc/a"],
            "deleted": ["/new"],
        }


def test_diff_of_one_image_is_what_its_last_layer_changed(atomic: Atomic) -> None:
    assert atomic("images", "diff", "old")[0].split() == [
        "A", "/etc", "A", "/etc/a", "A", "/etc/b", "A", "/gone", "A", "/gone/x"
    ]  # fmt: skip


def test_diff_of_the_same(atomic: Atomic) -> None:
    assert atomic("images", "diff", "old", "old") == ("", "")


def test_a_container_stands_for_its_image(tmp_path: Path, atomic: Atomic) -> None:
    digest = json.loads(atomic("images", "inspect", "old")[0])[0]["Digest"].removeprefix("sha256:")
    atomic("images", "diff", "old", "new")  # an image of this version has its tree merged
    deployment = tmp_path / "root/var/lib/containers/atomic/service.0"
    deployment.mkdir()
    (deployment / "info").write_text(json.dumps({"image": "old", "revision": digest}))
    (deployment.parent / "service").symlink_to("service.0")
    assert "A /new" in atomic("images", "diff", "service", "new")[0]
    atomic("images", "delete", "-f", "old")
    assert "A /new" in atomic("images", "diff", "service", "new")[0], "kept for the deployment"
    (deployment / "info").write_text("{")
    atomic("images", "diff", "service", "new", code=ExitCode.FAILED)
    atomic("images", "diff", "nothing", "new", code=ExitCode.NOT_FOUND)
    atomic("images", "diff", "new", "Not A Name", code=ExitCode.NOT_FOUND)


@pytest.mark.parametrize("options", [[], ["--copy"]])
def test_checkout(tmp_path: Path, atomic: Atomic, options: list[str]) -> None:
    out, err = atomic("images", "checkout", *options, "old", f"{tmp_path}/out")
    assert out == f"Extracting to {tmp_path}/out\n"
    assert ("do not write to them" in err) is not bool(options)
    assert {name for name in listing(tmp_path / "out") if "/" in name} == {
        "etc/a", "etc/b", "gone/x"
    }  # fmt: skip
    assert (tmp_path / "out/etc/a").read_bytes() == b"1"
    links = (tmp_path / "out/etc/a").stat().st_nlink
    assert (links == 1) is bool(options)


def test_checkout_to_what_exists(tmp_path: Path, atomic: Atomic) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("empty", "dangling", "old", "."):
        out, err = atomic("images", "checkout", "old", f"{tmp_path}/{name}", code=ExitCode.FAILED)
        assert "exists already" in err
        assert out == ""
    atomic("images", "checkout", "old", f"{tmp_path}/no/where", code=ExitCode.FAILED)


def test_a_checkout_that_fails_leaves_nothing(tmp_path: Path, atomic: Atomic) -> None:
    before = sorted(os.listdir(tmp_path))
    objects = tmp_path / "root/var/lib/containers/atomic/.storage/ostree/objects"
    for path in objects.rglob("*.file"):
        path.unlink()
    atomic("images", "checkout", "old", f"{tmp_path}/out", code=ExitCode.DAMAGED)
    assert sorted(os.listdir(tmp_path)) == before


def test_a_name_that_is_taken_meanwhile(
    tmp_path: Path, atomic: Atomic, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(_fd: int) -> None:
        (tmp_path / "out").mkdir()

    monkeypatch.setattr("atomic_sys.verbs.image_files.sync_file_system", taken)
    _, err = atomic("images", "checkout", "old", f"{tmp_path}/out", code=ExitCode.FAILED)
    assert "exists already" in err
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".tmp")]
    assert os.listdir(tmp_path / "out") == []
