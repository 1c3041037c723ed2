# SPDX-License-Identifier: LGPL-2.1-or-later
"""What OpenPGP keys say of themselves, through python-gnupg in a home directory of its own.

Listing believes nothing: a key is shown so that somebody can decide whether to believe it.
"""

import logging
import os
import re
import tempfile
from typing import TYPE_CHECKING

from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen

if TYPE_CHECKING:
    import gnupg

_MAIL = re.compile(r"<([^<>\s]+@[^<>\s]+)>\s*$")
_OPTIONS = ["--no-options", "--no-autostart", "--disable-dirmngr", "--no-auto-key-locate"]


@frozen
class OpenPgpKey:
    """A public key: primary fingerprint, user ids, expiry in seconds since the epoch, flaws.

    `flaw` is why no new signature of it counts, in words, or None.
    """

    fingerprint: str
    users: tuple[str, ...]
    expires: int | None
    flaw: str | None

    @property
    def owner(self) -> str:
        """The first mail address of its user ids, else the first one whole."""
        mails = [mail[1] for user in self.users if (mail := _MAIL.search(user))]
        return next(iter(mails or self.users), self.fingerprint)


def list_keys(content: bytes) -> tuple[OpenPgpKey, ...]:
    """The public keys of a key file, binary or armored, each once; none where there are none.

    Raises AtomicSysError when gpg cannot be run.
    """
    with tempfile.TemporaryDirectory(prefix="atomic-sys-keys-") as home:
        gpg = _gpg(home, _OPTIONS)
        gpg.import_keys(content)
        return tuple(_key(found) for found in gpg.list_keys())


def export(key_id: str, home: str | None) -> bytes:
    """The public key of this id, fingerprint or mail address in the user's keyring, binary.

    `home` is instead of gpg's own. Raises AtomicSysError.
    """
    if home is not None and not os.path.isdir(home):
        raise AtomicSysError(f"The path {home} does not exist")
    content = b""
    if not key_id.startswith("-"):  # which would be an option
        exported = _gpg(home, []).export_keys(key_id, armor=False)
        content = exported if isinstance(exported, bytes) else exported.encode("latin-1")
    if not content:
        raise AtomicSysError(
            f"The public key {key_id} was not found in {home or 'the keyring of gpg'}",
            hint="give a key file, a URL, or the id of a key that gpg --list-keys shows",
        )
    return content


def minimal(content: bytes) -> bytes:
    """The public keys of a key file in binary form, without anything else that is in it.

    Raises AtomicSysError when there are none.
    """
    with tempfile.TemporaryDirectory(prefix="atomic-sys-keys-") as home:
        gpg = _gpg(home, _OPTIONS)
        gpg.import_keys(content)
        fingerprints = [key["fingerprint"] for key in gpg.list_keys()]
        exported = gpg.export_keys(fingerprints, armor=False) if fingerprints else b""
    if not exported:
        raise AtomicSysError("there is no OpenPGP public key in it")
    return bytes(exported)


def _gpg(home: str | None, options: list[str]) -> "gnupg.GPG":
    import gnupg  # costs time, and only few verbs need it

    # Its warnings say less than our errors, and would be printed.
    logging.getLogger("gnupg").addHandler(logging.NullHandler())
    try:
        gpg = gnupg.GPG(gnupghome=home, options=options)
    except OSError as error:
        raise AtomicSysError(f"gpg cannot be run: {error}") from None
    gpg.encoding = "utf-8"
    gpg.decode_errors = "replace"
    return gpg


def _key(found: "dict[str, object]") -> OpenPgpKey:
    expires, users = str(found["expires"]), found["uids"]
    return OpenPgpKey(
        fingerprint=str(found["fingerprint"]),
        users=tuple(str(user) for user in users) if isinstance(users, list) else (),
        expires=int(expires) if expires.isdecimal() else None,
        flaw=_flaw(str(found["trust"]), str(found["cap"])),
    )


def _flaw(validity: str, capabilities: str) -> str | None:
    """gnupg's doc/DETAILS: the capital S is there if the key can sign, by whatever subkey.

    Invalid keys are not imported, and only users disable keys, in their own homes.
    """
    match validity:
        case "r":
            return "revoked"
        case "e":
            return "expired"
        case _ if "S" not in capabilities:
            return "without a key that can sign"
        case _:
            return None
