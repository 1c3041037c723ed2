# SPDX-License-Identifier: LGPL-2.1-or-later
"""An interrupt at any line of a transaction leaves all of it or nothing."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from atomic_sys.engine.interrupts import held
from tests.support.layers import listing
from tests.unit.engine.hosts import WANTS, FakeManager, tools_for
from tests.unit.engine.plans import INSTALL, UNIT, apply, fake_tmpfiles, root

__all__ = ["fake_tmpfiles", "root"]  # fixtures that apply here too


class Interrupter:
    """Sends the signal at the nth line that the program runs while it applies."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, frame: FrameType, event: str, _argument: object) -> "Interrupter | None":
        if "/atomic_sys/" not in frame.f_code.co_filename:
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                signal.raise_signal(signal.SIGTERM)
        return self


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGTERM interrupts, as main() has it."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_at_any_line_leaves_all_or_nothing(root: Path) -> None:
    before, traced = listing(root), sys.gettrace()
    number, step, interrupted, done = 1, 3, 0, False
    while not done:
        interrupter = Interrupter(number)
        with tools_for(root) as tools:
            sys.settrace(interrupter)
            try:
                apply(INSTALL, tools)
            except KeyboardInterrupt:
                interrupted += 1
            finally:
                sys.settrace(traced)
        # What comes after the last step's check finds a plan that is done.
        done = (root / "var/lib/containers/atomic/etcd").is_symlink()
        assert done or listing(root) == before, f"line {number}"
        number += step
    assert interrupted > 50
    assert (root / WANTS / UNIT).is_symlink()
    assert (root / "run/etcd/data").is_dir()


@pytest.mark.usefixtures("interruptible")
def test_a_second_interrupt_does_not_stop_the_undo(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, manager = listing(root), FakeManager(root)

    def interrupt(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(manager, "start", interrupt)
    monkeypatch.setattr(manager, "stop", interrupt)
    with tools_for(root, manager) as tools, pytest.raises(KeyboardInterrupt):
        apply(INSTALL, tools)
    assert listing(root) == before


@pytest.mark.usefixtures("interruptible")
def test_interrupts_are_kept_back_until_they_are_asked_for() -> None:
    with held() as hold:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt), hold.let_through():
            pytest.fail("it had arrived before")
        hold.check()
        with pytest.raises(KeyboardInterrupt), hold.let_through():
            signal.raise_signal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
