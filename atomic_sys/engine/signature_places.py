# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where new signatures of an image go: to where hosts will look for them.

Those of a registry's image to the registry or its lookaside store (engine.registry_signatures),
simple ones to a directory if the user names one; those of a `dir:` image into its directory.
"""

import urllib.parse
from collections.abc import Iterable, Iterator

from atomic_sys.engine.pull import ImageAt
from atomic_sys.engine.registry_signatures import RegistrySignatures
from atomic_sys.errors import UsageError
from atomic_sys.frozen import frozen
from atomic_sys.image.dir_image import DirectoryOrigin
from atomic_sys.log import warn
from atomic_sys.model.digest import Digest
from atomic_sys.model.reference import DockerReference
from atomic_sys.trust.framing import SignatureBlob, SigstoreAttachment, SimpleSignature, frame
from atomic_sys.trust.signature_files import write_beside, write_lookaside


@frozen
class SignedManifest:
    """A manifest that was signed; an instance is one that an index led to."""

    digest: Digest
    is_instance: bool


@frozen
class SignaturePlaces:
    """The places for the signatures of one image.

    `name` is what is signed, and `directory` where the user wants simple signatures; `registry` is
    there for an image of a registry.
    """

    at: ImageAt
    name: DockerReference
    directory: str | None
    registry: RegistrySignatures | None

    def check(self, *, simple: bool, sigstore: bool) -> None:
        """Raise UsageError unless there is a place for signatures of these kinds."""
        if self.registry is not None:
            if sigstore and not self.registry.uses_attachments:
                warn(
                    f"registries.d does not say that {self.at.origin.description} uses sigstore"
                    " attachments: hosts do not look for them without that"
                )
            return
        match self.at.origin:
            case DirectoryOrigin():
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
        left = tuple(signatures)
        if self.directory is not None:
            base = f"file://{urllib.parse.quote(self.directory)}"
            simple = [frame(one) for one in left if isinstance(one, SimpleSignature)]
            yield from write_lookaside(base, self.name, target.digest, simple)
            left = tuple(one for one in left if isinstance(one, SigstoreAttachment))
        if self.registry is not None:
            yield from self.registry.add(target.digest, left)
        elif isinstance(self.at.origin, DirectoryOrigin):
            instance = target.digest if target.is_instance else None
            yield from write_beside(self.at.place.scopes[0], instance, map(frame, left))
