# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `atomic mount` makes of its options, before anything is mounted."""

import os

import pytest

from atomic_sys.__main__ import run
from atomic_sys.errors import ExitCode, UsageError
from atomic_sys.fs.mount import MountAttribute as Attribute
from atomic_sys.verbs.mount import parse_options


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], Attribute.READ_ONLY | Attribute.NO_SET_ID | Attribute.NO_DEVICES),
        (["ro"], Attribute.READ_ONLY | Attribute.NO_SET_ID | Attribute.NO_DEVICES),
        (["rw"], Attribute.NO_SET_ID | Attribute.NO_DEVICES),
        (["rw,suid", "dev"], Attribute(0)),
        (
            ["rw", "ro,noexec,dev"],
            Attribute.READ_ONLY | Attribute.NO_SET_ID | Attribute.NO_PROGRAMS,
        ),
        (["noexec,exec,rw"], Attribute.NO_SET_ID | Attribute.NO_DEVICES),
    ],
)
def test_options(texts: list[str], expected: Attribute) -> None:
    assert parse_options(texts).attributes == expected
    assert parse_options(texts).writable is not bool(expected & Attribute.READ_ONLY)


@pytest.mark.parametrize("text", ["", "RW", "rw,", "bind", "rw ", "context=x"])
def test_unknown_options(text: str) -> None:
    with pytest.raises(UsageError, match="unknown option"):
        parse_options([text])


@pytest.mark.parametrize(
    "line",
    [
        "mount x",
        "mount --live x /y",
        "mount -o x x /y",
        "mount --storage=docker x /y",
        "unmount",
    ],
)
def test_usage(line: str) -> None:
    assert run(line.split()) == ExitCode.USAGE


@pytest.mark.parametrize("line", ["mount x /y", "unmount /y"])
def test_only_root_mounts(
    line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert run(line.split()) == ExitCode.USAGE
    assert "Need to be root" in capsys.readouterr().err
