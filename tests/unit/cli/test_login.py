# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic login` and `atomic logout` against a registry with a password."""

import io
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from atomic_sys.__main__ import run
from atomic_sys.errors import ExitCode
from atomic_sys.image.auth_file import encoded, parse_option
from tests.support.fake_registry import FakeRegistry, Reply

GOOD = encoded(parse_option("me:secret"))


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    def answer(headers: Mapping[str, str]) -> Reply:
        if headers.get("Authorization") == f"Basic {GOOD}":
            return Reply()
        return Reply(status=401, headers={"WWW-Authenticate": "Basic realm=x"})

    with FakeRegistry() as server:
        server.replies["/v2/"] = answer
        yield server


@pytest.fixture
def line(tmp_path: Path, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The options before the verb: the registry may be insecure, nothing else is this host's."""
    conf = tmp_path / "registries.conf"
    conf.write_text(f'[[registry]]\nlocation = "{registry.host}"\ninsecure = true\n')
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)
    return ["--root", str(tmp_path), "--registries-conf", str(conf)]


def stdin(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_login_and_logout(
    tmp_path: Path,
    registry: FakeRegistry,
    line: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    key = f"{registry.host}/ns"
    stdin(monkeypatch, "secret\n")
    assert run([*line, "login", "-u", "me", "--password-stdin", key]) == ExitCode.DONE
    assert capsys.readouterr().out == "Login Succeeded!\n"
    path = tmp_path / "containers/auth.json"
    assert json.loads(path.read_bytes()) == {"auths": {key: {"auth": GOOD}}}
    assert run([*line, "logout", key]) == ExitCode.DONE
    assert capsys.readouterr().out == f"Removed login credentials for {key}\n"
    assert json.loads(path.read_bytes()) == {"auths": {}}
    assert run([*line, "logout", key]) == ExitCode.NOT_FOUND
    assert "not logged in" in capsys.readouterr().err
    assert run([*line, "logout", "-a"]) == ExitCode.DONE
    assert capsys.readouterr().out == "Removed login credentials for all registries\n"


def test_wrong_password_is_not_kept(
    tmp_path: Path,
    registry: FakeRegistry,
    line: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    named = tmp_path / "named.json"
    wanted = ["login", "-u", "me", "--password-stdin", "--authfile", str(named), registry.host]
    stdin(monkeypatch, "wrong")
    assert run([*line, *wanted]) == ExitCode.FAILED
    err = capsys.readouterr().err
    assert "401" in err and "wrong" not in err
    assert not named.exists()
    stdin(monkeypatch, "secret")
    assert run([*line, *wanted]) == ExitCode.DONE
    assert named.exists() and not (tmp_path / "containers").exists()


def test_a_password_of_the_command_line_and_who_is_logged_in(
    registry: FakeRegistry, line: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*line, "login", "--get-login", registry.host]) == ExitCode.NOT_FOUND
    assert run([*line, "login", "-u", "me", "-p", "secret", registry.host]) == ExitCode.DONE
    capsys.readouterr()
    assert run([*line, "login", "--get-login", registry.host]) == ExitCode.DONE
    assert capsys.readouterr().out == "me\n"


def test_credentials_that_are_good_are_not_asked_for(
    tmp_path: Path,
    registry: FakeRegistry,
    line: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stdin(monkeypatch, "")
    for named in ([], ["--authfile", str(tmp_path / "new.json")]):
        assert run([*line, "login", *named, registry.host]) == ExitCode.USAGE
        assert "there is no terminal" in capsys.readouterr().err
    assert run([*line, "login", "-u", "me", "-p", "secret", registry.host]) == ExitCode.DONE
    capsys.readouterr()
    assert run([*line, "login", registry.host]) == ExitCode.DONE
    told = f"Existing credentials are valid. Already logged in to {registry.host}\n"
    assert capsys.readouterr().out == told
    registry.replies["/v2/"] = Reply(status=401, headers={"WWW-Authenticate": "Basic realm=x"})
    assert run([*line, "login", registry.host]) == ExitCode.USAGE  # to ask for others


def test_a_registry_that_need_not_prove_who_it_is(
    tmp_path: Path, registry: FakeRegistry, line: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "registries.conf").write_text("")
    words = ["login", "-u", "me", "-p", "secret", registry.host]
    assert run([*line, *words]) == ExitCode.FAILED
    assert run([*line, *words, "--tls-verify=false"]) == ExitCode.DONE
    assert run([*line, *words, "--tls-verify=maybe"]) == ExitCode.USAGE
    assert "argument --tls-verify: 'maybe' is neither true nor false" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["login", "-u", "me", "registry.example"],
        ["login", "--password-stdin", "registry.example"],
        ["login", "-p", "secret", "registry.example"],
        ["login", "-u", "me", "-p", "secret", "--password-stdin", "registry.example"],
        ["login", "-u", "a:b", "--password-stdin", "registry.example"],
        ["login", "-u", "me", "--password-stdin", "nohost"],
        ["login", "-u", "me", "--password-stdin", "https://registry.example"],
        ["logout"],
        ["logout", "-a", "registry.example"],
        ["pull", "--src-creds", ":p", "registry.example/x"],
    ],
    ids=" ".join,
)
def test_usage(line: list[str], words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, "secret")
    assert run([*line, *words]) == ExitCode.USAGE
