# SPDX-License-Identifier: LGPL-2.1-or-later
"""The completion for bash offers what the command line has, asked as bash asks it."""

import subprocess
from pathlib import Path

import pytest

from atomic_sys.cli.parser import VERBS
from tests.support.command_line import COMMANDS, HIDDEN, shown_options

SCRIPT = Path(__file__).parents[1] / "completions/atomic.bash"
# A program that answers like the real one where names are asked for.
_STUB = """
atomic() {
    case "$*" in "containers list"*) printf '%s\\n' etcd flannel ;; *) echo 0a1b ;; esac
}
"""
_ASK = f"""
{_STUB}
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _atomic
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def complete(*words: str, script: Path = SCRIPT) -> frozenset[str]:
    """What bash offers for the last of the words."""
    argv = ["bash", "--norc", "-euc", _ASK, "bash", str(script), "atomic", *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return frozenset(done.stdout.split())


@pytest.mark.parametrize("words", [*COMMANDS, *HIDDEN])
def test_options_are_those_of_the_command(words: str) -> None:
    assert complete(*words.split(), "-") == shown_options(words)


def test_verbs_are_those_of_the_command() -> None:
    first = complete("")
    assert first == {words.split()[0] for words in COMMANDS if words}
    for group in ("containers", "images", "trust"):
        rows = {verb.words.split()[1] for verb in VERBS if verb.words.startswith(f"{group} ")}
        assert complete(group, "") == rows


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["uninstall", ""], ["etcd", "flannel"]),
        (["containers", "status", "e"], ["etcd"]),
        (["containers", "delete", "etcd", ""], ["etcd", "flannel"]),
        (["images", "delete", "-f", ""], ["0a1b"]),
        (["info", ""], ["0a1b"]),
        (["mount", "fl"], ["flannel"]),
        (["mount", "0"], ["0a1b"]),
        (["--override-arch", "images", "images", "p"], ["prune"]),
        (["--root", "images", "uninstall", "f"], ["flannel"]),
        (["--root", "=", "/srv", "containers", "li"], ["list"]),
        (["-y", "--debug", "im"], ["images"]),
        (["pull", "--storage", ""], ["ostree"]),
        (["pull", "--storage", "="], ["ostree"]),
        (["pull", "--storage", "=", "o"], ["ostree"]),
        (["install", "--set", ""], []),
        (["images", "list", ""], []),
        (["trust", "default", ""], ["accept", "reject"]),
        (["trust", "add", "--require", ""], ["any", "all"]),
        (["trust", "add", "--transport", "oci"], ["oci", "oci-archive"]),
    ],
    ids=" ".join,
)
def test_words(words: list[str], expected: list[str]) -> None:
    assert complete(*words) == set(expected)


def test_values_that_are_paths(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").touch()
    assert complete("--root", f"{tmp_path}/") == {f"{tmp_path}/directory"}
    assert complete("--policy", f"{tmp_path}/f") == {f"{tmp_path}/file"}


def test_other_name_of_the_program_has_it_too() -> None:
    assert complete("pul", script=SCRIPT.with_name("atomic-sys.bash")) == {"pull"}
