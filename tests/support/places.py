# SPDX-License-Identifier: LGPL-2.1-or-later
"""A root directory with a store, used by the real command, and what must be true of it at rest."""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from atomic_sys.__main__ import run
from tests.support.layers import listing

CHECKOUTS = "var/lib/containers/atomic"
REPOSITORY = f"{CHECKOUTS}/.storage/ostree"
# Locks are empty, and never removed, which would be a race; the sizes come with the first list.
PASSED_OVER = frozenset((".lock", "refs.lock", "sizes.json"))


def call(argv: Sequence[str]) -> tuple[int, str, str]:
    """Run the command here and now; gives its exit code, stdout and stderr."""
    out, talk = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(talk):
        code = run([*argv])
    return code, out.getvalue(), talk.getvalue()


def bytes_of(argv: Sequence[str], code: int = 0) -> bytes:
    """Run the command here and now; gives stdout, which need not be text."""
    content, talk = io.BytesIO(), io.StringIO()
    out = io.TextIOWrapper(content, write_through=True)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(talk):
        found = run([*argv])
    assert found == code, (argv, found, talk.getvalue())
    return content.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A root directory; `policy` is a file that believes every image."""

    root: Path
    policy: Path

    @classmethod
    def make(cls, root: Path) -> "Place":
        """A new, empty one."""
        root.mkdir()
        policy = root.parent / "policy.json"
        policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        return cls(root=root, policy=policy)

    @property
    def repository(self) -> Path:
        return self.root / REPOSITORY

    def arguments(self, *argv: str | Path) -> list[str]:
        """The arguments of the command."""
        return ["--root", str(self.root), "--policy", str(self.policy), *map(str, argv)]

    def command(self, *argv: str | Path) -> list[str]:
        """The command as a process of its own."""
        return [sys.executable, "-m", "atomic_sys", *self.arguments(*argv)]

    def atomic(self, *argv: str | Path, code: int | None = 0) -> tuple[str, str]:
        """Run the command here and now; gives stdout and stderr. `code` None: any will do."""
        found, out, talk = call(self.arguments(*argv))
        if code is not None:
            assert found == code, (argv, found, out, talk)
        return out, talk

    def said(self, *argv: str | Path, code: int = 0) -> str:
        """Run the command here and now; gives stdout."""
        return self.atomic(*argv, code=code)[0]

    def alone(self, *argv: str | Path, code: int = 0) -> str:
        """Run the command as a process of its own, which takes five times as long; gives stdout."""
        done = subprocess.run(self.command(*argv), capture_output=True, text=True, check=False)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done.stdout

    def names(self) -> set[str]:
        """The names of the images, as the command lists them."""
        rows = json.loads(self.atomic("images", "list", "--json")[0])
        return {f"{row['repo']}:{row['tag']}" for row in rows}

    def check(self) -> None:
        """libostree and we find nothing wrong. There may be no repository yet."""
        if (self.repository / "config").exists():
            self.ostree("fsck", "-q")
        self.atomic("fsck")

    def ostree(self, *argv: str | Path) -> str:
        done = subprocess.run(
            ["ostree", f"--repo={self.repository}", *argv],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (argv, done.stdout, done.stderr)
        return done.stdout

    def checked_out(self, name: str) -> Mapping[str, tuple[object, ...]]:
        """What can be seen of a checkout of the image."""
        where = self.root / "checked-out"
        self.atomic("images", "checkout", name, where)
        try:
            return listing(where)
        finally:
            subprocess.run(["rm", "-rf", where], check=True)

    def residue(self) -> frozenset[str]:
        """Everything that is stored, by name; commits, which tell the time, by their number."""
        paths = [path.relative_to(self.root) for path in _all_below(self.root)]
        objects = [path.name for path in paths if path.suffix in (".file", ".dirtree", ".dirmeta")]
        commits = sum(path.suffix == ".commit" for path in paths)
        others = {str(path) for path in paths if f"{REPOSITORY}/objects" not in str(path)}
        return frozenset({*objects, f"{commits} commits", *others})

    def unreachable(self) -> str:
        """What libostree says that it would remove."""
        said = self.ostree("prune", "--refs-only", "--no-prune")
        return "" if "No unreachable objects" in said else said


def _all_below(top: Path) -> Iterable[Path]:
    for directory, _, files in os.walk(top):
        for name in files:
            if name not in PASSED_OVER:
                yield Path(directory, name)
