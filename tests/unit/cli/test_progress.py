# SPDX-License-Identifier: LGPL-2.1-or-later
"""Progress: bars belong to a terminal, the lines that are API to stdout, whole."""

import io
import sys
from dataclasses import replace

import pytest

from atomic_sys.cli.output import Output
from atomic_sys.cli.progress import TerminalReport, reporting
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import Descriptor

LAYER = Descriptor(
    media_type="application/vnd.oci.image.layer.v1.tar",
    digest=Digest.of(b"x"),
    size=4,
    annotations={},
)
LINE = f"Copying blob {LAYER.digest} {' '.join(['and more words'] * 10)}"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def report(stdout: io.StringIO, stderr: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", stdout)
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    with reporting(Output()) as talk:
        talk.say(LINE)
        with talk.transfer(LAYER) as advance:
            advance(4)
            if hasattr(talk, "progress"):
                talk.progress.refresh()


def test_without_a_terminal_there_is_only_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout, stderr = io.StringIO(), io.StringIO()
    report(stdout, stderr, monkeypatch)
    assert stdout.getvalue() == f"{LINE}\n"
    assert stderr.getvalue() == ""


def test_bars_go_to_the_terminal_and_the_line_to_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout, stderr = io.StringIO(), Terminal()
    report(stdout, stderr, monkeypatch)
    assert stdout.getvalue() == f"{LINE}\n"
    assert LAYER.digest.hex[:12] in stderr.getvalue()
    assert "Copying" not in stderr.getvalue()


def test_on_one_terminal_the_line_stands_whole_above_the_bars(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = Terminal()
    report(both, both, monkeypatch)
    assert LINE in both.getvalue()
    assert LAYER.digest.hex[:12] in both.getvalue()


@pytest.mark.parametrize("columns", [40, 50, 60, 80, 200])
def test_a_bar_has_one_line(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """Also where there is little room: the bar itself is what gives way."""
    stderr = Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    with reporting(Output()) as talk:
        assert isinstance(talk, TerminalReport)
        layer = replace(LAYER, size=999 << 20)
        with talk.transfer(layer) as advance:
            advance(500 << 20)
            console = talk.progress.console
            (line,) = console.render_lines(talk.progress.get_renderable())
    assert LAYER.digest.hex[:8] in "".join(segment.text for segment in line)
