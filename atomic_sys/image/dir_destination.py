# SPDX-License-Identifier: LGPL-2.1-or-later
"""An image on its way into a `dir:`, skopeo's plain directory.

The directory is made where there is none. One that holds such an image is emptied first, as skopeo
does, manifest.json before anything else; any other that is not empty is refused. manifest.json is
written last. Source: containers-transports(5), "dir:path".
"""

import contextlib
import os
import threading
from collections.abc import Iterable, Iterator
from typing import Self

from atomic_sys.fs.atomic import read_file, write_file, write_stream
from atomic_sys.fs.directory import open_root, remove_tree
from atomic_sys.image.dir_image import MANIFEST, VERSION, VERSION_LIMIT, InvalidDirectory
from atomic_sys.image.origin import RawManifest
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import Descriptor
from atomic_sys.model.source import DirectorySource

_VERSION_FILE = "version"
_WRITTEN_VERSION = VERSION + b"1\n"


class DirectoryDestination:
    """One image, or one index with its instances; use it as a context manager."""

    def __init__(self, target: DirectorySource) -> None:
        """Make or empty the directory. Raises InvalidDirectory for one that is something else."""
        self._target = target
        self._lock = threading.Lock()
        self._blobs: set[Digest] = set()
        self._signatures: dict[Digest, tuple[bytes, ...]] = {}
        self._closing = contextlib.ExitStack()
        with self._explained(), contextlib.ExitStack() as failing:
            os.makedirs(target.path, exist_ok=True)
            self._dfd = open_root(target.path)
            failing.callback(os.close, self._dfd)
            self._empty()
            write_file(self._dfd, _VERSION_FILE, _WRITTEN_VERSION)
            self._closing = failing.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    @property
    def description(self) -> str:
        """`dir:PATH`."""
        return str(self._target)

    def has_blob(self, blob: Descriptor) -> bool:
        """Whether it was written already."""
        with self._lock:
            return blob.digest in self._blobs

    def put_blob(self, blob: Descriptor, chunks: Iterable[bytes]) -> None:
        """Write it, and name it when it is whole. Raises InvalidDirectory, what chunks raise."""
        with self._explained():
            write_stream(self._dfd, blob.digest.hex, chunks)
        with self._lock:
            self._blobs.add(blob.digest)

    def put_manifest(self, manifest: RawManifest) -> None:
        """Write an instance. Raises InvalidDirectory."""
        with self._explained():
            write_file(self._dfd, f"{manifest.digest.hex}.{MANIFEST}", manifest.raw)

    def put_signatures(self, digest: Digest, signatures: tuple[bytes, ...]) -> None:
        """Keep them until it is known which manifest is the image."""
        self._signatures[digest] = signatures

    def finish(self, manifest: RawManifest) -> None:
        """Write the signatures, and manifest.json last. Raises InvalidDirectory."""
        with self._explained():
            for digest, signatures in self._signatures.items():
                prefix = "" if digest == manifest.digest else f"{digest.hex}."
                for number, signature in enumerate(signatures, 1):
                    write_file(self._dfd, f"{prefix}signature-{number}", signature)
            write_file(self._dfd, MANIFEST, manifest.raw)

    def _empty(self) -> None:
        names = set(os.listdir(self._dfd))
        version = read_file(self._dfd, _VERSION_FILE, VERSION_LIMIT) or b""
        if names and not version.startswith(VERSION):
            raise InvalidDirectory(
                f"{self.description}: the directory is not empty, and holds no image",
                hint="name a new or an empty directory",
            )
        # The image ends with its manifest, and the directory is known as long as it has a version.
        for name in sorted(names - {_VERSION_FILE}, key=lambda name: name != MANIFEST):
            remove_tree(self._dfd, name)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InvalidDirectory(f"cannot write {self.description}: {error.strerror}") from error
