# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where credentials are looked up."""

import json
import os
from pathlib import Path

import pytest

from atomic_sys.errors import AtomicSysError
from atomic_sys.fs import process
from atomic_sys.fs.process import CommandFailed
from atomic_sys.image.auth_file import InvalidCredentials, Layout, Password, encoded, parse_option
from atomic_sys.image.credentials import LIMIT, CredentialLookup, candidates


def write(path: Path, host: str, user: str, mode: int = 0o600) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    auth = encoded(parse_option(f"{user}:p"))
    path.write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    path.chmod(mode)


def user_of(lookup: CredentialLookup, repository: str) -> str | None:
    found = lookup.find(repository)
    return found.user if isinstance(found, Password) else None


def test_order() -> None:
    environment = {"HOME": "/h", "XDG_RUNTIME_DIR": "/r"}
    assert [c.path for c in candidates(environment, 7, None)] == [
        "/r/containers/auth.json",
        "/h/.config/containers/auth.json",
        "/h/.docker/config.json",
        "/h/.dockercfg",
    ]
    moved = {"HOME": "/h", "XDG_CONFIG_HOME": "/c", "DOCKER_CONFIG": "/d"}
    found = candidates(moved, 7, None)
    assert [c.path for c in found] == [
        "/run/containers/7/auth.json",
        "/c/containers/auth.json",
        "/d/config.json",
        "/h/.dockercfg",
    ]
    assert [c.layout for c in found].index(Layout.LEGACY) == 3
    named = moved | {"REGISTRY_AUTH_FILE": "/e"}
    assert [c.path for c in candidates(named, 7, None)] == ["/e"]
    assert [c.path for c in candidates(named, 7, "/f")] == ["/f"]


def test_first_file_with_a_hit(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    write(tmp_path / "run/containers/auth.json", "a.example", "first")
    write(tmp_path / ".config/containers/auth.json", "b.example", "second")
    write(tmp_path / ".docker/config.json", "a.example/x", "third")
    lookup = CredentialLookup(environment)
    assert user_of(lookup, "a.example/x") == "first", "an earlier file wins over a better key"
    assert user_of(lookup, "b.example/x") == "second"
    assert lookup.find("c.example/x") is None


def test_named_file_must_exist_and_stands_alone(tmp_path: Path) -> None:
    write(tmp_path / ".config/containers/auth.json", "a.example", "other")
    home = {"HOME": str(tmp_path)}
    named = str(tmp_path / "named.json")
    for lookup in (
        CredentialLookup(home, named=named),
        CredentialLookup(home | {"REGISTRY_AUTH_FILE": named}),
    ):
        with pytest.raises(InvalidCredentials, match=r"cannot read .*named.json: No such file"):
            lookup.find("a.example/x")
    write(tmp_path / "named.json", "b.example", "named")
    lookup = CredentialLookup(home, named=named)
    assert lookup.find("a.example/x") is None
    assert user_of(lookup, "b.example/x") == "named"
    assert CredentialLookup(home, named=os.devnull).find("a.example/x") is None


@pytest.mark.parametrize(("mode", "warnings"), [(0o600, 0), (0o640, 0), (0o644, 1), (0o602, 1)])
def test_open_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: int, warnings: int
) -> None:
    write(tmp_path / "a.json", "h.example", "u", mode)
    lookup = CredentialLookup({}, named=str(tmp_path / "a.json"))
    assert [user_of(lookup, "h.example") for _ in range(2)] == ["u", "u"]
    assert capsys.readouterr().err.count("chmod 600") == warnings


def test_too_large(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b" " * (LIMIT + 1))
    with pytest.raises(AtomicSysError, match="limit"):
        CredentialLookup({}, named=str(tmp_path / "a.json")).find("h.example")


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`docker-credential-test`, which notes the hosts that it is asked for."""
    monkeypatch.setattr(process, "_PATH", f"{tmp_path}:{process._PATH}")
    path = tmp_path / "docker-credential-test"
    path.write_text(
        f'#!/bin/sh\nread -r host; echo "$1 $host" >>{tmp_path}/log\ncase $host in\n'
        'good*|https*) echo \'{"ServerURL":"x","Username":"helped","Secret":"s"}\';;\n'
        "broken*) echo no tty >&2; exit 1;;\n"
        "*) echo credentials not found in native keychain; exit 1;;\nesac\n"
    )
    path.chmod(0o755)
    return path


def test_helpers(tmp_path: Path, helper: Path) -> None:
    helpers = ",".join(f'"{h}":"test"' for h in ("good.example", "none.example", "broken.example"))
    auth = encoded(parse_option("u:p"))
    (tmp_path / "a.json").write_text(
        f'{{"credHelpers":{{{helpers}}},'
        f'"auths":{{"none.example/ns":{{"auth":"{auth}"}},"good.example/x":{{"auth":"{auth}"}}}}}}'
    )
    (tmp_path / "a.json").chmod(0o600)
    lookup = CredentialLookup({}, named=str(tmp_path / "a.json"))
    assert user_of(lookup, "good.example/x") == "helped"
    assert user_of(lookup, "none.example/ns/y") == "u"
    assert lookup.find("none.example/other") is None
    with pytest.raises(CommandFailed, match="no tty"):
        lookup.find("broken.example/x")
    log = (tmp_path / "log").read_text().splitlines()
    assert log[:2] == ["get good.example", "get none.example"]


def test_store_of_docker(tmp_path: Path, helper: Path) -> None:
    (tmp_path / "config.json").write_text('{"credsStore":"test","auths":{"good.example":{}}}')
    lookup = CredentialLookup({"DOCKER_CONFIG": str(tmp_path), "HOME": str(tmp_path)})
    assert user_of(lookup, "good.example/x") == "helped"
    assert user_of(lookup, "docker.io/library/x") == "helped", "by its old address"
    assert lookup.find("other.example/x") is None


def test_helper_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"credsStore":"missing-in-action"}')
    with pytest.raises(CommandFailed, match="docker-credential-missing-in-action is not installed"):
        CredentialLookup({}, named=str(tmp_path / "a.json")).find("h.example/x")
