# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where new signatures of an image go: to where hosts will look for them.

Simple signatures of a registry's image to the lookaside store that registries.d names, or to a
directory that the user names, sigstore's beside the image in its repository; those of a `dir:`
image into its directory.
"""

import urllib.parse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from atomic_sys.engine.attachments import OpenTagged, write_attachments
from atomic_sys.engine.pull import ImageAt
from atomic_sys.errors import AtomicSysError, UsageError
from atomic_sys.image.dir_image import DirectoryOrigin
from atomic_sys.image.registry import RegistryOrigin
from atomic_sys.model.digest import Digest
from atomic_sys.model.reference import DockerReference
from atomic_sys.trust.framing import SignatureBlob, SigstoreAttachment, SimpleSignature, frame
from atomic_sys.trust.lookaside import LookasideConfig, staging_base
from atomic_sys.trust.signature_files import write_beside, write_lookaside


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedManifest:
    """A manifest that was signed; an instance is one that an index led to."""

    digest: Digest
    is_instance: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SignaturePlaces:
    """The places for the signatures of one image.

    `name` is what is signed, and `directory` where the user wants simple signatures; `open_tagged`
    gives a destination in the image's repository.
    """

    at: ImageAt
    name: DockerReference
    directory: str | None
    config: LookasideConfig
    open_tagged: OpenTagged

    def check(self, *, simple: bool, sigstore: bool) -> None:
        """Raise UsageError unless there is a place for signatures of these kinds."""
        match self.at.origin:
            case DirectoryOrigin():
                return
            case RegistryOrigin():
                return
            case _ if simple and not sigstore and self.directory is not None:
                return
            case _:
                what = "sigstore" if sigstore else "simple"
                raise UsageError(
                    f"{self.at.origin.description} has no place for {what} signatures",
                    hint="copy it to dir:DIRECTORY, sign it there, and copy it back",
                )

    def write(self, target: SignedManifest, signatures: Iterable[SignatureBlob]) -> Iterator[str]:
        """Write the signatures of one manifest; yields where each is now.

        Raises AtomicSysError.
        """
        simple, attachments = [], []
        for signature in signatures:
            match signature:
                case SimpleSignature():
                    simple.append(signature)
                case SigstoreAttachment():
                    attachments.append(signature)
        if self.directory is not None:
            base = f"file://{urllib.parse.quote(self.directory)}"
            yield from write_lookaside(base, self.name, target.digest, map(frame, simple))
            simple = []
        match self.at.origin:
            case DirectoryOrigin():
                instance = target.digest if target.is_instance else None
                directory = self.at.place.scopes[0]
                blobs = [*map(frame, simple), *map(frame, attachments)]
                yield from write_beside(directory, instance, blobs)
            case RegistryOrigin() as origin:
                yield from self._to_registry(target.digest, simple)
                if attachments:
                    tag = write_attachments(origin, self.open_tagged, target.digest, attachments)
                    yield f"docker://{self._reference().name}:{tag}"
            case _:
                return

    def _to_registry(self, digest: Digest, simple: list[SimpleSignature]) -> Iterator[str]:
        if simple:
            base = staging_base(self.config, self.at.place)
            blobs = map(frame, simple)
            yield from write_lookaside(base, self._reference(), digest, blobs)

    def _reference(self) -> DockerReference:
        reference = self.at.place.reference
        if reference is None:
            raise AtomicSysError(f"{self.at.name} is in no registry")
        return reference
