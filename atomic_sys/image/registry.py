# SPDX-License-Identifier: LGPL-2.1-or-later
"""An image of a registry, fetched without credentials.

HTTPS with verification, unless registries.conf or the user says `insecure`: then HTTPS without
verification and, where nobody answers that, plain HTTP. Source: distribution-spec, "Pull".
"""

import contextlib
import threading
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace

from atomic_sys.errors import ExitCode
from atomic_sys.image.auth import CREDENTIALS_HINT, AnonymousTokens
from atomic_sys.image.http import Http, Request, Tls
from atomic_sys.image.http_response import NetworkError, Response
from atomic_sys.image.origin import RawManifest
from atomic_sys.image.registries_conf import Registries
from atomic_sys.image.tags import PAGE_LIMIT, Page, read_tags
from atomic_sys.log import debug, warn
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import ACCEPT, MANIFEST_LIMIT, Descriptor
from atomic_sys.model.reference import DEFAULT_DOMAIN, DockerReference
from atomic_sys.model.source import RegistrySource
from atomic_sys.model.stream import verified

_DOCKER_HUB = "registry-1.docker.io"


class NotInRegistry(NetworkError):
    """The registry has no such manifest or blob."""

    exit_code = ExitCode.NOT_FOUND


@dataclass(frozen=True, slots=True)
class _Base:
    """The address of the registry, once it is known how it can be reached."""

    url: str
    tls: Tls


class RegistryOrigin:
    """One image of a registry; safe for threads.

    `reference` is fully qualified and has a tag or a digest: it is what the policy must judge, also
    when registries.conf sends us elsewhere.
    """

    def __init__(self, http: Http, source: RegistrySource, registries: Registries) -> None:
        self.reference = _identity(registries.qualify(source.name))
        place = registries.locate(self.reference)
        self._http = http
        self._place = place.reference
        self._insecure = place.insecure or source.plain_http
        self._lock = threading.Lock()
        self._base: _Base | None = None
        self._tokens = AnonymousTokens(
            http,
            scope=f"repository:{self._place.path}:pull",
            tls=Tls.UNVERIFIED if self._insecure else Tls.VERIFIED,
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
        expected = digest or self._place.digest
        what = f"manifest of {self.description}"
        name = str(expected or self._place.tag)
        with self._get(f"manifests/{name}", {"Accept": ", ".join(ACCEPT)}) as response:
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
        with self._get(f"blobs/{descriptor.digest}", {}) as response:
            self._check(response, what)
            yield from verified(response.chunks(), descriptor.digest, descriptor.size)

    def tags(self) -> tuple[str, ...]:
        """The tags of the repository, in the registry's order.

        Raises NotInRegistry, NetworkError, TooLarge, or InvalidJson.
        """
        what = f"tags of {self._place.name}"

        def fetch(query: str) -> Page:
            with self._get(f"tags/list{query}", {}) as response:
                self._check(response, what)
                body = response.read(PAGE_LIMIT, what)
                return Page(body=body, link=response.header("Link"))

        return read_tags(fetch, f"{self._reached().url}/v2/{self._place.path}/tags/list")

    def _check(self, response: Response, what: str) -> None:
        if response.status == 200:
            return
        error = response.failure(what)
        if response.status == 404:
            raise NotInRegistry(str(error))
        if response.status in (401, 403):
            raise NetworkError(str(error), hint=CREDENTIALS_HINT)
        raise error

    @contextlib.contextmanager
    def _get(self, what: str, headers: Mapping[str, str]) -> Iterator[Response]:
        """Ask below the repository, with a token when the registry wants one."""
        base = self._reached()
        url = f"{base.url}/v2/{self._place.path}/{what}"
        token = self._tokens.token
        with self._http.get(_request(url, base, headers, token)) as response:
            if response.status != 401:
                yield response
                return
            challenge = response.header("WWW-Authenticate")
        token = self._tokens.renew(base.url, challenge, token)
        with self._http.get(_request(url, base, headers, token)) as response:
            yield response

    def _reached(self) -> _Base:
        """The address; a registry that may be insecure is tried once."""
        with self._lock:
            if self._base is None:
                domain = self._place.domain
                host = _DOCKER_HUB if domain == DEFAULT_DOMAIN else domain
                if self._insecure:
                    self._base = self._try(host)
                else:
                    self._base = _Base(f"https://{host}", Tls.VERIFIED)
            return self._base

    def _try(self, host: str) -> _Base:
        failures: list[str] = []
        for scheme in ("https", "http"):
            base = _Base(f"{scheme}://{host}", Tls.UNVERIFIED)
            try:
                with self._http.get(Request(url=f"{base.url}/v2/", tls=base.tls)) as response:
                    if response.status in (200, 401):
                        return base
                    raise response.failure(f"{base.url}/v2/")
            except NetworkError as error:
                debug(str(error))
                failures.append(str(error))
        raise NetworkError(f"{host} is no registry: {'; '.join(failures)}")


def _request(url: str, base: _Base, headers: Mapping[str, str], token: str | None) -> Request:
    authorization = {} if token is None else {"Authorization": f"Bearer {token}"}
    return Request(url=url, headers=dict(headers) | authorization, tls=base.tls)


def _identity(reference: DockerReference) -> DockerReference:
    """With a tag or a digest, but not both: what a policy can judge."""
    reference = reference.with_default_tag()
    return reference if reference.digest is None else replace(reference, tag=None)
