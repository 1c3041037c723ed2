# SPDX-License-Identifier: LGPL-2.1-or-later
"""gpg's status lines: the one combination of them that is a good signature, words for the others.

Source: gnupg's doc/DETAILS. The lines can hold text of whoever made the message, in any encoding.
"""

import re
from dataclasses import dataclass

from atomic_sys.frozen import frozen
from atomic_sys.trust.verifier import Refused

_PREFIX = b"[GNUPG:] "
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_MAIL = re.compile(r"<([^<>\s]+@[^<>\s]+)>\s*$")
_WEAK_HASHES = {"1": "MD5", "2": "SHA-1", "3": "RIPEMD-160"}  # RFC 4880, 9.4
_BINARY_CLASS = "00"
_ONCE = ("NEWSIG", "GOODSIG", "VALIDSIG")
_NEVER = (
    "BADSIG",
    "ERRSIG",
    "EXPSIG",
    "EXPKEYSIG",
    "REVKEYSIG",
    "NODATA",
    "ERROR",
    "FAILURE",
    "UNEXPECTED",
)
_VALIDSIG_FIELDS = 10


@frozen
class StatusLine:
    """A keyword and what follows it."""

    keyword: str
    arguments: tuple[str, ...]

    def user(self) -> str:
        """The user id of a line `KEYWORD KEYID USER...`: its mail address if it has one."""
        escaped = " ".join(self.arguments[1:])
        octets = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), escaped)
        name = octets.encode("latin-1", "replace").decode("utf-8", "replace")
        mail = _MAIL.search(name)
        return mail[1] if mail else name


@dataclass(frozen=True, slots=True)
class Status:
    """Everything that gpg said in one run."""

    lines: tuple[StatusLine, ...]

    def all(self, keyword: str) -> list[StatusLine]:
        """The lines with this keyword."""
        return [line for line in self.lines if line.keyword == keyword]


@frozen
class Signer:
    """Who made a good signature."""

    fingerprint: str
    user: str


def parse_status(output: bytes, *, limit: int) -> Status:
    """The lines of a status file; one of more than `limit` bytes says nothing at all.

    Octets that are not ASCII stand as the characters of the same number.
    """
    if len(output) > limit:
        return Status(())
    lines = []
    for line in output.split(b"\n"):
        if line.startswith(_PREFIX):
            keyword, *arguments = line.removeprefix(_PREFIX).decode("latin-1").split(" ")
            lines.append(StatusLine(keyword=keyword, arguments=tuple(arguments)))
    return Status(tuple(lines))


def judge_status(status: Status, returncode: int, trusted: tuple[str, ...]) -> Signer | Refused:
    """The signer, if gpg reported exactly one good signature, and by a trusted primary key."""
    if reason := _complaint(status):
        return Refused(reason)
    if returncode != 0 or any(len(status.all(keyword)) != 1 for keyword in _ONCE):
        return Refused("gpg finds no single good signature")
    if len(status.all("PLAINTEXT")) > 1:
        return Refused("more than one message")
    valid = status.all("VALIDSIG")[0].arguments
    if len(valid) < _VALIDSIG_FIELDS:
        return Refused("gpg finds no single good signature")
    hash_algorithm, signature_class, primary = valid[7], valid[8], valid[-1].upper()
    if signature_class != _BINARY_CLASS:
        return Refused("a signature of text, not of data")
    if hash_algorithm in _WEAK_HASHES:
        return Refused(f"made with the weak hash {_WEAK_HASHES[hash_algorithm]}")
    if primary not in trusted:
        return Refused(f"signed by the unknown key {primary}")
    return Signer(fingerprint=primary, user=status.all("GOODSIG")[0].user())


def _complaint(status: Status) -> str | None:
    """The first thing that must not be, in words."""
    for line in status.lines:
        key = line.arguments[0] if line.arguments else "?"
        match line.keyword:
            case "ERRSIG" if line.arguments[5:6] == ("9",):  # GPG_ERR_NO_PUBKEY
                return f"signed by the unknown key {line.arguments[-1] or key}"
            case "ERRSIG":
                return f"gpg cannot check the signature of key {key}"
            case "BADSIG":
                return f"the content is not what {line.user()} ({key}) signed"
            case "EXPSIG":
                return f"the signature of {line.user()} ({key}) has expired"
            case "EXPKEYSIG":
                return f"the key {key} of {line.user()} has expired"
            case "REVKEYSIG":
                return f"the key {key} of {line.user()} is revoked"
            case keyword if keyword in _NEVER or keyword.startswith("DECRYPTION_"):
                return f"not a signed message (gpg: {keyword})"
            case _:
                continue
    return None
