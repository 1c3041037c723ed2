# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the verbs that check the store share: their progress, their answer, their exit code."""

import contextlib
import sys
from collections.abc import Callable, Iterator

from atomic_sys.cli.output import Output
from atomic_sys.errors import ExitCode, printable
from atomic_sys.verbs.fsck import StoreCheck


@contextlib.contextmanager
def counting() -> Iterator[Callable[[int], None]]:
    """Show on a terminal how many objects have been checked."""
    if not sys.stderr.isatty():
        yield lambda _count: None
        return
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        print(f"\rChecked {done} objects", end="", file=sys.stderr, flush=True)

    try:
        yield advance
    finally:
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def answer(check: StoreCheck, output: Output) -> ExitCode:
    """Print what was found; the exit code says whether anything is still wrong."""
    report = check.report
    if output.json:
        output.emit({
            "objects": report.objects,
            "bytes": report.bytes,
            "refs": report.refs,
            "deployments": check.deployments,
            "damaged": sorted(map(str, report.damaged)),
            "missing": sorted(map(str, report.missing)),
            "problems": list(check.problems),
            "repaired": list(check.repaired),
            "failed": list(check.failed),
        })
    else:
        for line in check.problems:
            print(printable(line))
        for name in check.repaired:
            output.say(f"Repaired {name}")
        deployments = f"{check.deployments} deployment{'' if check.deployments == 1 else 's'}"
        also = f", {deployments}" if check.deployments else ""
        output.say(
            f"Checked {report.objects} objects, {report.bytes / 1e6:.1f} MB,"
            f" {report.refs} refs{also}:"
            f" {len(check.problems) or 'no'} problem{'' if len(check.problems) == 1 else 's'}"
        )
    for line in check.failed:
        print(f"could not repair {printable(line)}", file=sys.stderr)
    return ExitCode.DAMAGED if check.problems else ExitCode.DONE
