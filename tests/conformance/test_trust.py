# SPDX-License-Identifier: LGPL-2.1-or-later
"""gpg makes messages of every kind: who is believed, and who is not."""

import contextlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from atomic_sys.errors import AtomicSysError
from atomic_sys.trust.gpg import GpgVerifier
from atomic_sys.trust.openpgp import literal_content
from atomic_sys.trust.verifier import Refused, Signed
from tests.support.gpg import LONG_AGO, Gpg, payload, revoked_subkey

pytestmark = pytest.mark.conformance


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


def test_revoked_subkey(gpg: Gpg) -> None:
    message, before, after = gpg.sign("team"), gpg.public("team"), revoked_subkey(gpg, "team")
    assert isinstance(verify(message, before), Signed)
    outcome = verify(message, after)
    assert isinstance(outcome, Refused)
    assert "is revoked" in outcome.reason


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
        known = {f"{name}@example.com ({gpg.fingerprints[name]})" for name in names}
        assert {str(key) for key in keys.keys} == known
        assert len(keys.keys) == len(names)
    with GpgVerifier().keyring((b"", b"junk", gpg.sign("alice"))) as keys:
        assert keys.keys == ()


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
    signed = payload()

    def is_refused(bit: int) -> bool:
        flipped = bytearray(message)
        flipped[bit // 8] ^= 1 << bit % 8
        outcome = keys.verify(bytes(flipped))
        if isinstance(outcome, Signed):
            assert outcome.content == signed, bit
            assert outcome.fingerprint == gpg.fingerprints["alice"]
        return isinstance(outcome, Refused)

    with GpgVerifier().keyring((gpg.public("alice"),)) as keys, ThreadPoolExecutor(4) as pool:
        bits = range(len(message) * 8)
        refused = sum(pool.map(is_refused, bits))
    # What may be flipped: hints, dates and encodings that are not signed.
    assert refused > len(bits) * 0.9
