# SPDX-License-Identifier: LGPL-2.1-or-later
"""Jobs in processes of their own."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from atomic_sys.errors import AtomicSysError, NotFound
from atomic_sys.fs.workers import Job, Tell, run_all


class Heard:
    """What the jobs of a test told, and their results."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.results: list[object] = []
        self.open = 0
        self.most = 0

    @contextlib.contextmanager
    def telling(self) -> Iterator[Tell]:
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            yield self.told.append
        finally:
            self.open -= 1

    def job(self, run: Callable[[Tell], object]) -> Job[object]:
        return Job(run=run, telling=self.telling(), done=self.results.append)


@pytest.fixture
def heard() -> Iterator[Heard]:
    yield (found := Heard())
    assert found.open == 0
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)  # nobody is left behind


def test_results_come_back_from_other_processes(heard: Heard) -> None:
    run_all([heard.job(lambda _: os.getpid()) for _ in range(5)], 2)
    assert len(set(heard.results)) == 5
    assert os.getpid() not in heard.results
    assert heard.most == 2


def test_a_job_can_leave_the_processors_to_others(heard: Heard) -> None:
    job = heard.job(lambda _: os.getpriority(os.PRIO_PROCESS, 0))
    run_all([job], 1)
    run_all([replace(job, nice=3, telling=heard.telling())], 1)
    first, second = heard.results
    assert isinstance(first, int)
    assert first == os.getpriority(os.PRIO_PROCESS, 0)
    assert second == min(first + 3, 19)


def test_what_a_job_tells_is_heard_while_it_works(heard: Heard) -> None:
    def run(tell: Tell) -> int:
        threads = [threading.Thread(target=tell, args=(n,)) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return 7

    run_all([heard.job(run)], 2)
    assert sorted(heard.told) == list(range(20))
    assert heard.results == [7]


def test_an_error_comes_through_whole_and_ends_the_others(heard: Heard, tmp_path: Path) -> None:
    def fail(_: Tell) -> None:
        error = NotFound("no such blob", hint="try another one")
        error.add_note("while fetching it")
        raise error

    def work(_: Tell) -> None:
        time.sleep(30)
        (tmp_path / "done").touch()

    begin = time.monotonic()
    with pytest.raises(NotFound, match="no such blob") as caught:
        run_all([heard.job(work), heard.job(fail)], 2)
    assert caught.value.hint == "try another one"
    assert caught.value.__notes__ == ["while fetching it"]
    assert time.monotonic() - begin < 20
    assert not (tmp_path / "done").exists()


def test_an_error_that_cannot_be_sent_is_told(heard: Heard) -> None:
    class Local(Exception):
        """Not to be found by its name."""

    def fail(_: Tell) -> None:
        raise Local("something odd")

    with pytest.raises(AtomicSysError, match="Local: something odd"):
        run_all([heard.job(fail)], 1)


def test_a_process_that_dies_is_an_error(heard: Heard) -> None:
    def die(_: Tell) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(AtomicSysError, match="a process of ours ended"):
        run_all([heard.job(die)], 2)


def test_an_interrupt_ends_all(heard: Heard, tmp_path: Path) -> None:
    def work(tell: Tell) -> None:
        tell(1)
        time.sleep(30)
        (tmp_path / "done").touch()

    def interrupt() -> Iterator[Tell]:
        def told(_: int) -> None:
            os.kill(os.getpid(), signal.SIGINT)  # the user's, to the parent

        yield told

    telling = contextlib.contextmanager(interrupt)()
    with pytest.raises(KeyboardInterrupt):
        run_all([Job(run=work, telling=telling, done=heard.results.append)], 2)
    assert heard.results == []
    assert not (tmp_path / "done").exists()
