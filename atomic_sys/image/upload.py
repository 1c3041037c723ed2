# SPDX-License-Identifier: LGPL-2.1-or-later
"""One blob on its way into a registry: begun, streamed, taken up again, committed or cancelled.

It begins without a body, so that it is settled who we are before a byte is sent. Then it is one
stream; an upload that broke off goes on in chunks from where the registry says it came to. Each
address is the last one that the registry gave, with its query. Source: distribution-spec, "Push".
"""

import contextlib
import re
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlencode, urlsplit, urlunsplit

from atomic_sys.image.http import Method, Request, Stream
from atomic_sys.image.http_response import NetworkError, Response, Temporary
from atomic_sys.image.registry_client import RegistryClient
from atomic_sys.image.retry import Patience
from atomic_sys.log import debug
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import Descriptor

CHUNK = 8 << 20  # bytes, kept in memory until the registry has them
_LARGEST_CHUNK = 64 << 20  # bytes that a registry may ask us to keep in memory
_COMMIT_PATIENCE = 600.0  # seconds: the registry may hash and move the blob before it answers
_RANGE = re.compile(r"(?:bytes=)?0-([0-9]{1,18})")
_LOST = (404, 416)
_OCTETS = "application/octet-stream"


@dataclass(slots=True, kw_only=True)
class Session:
    """An upload that has begun: where it goes on, the bytes of a chunk, whether any were sent."""

    location: str
    chunk: int = CHUNK
    used: bool = False

    def follow(self, response: Response) -> None:
        """Go on where the answer says, if it says anything. Raises NetworkError."""
        self.location = response.location() or self.location


class UploadLost(Temporary):
    """The registry does not know the upload any more, or not how far it came: begin anew."""


class Uploads:
    """Uploads into one repository of a registry; safe for threads, one for each session."""

    def __init__(self, client: RegistryClient, repository: str, patience: Patience) -> None:
        self._client = client
        self._path = f"{repository}/blobs/uploads/"
        self._patience = patience
        self.repository = repository

    def begin(self) -> Session:
        """A new upload. Raises NetworkError; AccessDenied without the right to push."""
        return self._patience.call(partial(_begin, self._client, self._path, self.repository))

    def mount(self, client: RegistryClient, digest: Digest, source: str) -> Session | None:
        """Take the blob from another repository of the registry: None when that is done.

        Else the registry began an upload instead. `client` may read the other repository.
        Raises NetworkError.
        """
        query = urlencode({"mount": str(digest), "from": source})
        request = Request(url=client.address(f"{self._path}?{query}"), method=Method.POST)
        with client.send(request) as response:
            if response.status == 201:
                return None
            return _session(response, f"mounting {digest} from {source}")

    def stream(self, session: Session, blob: Descriptor, chunks: Iterable[bytes]) -> None:
        """Send all of it and commit it. Raises NetworkError; Temporary where it can go on."""
        session.used = True
        self._patch(session, Stream(chunks=chunks, size=blob.size), {}, f"blob {blob.digest}")
        self._commit(session, blob.digest)

    def go_on(
        self, session: Session, blob: Descriptor, chunks: Iterable[bytes], offset: int
    ) -> None:
        """Send what is missing after `offset` bytes, and commit it; `chunks` is all of it.

        Each chunk is sent until the registry has it. Raises NetworkError; UploadLost where the
        registry does not go on after all.
        """
        for piece in _pieces(_after(chunks, offset), session.chunk):
            self._send_piece(session, blob, piece, offset)
            offset += len(piece)
        self._commit(session, blob.digest)

    def received(self, session: Session) -> int:
        """How many bytes the registry has; 0 where it does not know, or the upload is gone."""
        try:
            with self._client.send(Request(url=session.location)) as response:
                if response.status not in (202, 204):
                    raise response.failure("the upload that broke off")
                session.follow(response)
                match = _RANGE.fullmatch(response.header("Range") or "")
        except NetworkError as error:
            debug(str(error))
            return 0
        last = int(match[1]) if match is not None else 0
        return last + 1 if last else 0  # `0-0` is said of one byte and of none

    def cancel(self, session: Session) -> None:
        """Let the registry forget the upload; in vain where it does not want to."""
        with contextlib.suppress(NetworkError):
            request = Request(url=session.location, method=Method.DELETE)
            with self._client.send(request) as response:
                debug(f"cancelled an upload: HTTP status {response.status}")

    def _send_piece(self, session: Session, blob: Descriptor, piece: bytes, offset: int) -> None:
        """One chunk; after an attempt that broke off, what is missing of it."""
        what = f"blob {blob.digest}"
        again = False

        def attempt() -> None:
            nonlocal again
            done = self.received(session) - offset if again else 0
            if not 0 <= done <= len(piece):
                raise UploadLost(f"{what}: the registry lost what it had of it")
            again = True
            if rest := piece[done:]:
                first = offset + done
                headers = {"Content-Range": f"{first}-{first + len(rest) - 1}"}
                self._patch(session, rest, headers, what)

        self._patience.call(attempt)

    def _patch(
        self, session: Session, body: bytes | Stream, headers: dict[str, str], what: str
    ) -> None:
        request = Request(
            url=session.location,
            method=Method.PATCH,
            headers={"Content-Type": _OCTETS} | headers,
            body=body,
        )
        with self._client.send(request) as response:
            _check(response, what)
            session.follow(response)

    def _commit(self, session: Session, digest: Digest) -> None:
        request = Request(
            url=_with_query(session.location, {"digest": str(digest)}),
            method=Method.PUT,
            headers={"Content-Type": _OCTETS},
            patience=_COMMIT_PATIENCE,
        )
        with self._client.send(request) as response:
            _check(response, f"blob {digest}")
            check_digest(response, digest, "blob")


