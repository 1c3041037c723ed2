# SPDX-License-Identifier: LGPL-2.1-or-later
"""Content digests: parsed once, then they cannot be wrong (image-spec descriptor.md, "Digests")."""

import hashlib
import re
from dataclasses import dataclass
from typing import Self

from atomic_sys.errors import AtomicSysError

HEX_LENGTH = {"sha256": 64, "sha512": 128}
_HEX = re.compile(r"[a-f0-9]+")


class InvalidDigest(AtomicSysError):
    """A string that is not a digest of a supported algorithm."""


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """`ALGORITHM:HEX`, a supported algorithm with exactly its number of lower-case hex digits."""

    algorithm: str
    hex: str

    def __post_init__(self) -> None:
        expected = HEX_LENGTH.get(self.algorithm)
        if expected is None or len(self.hex) != expected or not _HEX.fullmatch(self.hex):
            raise InvalidDigest(f"invalid digest {f'{self.algorithm}:{self.hex}'[:160]!r}")

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `ALGORITHM:HEX`.

        Raises InvalidDigest for anything but sha256 and sha512 in their canonical form: a digest
        becomes a URL and a file name later, so it is checked where it enters (CVE-2024-3727).
        """
        algorithm, colon, rest = text.partition(":")
        if not colon:
            raise InvalidDigest(f"invalid digest {text[:160]!r}: no algorithm")
        return cls(algorithm, rest)

    @classmethod
    def of(cls, content: bytes) -> Self:
        """The sha256 digest of these bytes."""
        return cls("sha256", hashlib.sha256(content).hexdigest())

    def matches(self, content: bytes) -> bool:
        """Whether these bytes have this digest."""
        return hashlib.new(self.algorithm, content).hexdigest() == self.hex
