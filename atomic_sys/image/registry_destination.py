# SPDX-License-Identifier: LGPL-2.1-or-later
"""An image on its way into a registry. Source: distribution-spec, "Push".

A blob that the repository has is not sent; one that another repository of the registry is known to
have is mounted from there. The tag comes last, and each manifest has exactly its own Content-Type.
"""

import copy
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Self

from atomic_sys.image.auth import Access, AccessDenied
from atomic_sys.image.auth_file import Credentials
from atomic_sys.image.credentials import CredentialLookup
from atomic_sys.image.foreign import foreign_urls
from atomic_sys.image.http import Http, Method, Request
from atomic_sys.image.http_response import NetworkError, Temporary
from atomic_sys.image.origin import RawManifest
from atomic_sys.image.registries_conf import Registries
from atomic_sys.image.registry import RegistryOrigin
from atomic_sys.image.registry_client import RegistryClient
from atomic_sys.image.retry import Patience
from atomic_sys.image.signature_extension import SignatureExtension
from atomic_sys.image.tls import Tls
from atomic_sys.image.upload import Session, UploadLost, Uploads, check_digest
from atomic_sys.log import debug
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import Descriptor
from atomic_sys.model.reference import ImageName
from atomic_sys.model.source import RegistrySource

# Writes the signatures of a manifest, or gives what is to be done when the registry has that.
PutSignatures = Callable[[Digest, tuple[bytes, ...]], Callable[[], None] | None]


class RegistryWriter:
    """What it takes to write to one repository: the way there, and the way in.

    `reference` has a tag or a digest; a name without a host is docker.io's, as with skopeo.
    registries.conf says whether its registry is blocked or insecure; it moves nothing that is
    written, and completes no name.
    """

    def __init__(
        self,
        http: Http,
        target: RegistrySource,
        registries: Registries,
        credentials: CredentialLookup | None = None,
    ) -> None:
        """Raises InvalidRegistries for a blocked registry."""
        self.reference = target.reference
        place = registries.locate(self.reference)
        insecure = place.insecure or target.plain_http
        self._tls = Tls.UNVERIFIED if insecure else Tls.VERIFIED
        self._http = http
        self._credentials = credentials

    def tagged(self, tag: str) -> Self:
        """The same for another tag of the repository."""
        other = copy.copy(self)
        other.reference = replace(self.reference, tag=tag, digest=None)
        return other

    def reader(self) -> RegistryOrigin:
        """What the repository has, read where it is written: not from a mirror."""
        source = RegistrySource(
            name=ImageName.parse(str(self.reference)), plain_http=self._tls is Tls.UNVERIFIED
        )
        return RegistryOrigin(self._http, source, Registries(), self._credentials)

    def signatures(self) -> SignatureExtension:
        """Where the registry itself keeps signatures, if it does."""
        return SignatureExtension(self.client(), self.reference.path, Patience())

    def client(self, mount_from: str | None = None) -> RegistryClient:
        """A client that may push, and read the other repository of the registry."""
        access = Access(self._http, self._find, scope=f"repository:{self.reference.path}:pull,push")
        if mount_from is not None:
            access.widen(f"repository:{mount_from}:pull")
        return RegistryClient(self._http, access, domain=self.reference.domain, tls=self._tls)

    def _find(self) -> Credentials | None:
        if self._credentials is None:
            return None
        return self._credentials.given or self._credentials.find(self.reference.name)


