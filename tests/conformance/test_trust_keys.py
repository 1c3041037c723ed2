# SPDX-License-Identifier: LGPL-2.1-or-later
"""What gpg says of keys of every kind, and what becomes of them on their way into a policy."""

from pathlib import Path

import pytest

from atomic_sys.errors import AtomicSysError
from atomic_sys.trust.openpgp_keys import OpenPgpKey, export, list_keys, minimal
from tests.support.gpg import Gpg, revoked_subkey

pytestmark = pytest.mark.conformance
NOON = 1609502400  # of 2021-01-01, which is what gpg takes a day for


def only(content: bytes) -> OpenPgpKey:
    (key,) = list_keys(content)
    return key


def test_sound_keys(gpg: Gpg) -> None:
    """Binary or armored, with or without a subkey that signs, one or several in a file."""
    alice = OpenPgpKey(
        fingerprint=gpg.fingerprints["alice"],
        users=("Alice <alice@example.com>",),
        expires=None,
        flaw=None,
    )
    assert only(gpg.public("alice")) == alice
    assert only(gpg.run("--armor", "--export", alice.fingerprint)) == alice
    assert only(gpg.public("team")).flaw is None
    several = list_keys(gpg.public("alice") + gpg.public("bob") + gpg.public("alice"))
    assert [key.owner for key in several] == ["alice@example.com", "bob@example.com"]


def test_keys_whose_signatures_do_not_count(gpg: Gpg, revoked: tuple[bytes, bytes]) -> None:
    old = only(gpg.public("old"))
    assert (old.flaw, old.expires) == ("expired", NOON)
    assert only(revoked[1]).flaw == "revoked"
    for content in (gpg.public("lapsed"), revoked_subkey(gpg, "team")):
        assert only(content).flaw == "without a key that can sign"


def test_a_key_without_a_self_signature_is_invalid(gpg: Gpg) -> None:
    """gpg does not even take it."""
    content = bytearray(gpg.public("alice"))
    content[-1] ^= 1
    assert list_keys(bytes(content)) == ()


def test_no_keys() -> None:
    assert list_keys(b"") == list_keys(b"junk") == ()
    with pytest.raises(AtomicSysError, match="no OpenPGP public key"):
        minimal(b"junk")


def test_minimal(gpg: Gpg) -> None:
    """Armor and what stands around it are gone, keys of all files are there."""
    armored = gpg.run("--armor", "--export", gpg.fingerprints["alice"])
    content = minimal(b"From: alice\n\n" + armored)
    assert content[0] & 0x80
    assert list_keys(content) == list_keys(armored)


def test_export(gpg: Gpg, tmp_path: Path) -> None:
    home = str(gpg.home)
    for name in ("alice@example.com", gpg.fingerprints["alice"], gpg.fingerprints["alice"][-16:]):
        assert list_keys(export(name, home)) == list_keys(gpg.public("alice"))
    for unknown in ("nobody@example.com", "--version", "-x"):
        with pytest.raises(AtomicSysError, match=f"{unknown} was not found in {home}"):
            export(unknown, home)
    with pytest.raises(AtomicSysError, match="none does not exist"):
        export("alice@example.com", str(tmp_path / "none"))


def test_no_gpg(gpg: Gpg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for act in (lambda: list_keys(b"x"), lambda: minimal(b"x"), lambda: export("a", None)):
        with pytest.raises(AtomicSysError, match="gpg cannot be run"):
            act()
    assert gpg.home.is_dir()
