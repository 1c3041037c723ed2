# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic trust add`, `delete`, `default` and `reset`, as they are typed."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atomic_sys.__main__ import run
from atomic_sys.errors import ExitCode
from atomic_sys.trust.policy_edit import STARTING_POLICY
from tests.support.fake_registry import FakeRegistry, Reply
from tests.support.sigstore import new_key, public_pem

PEM = public_pem(new_key())
SIGSTORE = ("--type", "sigstoreSigned")
Atomic = Callable[..., int]


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def atomic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Atomic:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    for name in ("CONTAINERS_POLICY_JSON", "TRUST_POLICY"):
        monkeypatch.delenv(name, raising=False)
    return lambda *words: run(["--root", str(tmp_path), *words])


def policy(root: Path) -> Any:
    return json.loads((root / "etc/containers/policy.json").read_bytes())


def scopes(root: Path, transport: str = "docker") -> Any:
    return policy(root)["transports"][transport]


def key_file(root: Path, name: str = "key.pub", content: bytes = PEM) -> str:
    (root / name).write_bytes(content)
    return str(root / name)


def test_a_scope_comes_and_goes(
    atomic: Atomic, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add = ("trust", "add", "-t", "reject", "-s", "https://s.example/x", "a.example/ns")
    file = tmp_path / "etc/containers/registries.d/a.example-ns.yaml"
    assert atomic(*add) == ExitCode.DONE
    assert scopes(tmp_path) == {"a.example/ns": [{"type": "reject"}]}
    assert (
        file.read_text() == "docker:\n    a.example/ns:\n        lookaside: https://s.example/x\n"
    )
    assert f"written: {file}" in capsys.readouterr().err
    assert atomic(*add) == ExitCode.DONE
    assert capsys.readouterr() == ("", "")  # nothing was written
    assert atomic("trust", "delete", "--save-sigstore", "a.example/ns") == ExitCode.DONE
    assert file.exists()
    assert atomic(*add) == ExitCode.DONE
    assert atomic("trust", "delete", "a.example/ns") == ExitCode.DONE
    assert (policy(tmp_path), file.exists()) == (json.loads(STARTING_POLICY), False)
    assert atomic("trust", "delete", "a.example/ns") == ExitCode.FAILED
    assert "Could not find trust policy defined for docker transport" in capsys.readouterr().err


def test_sigstore_keys(atomic: Atomic, tmp_path: Path) -> None:
    inline = key_file(tmp_path)
    (tmp_path / "keys").mkdir()
    other = key_file(tmp_path, "keys/k.pub")
    assert atomic("trust", "add", *SIGSTORE, "-k", inline, "a.example") == ExitCode.DONE
    assert atomic("trust", "add", *SIGSTORE, "-f", other, "b.example") == ExitCode.DONE
    both = ("--require", "any", "-k", inline, "-f", other, "--identity", "matchExact")
    assert atomic("trust", "add", *SIGSTORE, *both, "c.example") == ExitCode.DONE
    found = scopes(tmp_path)
    assert set(found["a.example"][0]) == {"type", "keyData", "signedIdentity"}
    assert found["a.example"][0]["signedIdentity"] == {"type": "matchRepository"}
    assert found["b.example"][0]["keyPath"] == "/keys/k.pub"
    (one,) = found["c.example"]
    assert one["signedIdentity"] == {"type": "matchExact"}
    assert one["keyPaths"][0] == "/keys/k.pub"
    assert (tmp_path / one["keyPaths"][1].lstrip("/")).read_bytes() == PEM
    said = (tmp_path / "etc/containers/registries.d/a.example.yaml").read_text()
    assert "use-sigstore-attachments: true" in said


def test_all_keys_must_sign_by_default(
    atomic: Atomic, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = ("-k", key_file(tmp_path), "-k", key_file(tmp_path, "2.pub", public_pem(new_key())))
    assert atomic("trust", "add", *SIGSTORE, *keys, "a.example") == ExitCode.DONE
    assert len(scopes(tmp_path)["a.example"]) == 2
    assert "all 2 keys must sign; with --require any, one is enough" in capsys.readouterr().err
    assert atomic("trust", "add", "--require=any", *SIGSTORE, *keys, "a.example") == ExitCode.DONE
    ((one,),) = scopes(tmp_path).values()
    assert len(one["keyDatas"]) == 2


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["busybox"], "Invalid registry format: 'busybox' can never match"),
        (["a.example/B"], "Invalid repository format"),
        (["--transport", "oci", "relative"], "a scope is a clean absolute path"),
        (["--transport", "nonsense", "x"], "unknown transport 'nonsense'"),
        (["-t", "reject", "-k", "x", "a.example"], "reject has no keys"),
        (["-t", "reject", "--identity", "matchExact", "a.example"], "looks at no signature"),
        (["-t", "reject", "--transport", "dir", "-s", "file:///x", "/x"], "cannot be defined for"),
        (["a.example"], "At least one public key must be defined for type 'signedBy'"),
        (["--transport", "oci", "-k", "x", "/x"], "have no name that a signature could fit"),
        (["--transport", "oci", "--identity=matchExact", "-k", "x", "/x"], "have no name"),
        (["-k", "ftp://x/y", "a.example"], "keys are fetched by https only"),
        (["-f", "/etc/hostname", "a.example"], "can only name files below it"),
        (["-t", "nonsense", "a.example"], "invalid choice: 'nonsense'"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else None,
)
def test_usage(
    atomic: Atomic,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    reason: str,
) -> None:
    assert atomic("trust", "add", *words) == ExitCode.USAGE
    assert reason.lower() in capsys.readouterr().err.lower()
    assert not (tmp_path / "etc/containers").exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["-f", "/none"], "The public key file /none was not found. This file must exist"),
        (["-k", "/none"], "The public key file /none was not found. This file must exist"),
        (["-k", "{dir}"], "cannot read the key file"),
        (["-k", "{junk}"], "is not in PEM format"),
        (["-s", "ftp://x", "-k", "{key}"], "the lookaside 'ftp://x' is not usable"),
        (["--identity", "exactReference=x", "-k", "{key}"], "neither tag nor digest"),
    ],
)
def test_what_cannot_be_done(
    atomic: Atomic,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    reason: str,
) -> None:
    junk, key = key_file(tmp_path, "junk", b"x"), key_file(tmp_path)
    words = [word.format(dir=tmp_path, junk=junk, key=key) for word in words]
    assert atomic("trust", "add", *SIGSTORE, *words, "a.example") == ExitCode.FAILED
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "etc/containers").exists()


