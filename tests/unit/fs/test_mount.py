# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is read of mountinfo (proc_pid_mountinfo(5))."""

import os

import pytest

from atomic_sys.fs.mount import Mount, all_mounts, mounts, parse


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n",
            Mount(root="/mnt1", target="/mnt2", source="/dev/root"),
        ),
        (
            "40 35 0:44 / /a\\040b\\134c\\012d rw - overlay atomic:1 rw\n",
            Mount(root="/", target="/a b\\c\nd", source="atomic:1"),
        ),
        (
            "41 35 8:1 /x//deleted /y rw shared:2 master:3 - ext4 /dev/sda1 rw\n",
            Mount(root="/x//deleted", target="/y", source="/dev/sda1"),
        ),
    ],
)
def test_lines(line: str, expected: Mount) -> None:
    assert list(parse([line])) == [expected]


@pytest.mark.parametrize("line", ["", "\n", "36 35 98:0 / /x rw - ext4\n", "36 35 - a b c\n"])
def test_lines_that_are_none(line: str) -> None:
    assert list(parse([line])) == []


def test_our_own() -> None:
    assert "/" in {mount.target for mount in mounts()}
    assert set(mounts(str(os.getpid()))) <= set(all_mounts())
