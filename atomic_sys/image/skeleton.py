# SPDX-License-Identifier: LGPL-2.1-or-later
"""What of a tar stream is no content of a file, told while the stream is read.

Headers, extended headers, padding and whatever ends the archive are passed on as the bytes they
are, so that with the contents in their places the archive can be made again, byte for byte.
"""

from collections.abc import Iterable

from atomic_sys.image.tar import TarInput
from atomic_sys.model.layer import Piece, TarRecorder


class RecordedInput(TarInput):
    """A TarInput that tells its recorder all that is not asked for by content()."""

    __slots__ = ("_contents", "_recorder", "_still")

    def __init__(self, chunks: Iterable[bytes], recorder: TarRecorder) -> None:
        super().__init__(chunks)
        self._recorder = recorder
        self._contents: list[tuple[int, int]] = []  # where in the chunk they begin, and their sizes
        self._still = 0  # bytes of an earlier chunk's content that this one begins with, or more

    def content(self, size: int) -> Iterable[Piece]:
        """The next `size` bytes, which are the content of a file; see TarInput."""
        self._contents.append((self._at, size))
        return TarInput.content(self, size)  # super() is slower, for each file

    def _more(self) -> bool:
        # A chunk is told as a whole, when it is used up: to tell each header is a call for each.
        chunk, told = self._chunk, self._still
        pieces = []
        for begin, size in self._contents:
            pieces.append(chunk[told:begin])
            told = begin + size
        pieces.append(chunk[told:])
        self._still = max(told - len(chunk), 0)
        self._contents.clear()
        if pieces != [b""]:
            self._recorder.literals(pieces)
        return super()._more()