class RegistryDestination:
    """One image, or one index with its instances; use it as a context manager.

    `known` names other repositories of this registry that may have a blob.
    """

    def __init__(
        self,
        writer: RegistryWriter,
        put_signatures: PutSignatures,
        known: Callable[[Digest], Iterable[str]] = lambda _: (),
        patience: Patience | None = None,
    ) -> None:
        self._writer = writer
        self._client = writer.client()
        self._patience = patience or Patience()
        self._uploads = Uploads(self._client, writer.reference.path, self._patience)
        self._known = known
        self._mounting: dict[str, RegistryClient] = {}
        self._lock = threading.Lock()
        self._sessions: dict[Digest, Session] = {}  # begun, and waiting for their blob
        self._write_signatures = put_signatures
        self._unwritten: list[Callable[[], None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            waiting, self._sessions = list(self._sessions.values()), {}
        for session in waiting:
            self._uploads.cancel(session)

    @property
    def description(self) -> str:
        """The reference."""
        return f"docker://{self._writer.reference}"

    def has_blob(self, blob: Descriptor) -> bool:
        """Whether the repository has it, or has it now from another; a foreign layer stays away.

        Raises NetworkError.
        """
        if foreign_urls(blob):
            return True
        if self._patience.call(partial(self._is_there, blob.digest)):
            return True
        own = self._writer.reference.path
        return any(
            self._mount(blob.digest, other) for other in self._known(blob.digest) if other != own
        )

    def put_blob(self, blob: Descriptor, chunks: Iterable[bytes]) -> None:
        """Upload the blob, or the rest of it where an attempt before this one broke off.

        Raises NetworkError; Temporary where another attempt, with all chunks again, can go on.
        """
        session, offset = self._begun(blob.digest)
        try:
            if offset:
                debug(f"blob {blob.digest}: going on at byte {offset} of {blob.size}")
                self._uploads.go_on(session, blob, chunks, offset)
            else:
                self._uploads.stream(session, blob, chunks)
        except UploadLost:
            self._uploads.cancel(session)
            raise
        except Temporary:
            with self._lock:
                self._sessions[blob.digest] = session
            raise
        except BaseException:
            self._uploads.cancel(session)
            raise

    def put_signatures(self, digest: Digest, signatures: tuple[bytes, ...]) -> None:
        """Write them, at the latest before the image has its name. Raises AtomicSysError."""
        if (later := self._write_signatures(digest, signatures)) is not None:
            self._unwritten.append(later)

    def put_manifest(self, manifest: RawManifest) -> None:
        """Put it under its digest. Raises NetworkError."""
        self._patience.call(partial(self._put, manifest, str(manifest.digest)))

    def finish(self, manifest: RawManifest) -> None:
        """Put it under the tag, or the digest, of the reference; before that, signatures.

        Raises NetworkError, also when the reference has the digest of something else.
        """
        reference = self._writer.reference
        if reference.digest is not None and not reference.digest.matches(manifest.raw):
            raise NetworkError(f"{reference}: the image has another digest, {manifest.digest}")
        if self._unwritten:
            self.put_manifest(manifest)
        while self._unwritten:
            self._unwritten.pop(0)()
        self._patience.call(partial(self._put, manifest, str(reference.digest or reference.tag)))

    def _begun(self, digest: Digest) -> tuple[Session, int]:
        """An upload for the blob, and the number of bytes that the registry has of it."""
        with self._lock:
            session = self._sessions.pop(digest, None)
        if session is None:
            return self._uploads.begin(), 0
        if not session.used:
            return session, 0
        if offset := self._uploads.received(session):
            return session, offset
        self._uploads.cancel(session)
        return self._uploads.begin(), 0

    def _is_there(self, digest: Digest) -> bool:
        url = self._client.address(f"{self._writer.reference.path}/blobs/{digest}")
        with self._client.send(Request(url=url, method=Method.HEAD)) as response:
            if response.status in (200, 404):
                return response.status == 200
            error = response.failure(f"blob {digest} of {self.description}")
            if response.status in (401, 403):
                raise AccessDenied(str(error), hint=self._client.hint)
            raise error

    def _mount(self, digest: Digest, source: str) -> bool:
        """Try it; that it fails is no failure, since the blob can still be sent."""
        with self._lock:
            if source not in self._mounting:
                self._mounting[source] = self._writer.client(mount_from=source)
            client = self._mounting[source]
            if digest in self._sessions:
                return False  # a registry that began an upload mounts nothing
        try:
            session = self._uploads.mount(client, digest, source)
        except NetworkError as error:
            debug(str(error))
            return False
        if session is None:
            debug(f"blob {digest}: mounted from {source}")
            return True
        with self._lock:
            self._sessions[digest] = session
        return False

    def _put(self, manifest: RawManifest, name: str) -> None:
        what = f"manifest of {self.description}"
        request = Request(
            url=self._client.address(f"{self._writer.reference.path}/manifests/{name}"),
            method=Method.PUT,
            headers={"Content-Type": manifest.content_type or ""},
            body=manifest.raw,
        )
        with self._client.send(request) as response:
            if not 200 <= response.status < 300:
                error = response.failure(what)
                if response.status in (401, 403):
                    error.hint = self._client.hint
                raise error
            check_digest(response, manifest.digest, "manifest")
