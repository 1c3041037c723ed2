# SPDX-License-Identifier: LGPL-2.1-or-later
"""What it costs to protect checkouts from accidental writes, and what each way holds against.

`python -m benchmarks.protection [FILES [DIRECTORY]]` (default 20000 files, $TMPDIR) links files
from a store to a checkout on a fresh ext4, protects it in each way in turn, tries what must fail
and what must still work, and removes it. Times are medians, in microseconds for each file, and as
ratios to the same checkout without protection. Sources: ioctl_iflags(2), mount_setattr(2), and the
kernel's fsverity.rst. Needs root.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from atomic_sys.engine import protection
from benchmarks.filesystem import fresh

ROUNDS = 5
FILES_IN_A_DIRECTORY = 20
_SIZE = 4096  # bytes of each file
_GET_FLAGS, _SET_FLAGS = 0x80086601, 0x40086602  # FS_IOC_GETFLAGS, FS_IOC_SETFLAGS
_ENABLE_VERITY = 0x40806685  # FS_IOC_ENABLE_VERITY
_IMMUTABLE = 0x10
_SHA256 = 1
_VERITY = Path("/sys/fs/ext4/features/verity")  # whether this kernel has it
_CONFIG = """{"root": {"path": "rootfs", "readonly": true}, "mounts": [{"destination": "/dev"}]}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A store with one object for each file, and where the checkout is to be."""

    objects: Path
    checkout: Path
    files: int

    def names(self) -> Iterator[tuple[Path, Path]]:
        """Each object with its name in the checkout."""
        for number in range(self.files):
            directory = self.checkout / f"d{number // FILES_IN_A_DIRECTORY}"
            yield self.objects / str(number), directory / str(number)

    def directories(self) -> list[Path]:
        """Those of the checkout, itself the last."""
        return [*(path for path in self.checkout.iterdir() if path.is_dir()), self.checkout]

    def link(self, each: Callable[[Path, Path], None] = os.link) -> None:
        """Check out."""
        self.checkout.mkdir()
        for source, target in self.names():
            if not target.parent.exists():
                target.parent.mkdir()
            each(source, target)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way to protect: how a checkout is made and removed with it."""

    name: str
    make: Callable[[Tree], None]
    remove: Callable[[Tree], None]


def set_immutable(path: Path, *, on: bool) -> None:
    """Set or clear the flag of a file or directory."""
    fd = os.open(path, os.O_RDONLY)
    try:
        (flags,) = struct.unpack("l", fcntl.ioctl(fd, _GET_FLAGS, bytes(8)))
        wanted = flags | _IMMUTABLE if on else flags & ~_IMMUTABLE
        fcntl.ioctl(fd, _SET_FLAGS, struct.pack("l", wanted))
    finally:
        os.close(fd)


def remove(tree: Tree) -> None:
    """Remove a checkout that nothing protects."""
    shutil.rmtree(tree.checkout)


def make_read_only(tree: Tree) -> None:
    """A read-only mount of the checkout upon itself: what atomic does."""
    tree.link()
    reason = protection.protect(str(tree.checkout.parent))
    if reason is not None:
        raise OSError(errno.EPERM, reason)


def unmount_and_remove(tree: Tree) -> None:
    """Take the mount away first."""
    protection.release(str(tree.checkout.parent))
    remove(tree)


def flag_directories(tree: Tree) -> None:
    """The immutable flag on each directory."""
    tree.link()
    for directory in tree.directories():
        set_immutable(directory, on=True)


def unflag_directories_and_remove(tree: Tree) -> None:
    """Clear the flags first."""
    for directory in tree.directories():
        set_immutable(directory, on=False)
    remove(tree)


def flag_files(tree: Tree) -> None:
    """The immutable flag on each object, cleared for the moment in which it is linked."""

    def link(source: Path, target: Path) -> None:
        set_immutable(source, on=False)
        os.link(source, target)
        set_immutable(source, on=True)

    tree.link(link)


def unflag_files_and_remove(tree: Tree) -> None:
    """An immutable file cannot be unlinked either."""
    for source, _ in tree.names():
        set_immutable(source, on=False)
    remove(tree)


def seal(tree: Tree) -> None:
    """fs-verity on each object, once: it stays. Raises OSError where the kernel has none."""
    for source, _ in tree.names():
        fd = os.open(source, os.O_RDONLY)
        try:
            argument = struct.pack("IIIIQIIQ11Q", 1, _SHA256, _SIZE, 0, 0, 0, 0, 0, *[0] * 11)
            fcntl.ioctl(fd, _ENABLE_VERITY, argument)
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise
        finally:
            os.close(fd)
    tree.link()


