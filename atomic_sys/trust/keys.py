# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is in a key file: fingerprints, owners, expiry, as people must see it before they believe.

python-gnupg asks gpg, in a home directory that has no keys and is removed afterwards.
"""

import re
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from atomic_sys.errors import AtomicSysError

_MAIL = re.compile(r"<([^<>]+)>")
_REVOKED, _EXPIRED = "r", "e"


class InvalidKeys(AtomicSysError):
    """A key file that gpg cannot read, or that has no public key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyInfo:
    """A primary key. `expires` is in seconds since 1970, None where it never does."""

    fingerprint: str
    users: tuple[str, ...]
    expires: int | None
    revoked: bool

    def is_expired(self, now: float) -> bool:
        """Whether its time is over."""
        return self.expires is not None and self.expires <= now

    @property
    def mails(self) -> tuple[str, ...]:
        """The mail addresses of its owners, else their names."""
        return tuple(
            match[1] if (match := _MAIL.search(user)) else user for user in self.users
        ) or (self.fingerprint,)

    def describe(self) -> str:
        """One line for a person."""
        until = "never expires"
        if self.expires is not None:
            until = f"expires {datetime.fromtimestamp(self.expires, UTC):%Y-%m-%d}"
        state = "revoked" if self.revoked else until
        return f"{self.fingerprint} {', '.join(self.users) or '(no name)'} ({state})"


def describe_keys(content: bytes) -> tuple[KeyInfo, ...]:
    """The primary keys of a key file, binary or armored.

    Raises InvalidKeys when there is none.
    """
    import gnupg  # 30 ms, and only verbs that show keys need it

    with tempfile.TemporaryDirectory(prefix="atomic-sys-keys-") as home:
        path = Path(home, "keys")
        path.write_bytes(content)
        try:
            gpg = gnupg.GPG(gnupghome=home)
            found = gpg.scan_keys(str(path))
        except (OSError, ValueError) as error:
            raise InvalidKeys(f"gpg does not work: {error}") from error
    keys = tuple(
        KeyInfo(
            fingerprint=str(key["fingerprint"]),
            users=tuple(str(user) for user in key["uids"]),
            expires=int(key["expires"]) if key["expires"] else None,
            revoked=key["trust"] == _REVOKED,
        )
        for key in found
        if key["type"] == "pub"
    )
    if not keys:
        raise InvalidKeys("no public key of gpg in it")
    return keys
