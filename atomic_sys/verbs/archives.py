# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic images save IMAGE...` and `atomic images load`."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from enum import Enum
from typing import BinaryIO, assert_never

from atomic_sys.engine import pull as engine
from atomic_sys.engine.load import OpenArchive
from atomic_sys.engine.pull import Pulled
from atomic_sys.engine.report import Report
from atomic_sys.engine.save import docker_members, layout_members
from atomic_sys.errors import AtomicSysError, NotFound, doing
from atomic_sys.host import Host
from atomic_sys.image.decompress import decompressed, is_compressed
from atomic_sys.image.docker_archive import UNPACKED_LIMIT
from atomic_sys.image.docker_archive_writer import DockerArchiveWriter, spool_directory
from atomic_sys.image.files import CHUNK, chunks_of, explained, regular_file
from atomic_sys.image.layout_archive_destination import LayoutArchiveWriter
from atomic_sys.image.origin import Origin
from atomic_sys.image.tar_writer import Members, Spool, split, tar_chunks, write_archive
from atomic_sys.store.images import StoredImage
from atomic_sys.verbs.support import locate, make_judge, parse_image

STDIN = "/dev/stdin"


class Format(Enum):
    """What kind of archive to write, in podman's words."""

    DOCKER = "docker-archive"
    OCI = "oci-archive"


def save(images: Sequence[str], form: Format, output: str | BinaryIO, host: Host) -> None:
    """Write the images to a file, replacing it when the archive is whole, or to a stream.

    Raises NotFound, AtomicSysError, OSError.
    """
    found = [_find(text, host) for text in images]
    directory = split(output)[0] if isinstance(output, str) else spool_directory()
    with contextlib.ExitStack() as stack:
        stack.enter_context(host.store.in_use())
        members: Members
        match form:
            case Format.DOCKER:
                docker = stack.enter_context(DockerArchiveWriter(directory))
                members = docker_members(found, host.store, docker)
            case Format.OCI:
                layout = stack.enter_context(LayoutArchiveWriter(directory))
                members = layout_members(found, host.store, layout, lambda i: _origin(i, host))
            case _:
                assert_never(form)
        if isinstance(output, str):
            write_archive(output, members)
            return
        for chunk in tar_chunks(members):
            output.write(chunk)
        output.flush()


def _find(text: str, host: Host) -> StoredImage:
    found = host.store.find(text)
    if not found:
        raise NotFound(f"Unable to find the image {text}", hint="atomic images list")
    if len(found) > 1:
        names = ", ".join(str(image.name) for image in found)
        raise AtomicSysError(f"{text} is more than one image: {names}")
    return found[0]


def _origin(image: StoredImage, host: Host) -> Origin:
    return locate(host, parse_image(image.source or f"docker://{image.name}")).origin


def load(path: str | None, stdin: BinaryIO, host: Host, report: Report) -> Iterator[Pulled]:
    """Pull every image of the archive, as the policy has it, under its name there.

    Without a path the archive comes from `stdin`. Raises Rejected, AtomicSysError.
    """
    with doing(f"loading {path or 'from standard input'}"), _opened(path, stdin) as archive:
        judge = make_judge(host)
        limits = host.configuration.limits
        for at in [replace(at, limits=limits) for at in archive.images()]:
            yield engine.pull(at, host.platform, host.store, judge, report)


@contextlib.contextmanager
def _opened(path: str | None, stdin: BinaryIO) -> Iterator[OpenArchive]:
    """The archive in a file that can be read anywhere, uncompressed."""
    with contextlib.ExitStack() as stack:
        if path is None:
            stream: BinaryIO = stdin
            real = STDIN
        else:
            real = os.path.realpath(path)
            if ":" in real:
                raise AtomicSysError(f"{real}: the path of an archive cannot have a colon in it")
            with explained(path):
                stream = stack.enter_context(regular_file(None, real))
            if is_compressed(os.pread(stream.fileno(), CHUNK, 0)) is None:
                yield OpenArchive(path=real, fd=stream.fileno())
                return
        spool = stack.enter_context(Spool(spool_directory()))
        part = spool.put(_limited(decompressed(chunks_of(stream))))
        yield OpenArchive(path=real, fd=part.fd)


def _limited(chunks: Iterator[bytes]) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > UNPACKED_LIMIT:
            raise AtomicSysError(f"an archive of more than {UNPACKED_LIMIT} bytes")
        yield chunk
