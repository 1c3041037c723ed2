# SPDX-License-Identifier: LGPL-2.1-or-later
"""Adding to a repository: objects first, then one syncfs, then the refs that name them.

Nothing is synced per object. A process that is killed leaves objects that nothing names and that
nothing believes where they are not whole (object_writer.py). A power cut can leave a whole name
without its bytes; therefore a synced mark in `state/` says that a transaction was open, and
recovery.py looks at what is younger before anything trusts it.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from typing import Self

from atomic_sys.fs.atomic import sync_file_system, temporary_name, write_all
from atomic_sys.store.object_writer import ObjectWriter
from atomic_sys.store.objects import Checksum
from atomic_sys.store.repository import Repository, valid_ref

MARK_SUFFIX = ".atomic-sys-transaction"
_NAMED = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW


def boot_id() -> str:
    """What tells this boot from all others: a mark of an earlier one means lost writes."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
            return stream.read().strip()
    except FileNotFoundError:
        return "unknown"


class Transaction(ObjectWriter):
    """The one way to add to a repository; use Transaction.open()."""

    def __init__(self, repository: Repository) -> None:
        super().__init__(repository)
        self._mark = temporary_name("mark").strip(".") + MARK_SUFFIX
        self._mark_fd = self._write_mark()

    def _write_mark(self) -> int:
        fd = os.open(f"state/{self._mark}", _NAMED, 0o600, dir_fd=self.repository.fd)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)  # as long as it is held, its owner is alive
            write_all(fd, boot_id().encode("ascii"))
            os.fsync(fd)
            self._sync_state()
        except BaseException:  # on a full disk: there is nothing to look at, as it says
            os.unlink(f"state/{self._mark}", dir_fd=self.repository.fd)
            os.close(fd)
            raise
        return fd

    def _sync_state(self) -> None:
        state = os.open("state", os.O_RDONLY | os.O_DIRECTORY, dir_fd=self.repository.fd)
        try:
            os.fsync(state)
        finally:
            os.close(state)

    def close(self) -> None:
        """Give up what was not committed; the mark stays, for there are objects not yet synced."""
        os.close(self._mark_fd)

    def commit(self, refs: Sequence[tuple[str, Checksum]]) -> None:
        """Make everything durable, and only then let the refs name it, in the given order.

        Raises OSError.
        """
        here = self.repository.fd
        with contextlib.ExitStack() as stack:
            prepared = []
            for ref, name in refs:
                temporary = self._prepare_ref(ref, name)
                stack.callback(self._remove_if_there, temporary)
                prepared.append((temporary, ref))
            sync_file_system(here)
            for temporary, ref in prepared:
                os.rename(temporary, f"refs/heads/{ref}", src_dir_fd=here, dst_dir_fd=here)
        for parent in sorted({f"refs/heads/{ref}".rpartition("/")[0] for ref, _ in refs}):
            fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
        os.unlink(f"state/{self._mark}", dir_fd=here)

    def _remove_if_there(self, temporary: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=self.repository.fd)

    def _prepare_ref(self, ref: str, name: Checksum) -> str:
        here = self.repository.fd
        parent = f"refs/heads/{valid_ref(ref)}".rpartition("/")[0]
        with contextlib.suppress(FileExistsError):
            os.mkdir(parent, 0o755, dir_fd=here)
        temporary = f"tmp/{temporary_name('ref')}"
        fd = os.open(temporary, _NAMED, 0o644, dir_fd=here)
        try:
            write_all(fd, name.hex().encode("ascii") + b"\n")
        finally:
            os.close(fd)
        return temporary

    @classmethod
    @contextlib.contextmanager
    def open(cls, repository: Repository) -> Iterator[Self]:
        """A transaction for the length of the block; what it did not commit stays without a ref."""
        transaction = cls(repository)
        try:
            yield transaction
        finally:
            transaction.close()
