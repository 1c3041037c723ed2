# SPDX-License-Identifier: LGPL-2.1-or-later
"""main(): signals, parsing, dispatch; the only place that prints errors and exits."""

import gc
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from atomic_sys import log
from atomic_sys.cli.parser import dispatch
from atomic_sys.errors import (
    AtomicSysError,
    ExitCode,
    Rejected,
    explain,
    hint_of,
    printable,
    reason_of,
)

_MANY_OBJECTS = 50_000  # made between two looks for garbage; an import makes thousands to keep


def main() -> NoReturn:
    """Run the command line of this process and exit with the code of the contract."""
    gc.set_threshold(_MANY_OBJECTS)
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # or nohup(1) would be for nothing
        signal.signal(signal.SIGHUP, _interrupt)
    leave(run(sys.argv[1:]))


def leave(code: int) -> NoReturn:
    """Exit. What is about to go anyway is not looked through for garbage, which takes its time.

    But PyGObject's objects have to go before GLib does: with them left, some exits are crashes.
    """
    if "gi" not in sys.modules:
        gc.freeze()
    sys.exit(code)


def run(argv: list[str]) -> int:
    """Run one command line and return its exit code; every error ends here."""
    try:
        code = dispatch(argv)
        sys.stdout.flush()
    except AtomicSysError as error:
        _report(error, str(error))
        for line in error.details if isinstance(error, Rejected) else ():
            print(f"  {printable(line)}", file=sys.stderr)
        _hint(error.hint)
        return error.exit_code
    except KeyboardInterrupt:
        print("atomic: interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output went away; Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    except OSError as error:
        several = len(getattr(error, "__notes__", ())) > 1
        _report(error, explain(error) if several else reason_of(error))
        _hint(hint_of(error))
        return ExitCode.FAILED
    return code


def _report(error: Exception, message: str) -> None:
    """`atomic: what failed: why`; the outermost note of doing() says what failed."""
    if log.debug_enabled():
        sys.excepthook(type(error), error, error.__traceback__)
    notes = getattr(error, "__notes__", [])
    what = f"{notes[-1].removeprefix('while ')}: " if notes else ""
    print(f"atomic: {printable(what + message)}", file=sys.stderr)


def _hint(hint: str | None) -> None:
    if hint is not None:
        print(f"hint: {printable(hint)}", file=sys.stderr)


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
