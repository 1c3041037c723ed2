# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is said of keys before anybody believes them, by gpg itself."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from atomic_sys.trust import keys
from atomic_sys.trust.keys import InvalidKeys, describe_keys

pytestmark = pytest.mark.conformance


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a key that never expires, one that does, and one that is revoked."""
    home = tmp_path_factory.mktemp("gnupg")
    home.chmod(0o700)
    for user, until in (("A <a@x.org>", "0"), ("B <b@x.org>", "2d"), ("C", "0")):
        gpg(home, "--batch", "--passphrase", "", "--quick-gen-key", user, "ed25519", "sign", until)
    (revocation,) = [
        path for path in (home / "openpgp-revocs.d").iterdir() if path.stem == of(home, "C")
    ]
    text = revocation.read_text().replace(":-----BEGIN", "-----BEGIN")
    gpg(home, "--import", text=text)
    return home


def gpg(home: Path, *argv: str, text: str = "") -> bytes:
    done = subprocess.run(
        ["gpg", "--quiet", *argv], env=os.environ | {"GNUPGHOME": str(home)},
        input=text.encode(), capture_output=True, check=True,
    )  # fmt: skip
    return done.stdout


def of(home: Path, user: str) -> str:
    lines = gpg(home, "--with-colons", "--fingerprint", user).decode().splitlines()
    return next(line.split(":")[9] for line in lines if line.startswith("fpr:"))


@pytest.mark.parametrize("form", [(), ("--armor",)])
def test_what_is_in_a_file(home: Path, form: tuple[str, ...]) -> None:
    a, b, c = describe_keys(gpg(home, *form, "--export"))
    assert a.describe() == f"{of(home, 'A')} A <a@x.org> (never expires)"
    assert (a.mails, a.is_expired(1e12)) == (("a@x.org",), False)
    assert b.expires is not None
    assert b.describe().endswith(f"(expires {time.strftime('%Y-%m-%d', time.gmtime(b.expires))})")
    assert (b.is_expired(time.time()), b.is_expired(time.time() + 3 * 86400)) == (False, True)
    assert (c.revoked, c.mails) == (True, ("C",))
    assert c.describe() == f"{of(home, 'C')} C (revoked)"


@pytest.mark.parametrize("content", [b"", b"junk", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n"])
def test_no_keys(content: bytes) -> None:
    with pytest.raises(InvalidKeys, match="no public key"):
        describe_keys(content)


def test_no_gpg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InvalidKeys, match="gpg does not work"):
        keys.describe_keys(b"")
