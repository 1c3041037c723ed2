# SPDX-License-Identifier: LGPL-2.1-or-later
"""An image of a registry. Source: distribution-spec, "Pull"."""

import contextlib
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace

from atomic_sys.errors import ExitCode
from atomic_sys.image.auth import Access, AccessDenied
from atomic_sys.image.auth_file import Credentials
from atomic_sys.image.blob import resumed
from atomic_sys.image.credentials import CredentialLookup
from atomic_sys.image.http import Http
from atomic_sys.image.http_response import NetworkError, Response
from atomic_sys.image.origin import RawManifest
from atomic_sys.image.registries_conf import Registries
from atomic_sys.image.registry_client import RegistryClient
from atomic_sys.image.retry import Patience
from atomic_sys.image.tls import Tls
from atomic_sys.log import warn
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import ACCEPT, MANIFEST_LIMIT, Descriptor
from atomic_sys.model.reference import DockerReference
from atomic_sys.model.source import RegistrySource
from atomic_sys.model.stream import verified


class NotInRegistry(NetworkError):
    """The registry has no such manifest or blob."""

    exit_code = ExitCode.NOT_FOUND


class RegistryOrigin:
    """One image of a registry; safe for threads.

    `reference` is fully qualified and has a tag or a digest: it is what the policy must judge, also
    when registries.conf sends us elsewhere.
    """

    def __init__(
        self,
        http: Http,
        source: RegistrySource,
        registries: Registries,
        credentials: CredentialLookup | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.reference = _identity(registries.qualify(source.name))
        place = registries.locate(self.reference)
        self._place = place.reference
        self._credentials = credentials
        self._patience = patience or Patience()
        access = Access(http, self._find_credentials, scope=f"repository:{self._place.path}:pull")
        insecure = place.insecure or source.plain_http
        self._client = RegistryClient(
            http,
            access,
            domain=self._place.domain,
            tls=Tls.UNVERIFIED if insecure else Tls.VERIFIED,
        )

    @property
    def place(self) -> DockerReference:
        """Where it is fetched, and where its signatures are looked up."""
        return self._place

    @property
    def description(self) -> str:
        """The reference, and where it is fetched if that is another place."""
        if self._place == self.reference:
            return str(self.reference)
        return f"{self.reference} at {self._place.name}"

    def manifest(self, digest: Digest | None) -> RawManifest:
        """The manifest with this digest, or the one of the tag or digest in the reference.

        Raises NotInRegistry, NetworkError, TooLarge, or ContentMismatch.
        """
        return self._patience.call(lambda: self._manifest(digest or self._place.digest))

    def _manifest(self, expected: Digest | None) -> RawManifest:
        what = f"manifest of {self.description}"
        name = str(expected or self._place.tag)
        path = f"{self._place.path}/manifests/{name}"
        with self._client.get(path, {"Accept": ", ".join(ACCEPT)}) as response:
            self._check(response, what)
            raw = response.read(MANIFEST_LIMIT, what)
            stated = response.header("Docker-Content-Digest")
            content_type = response.header("Content-Type")
        manifest = RawManifest.checked(raw, expected=expected, content_type=content_type)
        if stated is not None and expected is None and stated != str(manifest.digest):
            warn(f"{what}: the registry says {stated[:160]}, but it is {manifest.digest}")
        return manifest

    def blob(self, descriptor: Descriptor) -> Generator[bytes, None, None]:
        """The content that the descriptor promises, from the registry alone: `urls` are not asked.

        Raises NotInRegistry, NetworkError, or ContentMismatch.
        """
        what = f"blob {descriptor.digest} of {self.description}"
        path = f"{self._place.path}/blobs/{descriptor.digest}"

        @contextlib.contextmanager
        def open_blob(headers: Mapping[str, str]) -> Iterator[Response]:
            with self._client.get(path, headers) as response:
                if not (headers and response.status == 206):
                    self._check(response, what)
                yield response

        chunks = resumed(open_blob, descriptor.size, self._patience)
        with contextlib.closing(chunks):
            yield from verified(chunks, descriptor.digest, descriptor.size)

    def _check(self, response: Response, what: str) -> None:
        if response.status == 200:
            return
        error = response.failure(what)
        if response.status == 404:
            raise NotInRegistry(str(error))
        if response.status in (401, 403):
            raise AccessDenied(str(error), hint=self._client.hint)
        raise error

    def _find_credentials(self) -> Credentials | None:
        if self._credentials is None:
            return None
        return self._credentials.given or self._credentials.find(self._place.name)


def _identity(reference: DockerReference) -> DockerReference:
    """With a tag or a digest, but not both: what a policy can judge."""
    reference = reference.with_default_tag()
    return reference if reference.digest is None else replace(reference, tag=None)
