# SPDX-License-Identifier: LGPL-2.1-or-later
"""The trust commands with real keys, and skopeo as the judge of the policies that they write."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atomic_sys.errors import ExitCode
from atomic_sys.trust.lookaside import parse as parse_lookaside
from atomic_sys.trust.openpgp_keys import list_keys
from atomic_sys.trust.policy import parse
from tests.support.gpg import MANIFEST, NAME, Gpg, payload, revoked_subkey
from tests.support.places import call

pytestmark = pytest.mark.conformance

Atomic = Callable[..., tuple[str, str]]
SOURCE = Path(__file__).parents[2]


def command(root: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "atomic_sys", "--root", str(root), *words]


def environment() -> dict[str, str]:
    others = {k: v for k, v in os.environ.items() if k not in ("TRUST_POLICY",)}
    return others | {"PYTHONPATH": str(SOURCE)}


@pytest.fixture
def atomic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Atomic:
    monkeypatch.delenv("TRUST_POLICY", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO())

    def perform(*words: str, code: ExitCode = ExitCode.DONE) -> tuple[str, str]:
        found, out, talk = call(["--root", str(tmp_path), *words])
        assert found == code, talk
        return out, talk

    return perform


def policy(root: Path) -> Any:
    return json.loads((root / "etc/containers/policy.json").read_bytes())


def copy_of(directory: Path, *signatures: bytes) -> Path:
    """A `dir:` image with these signatures."""
    directory.mkdir()
    (directory / "manifest.json").write_bytes(MANIFEST)
    (directory / "version").write_text("Directory Transport Version: 1.1\n")
    for number, signature in enumerate(signatures, 1):
        (directory / f"signature-{number}").write_bytes(signature)
    return directory


def key_file(root: Path, gpg: Gpg, *names: str, armor: bool = False) -> str:
    path = root / f"{'-'.join(names)}.gpg"
    options = ["--armor"] if armor else []
    path.write_bytes(gpg.run(*options, "--export", *(gpg.fingerprints[name] for name in names)))
    return str(path)


def skopeo_accepts(root: Path, image: Path) -> bool:
    """What skopeo says of the image with the policy that we wrote; a bad policy is an error."""
    path = root / "etc/containers/policy.json"
    argv = ["skopeo", f"--policy={path}", "copy", f"dir:{image}", f"dir:{root}/copy"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if "Source image rejected" in done.stderr:
        return False
    assert "11" * 32 in done.stderr, done.stderr  # the configuration, which no image here has
    return True


IDENTITY = ("--identity", "exactReference=" + NAME)


@pytest.mark.parametrize("signers", [(), ("bob",), ("alice", "bob"), ("mallory",)])
@pytest.mark.parametrize("require", ["any", "all"])
@pytest.mark.parametrize("way", ["inline", "armored", "mixed", "ring", "bundle"])
def test_skopeo_agrees(
    gpg: Gpg, atomic: Atomic, tmp_path: Path, signers: tuple[str, ...], require: str, way: str
) -> None:
    image = copy_of(tmp_path / "image", *(gpg.sign(name) for name in signers))
    armor = way == "armored"
    alice, bob = (key_file(tmp_path, gpg, name, armor=armor) for name in ("alice", "bob"))
    words = {
        "inline": ("-k", alice, "-k", bob),
        "armored": ("-k", alice, "-k", bob),
        "mixed": ("-f", alice, "-k", bob),
        "ring": ("-g", str(gpg.home), "-k", "alice@example.com", "-k", gpg.fingerprints["bob"]),
        "bundle": ("-k", key_file(tmp_path, gpg, "alice", "bob")),
    }[way]
    named = f"{tmp_path}/etc/containers/policy.json"
    atomic(
        "--policy", named, "trust", "add", "--transport", "dir",
        "--require", require, *IDENTITY, *words, str(image),
    )  # fmt: skip
    # All keys of one file are alternatives in any case.
    enough = {"alice", "bob"} if require == "any" or way == "bundle" else {"alice, bob"}
    met = bool(enough & {*signers, ", ".join(signers)})
    code = ExitCode.DONE if met else ExitCode.REJECTED
    atomic("--policy", named, "trust", "check", f"dir:{image}", code=code)
    assert skopeo_accepts(tmp_path, image) is met


def test_skopeo_takes_every_kind(gpg: Gpg, atomic: Atomic, tmp_path: Path) -> None:
    key = key_file(tmp_path, gpg, "alice")
    for number, identity in enumerate((
        "matchExact",
        "matchRepoDigestOrExact",
        "matchRepository",
        "exactReference=a.example/x:1",
        "exactRepository=a.example/x",
        "remapIdentity=a.example=b.example/y",
    )):
        atomic("trust", "add", "--identity", identity, "-k", key, f"r{number}.example/x")
    atomic("trust", "add", "-t", "reject", "*.example.org")
    atomic("trust", "add", "-t", "insecureAcceptAnything", "--transport", "docker-daemon", "")
    image = copy_of(tmp_path / "image")
    atomic("trust", "add", "-t", "insecureAcceptAnything", "--transport=local", str(image))
    assert skopeo_accepts(tmp_path, image)
    atomic("trust", "delete", "--transport=local", str(image))
    assert not skopeo_accepts(tmp_path, image)
    atomic("trust", "default", "accept")
    atomic("trust", "delete", "--transport=local", "")
    assert skopeo_accepts(tmp_path, image)


def test_a_key_of_the_ring_is_saved(gpg: Gpg, atomic: Atomic, tmp_path: Path) -> None:
    home = ("-g", str(gpg.home))
    atomic("trust", "add", *home, "-k", "alice@example.com", "a.example")
    ((one,),) = policy(tmp_path)["transports"]["docker"].values()
    fingerprint = gpg.fingerprints["alice"]
    assert one["keyPath"] == f"/etc/pki/containers/{fingerprint}.gpg"
    (saved,) = list_keys((tmp_path / one["keyPath"][1:]).read_bytes())
    assert (saved.fingerprint, saved.owner) == (fingerprint, "alice@example.com")
    for wrong in ("nobody@example.com", "-x"):
        _, err = atomic(
            "trust", "add", *home, f"--pubkeys={wrong}", "b.example", code=ExitCode.FAILED
        )
        assert f"The public key {wrong} was not found" in err
    wrong_home = ("-g", str(tmp_path / "none"), "-k", "alice@example.com", "b.example")
    atomic("trust", "add", *wrong_home, code=ExitCode.FAILED)
    junk = tmp_path / "junk"
    junk.write_bytes(b"junk")
    _, err = atomic("trust", "add", "-k", str(junk), "b.example", code=ExitCode.FAILED)
    assert "no OpenPGP public key in it" in err
    assert set(policy(tmp_path)["transports"]["docker"]) == {"a.example"}


def test_keys_of_every_kind(
    gpg: Gpg, revoked: tuple[bytes, bytes], atomic: Atomic, tmp_path: Path
) -> None:
    """Flaws are told when a key is added, when it is shown, and by the linter."""
    content = {name: gpg.public(name) for name in ("old", "lapsed", "team", "veteran")}
    content |= {"revoked": revoked[1], "subkey": revoked_subkey(gpg, "team")}
    for name, key in content.items():
        (tmp_path / name).write_bytes(key)
    (tmp_path / "both").write_bytes(gpg.public("old", "alice"))
    lookaside = ("-s", "file:///sigs")
    for name in (*content, "both"):
        _, err = atomic("trust", "add", *lookaside, "-f", f"{tmp_path}/{name}", f"{name}.example")
        flawed = name not in ("team", "veteran")
        assert ("no signature of this key counts" in err) is flawed
    found = json.loads(atomic("trust", "lint", "--json", code=ExitCode.FAILED)[0])
    by_place = {finding["place"]: finding for finding in found}
    no_key = "no key of signedBy can be used: "
    assert {place.removeprefix("docker: "): one["message"] for place, one in by_place.items()} == {
        "old.example": f"{no_key}old@example.com (expired)",
        "revoked.example": f"{no_key}revoked@example.com (revoked)",
        "lapsed.example": f"{no_key}lapsed@example.com (without a key that can sign)",
        "subkey.example": f"{no_key}team@example.com (without a key that can sign)",
        "both.example": f"the key {gpg.fingerprints['old']} of old@example.com is expired",
    }
    out, _ = atomic("trust", "show")
    both = next(line.split() for line in out.splitlines() if line.startswith("both.example"))
    assert (both[1], both[3]) == ("signed", "file:///sigs")
    assert set(both[2].split(",")) == {"old@example.com", "alice@example.com"}
    out, _ = atomic("trust", "show", "--effective", "old.example/x")
    assert "old@example.com, expires 2021-01-01, in /old (expired)" in out


def test_check_explains_each_signature(gpg: Gpg, atomic: Atomic, tmp_path: Path) -> None:
    other = gpg.sign("alice", content=payload("other.example/x:1"))
    image = copy_of(tmp_path / "image", gpg.sign("mallory"), other)
    atomic("trust", "add", "-k", key_file(tmp_path, gpg, "alice"), "example.com/ns")
    check = ("trust", "check", "--as", NAME, f"dir:{image}")
    out, _ = atomic(*check, code=ExitCode.REJECTED)
    alice, mallory = gpg.fingerprints["alice"], gpg.fingerprints["mallory"]
    assert f"Key: {alice} alice@example.com, in keyData" in out
    assert f"{image}/signature-1: rejected: signed by the unknown key {mallory}" in out
    assert (
        f"{image}/signature-2 by alice@example.com ({alice}) as other.example/x:1: rejected:"
        f" signed as other.example/x:1, which does not fit {NAME}"
    ) in out
    (image / "signature-3").write_bytes(gpg.sign("alice"))
    out, _ = atomic(*check)
    assert f"signedBy: accepted: signed by alice@example.com ({alice}) as {NAME}" in out


def test_two_at_once_lose_nothing(gpg: Gpg, tmp_path: Path) -> None:
    key = key_file(tmp_path, gpg, "alice")
    scopes = [f"h{number}.example" for number in range(4)]
    add = ("trust", "add", "-k", key, "-s", "file:///sigs")
    processes = [
        subprocess.Popen(command(tmp_path, *add, scope), env=environment()) for scope in scopes
    ]
    assert [process.wait() for process in processes] == [0] * len(scopes)
    assert set(policy(tmp_path)["transports"]["docker"]) == set(scopes)
    files = (tmp_path / "etc/containers/registries.d").glob("*.yaml")
    config = parse_lookaside([(str(file), file.read_bytes()) for file in files])
    assert set(config.docker) == set(scopes)


def test_a_kill_at_each_rename_loses_nothing(atomic: Atomic, tmp_path: Path) -> None:
    """strace kills at the N-th rename: the policy is the old one or the new one, and valid."""
    path = tmp_path / "etc/containers/policy.json"
    atomic("trust", "add", "-t", "reject", "a.example")
    for number in (1, 2):
        add = command(tmp_path, "trust", "add", "-t", "reject", "-s", "file:///x", "b.example")
        kill = f"inject=rename,renameat,renameat2:signal=SIGKILL:when={number}"
        argv = ["strace", "-f", "-qq", "-o", os.devnull, "-e", kill, *add]
        done = subprocess.run(argv, env=environment(), capture_output=True, check=False)
        assert done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
        assert "a.example" in parse(path.read_bytes(), "p").transports["docker"]
    atomic("trust", "add", "-t", "reject", "-s", "file:///x", "b.example")
    assert set(policy(tmp_path)["transports"]["docker"]) == {"a.example", "b.example"}
    left = [name for name in os.listdir(path.parent) if name.endswith(".tmp")]
    assert left == []