def copy(tree: Tree) -> None:
    """No links at all: a write damages the checkout, and not the store."""

    def make(source: Path, target: Path) -> None:
        shutil.copyfile(source, target)

    tree.link(make)


WAYS = (
    Way(name="nothing", make=Tree.link, remove=remove),
    Way(name="read-only mount", make=make_read_only, remove=unmount_and_remove),
    Way(name="immutable directories", make=flag_directories, remove=unflag_directories_and_remove),
    Way(name="immutable files", make=flag_files, remove=unflag_files_and_remove),
    Way(name="copies", make=copy, remove=remove),
    Way(name="fs-verity", make=seal, remove=remove),  # the last: its files stay sealed
)


def fails(deed: Callable[[], object]) -> bool:
    """Whether the kernel refuses."""
    try:
        deed()
    except OSError:
        return True
    return False


def held_against(tree: Tree) -> tuple[str, str, str, str]:
    """Of a protected checkout: store kept from a write, names kept, mode kept, and still linked."""
    source, target = next(tree.names())
    before = source.read_bytes()

    def append() -> None:
        with target.open("ab") as stream:
            stream.write(b"x")

    append_fails = fails(append)
    safe = append_fails or source.read_bytes() == before
    names = fails(target.with_name("new").touch)
    mode = source.stat().st_mode
    fails(lambda: target.chmod(0o600))
    kept = source.stat().st_mode == mode
    links = not fails(lambda: os.link(source, tree.objects / "again"))
    (tree.objects / "again").unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        target.with_name("new").unlink()
    if not append_fails:
        os.truncate(source, _SIZE)
    with contextlib.suppress(OSError):
        source.chmod(mode & 0o7777)
    return _said(safe), _said(names), _said(kept), _said(links)


def _said(answer: object) -> str:
    return "yes" if answer else "no"


def seconds(work: Callable[[Tree], None], tree: Tree) -> float:
    """How long it takes, by the clock."""
    begun = time.perf_counter()
    work(tree)
    return time.perf_counter() - begun


def fill(top: Path, files: int) -> Tree:
    """The store."""
    tree = Tree(objects=top / "objects", checkout=top / "name.0/rootfs", files=files)
    tree.objects.mkdir()
    tree.checkout.parent.mkdir()
    (tree.checkout.parent / "config.json").write_text(_CONFIG)
    for source, _ in tree.names():
        source.write_bytes(os.urandom(_SIZE))
    os.sync()
    return tree


def main() -> None:
    """Measure and print."""
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    directory = Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.gettempdir())
    times: dict[str, list[tuple[float, float]]] = {}
    holds: dict[str, tuple[str, str, str, str]] = {}
    with fresh(directory, "verity" if _VERITY.exists() else "") as top:
        tree = fill(top, files)
        for way in (*WAYS[:-1] * ROUNDS, WAYS[-1]):
            try:
                made = seconds(way.make, tree)
            except OSError as error:
                print(f"{way.name}: {error.strerror} (this kernel or file system has none)")
                remove(tree) if tree.checkout.exists() else None
                continue
            holds.setdefault(way.name, held_against(tree))
            times.setdefault(way.name, []).append((made, seconds(way.remove, tree)))
    report(files, times, holds)


def report(
    files: int,
    times: dict[str, list[tuple[float, float]]],
    holds: dict[str, tuple[str, str, str, str]],
) -> None:
    """Print the table."""
    title = ("", "check out", "ratio", "remove", "ratio", "store", "names", "modes", "links")
    print("{:22}{:>10}{:>7}{:>9}{:>7}{:>7}{:>7}{:>7}{:>7}".format(*title))
    base = [statistics.median(column) for column in zip(*times[WAYS[0].name], strict=True)]
    for name, pairs in times.items():
        made, removed = (statistics.median(column) for column in zip(*pairs, strict=True))
        figures = "".join(
            f"{value / files * 1e6:>{width}.1f}{value / plain:>7.2f}"
            for value, plain, width in ((made, base[0], 10), (removed, base[1], 9))
        )
        print(f"{name:22}{figures}{''.join(f'{answer:>7}' for answer in holds[name])}")
    print(
        "microseconds for each file; store, names, modes: kept from an accident; links: still work"
    )


if __name__ == "__main__":
    main()
