# SPDX-License-Identifier: LGPL-2.1-or-later
"""The images of an archive, each as something that can be pulled."""

from collections.abc import Iterator

from atomic_sys.engine.pull import ImageAt
from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen
from atomic_sys.image.archive import ArchiveFiles
from atomic_sys.image.docker_archive import DockerArchiveOrigin, names_in
from atomic_sys.image.layout import LayoutOrigin
from atomic_sys.model.reference import ImageName, is_tag
from atomic_sys.model.source import DockerArchiveSource, LayoutArchiveSource
from atomic_sys.trust.scopes import nameless_identity, path_identity


@frozen
class OpenArchive:
    """An archive that is open as `fd`; `path`, resolved, is what policy and messages call it."""

    path: str
    fd: int

    def images(self) -> Iterator[ImageAt]:
        """All images under all of their names. Raises AtomicSysError for what is no such archive.

        A recent `docker save` writes both formats into one archive; then its own list counts.
        """
        files = ArchiveFiles(self.path, self.fd)
        if files.has("manifest.json"):
            yield from self._docker(files)
        elif files.has("oci-layout"):
            yield from self._layout(files)
        else:
            raise AtomicSysError(
                f"{self.path}: neither an archive of `docker save` nor an OCI archive"
            )

    def _docker(self, files: ArchiveFiles) -> Iterator[ImageAt]:
        identity = nameless_identity("docker-archive")
        every = names_in(files)
        for names in every:
            if not names and len(every) > 1:
                raise AtomicSysError(f"{self.path}: several images, and one of them has no name")
            for name in names or (None,):
                source = DockerArchiveSource(path=self.path, reference=name)
                yield ImageAt(
                    name=source.name,
                    source=str(source),
                    origin=DockerArchiveOrigin(source, files),
                    identity=identity,
                    place=identity,
                )

    def _layout(self, files: ArchiveFiles) -> Iterator[ImageAt]:
        identity = path_identity("oci-archive", self.path)
        whole = LayoutArchiveSource(path=self.path, tag=None)
        tags = LayoutOrigin(whole, files).tags()
        for tag in tags:
            source = LayoutArchiveSource(path=self.path, tag=tag)
            # podman and we write whole names as tags, which are no tags of a source then.
            plain = tag is None or is_tag(tag)
            recorded = source if plain else whole
            yield ImageAt(
                name=source.name if tag is None or plain else ImageName.parse(tag),
                source=str(recorded),
                origin=LayoutOrigin(source, files),
                identity=identity,
                place=identity,
            )
