# SPDX-License-Identifier: LGPL-2.1-or-later
"""An image of a registry. Source: distribution-spec, "Pull"."""

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import chain

from atomic_sys.errors import AtomicSysError, ExitCode
from atomic_sys.image.auth import Access, AccessDenied
from atomic_sys.image.auth_file import Credentials
from atomic_sys.image.blob import resumed
from atomic_sys.image.credentials import CredentialLookup
from atomic_sys.image.foreign import foreign_urls, open_url
from atomic_sys.image.http import Http
from atomic_sys.image.http_response import NetworkError, Response
from atomic_sys.image.origin import RawManifest
from atomic_sys.image.registries_conf import Place, Registries
from atomic_sys.image.registry_client import RegistryClient
from atomic_sys.image.retry import Patience
from atomic_sys.image.signature_extension import SignatureExtension
from atomic_sys.image.tags import PAGE_LIMIT, Page, read_tags
from atomic_sys.image.tls import Tls
from atomic_sys.log import debug, warn
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import ACCEPT, MANIFEST_LIMIT, Descriptor
from atomic_sys.model.reference import DockerReference
from atomic_sys.model.source import RegistrySource
from atomic_sys.model.stream import verified

_IMPATIENT = Patience(retries=0, busy_retries=0)


class NotInRegistry(NetworkError):
    """The registry has no such manifest or blob."""

    exit_code = ExitCode.NOT_FOUND


