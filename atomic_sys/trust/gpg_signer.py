# SPDX-License-Identifier: LGPL-2.1-or-later
"""Simple signatures made by a user's own keys, through python-gnupg.

Each one is verified before it is given away, by the very verifier that judges images: what a host
would refuse, such as a signature with a weak hash, is not made.
"""

import logging
import os
from dataclasses import field
from typing import TYPE_CHECKING

from atomic_sys.errors import AtomicSysError, NotFound
from atomic_sys.frozen import frozen
from atomic_sys.trust.framing import SimpleSignature
from atomic_sys.trust.verifier import Refused, Verifier

if TYPE_CHECKING:
    import gnupg


class SigningFailed(AtomicSysError):
    """gpg made no signature, or none that would be believed."""


@frozen
class GpgSigner:
    """One secret key of one home directory of gpg."""

    fingerprint: str
    passphrase: str | None = field(repr=False)
    verifier: Verifier
    gpg: "gnupg.GPG"

    @classmethod
    def find(
        cls, key_id: str, home: str | None, passphrase: str | None, verifier: Verifier
    ) -> "GpgSigner":
        """The secret key that the user names by id, fingerprint or mail address.

        `home` is instead of gpg's own. Raises NotFound for no such key, AtomicSysError for several,
        for a home that does not exist, and where gpg is not installed.
        """
        import gnupg

        # Its warnings say less than the errors below, and would be printed.
        logging.getLogger("gnupg").addHandler(logging.NullHandler())
        if home is not None and not os.path.isdir(home):
            raise AtomicSysError(f"The path {home} does not exist")
        try:
            gpg = gnupg.GPG(gnupghome=home)
        except OSError as error:
            raise AtomicSysError(f"gpg cannot be run: {error}") from None
        # As gpg itself: what begins with a dash would be an option.
        found = [] if key_id.startswith("-") else gpg.list_keys(secret=True, keys=[key_id])
        if not found:
            raise NotFound(
                f"no secret key {key_id} in {home or 'the keyring of gpg'}",
                hint="gpg --list-secret-keys shows those that there are; -g DIR takes another home",
            )
        if len(found) > 1:
            raise AtomicSysError(
                f"{key_id} names {len(found)} secret keys",
                hint=f"name one by its fingerprint, such as {found[0]['fingerprint']}",
            )
        return cls(
            fingerprint=str(found[0]["fingerprint"]),
            passphrase=passphrase,
            verifier=verifier,
            gpg=gpg,
        )

    def sign(self, payload: bytes) -> SimpleSignature:
        """The signed message with this content. Raises SigningFailed, AtomicSysError."""
        done = self.gpg.sign(
            payload,
            passphrase=self.passphrase,
            clearsign=False,
            binary=True,
            extra_args=["--local-user", self.fingerprint],
        )
        if not done.fingerprint:  # there may be data all the same
            lines = [line for line in str(done.stderr).splitlines() if line.startswith("gpg: ")]
            reason = "; ".join(line.removeprefix("gpg: ") for line in lines[-3:])
            raise SigningFailed(
                f"gpg does not sign with {self.fingerprint}: {reason or 'no reason given'}"[:1024],
                hint="give the key's passphrase by --sign-passphrase-file FILE",
            )
        message = bytes(done.data)
        key = self.gpg.export_keys(self.fingerprint, armor=False)
        with self.verifier.keyring((key,)) as keyring:
            outcome = keyring.verify(message)
        if isinstance(outcome, Refused):
            raise SigningFailed(f"the signature of {self.fingerprint} is no good: {outcome.reason}")
        return SimpleSignature(source=self.fingerprint, message=message)
