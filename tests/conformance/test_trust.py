# SPDX-License-Identifier: LGPL-2.1-or-later
"""gpg makes messages of every kind, skopeo judges beside us: who is believed, and who is not."""

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from atomic_sys.errors import AtomicSysError
from atomic_sys.model.digest import Digest
from atomic_sys.trust.files import load_policy, read_key_file
from atomic_sys.trust.gpg import GpgVerifier
from atomic_sys.trust.judge import ImageUnderJudgement, judge
from atomic_sys.trust.openpgp import literal_content
from atomic_sys.trust.policy import InvalidPolicy, parse
from atomic_sys.trust.scopes import path_identity, select
from atomic_sys.trust.signatures import read_directory_signatures
from atomic_sys.trust.verifier import Refused, Signed

pytestmark = pytest.mark.conformance

MANIFEST = json.dumps({
    "schemaVersion": 2,
    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "config": {
        "mediaType": "application/vnd.docker.container.image.v1+json",
        "size": 2,
        "digest": "sha256:" + "11" * 32,
    },
    "layers": [],
}).encode()  # fmt: skip
NAME = "example.com/ns/repo:1"
LONG_AGO = "20200201T000000"


def payload(name: str = NAME, digest: str = str(Digest.of(MANIFEST)), **more: Any) -> bytes:
    critical = {
        "type": "atomic container signature",
        "image": {"docker-manifest-digest": digest},
        "identity": {"docker-reference": name},
    }
    return json.dumps({"critical": critical, "optional": {}} | more).encode()