def _check(response: Response, what: str) -> None:
    if response.status in _LOST:
        raise UploadLost(str(response.failure(what)))
    if not 200 <= response.status < 300:
        raise response.failure(what)


def check_digest(response: Response, digest: Digest, what: str) -> None:
    """Whether the registry stored what it was sent, if it says. Raises NetworkError."""
    stated = response.header("Docker-Content-Digest")
    if stated and stated.startswith(f"{digest.algorithm}:") and stated != str(digest):
        raise NetworkError(f"{what} {digest}: the registry says that it stored {stated[:160]!r}")


def _begin(client: RegistryClient, path: str, repository: str) -> Session:
    request = Request(url=client.address(path), method=Method.POST)
    with client.send(request) as response:
        return _session(response, f"uploading to {repository}", hint=client.hint)


def _session(response: Response, what: str, hint: str | None = None) -> Session:
    if response.status != 202:
        error = response.failure(what)
        error.hint = hint if response.status in (401, 403) else None
        raise error
    location = response.location()
    if location is None:
        raise NetworkError(f"{what}: the registry does not say where to")
    least = response.header("OCI-Chunk-Min-Length") or ""
    wanted = int(least[:18]) if least.isascii() and least.isdecimal() else 0
    if wanted > _LARGEST_CHUNK:
        raise NetworkError(f"{what}: the registry wants chunks of {wanted} bytes")
    return Session(location=location, chunk=max(CHUNK, wanted))


def _with_query(url: str, more: dict[str, str]) -> str:
    """The URL with these parameters behind those that it has."""
    parts = urlsplit(url)
    query = "&".join(filter(None, (parts.query, urlencode(more))))
    return urlunsplit(parts._replace(query=query))


def _after(chunks: Iterable[bytes], offset: int) -> Iterator[bytes]:
    """The chunks without the first `offset` bytes, which are read all the same: they are hashed."""
    for chunk in chunks:
        if offset < len(chunk):
            yield chunk[offset:]
        offset = max(0, offset - len(chunk))


def _pieces(chunks: Iterator[bytes], size: int) -> Generator[bytes, None, None]:
    """The same bytes in pieces of this size, the last one smaller."""
    piece = bytearray()
    for chunk in chunks:
        piece += chunk
        while len(piece) >= size:
            yield bytes(piece[:size])
            del piece[:size]
    if piece:
        yield bytes(piece)
