# SPDX-License-Identifier: LGPL-2.1-or-later
"""Logins in a file."""

import json
from pathlib import Path

import pytest

from atomic_sys.errors import AtomicSysError
from atomic_sys.image import auth_file
from atomic_sys.image.auth_file import parse_option
from atomic_sys.image.auth_store import remove, save

US = parse_option("u:p")


def test_save_makes_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "new/auth.json"
    save(str(path), "h.example/ns", US, timeout=1)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert auth_file.parse(path.read_bytes(), "f").find("h.example/ns/x") == US


def test_the_rest_of_the_file_stays(tmp_path: Path) -> None:
    real, path = tmp_path / "real.json", tmp_path / "auth.json"
    path.symlink_to(real)
    before = {"auths": {"a": {"auth": "eDp5", "more": 1}}, "credHelpers": {"b": "x"}, "new": [1]}
    real.write_text(json.dumps(before))
    real.chmod(0o644)
    save(str(path), "h.example", US, timeout=1)
    assert path.is_symlink() and real.stat().st_mode & 0o777 == 0o600
    assert remove(str(path), "h.example", timeout=1)
    assert json.loads(real.read_bytes()) == before
    assert remove(str(path), None, timeout=1)
    assert json.loads(real.read_bytes()) == before | {"auths": {}}


def test_remove_older_spellings(tmp_path: Path) -> None:
    path = tmp_path / "auth.json"
    assert not remove(str(path), "docker.io", timeout=1)
    assert not list(tmp_path.iterdir())
    path.write_text('{"auths": {"https://index.docker.io/v1/": {}, "h/a": {}, "h": {}}}')
    assert remove(str(path), "docker.io", timeout=1)
    assert remove(str(path), "h", timeout=1)
    assert json.loads(path.read_bytes()) == {"auths": {"h/a": {}}}
    assert not remove(str(path), "h", timeout=1)


def test_a_broken_file_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "auth.json"
    path.write_text('{"auths": ')
    with pytest.raises(AtomicSysError, match="invalid JSON"):
        save(str(path), "h.example", US, timeout=1)
    assert path.read_text() == '{"auths": '
    (tmp_path / "file").touch()
    with pytest.raises(AtomicSysError, match="cannot write"):
        save(str(tmp_path / "file/auth.json"), "h.example", US, timeout=1)
