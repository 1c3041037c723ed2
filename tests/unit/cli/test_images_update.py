# SPDX-License-Identifier: LGPL-2.1-or-later
"""`images update`, as whole commands on layouts that change."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from atomic_sys.__main__ import run
from atomic_sys.errors import ExitCode
from atomic_sys.host import Host, HostOptions
from atomic_sys.model.reference import ImageName
from atomic_sys.store.images import ImageToStore
from tests.support import images, layers

Atomic = Callable[..., tuple[str, str]]


@pytest.fixture
def atomic(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Atomic:
    """The command on a root with the images `one` and `two`."""
    (tmp_path / "root/etc/containers").mkdir(parents=True)
    write_policy(tmp_path, "insecureAcceptAnything")

    def call(*argv: str, code: ExitCode = ExitCode.DONE) -> tuple[str, str]:
        capsys.readouterr()
        status = run(["--root", f"{tmp_path}/root", *argv])
        out, err = capsys.readouterr()
        assert status == code, err
        return out, err

    for name in ("one", "two"):
        change(tmp_path / name, b"1")
        call("pull", f"oci:{tmp_path}/{name}:latest")
    return call


def write_policy(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "root/etc/containers/policy.json"
    path.write_text(json.dumps({"default": [{"type": kind}]}))


def change(layout: Path, content: bytes) -> None:
    shutil.rmtree(layout, ignore_errors=True)
    images.layout(layout, [layers.file("version", layout.name.encode() + content)])


def ids(atomic: Atomic) -> dict[str, str]:
    listed = json.loads(atomic("images", "list", "--json")[0])
    return {f"{image['repo']}:{image['tag']}": image["digest"] for image in listed}


def test_nothing_new(atomic: Atomic) -> None:
    before = ids(atomic)
    assert atomic("update", "--force", "one")[0] == "Image is up to date: one:latest\n"
    assert atomic("images", "update", "one")[0] == "Image is up to date: one:latest\n"
    assert ids(atomic) == before


def test_something_new(tmp_path: Path, atomic: Atomic) -> None:
    atomic("images", "tag", "one", "other:1")
    before = ids(atomic)
    change(tmp_path / "one", b"2")
    change(tmp_path / "two", b"2")
    out, _ = atomic("images", "update", "-f", "--storage=ostree", "one")
    assert "Copying blob" in out
    assert "up to date" not in out
    after = ids(atomic)
    assert {name for name in before if before[name] != after[name]} == {"one:latest"}
    (other,) = json.loads(atomic("images", "update", "--json", "other:1")[0])
    assert other == {
        "image": "other:1",
        "before": before["one:latest"],
        "after": after["one:latest"],
        "status": "Updated now",
        "error": None,
    }
    assert ids(atomic) == after | {"other:1": after["one:latest"]}
    by_id = before["two:latest"].removeprefix("sha256:")[:12]
    atomic("images", "update", by_id)
    assert ids(atomic)["two:latest"] != before["two:latest"]


def test_all_of_them(tmp_path: Path, atomic: Atomic) -> None:
    shutil.rmtree(tmp_path / "one")
    change(tmp_path / "two", b"2")
    out, err = atomic("images", "update", "--all", code=ExitCode.FAILED)
    assert f"warning: one:latest: oci:{tmp_path}/one:latest: no such directory" in err
    summary = out.partition("SUMMARY\n")[2].splitlines()
    assert [line.split(maxsplit=3)[3] for line in summary] == [
        "STATUS", "Could not pull", "Updated now"
    ]  # fmt: skip
    found = json.loads(atomic("images", "update", "-a", "--json", code=ExitCode.FAILED)[0])
    assert [update["status"] for update in found] == ["Could not pull", "Updated"]


def test_the_policy_of_today_is_asked(tmp_path: Path, atomic: Atomic) -> None:
    before = ids(atomic)
    change(tmp_path / "one", b"2")
    write_policy(tmp_path, "reject")
    atomic("images", "update", "one", code=ExitCode.REJECTED)
    atomic("images", "update", "--all", code=ExitCode.FAILED)
    assert ids(atomic) == before


def test_what_cannot_be_asked(atomic: Atomic) -> None:
    out, _ = atomic("images", "update", "one", "three", code=ExitCode.NOT_FOUND)
    assert out == "Unable to find the image three\n"
    atomic("images", "update", code=ExitCode.USAGE)
    atomic("images", "update", "--all", "one", code=ExitCode.USAGE)
    atomic("images", "update", "--storage=docker", "one", code=ExitCode.USAGE)


def test_an_image_of_nobody_knows_where_is_skipped(tmp_path: Path, atomic: Atomic) -> None:
    with Host(HostOptions(root=f"{tmp_path}/root"), {}) as host:
        image = host.store.image(ImageName.parse("two"))
        assert image is not None
        assert image.config_digest is not None
        host.store.put_image(  # as the predecessor did, who recorded no source
            ImageToStore(
                name=image.name, raw_manifest=image.raw_manifest, digest=image.digest,
                signatures=(), config=host.store.config(image), config_digest=image.config_digest,
                layers=image.layers,
            )
        )  # fmt: skip
    out, err = atomic("images", "update", "--storage=ostree", "--all")
    assert "Image two:latest not fully qualified: skipping" in err
    assert "two" not in out
