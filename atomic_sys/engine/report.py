# SPDX-License-Identifier: LGPL-2.1-or-later
"""What long work tells whoever waits for it; cli/ has the implementations."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from atomic_sys.model.manifest import Descriptor


class Report(Protocol):
    """Lines that are API, and how far a transfer has come."""

    def say(self, line: str) -> None:
        """A line that people read and that clients search for."""
        ...

    def transfer(self, descriptor: Descriptor) -> AbstractContextManager[Callable[[int], None]]:
        """A blob is fetched in this block; call the function with the size of each chunk, in bytes.

        Several at once are possible, each in its own thread.
        """
        ...
