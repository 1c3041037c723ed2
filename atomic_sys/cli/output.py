# SPDX-License-Identifier: LGPL-2.1-or-later
"""Output: data to stdout as a table or JSON, talk to stderr, and the question before deletions."""

import json
import sys
from collections.abc import Sequence

from atomic_sys.errors import UsageError, printable
from atomic_sys.frozen import frozen


@frozen
class Column:
    """A column of a table; `width` is where a long cell is cut unless the user forbids it."""

    title: str
    width: int | None = None


@frozen
class Output:
    """stdout is data, stderr is talk; with --json the lines for people go to stderr too."""

    json: bool = False

    def say(self, line: str) -> None:
        """A line that people read and that clients of the predecessor search for."""
        print(printable(line), file=sys.stderr if self.json else sys.stdout, flush=True)

    def emit(self, value: object) -> None:
        """The answer of a verb with --json."""
        json.dump(value, sys.stdout, indent=4)
        sys.stdout.write("\n")


def print_table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], *, heading: bool, truncate: bool
) -> None:
    """Print aligned columns; nothing at all when there are no rows."""
    if not rows:
        return
    table = [[printable(cell) for cell in row] for row in rows]
    if truncate:
        table = [
            [cell[: column.width] for cell, column in zip(row, columns, strict=True)]
            for row in table
        ]
    if heading:
        table.insert(0, [column.title for column in columns])
    widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
    for row in table:
        print(
            "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


def print_fields(heading: str, rows: Sequence[tuple[str, str]]) -> None:
    """Print a thing and what is known of it; what is empty is left out."""
    shown = [(title, value) for title, value in rows if value]
    width = max((len(title) for title, _ in shown), default=0) + 2
    print(printable(heading))
    for title, value in shown:
        print(f"{title:>{width}}: {printable(value)}")


def confirm(question: str, things: Sequence[str], *, assume_yes: bool) -> None:
    """Ask before something is deleted, when there is a person at a terminal to ask.

    Without a terminal an explicitly named target is its own confirmation. Raises UsageError when
    the user declines.
    """
    if assume_yes or not sys.stdin.isatty():
        return
    print(question, *(f"  {printable(thing)}" for thing in things), sep="\n", file=sys.stderr)
    print("Confirm (y/N) ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError(f"User aborted delete operation for {', '.join(things)}")


def agree(question: Sequence[str], *, assume_yes: bool, unattended: bool) -> None:
    """Ask whether to go on, in lines of which the last one is answered.

    Without a terminal the answer is yes only if `unattended` says so. Raises UsageError for any
    other answer than yes.
    """
    if assume_yes:
        return
    if not sys.stdin.isatty():
        if unattended:
            return
        raise UsageError(f"{question[0]}: no terminal to ask at", hint="-y answers yes")
    print(*(printable(line) for line in question[:-1]), sep="\n", file=sys.stderr)
    print(f"{printable(question[-1])} (y/N) ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was changed: you said no")
