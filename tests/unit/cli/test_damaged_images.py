# SPDX-License-Identifier: LGPL-2.1-or-later
"""One damaged image stops no other one: whole commands on a store with one."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from atomic_sys.__main__ import run
from atomic_sys.errors import ExitCode
from tests.support import images

REFS = "var/lib/containers/atomic/.storage/ostree/refs/heads/ociimage"
Atomic = Callable[..., tuple[str, str]]


@pytest.fixture
def atomic(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Atomic:
    """The command on a root with the images `broken` and `sound`."""
    (tmp_path / "etc/containers").mkdir(parents=True)
    policy = {"default": [{"type": "insecureAcceptAnything"}]}
    (tmp_path / "etc/containers/policy.json").write_text(json.dumps(policy))

    def call(*argv: str, code: ExitCode = ExitCode.DONE) -> tuple[str, str]:
        capsys.readouterr()
        status = run(["--root", str(tmp_path), *argv])
        out, err = capsys.readouterr()
        assert status == code, err
        return out, err

    for name in ("broken", "sound"):
        call("pull", f"oci:{images.layout(tmp_path / name)}:latest")
    return call


@pytest.fixture(params=["no commit", "not a name", "another commit"])
def damage(request: pytest.FixtureRequest, tmp_path: Path, atomic: Atomic) -> None:
    refs = tmp_path / REFS
    layer = next(path for path in refs.iterdir() if len(path.name) == 64)
    content = {"no commit": "0" * 64 + "\n", "not a name": "?", "another commit": layer.read_text()}
    (refs / "broken_3Alatest").write_text(content[request.param])


@pytest.mark.usefixtures("damage")
def test_a_damaged_image_hides_no_other_one(atomic: Atomic) -> None:
    out, err = atomic("images", "list", "--json")
    (sound,) = json.loads(out)
    assert sound["repo"] == "sound"
    assert err.startswith("warning: the image broken:latest is damaged: ")
    assert "atomic images delete broken:latest" in err
    assert "sound:latest" in atomic("images", "version", "sound")[0]
    atomic("images", "version", sound["id"][:9])
    atomic("images", "version", "broken", code=ExitCode.DAMAGED)


@pytest.mark.usefixtures("damage")
def test_nothing_is_pruned_beside_it(tmp_path: Path, atomic: Atomic) -> None:
    before = sorted(tmp_path.rglob("*"))
    _, err = atomic("images", "prune", code=ExitCode.DAMAGED)
    assert "damaged" in err
    assert sorted(tmp_path.rglob("*")) == before
    atomic("images", "delete", "broken")
    atomic("images", "prune")
    assert "sound:latest" in atomic("images", "version", "sound")[0]


@pytest.mark.usefixtures("damage")
def test_pulling_it_again_helps(tmp_path: Path, atomic: Atomic) -> None:
    atomic("pull", f"oci:{tmp_path}/broken:latest")
    assert len(json.loads(atomic("images", "list", "--json")[0])) == 2


@pytest.mark.usefixtures("damage")
def test_it_is_one_of_all(atomic: Atomic) -> None:
    atomic("-y", "images", "delete", "--all")
    assert atomic("images", "list", "--json")[0] == "[]\n"
