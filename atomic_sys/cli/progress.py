# SPDX-License-Identifier: LGPL-2.1-or-later
"""How far transfers have come: bars on a terminal, nothing but the plain lines elsewhere."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from atomic_sys.cli.output import Output
from atomic_sys.engine.report import Report
from atomic_sys.errors import printable
from atomic_sys.model.manifest import Descriptor

_REFRESH = 0.1  # seconds between two pictures of the bars


class QuietReport:
    """Nothing at all."""

    def say(self, line: str) -> None:
        """Nothing is said."""

    @contextlib.contextmanager
    def transfer(self, descriptor: Descriptor) -> Iterator[Callable[[int], None]]:  # noqa: ARG002 - Report's
        """Nothing is shown."""
        yield lambda _size: None


class PlainReport:
    """The lines that are API, and no bars."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def say(self, line: str) -> None:
        """Print the line."""
        self._output.say(line)

    @contextlib.contextmanager
    def transfer(self, descriptor: Descriptor) -> Iterator[Callable[[int], None]]:  # noqa: ARG002 - Report's
        """Nothing is shown."""
        yield lambda _size: None


class TerminalReport:
    """The same lines, and below them a bar for each running transfer."""

    def __init__(self, output: Output) -> None:
        # Here because it takes 50 ms, and only a verb that pulls at a terminal needs it.
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )
        from rich.table import Column

        self._output = output
        self._drawn = 0.0
        self.progress = Progress(
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(),  # what gives way on a narrow terminal, so that a bar has one line
            DownloadColumn(table_column=Column(no_wrap=True)),
            TransferSpeedColumn(table_column=Column(no_wrap=True)),
            TimeRemainingColumn(table_column=Column(no_wrap=True)),
            console=Console(stderr=True),
            auto_refresh=False,  # its thread would not live on in the processes that we fork
            transient=True,
            # Else rich would take what is for stdout, wrap it, and print it to stderr.
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def say(self, line: str) -> None:
        """Print the line, above the bars where both go to the terminal."""
        if self._output.json or not sys.stdout.isatty():
            self._output.say(line)
            return
        self.progress.console.print(printable(line), markup=False, highlight=False, soft_wrap=True)

    @contextlib.contextmanager
    def transfer(self, descriptor: Descriptor) -> Iterator[Callable[[int], None]]:
        """A bar that disappears with the block."""
        task = self.progress.add_task(descriptor.digest.hex[:12], total=descriptor.size)

        def advance(size: int) -> None:
            self.progress.advance(task, size)
            now = time.monotonic()
            if now - self._drawn >= _REFRESH:
                self._drawn = now
                self.progress.refresh()

        try:
            yield advance
        finally:
            self.progress.remove_task(task)


@contextlib.contextmanager
def reporting(output: Output) -> Iterator[Report]:
    """What long work reports to, for the length of the block."""
    if not sys.stderr.isatty():
        yield PlainReport(output)
        return
    report = TerminalReport(output)
    with report.progress:
        yield report