class RegistryOrigin:
    """One image of a registry, fetched there or from a mirror; safe for threads.

    `reference` is fully qualified and has a tag or a digest: it is what the policy must judge, also
    when registries.conf sends us elsewhere. The first place that gives a manifest gives all else.
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
        primary = registries.locate(self.reference)
        self._primary = replace(primary, insecure=primary.insecure or source.plain_http)
        self._http = http
        self._credentials = credentials
        self._patience = patience or Patience()
        self._places = tuple(
            _At(http, place, partial(self._find_credentials, place), str(self.reference))
            for place in (*registries.mirrors(self.reference), self._primary)
        )
        self._chosen: _At | None = None

    @property
    def place(self) -> DockerReference:
        """Where it is fetched but for mirrors, and where it is written."""
        return self._primary.reference

    @property
    def fetched_from(self) -> DockerReference:
        """Where the manifest came from, maybe a mirror: its signatures are looked up there."""
        return (self._chosen or self._places[-1]).reference

    @property
    def description(self) -> str:
        """The reference, and where it is fetched if that is another place."""
        return (self._chosen or self._places[-1]).description

    def manifest(self, digest: Digest | None) -> RawManifest:
        """The manifest with this digest, or the one of the tag or digest in the reference.

        Raises NotInRegistry, NetworkError, TooLarge, or ContentMismatch.
        """
        if self._chosen is not None or len(self._places) == 1:
            self._chosen = self._chosen or self._places[0]
            return self._patience.call(partial(self._chosen.manifest, digest))
        failures: list[AtomicSysError] = []
        for at in self._places:
            # Another place is better than waiting for this one, as long as there is one.
            patience = self._patience if at is self._places[-1] else _IMPATIENT
            try:
                manifest = patience.call(partial(at.manifest, digest))
            except AtomicSysError as error:
                debug(str(error))
                failures.append(error)
            else:
                self._chosen = at
                return manifest
        absent = all(isinstance(error, NotInRegistry) for error in failures)
        kind = NotInRegistry if absent else NetworkError
        attempts = zip(self._places, failures, strict=True)
        told = "; ".join(f"{at.name}: {error}" for at, error in attempts)
        raise kind(told, hint=failures[-1].hint)

    def blob(self, descriptor: Descriptor) -> Generator[bytes, None, None]:
        """The content that the descriptor promises; a foreign layer by its addresses first.

        Raises NotInRegistry, NetworkError, or ContentMismatch.
        """
        for url in foreign_urls(descriptor):
            chunks = resumed(partial(open_url, self._http, url), descriptor.size, self._patience)
            with contextlib.closing(chunks):
                try:
                    first = next(chunks, b"")
                except NetworkError as error:
                    debug(f"{url}: {error}")
                    continue
                yield from verified(chain((first,), chunks), descriptor.digest, descriptor.size)
                return
        at = self._chosen or self._places[-1]
        chunks = resumed(partial(at.open_blob, descriptor.digest), descriptor.size, self._patience)
        with contextlib.closing(chunks):
            yield from verified(chunks, descriptor.digest, descriptor.size)

    def tags(self) -> tuple[str, ...]:
        """The tags of the repository, in the order of the registry itself.

        Raises NotInRegistry, NetworkError, TooLarge, or InvalidJson.
        """
        return self._patience.call(self._places[-1].tags)

    def tagged(self, tag: str) -> RawManifest | None:
        """The manifest under another tag of the same repository, where the image is fetched.

        None only where the registry says that there is none. Raises NetworkError, TooLarge.
        """
        at = self._chosen or self._places[-1]
        try:
            return self._patience.call(partial(at.manifest, None, tag))
        except NotInRegistry:
            return None

    def signatures(self, digest: Digest) -> tuple[str, bytes] | None:
        """The registry's own list of signatures of a manifest, with its address.

        None for a registry without the API extension for signatures. Raises NetworkError, TooLarge.
        """
        extension = (self._chosen or self._places[-1]).signatures(self._patience)
        if not extension.announced():
            return None
        return extension.address(digest), extension.read(digest)

    def _find_credentials(self, place: Place) -> Credentials | None:
        """Those that the user gave are for the registry, not for mirrors on other hosts."""
        if self._credentials is None:
            return None
        own = place.reference.domain == self._primary.reference.domain
        return (self._credentials.given if own else None) or self._credentials.find(
            place.reference.name
        )


class _At:
    """The image at one place."""

    def __init__(
        self, http: Http, place: Place, find: Callable[[], Credentials | None], asked: str
    ) -> None:
        self.reference = self._place = place.reference
        self.name = self._place.name
        moved = str(self._place) != asked
        self.description = f"{asked} at {self._place.name}" if moved else asked
        self._client = RegistryClient(
            http,
            Access(http, find, scope=f"repository:{self._place.path}:pull"),
            domain=self._place.domain,
            tls=Tls.UNVERIFIED if place.insecure else Tls.VERIFIED,
        )

    def manifest(self, digest: Digest | None, other_tag: str | None = None) -> RawManifest:
        expected = None if other_tag else digest or self._place.digest
        what = (
            f"manifest of {self.name}:{other_tag}"
            if other_tag
            else f"manifest of {self.description}"
        )
        name = str(expected or other_tag or self._place.tag)
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

    def signatures(self, patience: Patience) -> SignatureExtension:
        return SignatureExtension(self._client, self._place.path, patience)

    @contextlib.contextmanager
    def open_blob(self, digest: Digest, headers: Mapping[str, str]) -> Iterator[Response]:
        """The answer to a request for the blob: 200, or 206 where there are headers."""
        path = f"{self._place.path}/blobs/{digest}"
        with self._client.get(path, headers) as response:
            if not (headers and response.status == 206):
                self._check(response, f"blob {digest} of {self.description}")
            yield response

    def tags(self) -> tuple[str, ...]:
        what = f"tags of {self._place.name}"
        path = f"{self._place.path}/tags/list"

        def fetch(query: str) -> Page:
            with self._client.get(f"{path}{query}") as response:
                self._check(response, what)
                body = response.read(PAGE_LIMIT, what)
                return Page(body=body, link=response.header("Link"))

        return read_tags(fetch, self._client.address(path))

    def _check(self, response: Response, what: str) -> None:
        if response.status == 200:
            return
        error = response.failure(what)
        if response.status == 404:
            raise NotInRegistry(str(error))
        if response.status in (401, 403):
            raise AccessDenied(str(error), hint=self._client.hint)
        raise error


def _identity(reference: DockerReference) -> DockerReference:
    """With a tag or a digest, but not both: what a policy can judge."""
    reference = reference.with_default_tag()
    return reference if reference.digest is None else replace(reference, tag=None)
