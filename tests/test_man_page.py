# SPDX-License-Identifier: LGPL-2.1-or-later
"""atomic(1) and the command line say the same: verbs, options, exit codes."""

import re
import subprocess
from pathlib import Path

import pytest

from atomic_sys.errors import ExitCode
from tests.support.command_line import COMMANDS, HIDDEN, shown_options

PAGE = Path(__file__).parents[1] / "docs/man/atomic.1"
_HEADING = re.compile(r'^\.S[SH] "?([^"\n]+)"?\n', re.MULTILINE)
_OPTION = re.compile(r"(?<![\w-])--?[A-Za-z][A-Za-z.-]*")


def sections() -> dict[str, str]:
    """The text of each section and subsection, by its heading."""
    _, *parts = _HEADING.split(PAGE.read_text().replace("\\-", "-"))
    return dict(zip(parts[::2], parts[1::2], strict=True))


def tagged(section: str) -> frozenset[str]:
    """The first words of what a section lists: its options, or exit codes."""
    lines = re.findall(r"^\.T[PQ]\n\.B[IR]? (.*)$", section, re.MULTILINE)
    return frozenset(word.strip(',"') for line in lines for word in line.split())


@pytest.mark.parametrize("words", COMMANDS)
def test_options_are_those_of_the_command(words: str) -> None:
    listed = tagged(sections()[words or "OPTIONS"])
    assert {word for word in listed if _OPTION.fullmatch(word)} == shown_options(words)


def test_verbs_are_those_of_the_command() -> None:
    subsections = re.findall(r'^\.SS "(.+)"$', PAGE.read_text(), re.MULTILINE)
    assert subsections == list(COMMANDS[1:])


def test_other_names_of_verbs_are_told() -> None:
    paragraph = sections()["VERBS"].partition(".SS")[0]
    assert set(re.findall(r'^\.BR? "?([a-z]+)"?(?: [,.])?$', paragraph, re.MULTILINE)) == set(
        HIDDEN
    )


def test_exit_codes_are_all_there() -> None:
    assert tagged(sections()["EXIT STATUS"]) == {str(code.value) for code in ExitCode}


@pytest.mark.conformance
@pytest.mark.parametrize(
    "command",
    [
        ("groff", "-man", "-ww", "-z", "-Tutf8"),
        ("mandoc", "-man", "-Tlint", "-Wwarning"),
        ("man", "--warnings", "-Tutf8", "-Z", "-l"),
    ],
    ids=lambda command: command[0],
)
def test_formatter_is_content(command: tuple[str, ...]) -> None:
    done = subprocess.run([*command, PAGE], capture_output=True, text=True, check=False)
    complaints = done.stderr + (done.stdout if command[0] == "mandoc" else "")
    assert (done.returncode, complaints) == (0, "")
