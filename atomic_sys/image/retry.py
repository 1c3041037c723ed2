# SPDX-License-Identifier: LGPL-2.1-or-later
"""Trying again what may be over in a moment: lost connections, 502 to 504, and 429.

Whatever the other side decided is final: nothing else is asked twice. Sources: RFC 9110 section
10.2.3 (Retry-After), RFC 6585 section 4 (429).
"""

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import TypeVar

from atomic_sys.frozen import frozen
from atomic_sys.image.http_response import Temporary
from atomic_sys.log import debug, note

LONGEST_WAIT = 120.0  # seconds that a server may ask us to wait
_BUSY_WAIT = 2.0  # seconds after the first 429; it doubles up to the next line's
_LONGEST_BUSY_WAIT = 60.0
_WORTH_A_LINE = 5.0  # seconds
_Result = TypeVar("_Result")


@frozen
class Patience:
    """How often to try again; `sleep` takes seconds, `clock` and `now` (of the day) give them."""

    retries: int = 3  # after 1, 2 and 4 seconds
    busy_retries: int = 4
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time

    def call(self, operation: Callable[[], _Result]) -> _Result:
        """What the operation gives; raises what it raises when there is no hope."""
        failures = busy = 0
        while True:
            try:
                return operation()
            except Temporary as error:
                if error.busy:
                    busy += 1
                    delay = min(_BUSY_WAIT * 2 ** (busy - 1), _LONGEST_BUSY_WAIT)
                else:
                    failures += 1
                    delay = 2.0 ** (failures - 1)
                asked = retry_after(error.retry_after, self.now())
                delay = delay if asked is None else asked
                if failures > self.retries or busy > self.busy_retries or delay > LONGEST_WAIT:
                    raise
                say = note if delay >= _WORTH_A_LINE else debug
                say(f"{error}; trying again in {delay:g} s")
            self.sleep(delay)


def retry_after(header: str | None, now: float) -> float | None:
    """The seconds to wait by a Retry-After header: a number, or a date; None for neither."""
    text = (header or "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:12])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None
