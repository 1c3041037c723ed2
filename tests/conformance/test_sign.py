# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `sign` writes: skopeo believes it, and so do we, before and after it was stored."""

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from atomic_sys.__main__ import run
from atomic_sys.errors import AtomicSysError, ExitCode
from atomic_sys.trust.gpg import GpgVerifier
from atomic_sys.trust.gpg_signer import GpgSigner, SigningFailed
from tests.support import images
from tests.support.gpg import Gpg, new_home
from tests.support.registry import docker_registry

pytestmark = pytest.mark.conformance
SIGNED_AS = "example.com/ns/repo:1"


@dataclass(frozen=True, kw_only=True)
class World:
    """A registry with an image and an index, signers, and the configuration of a host."""

    top: Path
    registry: str
    gnupghome: Path

    @property
    def image(self) -> str:
        return f"{self.registry}/ns/image:1"

    def policy(self, **requirement: Any) -> Path:
        """A policy of one requirement for everything."""
        path = self.top / "policy.json"
        path.write_text(json.dumps({"default": [requirement]}))
        return path

    def atomic(self, *words: str | Path, policy: Path | None = None) -> int:
        """The exit status of one command, on a root of its own."""
        options = [f"--root={self.top / 'root'}", f"--registries.d={self.top / 'registries.d'}"]
        options += [f"--registries-conf={self.top / 'registries.conf'}"]
        options += [] if policy is None else [f"--policy={policy}"]
        return run([*options, *map(str, words)])

    def skopeo(self, *words: str | Path, policy: Path | None = None) -> None:
        """skopeo copies as the policy wants; raises AssertionError with what it says."""
        trust = "--insecure-policy" if policy is None else f"--policy={policy}"
        tls = ("--src-tls-verify=false", "--dest-tls-verify=false", "--quiet")
        argv = (
            "skopeo",
            trust,
            f"--registries.d={self.top / 'registries.d'}",
            "copy",
            *tls,
            *words,
        )
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def pull_and_check(self, image: str, policy: Path) -> int:
        """Pull it into a fresh store."""
        subprocess.run(["rm", "-rf", str(self.top / "root")], check=True)
        (self.top / "root").mkdir()
        return self.atomic("pull", image, policy=policy)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Alice signs freely, Bob with a passphrase."""
    top = tmp_path_factory.mktemp("sign")
    layout = images.layout(top / "layout")
    (top / "registry").mkdir()
    with docker_registry(top / "registry") as registry, new_home() as home:
        (top / "registries.d").mkdir()
        (top / "registries.d/a.yaml").write_text(
            f"docker:\n  {registry}:\n    lookaside: file://{top}/published\n"
            f"    lookaside-staging: file://{top}/staging\n    use-sigstore-attachments: true\n"
        )
        (top / "staging").mkdir()
        (top / "published").symlink_to("staging")
        conf = f'[[registry]]\nlocation = "{registry}"\ninsecure = true\n'
        (top / "registries.conf").write_text(conf)
        (top / "secret").write_text("secret\nignored\n")
        world = World(top=top, registry=registry, gnupghome=home)
        gpg = Gpg(home)
        for name, options in (("alice", ()), ("bob", ("--passphrase=secret",))):
            gpg.make_key(name, *options)
            (top / f"{name}.gpg").write_bytes(gpg.public(name))
        subprocess.run(["gpgconf", f"--homedir={home}", "--kill", "gpg-agent"], check=True)
        world.skopeo(f"oci:{layout}:latest", f"docker://{world.image}")
        assert world.atomic("trust", "generate-key", f"--output-prefix={top}/key",
                            f"--sign-passphrase-file={top}/secret") == 0  # fmt: skip
        yield world


def by(world: World, name: str, **more: Any) -> dict[str, Any]:
    key = {"keyPath": str(world.top / f"{name}.gpg"), "keyType": "GPGKeys"}
    return {"type": "signedBy"} | key | more


def created(capsys: pytest.CaptureFixture[str]) -> list[Path]:
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("Created: ") for line in lines)
    return [Path(line.removeprefix("Created: ")) for line in lines]


def test_sigstore_in_a_registry(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside the image, more than one of them, and skopeo copies what we made."""
    image = f"{world.registry}/ns/beside:1"
    world.skopeo(f"oci:{world.top}/layout:latest", f"docker://{image}")
    trusting = world.policy(
        type="sigstoreSigned",
        keyPath=f"{world.top}/key.pub",
        signedIdentity={"type": "matchRepository"},
    )
    assert world.pull_and_check(image, trusting) == ExitCode.REJECTED
    sign = ("sign", f"--sign-by-sigstore-private-key={world.top}/key.private",
            f"--sign-passphrase-file={world.top}/secret")  # fmt: skip
    for number in (1, 2):
        capsys.readouterr()
        assert world.atomic(*sign, image) == 0
        (place,) = created(capsys)
        assert str(place).startswith(f"docker:/{world.registry}/ns/beside:sha256-")
        assert place.suffix == ".sig"
        tag = place.name.rpartition(":")[2]
        attached = f"docker://{world.registry}/ns/beside:{tag}"
        raw = subprocess.run(
            ["skopeo", "inspect", "--raw", "--tls-verify=false", attached],
            check=True, capture_output=True,
        ).stdout  # fmt: skip
        assert len(json.loads(raw)["layers"]) == number
    assert world.pull_and_check(image, trusting) == 0


