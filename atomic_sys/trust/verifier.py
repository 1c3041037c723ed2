# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the verdict asks of whoever checks simple signatures; trust.gpg is the one that does.

The verdict itself runs no program, and a test can put another verifier in its place.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from atomic_sys.frozen import frozen


@frozen
class Signed:
    """A good signature: what is signed, and by which primary key (hex fingerprint, upper case).

    `user` is the mail address of the key, or its whole user id where there is no address in it.
    """

    content: bytes
    fingerprint: str
    user: str


@frozen
class TrustedKey:
    """A key whose signatures a requirement believes, or a root that vouches for such keys.

    `owner` is a mail address, a user id, or the file that it is in; None where nobody knows.
    """

    fingerprint: str
    owner: str | None = None

    def __str__(self) -> str:
        return self.fingerprint if self.owner is None else f"{self.owner} ({self.fingerprint})"


@dataclass(frozen=True, slots=True)
class Refused:
    """Not a signature to be believed, and why, in plain words."""

    reason: str


Outcome = Signed | Refused


class Keyring(Protocol):
    """The keys of one requirement, and nothing else."""

    @property
    def keys(self) -> tuple[TrustedKey, ...]:
        """All usable public keys by their primary fingerprints, each once, in their order."""
        ...

    def verify(self, blob: bytes) -> Outcome:
        """Judge one stored signature."""
        ...


class Verifier(Protocol):
    """Opens keyrings."""

    def keyring(self, keys: tuple[bytes, ...]) -> AbstractContextManager[Keyring]:
        """The keys of these key files, for the length of the block.

        Raises AtomicSysError when it cannot work at all.
        """
        ...