def test_overwriting_is_asked_for(
    atomic: Atomic,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert atomic("trust", "add", "-t", "reject", "a.example") == ExitCode.DONE
    change = ("trust", "add", "-t", "insecureAcceptAnything", "a.example")
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    assert atomic(*change) == ExitCode.USAGE
    assert "Do you want to overwrite? (y/N)" in capsys.readouterr().err
    assert scopes(tmp_path) == {"a.example": [{"type": "reject"}]}
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    assert atomic(*change) == ExitCode.DONE
    assert scopes(tmp_path) == {"a.example": [{"type": "insecureAcceptAnything"}]}
    assert "every image of docker a.example will be accepted" in capsys.readouterr().err


def test_a_fetched_key_needs_somebody_who_believes_it(
    atomic: Atomic,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with FakeRegistry() as server:
        server.replies["/key.pub"] = Reply(body=PEM)
        url = f"http://{server.host}/key.pub"
        add = ("trust", "add", *SIGSTORE, "-k", url, "a.example")
        assert atomic(*add) == ExitCode.USAGE
        assert "no terminal to ask at" in capsys.readouterr().err
        monkeypatch.setattr(sys, "stdin", Terminal("\n"))
        assert atomic(*add) == ExitCode.USAGE
        asked = capsys.readouterr().err
        assert f"Fetched from {url}\n  sha256:" in asked
        assert "NOT ENCRYPTED" in asked
        assert not (tmp_path / "etc").exists()
        assert atomic("-y", *add) == ExitCode.DONE
        path = scopes(tmp_path)["a.example"][0]["keyPath"]
        assert path.startswith("/etc/pki/containers/")
        assert (tmp_path / path[1:]).read_bytes() == PEM
        server.replies["/key.pub"] = Reply(status=404)
        assert atomic("-y", *add) == ExitCode.FAILED
        assert "there is no such key (404)" in capsys.readouterr().err


def test_a_link_is_no_place(
    atomic: Atomic, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    assert atomic("trust", "add", "--transport=oci", "-t=reject", f"{tmp_path}/link") == 0
    assert f"{tmp_path}/link leads to {tmp_path}, and images" in capsys.readouterr().err


def test_default(atomic: Atomic, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert atomic("trust", "default", "accept") == ExitCode.DONE
    assert policy(tmp_path)["default"] == [{"type": "insecureAcceptAnything"}]
    assert "every image that no scope names is accepted now" in capsys.readouterr().err
    assert atomic("trust", "default", "reject") == ExitCode.DONE
    assert policy(tmp_path) == json.loads(STARTING_POLICY)
    assert atomic("trust", "default", "sometimes") == ExitCode.USAGE


def test_reset(atomic: Atomic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    etc = tmp_path / "etc/containers"
    (etc / "registries.d").mkdir(parents=True)
    (etc / "policy.json").write_text("invalid")
    (etc / "registries.d/x.yaml").touch()
    assert atomic("trust", "reset") == ExitCode.USAGE
    monkeypatch.setattr(sys, "stdin", Terminal("no\n"))
    assert atomic("trust", "reset") == ExitCode.USAGE
    assert (etc / "policy.json").read_text() == "invalid"
    assert atomic("trust", "reset", "-y") == ExitCode.DONE
    assert (etc / "policy.json").read_bytes() == STARTING_POLICY
    assert not (etc / "registries.d/x.yaml").exists()


def test_an_invalid_policy_is_refused(
    atomic: Atomic, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "etc/containers/policy.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"default": [], "x": 1}')
    for words in (("add", "-t", "reject", "a.example"), ("delete", "a"), ("default", "accept")):
        assert atomic("trust", *words) == ExitCode.FAILED
        assert "unknown key 'x'" in capsys.readouterr().err
    assert path.read_text() == '{"default": [], "x": 1}'


def test_the_file_that_packages_bring_stays(atomic: Atomic, tmp_path: Path) -> None:
    vendor = tmp_path / "usr/share/containers/policy.json"
    vendor.parent.mkdir(parents=True)
    before = '{"default": [{"type": "insecureAcceptAnything"}]}'
    vendor.write_text(before)
    assert atomic("trust", "add", "-t", "reject", "a.example") == ExitCode.DONE
    assert vendor.read_text() == before
    assert policy(tmp_path)["default"] == [{"type": "insecureAcceptAnything"}]


def test_the_file_that_is_named_is_changed(atomic: Atomic, tmp_path: Path) -> None:
    named = tmp_path / "mine.json"
    change = ("trust", "add", *SIGSTORE, "--require", "any", "-k", key_file(tmp_path))
    files = ("-f", key_file(tmp_path, "other.pub"))
    assert atomic("--policy", str(named), *change, *files, "a.example") == ExitCode.DONE
    paths = json.loads(named.read_bytes())["transports"]["docker"]["a.example"][0]["keyPaths"]
    assert [Path(path).read_bytes() for path in paths] == [PEM, PEM]
    assert not (tmp_path / "etc/containers/policy.json").exists()
