# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the command line says and which code it exits with."""

import importlib
from pathlib import Path

import pytest

from atomic_sys import __version__
from atomic_sys.__main__ import run
from atomic_sys.cli.parser import VERBS, Verb
from atomic_sys.errors import Busy, ExitCode, NotFound, Rejected, doing


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["nonsense"],
        ["containers"],
        ["containers", "nonsense"],
        ["install"],
        ["install", "--nonsense", "etcd"],
        ["--nonsense"],
    ],
)
def test_a_wrong_line_is_usage(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(argv) == ExitCode.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("atomic: ")
    assert "hint: Try 'atomic" in err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run(["--version"])
    assert stop.value.code in (0, None)
    assert capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.words)
def test_every_verb_has_help(verb: Verb, capsys: pytest.CaptureFixture[str]) -> None:
    words, summary = verb.words, verb.summary
    with pytest.raises(SystemExit) as stop:
        run([*words.split(), "--help"])
    assert stop.value.code in (0, None)
    out = capsys.readouterr().out
    assert f"usage: atomic {words}" in out
    assert summary[1:] in " ".join(out.split())


def test_top_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(["--help"])
    out = capsys.readouterr().out
    for verb in VERBS:
        assert (f"  {verb.words} " in out and verb.summary in out) is not verb.hidden


MAKE_ROOM = "make room, for example with `atomic images prune`"


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (NotFound("no such image", hint="pull it"), 4, "atomic: a: no such image\nhint: pull it\n"),
        (Rejected("no\x1b[31m key"), 6, "atomic: a: no\\x1b[31m key\n"),
        (Busy("in use"), 7, "atomic: a: in use\n"),
        (FileNotFoundError(2, "No such file", "/x\n"), 1, "atomic: a: b: /x\\n: No such file\n"),
        (OSError(28, "full", "x"), 1, f"atomic: a: b: full\nhint: {MAKE_ROOM}\n"),
        (KeyboardInterrupt(), 130, "atomic: interrupted\n"),
    ],
)
def test_errors_are_one_line_with_the_contracts_code(
    error: BaseException,
    code: int,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(_argv: object) -> ExitCode:
        with doing("a"), doing("b"):
            raise error

    monkeypatch.setattr("atomic_sys.__main__.dispatch", fail)
    assert run([]) == code
    assert capsys.readouterr().err == text


def test_every_verb_module_is_in_the_table() -> None:
    directory = Path(__file__).parents[3] / "atomic_sys" / "cli"
    helpers = {"__init__", "parser", "options", "opening", "output", "progress", "arguments",
               "checking", "plan_output", "copying", "purging"}  # fmt: skip
    assert {p.stem for p in directory.glob("*.py")} - helpers == {verb.module for verb in VERBS}
    for verb in VERBS:
        importlib.import_module(f"atomic_sys.cli.{verb.module}")
