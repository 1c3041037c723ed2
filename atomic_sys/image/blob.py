# SPDX-License-Identifier: LGPL-2.1-or-later
"""A blob in one stream, whatever happens to the connections that bring it.

A connection that breaks is followed by a request for the rest, and only for the rest: the bytes
that were passed on are never asked for again, and whoever hashes the stream hashes each byte once.
Source: RFC 9110 sections 14.2 and 14.4.
"""

import contextlib
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeAlias

from atomic_sys.image.http_response import ConnectionBroke, NetworkError, Response
from atomic_sys.image.retry import Patience
from atomic_sys.log import debug

MIN_PROGRESS = 1 << 20  # bytes between two breaks that are worth another try
MIN_TIME = 60.0  # seconds between two breaks that are worth another try
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")

# Opens the blob with these headers; gives a 200, or a 206 where there is a Range among them.
Opener: TypeAlias = Callable[[Mapping[str, str]], AbstractContextManager[Response]]


@dataclass(slots=True, kw_only=True)
class _Break:
    """When and where the connection broke last."""

    offset: int = 0
    time: float | None = None

    def is_hopeless(self, offset: int, now: float) -> bool:
        """Whether a break so soon after the last one means that the next comes as soon."""
        if self.time is None:
            return False
        return offset - self.offset < MIN_PROGRESS and now - self.time < MIN_TIME


def resumed(open_blob: Opener, size: int, patience: Patience) -> Generator[bytes, None, None]:
    """The chunks of a blob of this size, not verified.

    Raises ConnectionBroke when the connections break again and again, else what opening raises and
    NetworkError for an answer that is not the rest that was asked for.
    """
    offset, last = 0, _Break()
    while True:
        try:
            with contextlib.ExitStack() as stack:
                response = patience.call(_entered(stack, open_blob, offset))
                if offset:
                    check_rest(response.status, response.header("Content-Range"), offset, size)
                for chunk in response.chunks():
                    offset += len(chunk)
                    yield chunk
            return
        except ConnectionBroke as error:
            now = patience.clock()
            if offset >= size or last.is_hopeless(offset, now):
                raise
            last = _Break(offset=offset, time=now)
            debug(f"{error}; going on at byte {offset} of {size}")


def check_rest(status: int, content_range: str | None, offset: int, size: int) -> None:
    """Whether this answers `Range: bytes=OFFSET-` with just that. Raises NetworkError."""
    if status != 206:
        raise NetworkError(f"the connection broke at byte {offset}, and the server cannot go on")
    match = _CONTENT_RANGE.fullmatch(content_range or "")
    if match is not None:
        start, end, total = int(match[1]), int(match[2]), match[3]
        if start == offset and end == size - 1 and total in ("*", str(size)):
            return
    shown = (content_range or "nothing")[:80]
    raise NetworkError(f"asked for the bytes from {offset} of {size}, the server gives {shown!r}")


def _entered(stack: contextlib.ExitStack, open_blob: Opener, offset: int) -> Callable[[], Response]:
    headers = {"Range": f"bytes={offset}-"} if offset else {}
    return lambda: stack.enter_context(open_blob(headers))
