# SPDX-License-Identifier: LGPL-2.1-or-later
"""stdout is data and stderr is talk; tables; and the question before deletions."""

import io
import json

import pytest

from atomic_sys.cli.output import Column, Output, confirm, print_table
from atomic_sys.cli.progress import PlainReport, TerminalReport, reporting
from atomic_sys.errors import UsageError
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import Descriptor

COLUMNS = (Column(title="NAME", width=4), Column(title="IMAGE"))


class Terminal(io.StringIO):
    """A standard input at which somebody sits, who has typed the text."""

    def isatty(self) -> bool:
        return True


def test_lines_for_people_do_not_mix_with_json(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(json=True)
    output.say("Pulling\x1b layer")
    output.emit({"a": ["\u00e4"]})
    out, err = capsys.readouterr()
    assert json.loads(out) == {"a": ["\u00e4"]}
    assert err == "Pulling\\x1b layer\n"
    Output().say("plain")
    assert capsys.readouterr() == ("plain\n", "")


@pytest.mark.parametrize(
    ("heading", "truncate", "expected"),
    [
        (True, True, "NAME   IMAGE\nlong   a\nb      longer than that\n"),
        (True, False, "NAME       IMAGE\nlong-one   a\nb          longer than that\n"),
        (False, True, "long   a\nb      longer than that\n"),
    ],
)
def test_tables(
    *, heading: bool, truncate: bool, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [("long-one", "a"), ("b", "longer than that")]
    print_table(COLUMNS, rows, heading=heading, truncate=truncate)
    assert capsys.readouterr().out == expected


def test_a_table_escapes_what_comes_from_outside(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(COLUMNS, [("a", "\x1b[2J\n")], heading=False, truncate=False)
    assert capsys.readouterr().out == "a   \\x1b[2J\\n\n"
    print_table(COLUMNS, [], heading=True, truncate=True)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("answer", ["y\n", "YES\n", " y \n"])
def test_a_yes_goes_on(
    answer: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    confirm("Delete?", ["a", "b\x1b"], assume_yes=False)
    assert capsys.readouterr() == ("", "Delete?\n  a\n  b\\x1b\nConfirm (y/N) ")


@pytest.mark.parametrize("answer", ["", "\n", "n\n", "no\n", "yeah\n"])
def test_everything_else_declines(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    with pytest.raises(UsageError, match="User aborted delete operation for a, b"):
        confirm("Delete?", ["a", "b"], assume_yes=False)


def test_nobody_is_asked_without_a_terminal_or_with_y(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    confirm("Delete?", ["a"], assume_yes=False)
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    confirm("Delete?", ["a"], assume_yes=True)
    assert capsys.readouterr() == ("", "")


LAYER = Descriptor(
    media_type="application/vnd.oci.image.layer.v1.tar",
    digest=Digest.of(b"x"),
    size=10,
    annotations={},
)


def test_bars_are_for_terminals(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with reporting(Output()) as report:
        assert isinstance(report, TerminalReport)
        with report.transfer(LAYER) as advance:
            advance(5)
            (task,) = report.progress.tasks
            assert (task.completed, task.total) == (5, 10)
        assert not report.progress.tasks
        report.say("Extracting")
    assert "Extracting\n" in capsys.readouterr().out
    assert "Extracting" not in terminal.getvalue()


def test_elsewhere_there_are_only_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with reporting(Output()) as report:
        assert isinstance(report, PlainReport)
        with report.transfer(LAYER) as advance:
            advance(5)
        report.say("Extracting")
    assert capsys.readouterr() == ("Extracting\n", "")
