# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a command that died left behind: taken back, or finished where nothing can be taken back.

A transaction is done when its journal is gone, and its journal goes when all is on the disk. So
what is found is either as before or as wanted, and nothing here has to guess how far it came.
"""

from atomic_sys import log
from atomic_sys.engine import dependents
from atomic_sys.engine.apply import go_on
from atomic_sys.engine.file_steps import opened_in_root
from atomic_sys.engine.journal import Journal
from atomic_sys.engine.journal_format import Recorded, steps_back
from atomic_sys.engine.live import in_use, mounted_roots
from atomic_sys.engine.observe import Installed
from atomic_sys.engine.operations import RemoveFile, RemoveTree, Stop, SwapLink
from atomic_sys.engine.steps import Tools, unwind
from atomic_sys.engine.undo import RemoveLink, RestoreFile, StartAgain, Undo
from atomic_sys.errors import AtomicSysError, doing
from atomic_sys.fs.atomic import sweep


def recover(journal: Journal, tools: Tools, installed: Installed | None) -> str | None:
    """Deal with the journal, if there is one; returns the verb that was interrupted.

    Hold the container's lock. `installed` is what the name leads to now. Raises AtomicSysError or
    OSError when it cannot be dealt with; the journal stays, and it can be tried again.
    """
    recorded = journal.read()
    if recorded is None:
        journal.discard()
        return None
    what = recorded.header.what
    with doing(f"recovering {journal.name} from an interrupted {what}"):
        if recorded.header.finish:
            log.note(f"{journal.name}: finishing the interrupted {what}")
            go_on(recorded.header.finish, tools, journal)
        else:
            log.note(f"{journal.name}: taking back the interrupted {what}")
            if recorded.header.say is not None:
                tools.say(recorded.header.say)
            _take_back(recorded, journal, tools, installed)
    return what


def _take_back(
    recorded: Recorded, journal: Journal, tools: Tools, installed: Installed | None
) -> None:
    steps = steps_back(recorded.entries)
    for step in steps:
        _sweep(step, tools)
    first, last = _around(steps, tools, installed)
    journal.give_room()
    complete = unwind((*first, *steps, *last), tools)
    if not complete:
        raise AtomicSysError(
            f"{journal.name} is not yet as it was before",
            hint=f"remove the cause and try again, or remove {journal.path} to keep it as it is",
        )
    journal.end()


def _around(
    steps: tuple[Undo, ...], tools: Tools, installed: Installed | None
) -> tuple[tuple[Undo, ...], tuple[Undo, ...]]:
    """What comes before and after: whoever started the new deployment in the meantime has it
    running when its files go.

    A service that was not stopped yet runs from the old deployment, and goes on undisturbed.
    """
    if installed is None or not tools.manager.online:
        return (), ()
    gone = [f"{step.directory}/{step.name}" for step in steps if isinstance(step, RemoveTree)]
    running = dependents.running(installed.name.unit, tools.manager)
    own_name = installed.deployment.rpartition("/")[2]
    if installed.deployment not in gone or not running or not in_use(own_name, mounted_roots()):
        return (), ()
    runtime = "" if installed.record is None else installed.record.runtime
    stop = Stop(unit=installed.name.unit, container=installed.name.value, runtime=runtime)
    goes_back = any(isinstance(step, SwapLink) for step in steps)
    return (stop,), ((StartAgain(units=running),) if goes_back else ())


def _sweep(step: Undo, tools: Tools) -> None:
    """Remove the temporary file that a process left which died while it wrote."""
    match step:
        case RemoveFile() | RestoreFile():
            directory, _, name = step.path.rpartition("/")
        case RemoveLink() | SwapLink():
            directory, name = step.directory, step.name
        case _:
            return
    try:
        with opened_in_root(tools, directory or ".") as parent:
            sweep(parent, name)
    except (FileNotFoundError, NotADirectoryError):
        log.debug(f"{directory} is not there any more")
