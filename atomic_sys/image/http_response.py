# SPDX-License-Identifier: LGPL-2.1-or-later
"""An answer from the network: its body in chunks as they came, and what an error body says.

A body that is shorter than its Content-Length is an error here, whatever the library thinks of it.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from atomic_sys.errors import AtomicSysError
from atomic_sys.model.stream import TooLarge

if TYPE_CHECKING:  # only for its types: the import takes 80 ms
    import requests

CHUNK = 1 << 18  # bytes
ERROR_BODY_LIMIT = 1 << 20  # bytes
_ERROR_TEXT = 300  # characters of a server's message that are worth a line
_MAX_ERRORS = 4
_BUSY = 429  # RFC 6585
_TEMPORARY = (_BUSY, 502, 503, 504)


class NetworkError(AtomicSysError):
    """The network, or whoever is at its other end, did not do what was asked."""


class Temporary(NetworkError):
    """What may be over in a moment; `busy` for a server that wants fewer requests.

    `retry_after` is the header of that name.
    """

    def __init__(self, message: str, *, retry_after: str | None = None, busy: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.busy = busy


class ConnectionBroke(Temporary):
    """The body ended before its end."""


class Response:
    """The status, the headers and the body, which can be read once."""

    def __init__(self, answer: "requests.Response") -> None:
        self._answer = answer
        self.status = answer.status_code
        self.url = answer.url  # after the redirects

    def close(self) -> None:
        """Give the connection back, or close it when the body was not read to its end."""
        self._answer.close()

    def header(self, name: str) -> str | None:
        """The value of a header, if there is one."""
        return self._answer.headers.get(name)

    def location(self) -> str | None:
        """The address in `Location`, which may be a relative one, if there is any.

        Raises NetworkError for one that is no address.
        """
        text = self.header("Location")
        try:
            return urljoin(self.url, text) if text else None
        except ValueError:
            raise NetworkError(f"the server sends us to {one_line(text or '')!r}") from None

    def chunks(self) -> Iterator[bytes]:
        """The body as it came over the wire.

        Raises ConnectionBroke when it breaks off.
        """
        # Here since only verbs that pull need it.
        import urllib3

        promised = self.header("Content-Length")
        received = 0
        try:
            for chunk in self._answer.raw.stream(CHUNK, decode_content=False):
                received += len(chunk)
                yield chunk
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ConnectionBroke(f"the connection broke after {received} bytes") from error
        if promised is not None and promised.isdecimal() and received < int(promised):
            raise ConnectionBroke(f"the connection ended after {received} of {promised} bytes")

    def read(self, limit: int, what: str) -> bytes:
        """The whole body, of at most `limit` bytes; `what` names it in an error.

        Raises TooLarge, or NetworkError.
        """
        if self.header("Content-Encoding") not in (None, "", "identity"):
            raise NetworkError(f"{what}: the server sent it compressed, which was not asked for")
        parts: list[bytes] = []
        left = limit
        for chunk in self.chunks():
            left -= len(chunk)
            if left < 0:
                raise TooLarge(f"{what} is larger than the limit of {limit} bytes")
            parts.append(chunk)
        return b"".join(parts)

    def failure(self, what: str) -> NetworkError:
        """The error for a status that was not expected, with what the registry says about it.

        It is Temporary where the status is.
        """
        try:
            said = registry_message(self.read(ERROR_BODY_LIMIT, what))
        except AtomicSysError:
            said = ""  # a broken error body must not hide the status
        message = f"{what}: HTTP status {self.status}" + (f": {said}" if said else "")
        if self.status not in _TEMPORARY:
            return NetworkError(message)
        after = self.header("Retry-After")
        return Temporary(message, retry_after=after, busy=self.status == _BUSY)


def registry_message(body: bytes) -> str:
    """The messages of an error body in the registry's form, in one line; of any other, nothing.

    Source: distribution-spec, "Error Codes".
    """
    try:
        errors = json.loads(body)["errors"]
        pairs = [(error.get("code"), error.get("message")) for error in errors[:_MAX_ERRORS]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""
    texts = (": ".join(part for part in pair if isinstance(part, str) and part) for pair in pairs)
    return one_line("; ".join(text for text in texts if text))


def one_line(text: str) -> str:
    """The beginning of the text, with every run of white space a single space."""
    line = " ".join(text.split())
    return line if len(line) <= _ERROR_TEXT else f"{line[:_ERROR_TEXT]}..."
