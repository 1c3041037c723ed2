# SPDX-License-Identifier: LGPL-2.1-or-later
"""Several jobs at once, each in a process of its own: forked, and nothing shared but a pipe.

Threads would share one processor for everything that is Python. A forked process has only the
thread that forked it, so whoever calls this has no other that may hold a lock just then. The pipe
carries what a job tells on its way and, last, its result or its error.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Generic, NoReturn, TypeVar

from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen

if TYPE_CHECKING:  # only for its types: the import takes 20 ms
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkProcess

_Result = TypeVar("_Result")
Tell = Callable[[int], None]  # what a job calls on its way
_GRACE = 5.0  # seconds that a process has to end before it is killed
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@frozen
class Job(Generic[_Result]):
    """`run` is called in the new process; `telling` is entered in this one as long as that works.

    What it gives is called with what the job tells, and `done` with the job's result. `nice` is
    how much less of a processor it gets than others, nice(2).
    """

    run: Callable[[Tell], _Result]
    telling: AbstractContextManager[Tell]
    done: Callable[[_Result], None]
    nice: int = 0


@dataclass(frozen=True, slots=True)
class _End(Generic[_Result]):
    results: tuple[_Result, ...]  # one, or none where there is an error
    error: BaseException | None = None


@frozen
class _Running(Generic[_Result]):
    process: "ForkProcess"
    job: Job[_Result]
    told: Tell
    closing: contextlib.ExitStack


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))


def run_all(jobs: Sequence[Job[_Result]], limit: int) -> None:
    """Run the jobs in their order, at most `limit` at once.

    Raises the first error of any job; the others are ended then, and also when this process is
    interrupted. Raises AtomicSysError for a process that dies.
    """
    # Here for the reason above.
    from multiprocessing.connection import Connection, wait

    waiting = list(reversed(jobs))
    running: dict[Connection, _Running[_Result]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < limit:
                _start(waiting.pop(), running)
            for ready in wait(list(running)):
                if isinstance(ready, Connection):
                    _receive(ready, running)
    finally:
        for other in running.values():
            other.process.terminate()
        for other in running.values():
            other.process.join(_GRACE)
            other.process.kill()
            other.process.join()
            other.closing.close()


def _start(job: Job[_Result], running: "dict[Connection, _Running[_Result]]") -> None:
    import multiprocessing

    context = multiprocessing.get_context("fork")
    # Signals wait until the process is known to those who would end it, and has its own handlers.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        with contextlib.ExitStack() as closing:
            ours, theirs = context.Pipe(duplex=False)
            closing.callback(ours.close)
            with theirs:
                told = closing.enter_context(job.telling)
                process = context.Process(target=_work, args=(job, theirs, (ours, *running)))
                process.start()
            running[ours] = _Running(process=process, job=job, told=told, closing=closing.pop_all())
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _receive(ready: "Connection", running: "dict[Connection, _Running[_Result]]") -> None:
    it = running[ready]
    try:
        message = ready.recv()
    except EOFError:
        it.process.join()
        raise AtomicSysError(f"a process of ours ended ({it.process.exitcode})") from None
    except (TypeError, AttributeError) as error:
        raise AtomicSysError(f"a process of ours failed, but cannot say how: {error}") from None
    if not isinstance(message, _End):
        it.told(message)
        return
    del running[ready]
    it.process.join()
    it.closing.close()
    if message.error is not None:
        raise message.error
    for result in message.results:
        it.job.done(result)


def _leave(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(1)


def _work(job: Job[_Result], pipe: "Connection", inherited: "Sequence[Connection]") -> None:
    """What the new process does. Its parent takes care of the user's interrupts."""
    import pickle  # multiprocessing has loaded it by now

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)  # by way of what tidies up
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    for connection in inherited:  # else nobody would notice that our parent is gone
        connection.close()
    os.nice(job.nice)
    lock = threading.Lock()  # what a job tells may come from a thread of its

    def tell(size: int) -> None:
        with lock:
            pipe.send(size)

    end: _End[_Result]
    try:
        end = _End((job.run(tell),))
    except BaseException as error:  # noqa: BLE001 - it is raised again in the parent
        end = _End((), error)
    with lock, contextlib.suppress(BrokenPipeError):
        try:
            pipe.send(end)
        except (TypeError, AttributeError, ValueError, pickle.PicklingError):
            pipe.send(_End((), AtomicSysError(f"{type(end.error).__name__}: {end.error}")))
