# SPDX-License-Identifier: LGPL-2.1-or-later
"""Interrupts while a plan is applied: only where an undo is ready, and never during the undo.

A signal between a deed and the note how to take it back would leave the deed; a second one, while
all is taken back, would leave half of it. Source: signal(3), Python's signal module.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Hold:
    """Keeps interrupts back; after the first one that was let through, all others for good."""

    def __init__(self) -> None:
        self._open = False
        self._arrived = False

    def arrive(self, _signal: int, _frame: FrameType | None) -> None:
        """The handler of the signals."""
        if self._open:
            self._open = False
            raise KeyboardInterrupt
        self._arrived = True

    def check(self) -> None:
        """Raise KeyboardInterrupt if one was kept back."""
        if self._arrived:
            self._arrived = False
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def let_through(self) -> Iterator[None]:
        """Interrupts end the block at once."""
        self.check()
        self._open = True
        try:
            yield
        finally:
            self._open = False


@contextlib.contextmanager
def held() -> Iterator[Hold]:
    """Keep interrupts back for the length of the block.

    Signals that nobody handles, and threads other than the main one, are left as they are.
    """
    hold = Hold()
    if threading.current_thread() is not threading.main_thread():
        yield hold
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    handled = {number: handler for number, handler in before.items() if callable(handler)}
    try:
        for number in handled:
            signal.signal(number, hold.arrive)
        yield hold
    finally:
        for number, handler in handled.items():
            signal.signal(number, handler)
