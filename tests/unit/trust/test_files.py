# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files of the administrator: found, read with a limit, or a clear error."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from atomic_sys.errors import AtomicSysError, Rejected
from atomic_sys.model.reference import DockerReference
from atomic_sys.trust.files import load_lookaside, load_policy, own_file, read_key_file
from atomic_sys.trust.lookaside import lookaside_base, staging_base
from atomic_sys.trust.policy import POLICY_LIMIT, InvalidPolicy
from atomic_sys.trust.requirements import InsecureAcceptAnything, Reject
from atomic_sys.trust.scopes import docker_identity

SHIPPED = Path(__file__).parents[3] / "policy"
REJECT = '{"default": [{"type": "reject"}]}'


def write(path: Path, text: str, mode: int = 0o644) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_first_policy_that_exists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    second = write(tmp_path / "second", REJECT)
    third = write(tmp_path / "third", REJECT.replace("reject", "insecureAcceptAnything"))
    loaded = load_policy([str(tmp_path / "first"), second, third])
    assert (loaded.path, loaded.policy.default) == (second, (Reject(),))
    assert loaded.policy.source == second
    assert load_policy([third]).policy.default == (InsecureAcceptAnything(),)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_writable_by_others(tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: int) -> None:
    load_policy([write(tmp_path / "p", REJECT, mode)])
    assert "can be written by others" in capsys.readouterr().err


def test_no_policy(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match=r"/a and .* not found") as caught:
        load_policy([str(tmp_path / "a"), str(tmp_path / "b")])
    assert caught.value.hint is not None
    assert "atomic trust add" in caught.value.hint


def test_own_file_goes_first_if_it_is_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = write(tmp_path / "mine", REJECT)
    assert own_file(mine) == (mine,)
    assert own_file(None) == own_file(str(tmp_path / "none")) == ()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(os, "stat", lambda _: SimpleNamespace(st_uid=4711))
    assert own_file(mine) == ()
    assert f"{mine} is not used: it belongs to another user" in capsys.readouterr().err


def test_unusable_policy_hides_no_later_one(tmp_path: Path) -> None:
    good = write(tmp_path / "good", REJECT)
    with pytest.raises(InvalidPolicy):
        load_policy([write(tmp_path / "bad", "{}"), good])
    with pytest.raises(AtomicSysError, match="not a regular file"):
        load_policy([str(tmp_path), good])
    with pytest.raises(AtomicSysError, match="limit"):
        load_policy([write(tmp_path / "large", " " * (POLICY_LIMIT + 1)), good])
    with pytest.raises(AtomicSysError, match="Not a directory"):
        load_policy([f"{good}/x", good])


def test_key_file(tmp_path: Path) -> None:
    assert read_key_file(write(tmp_path / "k", "key")) == b"key"
    os.mkfifo(tmp_path / "fifo")
    for path in ("a\0b", str(tmp_path / "none"), str(tmp_path / "fifo")):
        with pytest.raises(OSError):
            read_key_file(path)


def test_registries_d(tmp_path: Path) -> None:
    assert load_lookaside(str(tmp_path / "none")).docker == {}
    write(tmp_path / "a.yaml", "docker: {a.example: {lookaside: 'file:///a'}}")
    write(tmp_path / "b.yaml", "default-docker: {lookaside: 'file:///b'}")
    write(tmp_path / "c.yml", "[")
    config = load_lookaside(str(tmp_path))
    assert config.docker["a.example"].lookaside == "file:///a"
    assert config.default is not None
    assert config.default.source == f"{tmp_path}/b.yaml"
    (tmp_path / "d.yaml").mkdir()
    with pytest.raises(AtomicSysError, match=r"d\.yaml: not a regular file"):
        load_lookaside(str(tmp_path))


def test_users_have_a_store_of_their_own(tmp_path: Path) -> None:
    image = docker_identity(DockerReference.parse("a.example/x:1"))
    write(tmp_path / "b.yaml", "docker: {b.example: {lookaside: 'file:///b'}}")
    config = load_lookaside(str(tmp_path), "/home/a b")
    own = "file:///home/a%20b/.local/share/containers/sigstore"
    assert lookaside_base(config, image) == staging_base(config, image) == own
    other = docker_identity(DockerReference.parse("b.example/x:1"))
    assert lookaside_base(config, other) == "file:///b"


def test_dangling_link_in_registries_d(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("gone")
    with pytest.raises(AtomicSysError, match="No such file"):
        load_lookaside(str(tmp_path))
    with pytest.raises(AtomicSysError, match="Not a directory"):
        load_lookaside(write(tmp_path / "file", ""))


def test_shipped_policy_accepts_nothing() -> None:
    policy = load_policy([str(SHIPPED / "policy.json")]).policy
    assert policy.default == (Reject(),)
    assert {
        requirement
        for scopes in policy.transports.values()
        for requirements in scopes.values()
        for requirement in requirements
    } == {Reject()}


def test_shipped_lookaside() -> None:
    config = load_lookaside(str(SHIPPED))
    assert config.default is not None
    assert config.default.lookaside == "file:///var/lib/containers/sigstore"