def test_lookaside(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    alice, bob = world.policy(**by(world, "alice")), by(world, "bob")
    assert world.pull_and_check(world.image, alice) == ExitCode.REJECTED
    capsys.readouterr()
    sign = ("sign", "--gnupghome", world.gnupghome, "--sign-by", "alice@example.com")
    assert world.atomic(*sign, world.image) == 0
    (first,) = created(capsys)
    assert first.parent.parent == world.top / "staging/ns"
    assert first.name == "signature-1"
    world.skopeo(f"docker://{world.image}", f"dir:{world.top}/copy-1", policy=alice)
    assert world.pull_and_check(world.image, alice) == 0
    assert world.pull_and_check(world.image, world.policy(**bob)) == ExitCode.REJECTED
    capsys.readouterr()
    passphrase = f"--sign-passphrase-file={world.top}/secret"
    assert world.atomic(*sign, "--sign-by=bob@example.com", passphrase, world.image) == 0
    assert [path.name for path in created(capsys)] == ["signature-2", "signature-3"]
    world.skopeo(f"docker://{world.image}", f"dir:{world.top}/copy-2", policy=world.policy(**bob))
    assert world.pull_and_check(world.image, world.policy(**bob)) == 0


def test_directory_of_an_index(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Both the index and the instance; below the directory that the user names."""
    index = add_index(world)
    where = world.top / "elsewhere"
    where.mkdir()
    sign = ("sign", "-g", world.gnupghome, "--sign-by=alice@example.com", "-d", where)
    assert world.atomic(*sign, index) == 0
    chosen = created(capsys)
    assert len(chosen) == 2
    assert all(path.parent.parent == where / "ns" for path in chosen)
    assert world.atomic(*sign, "--all", index) == 0
    assert len(created(capsys)) == 3


def add_index(world: World) -> str:
    """Push an index of the image twice, for this host and for another one."""
    layout = json.loads((world.top / "layout/index.json").read_text())
    (entry,) = layout["manifests"]
    raw = (world.top / "layout/blobs/sha256" / entry["digest"].partition(":")[2]).read_bytes()
    other = json.dumps(json.loads(raw) | {"annotations": {"for": "another host"}}).encode()
    place = world.top / "multi"
    subprocess.run(["cp", "-r", str(world.top / "layout"), str(place)], check=True)
    entries = []
    for content, architecture in ((raw, "amd64"), (other, "s390x")):
        name = hashlib.sha256(content).hexdigest()
        (place / "blobs/sha256" / name).write_bytes(content)
        entries.append({
            "mediaType": entry["mediaType"],
            "digest": f"sha256:{name}",
            "size": len(content),
            "platform": {"os": "linux", "architecture": architecture},
        })
    index = json.dumps({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": entries,
    }).encode()
    name = hashlib.sha256(index).hexdigest()
    (place / "blobs/sha256" / name).write_bytes(index)
    head = entry | {
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "digest": f"sha256:{name}",
        "size": len(index),
    }
    (place / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [head]}))
    world.skopeo("--all", f"oci:{place}:latest", f"docker://{world.registry}/ns/multi:1")
    return f"{world.registry}/ns/multi:1"


def test_beside_a_directory(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """skopeo takes sigstore's attachments from a dir: image to a registry, and from there we."""
    image = world.top / "dir"
    world.skopeo(f"docker://{world.image}", f"dir:{image}", "--remove-signatures")
    key, secret = f"{world.top}/key.private", f"--sign-passphrase-file={world.top}/secret"
    sign = ("sign", f"--sign-by-sigstore-private-key={key}", secret)
    identity = f"--sign-identity={world.registry}/ns/attached:1"
    assert world.atomic(*sign, f"dir:{image}") == ExitCode.USAGE  # it has no name
    assert world.atomic(*sign, identity, f"dir:{image}") == 0
    assert created(capsys) == [image / "signature-1"]
    requirement = {"type": "sigstoreSigned", "keyPath": f"{world.top}/key.pub"}
    attached = f"{world.registry}/ns/attached:1"
    world.skopeo(f"dir:{image}", f"docker://{attached}")
    trusting = world.policy(**requirement)
    assert world.pull_and_check(attached, trusting) == 0
    stored = world.atomic("pull", attached, policy=trusting)
    assert stored == 0
    assert "Image is up to date" in capsys.readouterr().out
    # skopeo reads from the registry what it wrote, and what we framed was what it frames.
    world.skopeo(f"docker://{attached}", f"dir:{world.top}/back")
    ours, theirs = ((d / "signature-1").read_bytes() for d in (image, world.top / "back"))
    assert json.loads(ours[len("\0sigstore-json\n") :]) == json.loads(
        theirs[len("\0sigstore-json\n") :]
    )


def test_judged_again(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """An image of the store is installed by today's policy and the attachments stored with it."""
    attached = f"{world.registry}/ns/attached:1"
    trusting = world.policy(type="sigstoreSigned", keyPath=f"{world.top}/key.pub")
    assert world.pull_and_check(attached, trusting) == 0
    assert world.atomic("trust", "generate-key", f"--output-prefix={world.top}/other",
                        f"--sign-passphrase-file={world.top}/secret") == 0  # fmt: skip
    install = ("install", "--system", "--dry-run", "-n", "x", attached)
    changed = world.policy(type="sigstoreSigned", keyPath=f"{world.top}/other.pub")
    capsys.readouterr()
    assert world.atomic(*install, policy=changed) == ExitCode.REJECTED
    assert "not what any trusted key signed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], ExitCode.USAGE, "You must provide an identity"),
        (["--sign-by=nobody@example.com"], ExitCode.NOT_FOUND, "no secret key nobody@"),
        (["--sign-by=--version"], ExitCode.NOT_FOUND, "no secret key --version"),
        (["--sign-by=example.com"], ExitCode.FAILED, "names 2 secret keys"),
        (["--sign-by=bob@example.com", "--sign-passphrase-file=TOP/key.pub"], ExitCode.FAILED,
         "does not sign with"),
        (["--sign-by=alice@example.com", "-g", "/gone"], ExitCode.FAILED, "/gone does not exist"),
        (["--sign-by=alice@example.com", "-d", "/gone"], ExitCode.FAILED, "/gone does not exist"),
        (["--sign-by=alice@example.com", "--sign-identity=a/b"], ExitCode.USAGE, "neither a tag"),
        (["--sign-by-sigstore-private-key=TOP/key.private"], ExitCode.FAILED, "does not open"),
        (["--sign-by-sigstore-private-key=/gone"], ExitCode.FAILED, "cannot read /gone"),
    ],
)  # fmt: skip
def test_refused(
    world: World, words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(os.walk(world.top / "staging"))
    # Its agent remembers passphrases.
    subprocess.run(["gpgconf", f"--homedir={world.gnupghome}", "--kill", "all"], check=True)
    home = [] if "-g" in words else ["-g", str(world.gnupghome)]
    given = [word.replace("TOP", str(world.top)) for word in words]
    assert world.atomic("sign", *home, *given, world.image) == code
    assert message in capsys.readouterr().err
    assert sorted(os.walk(world.top / "staging")) == before


def test_gpg_that_lies(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the verifier does not believe is not given away; a program that is missing is named."""
    options = ("alice@example.com", str(world.gnupghome), None)
    signer = GpgSigner.find(*options, GpgVerifier())
    monkeypatch.setattr(signer.gpg, "export_keys", lambda *_, **__: b"")
    with pytest.raises(SigningFailed, match="is no good"):
        signer.sign(b"content")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AtomicSysError, match="gpg cannot be run"):
        GpgSigner.find(*options, GpgVerifier())


def test_no_key_is_replaced(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    before = (world.top / "key.pub").read_bytes()
    words = ("trust", "generate-key", f"--sign-passphrase-file={world.top}/secret")
    assert world.atomic(*words, f"--output-prefix={world.top}/key") == ExitCode.FAILED
    assert "exists already" in capsys.readouterr().err
    assert (world.top / "key.pub").read_bytes() == before
    assert (world.top / "key.private").stat().st_mode & 0o777 == 0o600