@dataclass
class Gpg:
    """A user with secret keys, and the public keys and messages that they give away."""

    home: Path
    fingerprints: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        argv = ["gpg", f"--homedir={self.home}", "--batch", "--yes", "--quiet"]
        argv += ["--passphrase=", "--pinentry-mode=loopback", *arguments]
        done = subprocess.run(argv, input=stdin, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
        return done.stdout

    def make_key(self, name: str, *options: str, usage: str = "sign", expires: str = "0") -> str:
        user = f"{name.capitalize()} <{name}@example.com>"
        algorithm = "rsa2048" if name == "rsa" else "ed25519"
        self.run(*options, "--quick-gen-key", user, algorithm, usage, expires)
        lines = self.run("--with-colons", "--list-keys", user).decode().splitlines()
        self.fingerprints[name] = next(
            line.split(":")[9] for line in lines if line.startswith("fpr")
        )
        return self.fingerprints[name]

    def public(self, *names: str) -> bytes:
        return self.run("--export", *(self.fingerprints[name] for name in names))

    def sign(self, name: str, *options: str, content: bytes | None = None) -> bytes:
        signed = payload() if content is None else content
        user = self.fingerprints[name]
        return self.run("--local-user", user, *options, "--sign", stdin=signed)


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    """Keys of every kind. The path is short, since an agent's socket lies in it."""
    with tempfile.TemporaryDirectory(prefix="gpg-") as home:
        user = Gpg(Path(home))
        try:
            for name in ("alice", "bob", "mallory", "rsa", "revoked"):
                user.make_key(name)
            veteran = "--faked-system-time=20200101T000000"
            user.make_key("old", veteran, expires="2021-01-01")
            user.make_key("veteran", veteran)
            team = user.make_key("team", usage="cert")
            user.run("--quick-add-key", team, "ed25519", "sign", "0")
            lapsed = user.make_key("lapsed", veteran, usage="cert")
            user.run(veteran, "--quick-add-key", lapsed, "ed25519", "sign", "2020-06-01")
            yield user
        finally:
            subprocess.run(["gpgconf", f"--homedir={home}", "--kill", "all"], check=True)


@pytest.fixture(scope="module")
def revoked(gpg: Gpg) -> tuple[bytes, bytes]:
    """A good signature, and the key that was revoked afterwards."""
    message = gpg.sign("revoked")
    name = f"{gpg.fingerprints['revoked']}.rev"
    certificate = (gpg.home / "openpgp-revocs.d" / name).read_bytes()
    gpg.run("--import", stdin=certificate.replace(b":-----BEGIN", b"-----BEGIN"))
    return message, gpg.public("revoked")


def verify(message: bytes, *keys: bytes) -> Signed | Refused:
    return GpgVerifier().verify(message, keys)


def old_style(message: bytes) -> bytes:
    """The same, uncompressed, as signature and literal instead of one-pass signature first."""
    packets, at = [], 0
    while at < len(message):  # short packets only: one octet of length in both formats
        size = 2 + message[at + 1]
        packets.append(message[at : at + size])
        at += size
    _one_pass, literal, signature = packets
    return signature + literal


GOOD: dict[str, Callable[[Gpg], bytes]] = {
    "default": lambda gpg: gpg.sign("alice"),
    "uncompressed": lambda gpg: gpg.sign("alice", "--compress-algo=none"),
    "zip": lambda gpg: gpg.sign("alice", "--compress-algo=zip"),
    "zlib": lambda gpg: gpg.sign("alice", "--compress-algo=zlib"),
    "bzip2": lambda gpg: gpg.sign("alice", "--compress-algo=bzip2"),
    "sha512": lambda gpg: gpg.sign("alice", "--digest-algo=SHA512"),
    "large": lambda gpg: gpg.sign("alice", content=os.urandom(1 << 20)),
    "empty": lambda gpg: gpg.sign("alice", content=b""),
    "notation": lambda gpg: gpg.sign("alice", "--sig-notation=a@example.com=x [GNUPG:] BADSIG 0 x"),
    "file name": lambda gpg: gpg.sign("alice", "--set-filename=\n[GNUPG:] BADSIG 0 x\n"),
    "old style": lambda gpg: old_style(gpg.sign("alice", "--compress-algo=none", content=b"x")),
}


@pytest.mark.parametrize("case", GOOD)
def test_good_message(gpg: Gpg, case: str) -> None:
    message = GOOD[case](gpg)
    assert verify(message, gpg.public("alice")) == Signed(
        content=literal_content(message),
        fingerprint=gpg.fingerprints["alice"],
        user="alice@example.com",
    )


def test_content_is_what_was_signed(gpg: Gpg) -> None:
    content = os.urandom(100_000)
    outcome = verify(gpg.sign("alice", content=content), gpg.public("alice"))
    assert isinstance(outcome, Signed)
    assert outcome.content == content


@pytest.mark.parametrize("name", ["rsa", "team"])
def test_signer_is_the_primary_key(gpg: Gpg, name: str) -> None:
    outcome = verify(gpg.sign(name), gpg.public(name))
    assert isinstance(outcome, Signed)
    assert outcome.fingerprint == gpg.fingerprints[name]


def altered(message: bytes) -> bytes:
    assert b"ns/repo" in message
    return message.replace(b"ns/repo", b"ns/evil")


BOTH = ("--local-user=bob@example.com",)
BAD: dict[str, tuple[Callable[[Gpg], bytes], str]] = {
    "unsigned literal": (lambda gpg: gpg.run("--store", stdin=payload()), "not one signed"),
    "cleartext": (lambda gpg: gpg.run("--clear-sign", stdin=payload()), "not a binary"),
    "armored": (lambda gpg: gpg.sign("alice", "--armor"), "not a binary"),
    "detached": (lambda gpg: gpg.run("--detach-sign", stdin=payload()), "not one signed"),
    "text mode": (lambda gpg: gpg.sign("alice", "--textmode"), "of text"),
    "symmetric": (
        lambda gpg: gpg.run("--symmetric", "--passphrase=x", stdin=payload()), "not one signed",
    ),
    "encrypted": (
        lambda gpg: gpg.sign("alice", "--symmetric", "--passphrase=x"), "not one signed",
    ),
    "SHA-1": (lambda gpg: gpg.sign("alice", "--digest-algo=SHA1"), "SHA-1"),
    "unknown key": (lambda gpg: gpg.sign("mallory"), "signed by the unknown key"),
    "two signers": (lambda gpg: gpg.sign("alice", *BOTH), "not one signed"),
    "two messages": (lambda gpg: gpg.sign("alice") + gpg.sign("alice"), "after the end"),
    "two plain messages": (
        lambda gpg: gpg.sign("alice", "--compress-algo=none") * 2, "not one signed",
    ),
    "literal before": (
        lambda gpg: gpg.run("--store", "--compress-algo=none", stdin=b"x")
        + gpg.sign("alice", "--compress-algo=none"),
        "not one signed",
    ),
    "trailing bytes": (lambda gpg: gpg.sign("alice") + b"x", "after the end"),
    "trailing plain bytes": (
        lambda gpg: gpg.sign("alice", "--compress-algo=none") + b"x", "not a binary",
    ),
    "nested": (
        lambda gpg: gpg.run(
            "--compress-algo=none", "--local-user=alice@example.com", "--sign",
            stdin=gpg.sign("alice"),
        ),
        "",
    ),
    "altered": (
        lambda gpg: altered(gpg.sign("alice", "--compress-algo=none")),
        "not what alice@example.com",
    ),
    "bomb": (
        lambda gpg: gpg.sign("alice", "--compress-algo=bzip2", content=bytes(5 << 20)),
        "when decompressed",
    ),
    "truncated": (lambda gpg: gpg.sign("alice")[:-9], "truncated"),
    "expired key": (lambda gpg: gpg.sign("old", f"--faked-system-time={LONG_AGO}"), "has expired"),
    "expired subkey": (
        lambda gpg: gpg.sign("lapsed", f"--faked-system-time={LONG_AGO}"), "has expired",
    ),
    "expired signature": (
        lambda gpg: gpg.sign(
            "veteran", f"--faked-system-time={LONG_AGO}", "--default-sig-expire=1d"
        ),
        "the signature of veteran@example.com",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", [case for case in BAD if case != "nested"])
def test_bad_message(gpg: Gpg, case: str) -> None:
    make, reason = BAD[case]
    outcome = verify(make(gpg), gpg.public("alice", "bob", "old", "lapsed", "veteran"))
    assert isinstance(outcome, Refused), case
    assert reason in outcome.reason


def test_nested_message_is_only_content(gpg: Gpg) -> None:
    inner = gpg.sign("alice")
    outcome = verify(BAD["nested"][0](gpg), gpg.public("alice"))
    assert isinstance(outcome, Signed)
    assert outcome.content[:1] == inner[:1]


def test_gpg_must_read_what_is_signed(gpg: Gpg) -> None:
    """The format of the literal is not signed; as text, gpg leaves out the carriage returns."""
    message = gpg.sign("alice", "--compress-algo=none", content=b"a\r\nb")
    at = 15 + 2  # after the one-pass signature and the head of the literal packet
    assert message[at : at + 1] == b"b"
    outcome = verify(message[:at] + b"t" + message[at + 1 :], gpg.public("alice"))
    assert outcome == Refused("gpg reads something else than what is signed")


def test_revoked_key(gpg: Gpg, revoked: tuple[bytes, bytes]) -> None:
    message, key = revoked
    outcome = verify(message, key)
    assert isinstance(outcome, Refused)
    assert "is revoked" in outcome.reason


def test_keys_are_those_of_the_call(gpg: Gpg) -> None:
    message = gpg.sign("alice")
    assert isinstance(verify(message, gpg.public("bob"), gpg.public("alice")), Signed)
    assert isinstance(verify(message, gpg.public("bob")), Refused)
    assert isinstance(verify(message), Refused)


def test_keyring(gpg: Gpg) -> None:
    armored = gpg.run("--armor", "--export", gpg.fingerprints["alice"])
    secret = gpg.run("--export-secret-keys", gpg.fingerprints["bob"])
    names = ["alice", "team", "bob"]
    with GpgVerifier().keyring((armored, gpg.public("alice", "team"), secret, b"junk")) as keys:
        assert sorted(keys.fingerprints) == sorted(gpg.fingerprints[name] for name in names)
    with GpgVerifier().keyring((b"", b"junk", gpg.sign("alice"))) as keys:
        assert keys.fingerprints == ()


def test_nothing_is_left(gpg: Gpg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = tmp_path / "home/.gnupg"
    hostile.mkdir(parents=True, mode=0o700)
    (hostile / "gpg.conf").write_text("no-such-option\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GNUPGHOME", str(hostile))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    verifier = GpgVerifier(scratch=str(scratch))
    secret = gpg.run("--export-secret-keys", gpg.fingerprints["alice"])
    with verifier.keyring((secret,)) as keys:
        (home,) = scratch.iterdir()
        assert home.stat().st_mode & 0o777 == 0o700
        assert isinstance(keys.verify(gpg.sign("alice")), Signed)
        commands = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # ended meanwhile
                commands.append((process / "cmdline").read_bytes())
        assert not any(str(home).encode() in command for command in commands)
    with pytest.raises(ZeroDivisionError), verifier.keyring((secret,)):
        raise ZeroDivisionError
    assert list(scratch.iterdir()) == []
    assert [path.name for path in hostile.iterdir()] == ["gpg.conf"]


def test_no_gpg(tmp_path: Path) -> None:
    with pytest.raises(AtomicSysError, match="not installed"):
        GpgVerifier(program="no-such-gpg").verify(b"", (b"key",))
    with pytest.raises(AtomicSysError, match="cannot make a directory"):
        GpgVerifier(scratch=str(tmp_path / "none")).verify(b"", ())


@pytest.mark.parametrize("compression", ["none", "zlib"])
def test_flipped_bits(gpg: Gpg, compression: str) -> None:
    """Whatever bit is flipped: what is accepted says what was signed."""
    message = gpg.sign("alice", f"--compress-algo={compression}")
    refused = 0
    with GpgVerifier().keyring((gpg.public("alice"),)) as keys:
        for bit in range(0, len(message) * 8, 7):
            flipped = bytearray(message)
            flipped[bit // 8] ^= 1 << bit % 8
            outcome = keys.verify(bytes(flipped))
            if isinstance(outcome, Signed):
                assert outcome.content == payload(), bit
                assert outcome.fingerprint == gpg.fingerprints["alice"]
            else:
                refused += 1
    assert refused > len(message)


SKOPEO_OUTCOMES = {
    "Source image rejected": "rejected",
    "reading signatures": "rejected",
    "Error loading trust policy": "invalid",
    "11" * 32: "accepted",  # the configuration blob, which no image here has
}


def skopeo(policy: Path, image: Path, scratch: Path) -> str:
    argv = ["skopeo", f"--policy={policy}", "copy", f"dir:{image}", f"dir:{scratch / 'copy'}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    for text, outcome in SKOPEO_OUTCOMES.items():
        if text in done.stderr:
            return outcome
    raise AssertionError(done.stderr)


def ours(policy: Path, image: Path) -> str:
    try:
        selection = select(load_policy([str(policy)]).policy, path_identity("dir", str(image)))
        under_judgement = ImageUnderJudgement(
            identity=path_identity("dir", str(image)),
            manifest_digest=Digest.of((image / "manifest.json").read_bytes()),
            signatures=read_directory_signatures(
                str(image), Digest.of((image / "manifest.json").read_bytes())
            ),
        )
    except InvalidPolicy:
        return "invalid"
    except AtomicSysError:
        return "rejected"
    verdict = judge(selection, under_judgement, read_key_file, GpgVerifier())
    return "accepted" if verdict.accepted else "rejected"


def signed_by(key: str | None, identity: dict[str, str] | None = None, **more: Any) -> Any:
    requirement = {
        "type": "signedBy",
        "keyType": "GPGKeys",
        "signedIdentity": identity
        or {"type": "exactRepository", "dockerRepository": "example.com/ns/repo"},
    }
    return requirement | ({} if key is None else {"keyPath": f"KEYS/{key}"}) | more


OPEN, REJECT = {"type": "insecureAcceptAnything"}, {"type": "reject"}
ALICE, BOB = signed_by("alice"), signed_by("bob")


def policy_of(*requirements: Any, **scopes: Any) -> dict[str, Any]:
    return {"default": list(requirements), "transports": {"dir": scopes}}


POLICIES: dict[str, Any] = {
    "open": policy_of(OPEN),
    "reject": policy_of(REJECT),
    "alice": policy_of(ALICE),
    "alice and bob": policy_of(ALICE, BOB),
    "alice or bob": policy_of(signed_by(None, keyPaths=["KEYS/alice", "KEYS/bob"])),
    "both in one file": policy_of(signed_by("both")),
    "open and alice": policy_of(OPEN, ALICE),
    "reference": policy_of(
        signed_by("alice", {"type": "exactReference", "dockerReference": NAME})
    ),
    "other reference": policy_of(
        signed_by("alice", {"type": "exactReference", "dockerReference": f"{NAME}2"})
    ),
    "needs a name": policy_of(signed_by("alice", {"type": "matchRepository"})),
    "no such key": policy_of(signed_by("gone")),
    "no keys": policy_of(signed_by("empty")),
    "key list empty": policy_of(signed_by(None, keyPaths=[])),
    "key list with a gap": policy_of(signed_by(None, keyPaths=["KEYS/alice", "KEYS/gone"])),
    "other key type": policy_of(signed_by("alice") | {"keyType": "signedByGPGKeys"}),
    "expired and revoked": policy_of(signed_by("unfit")),
    "by path": policy_of(REJECT, **{"IMAGE": [OPEN], "": [REJECT]}),
    "by parent": policy_of(REJECT, **{"PARENT": [ALICE], "": [OPEN]}),
    "by transport": policy_of(REJECT, **{"": [OPEN], "/elsewhere": [REJECT]}),
}  # fmt: skip
# Messages that skopeo 1.9 believes and we do not: weak hashes, and bytes after the message.
STRICTER = ("SHA-1", "concatenated", "trailing")


@pytest.fixture(scope="module")
def signature_sets(gpg: Gpg, revoked: tuple[bytes, bytes]) -> dict[str, list[bytes]]:
    alice, bob = gpg.sign("alice"), gpg.sign("bob")
    return {
        "none": [],
        "alice": [alice],
        "bob": [bob],
        "both": [bob, alice],
        "framed": [b"\0simple-signing\n" + alice],
        "mallory": [gpg.sign("mallory")],
        "mallory first": [gpg.sign("mallory"), alice],
        "other name": [gpg.sign("alice", content=payload(name="example.com/ns/other:1"))],
        "other tag": [gpg.sign("alice", content=payload(name="example.com/ns/repo:2"))],
        "no tag": [gpg.sign("alice", content=payload(name="example.com/ns/repo"))],
        "other digest": [gpg.sign("alice", content=payload(digest="sha256:" + "0" * 64))],
        "unknown key in payload": [gpg.sign("alice", content=payload(more={}))],
        "no payload": [gpg.sign("alice", content=b"")],
        "garbage": [alice, b"<html>"],
        "empty": [b""],
        "armored": [gpg.sign("alice", "--armor")],
        "unsigned": [gpg.run("--store", stdin=payload())],
        "expired": [gpg.sign("old", f"--faked-system-time={LONG_AGO}")],
        "revoked": [revoked[0]],
        "two signers": [gpg.sign("alice", *BOTH)],
        "SHA-1": [gpg.sign("alice", "--digest-algo=SHA1")],
        "concatenated": [alice + alice],
        "trailing": [alice + b"x"],
    }


@pytest.fixture(scope="module")
def keys(gpg: Gpg, revoked: tuple[bytes, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("keys")
    for name in ("alice", "bob"):
        (directory / name).write_bytes(gpg.public(name))
    (directory / "both").write_bytes(gpg.public("alice", "bob"))
    (directory / "unfit").write_bytes(gpg.public("old") + revoked[1])
    (directory / "empty").write_bytes(b"")
    return directory


@pytest.mark.parametrize("name", POLICIES)
def test_skopeo_agrees(
    name: str, keys: Path, signature_sets: dict[str, list[bytes]], tmp_path: Path
) -> None:
    outcomes = {}
    for case, signatures in signature_sets.items():
        image = tmp_path / case.replace(" ", "-")
        image.mkdir()
        (image / "manifest.json").write_bytes(MANIFEST)
        (image / "version").write_text("Directory Transport Version: 1.1\n")
        for number, signature in enumerate(signatures, start=1):
            (image / f"signature-{number}").write_bytes(signature)
        text = json.dumps(POLICIES[name]).replace("KEYS", str(keys))
        policy = tmp_path / "policy.json"
        policy.write_text(text.replace("IMAGE", str(image)).replace("PARENT", str(tmp_path)))
        outcomes[case] = (ours(policy, image), skopeo(policy, image, tmp_path))
    wrong = {
        case: (us, them)
        for case, (us, them) in outcomes.items()
        if us != them and not (case in STRICTER and us == "rejected")
    }
    assert wrong == {}


ALWAYS = '"default":[{"type":"insecureAcceptAnything"}]'
KEY = '"type":"signedBy","keyType":"GPGKeys"'
DOCUMENTS = [
    "", "[]", "{}", f"{{{ALWAYS}}}\n", f"{{{ALWAYS}}} x", f"{{{ALWAYS},}}", f"\ufeff{{{ALWAYS}}}",
    f"{{{ALWAYS},{ALWAYS}}}", '{"Default":[{"type":"reject"}]}', '{"default":[]}',
    '{"default":null}', f'{{{ALWAYS},"transports":null}}', f'{{{ALWAYS},"transports":{{}}}}',
    f'{{{ALWAYS},"transports":{{"dir":null}}}}', f'{{{ALWAYS},"transports":{{"dir":{{}}}}}}',
    f'{{{ALWAYS},"transports":{{"dir":{{"/a/":[{{"type":"reject"}}]}}}}}}',
    f'{{{ALWAYS},"transports":{{"dir":{{"/":[{{"type":"reject"}}]}}}}}}',
    f'{{{ALWAYS},"transports":{{"docker-archive":{{"x":[{{"type":"reject"}}]}}}}}}',
    f'{{{ALWAYS},"transports":{{"docker":{{"*":[{{"type":"reject"}}]}}}}}}',
    f'{{{ALWAYS},"transports":{{"new":{{"?":[{{"type":"reject"}}]}}}}}}',
    f'{{{ALWAYS},"transports":{{"new":{{"?":[{{"type":"x"}}]}}}}}}',
    f'{{{ALWAYS},"transports":{{"containers-storage":{{"[/x]":[{{"type":"reject"}}]}}}}}}',
    f'{{{ALWAYS},"transports":{{"containers-storage":{{"x":[{{"type":"reject"}}]}}}}}}',
    '{"default":[{"type":"reject","\\u0074ype":"reject"}]}',
    '{"default":[{"type":"reject","x":1}]}',
    f'{{"default":[{{{KEY}}}]}}', f'{{"default":[{{{KEY},"keyPath":""}}]}}',
    f'{{"default":[{{{KEY},"keyPath":null}}]}}', f'{{"default":[{{{KEY},"keyData":""}}]}}',
    f'{{"default":[{{{KEY},"keyData":"eH\\nl6"}}]}}',
    f'{{"default":[{{{KEY},"keyData":"eH l6"}}]}}',
    f'{{"default":[{{{KEY},"keyData":"eB=="}}]}}', f'{{"default":[{{{KEY},"keyData":"eB"}}]}}',
    f'{{"default":[{{{KEY},"keyPaths":[]}}]}}',
    f'{{"default":[{{{KEY},"keyPath":"/k","keyData":"eA=="}}]}}',
    *(
        f'{{"default":[{{{KEY},"keyPath":"/k","signedIdentity":{identity}}}]}}'
        for identity in (
            "null", "{}", '{"type":"matchExact"}', '{"type":"matchExact","x":1}',
            '{"type":"exactReference","dockerReference":"busybox"}',
            '{"type":"exactReference","dockerReference":"busybox:1"}',
            '{"type":"exactReference","dockerReference":"x:y\\n"}',
            '{"type":"exactRepository","dockerRepository":"busybox:1"}',
            '{"type":"exactRepository","dockerRepository":"BUSY"}',
            '{"type":"remapIdentity","prefix":"a.example","signedPrefix":"b.example:80/x"}',
            '{"type":"remapIdentity","prefix":"a.example/","signedPrefix":"b.example"}',
            '{"type":"remapIdentity","prefix":"*.example","signedPrefix":"b.example"}',
        )
    ),
]  # fmt: skip


def test_skopeo_reads_the_same_policies(tmp_path: Path) -> None:
    image, policy = tmp_path / "image", tmp_path / "policy.json"
    image.mkdir()
    (image / "manifest.json").write_bytes(MANIFEST)
    (image / "version").write_text("Directory Transport Version: 1.1\n")
    for document in DOCUMENTS:
        policy.write_text(document)
        try:
            parse(document.encode(), "policy")
            valid = True
        except InvalidPolicy:
            valid = False
        assert valid is (skopeo(policy, image, tmp_path) != "invalid"), document
