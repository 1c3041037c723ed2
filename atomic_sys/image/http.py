# SPDX-License-Identifier: LGPL-2.1-or-later
"""The one door to the network: every body has a limit, and nothing is decoded on the way.

A session serves one request at a time and one TLS policy: it is not made for sharing, and an old
requests would keep an unverified connection for a request that must be verified (CVE-2024-35195).
Redirects are followed by hand, so that credentials stay with the host they were meant for and no
redirect leads from https to http. The environment's proxies are used; its netrc is not.
"""

import contextlib
import os
import re
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field, replace
from enum import Enum
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from atomic_sys import __version__
from atomic_sys.frozen import frozen
from atomic_sys.image.certificates import Certificates
from atomic_sys.image.http_response import NetworkError, Response, Temporary, one_line
from atomic_sys.image.tls import Tls, new_session

if TYPE_CHECKING:  # only for its types: the import takes 80 ms
    import requests

CONNECT_TIMEOUT = 15.0  # seconds
READ_TIMEOUT = 60.0  # seconds without a byte, in either direction
MAX_REDIRECTS = 5
USER_AGENT = f"atomic-sys/{__version__}"
_OBJECT = re.compile(r"^<[^<>]* object at 0x[0-9a-f]+>: ")
_REDIRECTS = (301, 302, 303, 307, 308)
_KEEP_METHOD = (307, 308)


class ConnectionFailed(NetworkError):
    """Nobody answered, or nobody who could prove to be the one that was asked."""


class Unreachable(ConnectionFailed, Temporary):
    """Nobody answered, but somebody may yet."""


class Method(Enum):
    """What is done with a URL."""

    GET = "GET"
    HEAD = "HEAD"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"


@frozen
class Stream:
    """A body of `size` bytes that comes in chunks and can be sent once."""

    chunks: Iterable[bytes] = field(repr=False)
    size: int


@frozen
class Request:
    """What to do; a form is POSTed, and nothing is redirected with it.

    `headers` may hold an Authorization, which stays with the host of `url`. `trust_as` is a
    `HOST[:PORT]` whose certificate authorities count here too. `patience` is how many seconds may
    pass without a byte; None: READ_TIMEOUT.
    """

    url: str
    method: Method = Method.GET
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls: Tls = Tls.VERIFIED
    form: Mapping[str, str] | None = field(default=None, repr=False)
    body: bytes | Stream | None = field(default=None, repr=False)
    patience: float | None = None
    trust_as: str | None = None


class Http:
    """Requests, from any number of threads. Close it when the last one is done."""

    def __init__(self, certificates: Callable[[str], Certificates] | None = None) -> None:
        """`certificates` gives those for a `HOST[:PORT]`, which no other host gets to see."""
        self._certificates = certificates or (lambda _: Certificates())
        self._lock = threading.Lock()
        self._idle: dict[tuple[int, Tls, Certificates], list[requests.Session]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection that is kept alive."""
        with self._lock:
            sessions = [session for idle in self._idle.values() for session in idle]
            self._idle = {}
        for session in sessions:
            session.close()

    @contextlib.contextmanager
    def send(self, request: Request) -> Iterator[Response]:
        """The answer, whatever its status, after the redirects; the connection ends with the block.

        Raises NetworkError; ConnectionFailed when there is no answer at all; and what the chunks of
        a stream raise. A stream is sent once: a redirect in the answer to it is an error.
        """
        for _ in range(MAX_REDIRECTS + 1):
            with self._session(request) as session:
                response = _send(session, request)
                try:
                    if response.status not in _REDIRECTS:
                        yield response
                        return
                    request = _redirected(request, response)
                finally:
                    response.close()
        raise NetworkError(f"{_shown(request.url)}: more than {MAX_REDIRECTS} redirects")

    def get_document(self, url: str, limit: int) -> bytes | None:
        """The body at `url`, of at most `limit` bytes, or None when there is none (404).

        Raises NetworkError for any other status than 200 and 404, TooLarge above the limit.
        """
        with self.send(Request(url=url)) as response:
            if response.status == 404:
                return None
            if response.status != 200:
                raise response.failure(_shown(url))
            return response.read(limit, _shown(url))

    @contextlib.contextmanager
    def _session(self, request: Request) -> Iterator["requests.Session"]:
        """A session for one request; its connections stay for the next one, of any thread."""
        server = _checked(request.url)
        secure = server.startswith("https:")
        host = server.partition("://")[2]
        certificates = self._certificates(host) if secure else Certificates()
        if secure and request.trust_as is not None:
            more = self._certificates(request.trust_as).authorities
            both = dict.fromkeys((*certificates.authorities, *more))
            certificates = replace(certificates, authorities=tuple(both))
        # A forked process has its parent's connections too, but must not talk on them.
        key = (os.getpid(), request.tls, certificates)
        with self._lock:
            idle = self._idle.setdefault(key, [])
            session = idle.pop() if idle else None
        if session is None:
            session = new_session(request.tls, certificates)
        try:
            yield session
        finally:
            with self._lock:
                self._idle.setdefault(key, []).append(session)


def _send(session: "requests.Session", request: Request) -> Response:
    # Here because it takes 80 ms and only verbs that pull need it.
    import requests
    import urllib3

    server = _checked(request.url)
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"} | dict(request.headers)
    sending = _Sending(request.body) if isinstance(request.body, Stream) else None
    body = sending if isinstance(request.body, Stream) else request.body
    try:
        answer = session.request(
            request.method.value if request.form is None else "POST",
            request.url,
            headers=headers,
            data=request.form or body,
            stream=True,
            allow_redirects=False,
            timeout=(
                CONNECT_TIMEOUT,
                READ_TIMEOUT if request.patience is None else request.patience,
            ),
            proxies=requests.utils.get_environ_proxies(request.url),
        )
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        if sending is not None and sending.failure is not None:
            raise sending.failure from None  # the network is not to blame
        kind = Unreachable if _may_pass(error) else ConnectionFailed
        raise kind(f"cannot reach {server}: {_reason(error)}") from error
    return Response(answer)


class _Sending:
    """A stream as requests sends one, with its Content-Length; `failure` is what its source said.

    An empty one is false, since requests would send it without a length.
    """

    def __init__(self, stream: Stream) -> None:
        self.len = stream.size
        self.failure: Exception | None = None
        self._chunks = stream.chunks

    def __bool__(self) -> bool:
        return self.len > 0

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._chunks
        except Exception as error:
            self.failure = error
            raise


def _checked(url: str) -> str:
    """`SCHEME://HOST` of a URL that may be asked. Raises NetworkError for any other."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # the port is parsed when it is read
    except ValueError:
        raise NetworkError(f"invalid URL {_shown(url)!r}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise NetworkError(f"not an http or https URL: {_shown(url)!r}")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _redirected(request: Request, response: Response) -> Request:
    """The request that a redirect asks for."""
    url = response.location()
    if url is None:
        raise NetworkError(f"{_shown(request.url)}: a redirect to nowhere")
    if request.form is not None:
        raise NetworkError(f"{_shown(request.url)}: a redirect of what is meant for it alone")
    if request.method not in (Method.GET, Method.HEAD):
        if response.status not in _KEEP_METHOD:
            raise NetworkError(f"{_shown(request.url)}: a redirect that would be another request")
        if isinstance(request.body, Stream):
            raise NetworkError(f"{_shown(request.url)}: a redirect of what cannot be sent again")
    old, new = _checked(request.url), _checked(url)
    if old.startswith("https:") and not new.startswith("https:"):
        raise NetworkError(f"{old} redirects to {new}: refusing to leave https")
    headers = dict(request.headers)
    if old != new:
        headers = {k: v for k, v in headers.items() if k.lower() != "authorization"}
    return replace(request, url=url, headers=headers)


def _shown(url: str) -> str:
    """The URL without its query, which may hold a signed permission, nor its user."""
    head, _, _ = url.partition("?")
    scheme, separator, rest = head.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"[:300]


def _may_pass(error: Exception) -> bool:
    """Whether another try has a chance: not with a bad certificate or a name that nobody has."""
    # Here for the reason given in _send().
    import requests

    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, socket.gaierror) and inner.errno != socket.EAI_AGAIN:
            return False
        inner = inner.__cause__ or inner.__context__
    temporary = isinstance(error, requests.ConnectionError | requests.Timeout)
    return temporary and not isinstance(error, requests.exceptions.SSLError)


def _reason(error: Exception) -> str:
    """What lies at the bottom of an error that has been wrapped several times."""
    deepest: BaseException = error
    for _ in range(8):
        inner = getattr(deepest, "reason", None) or (deepest.args[0] if deepest.args else None)
        if not isinstance(inner, BaseException):
            break
        deepest = inner
    # Older versions of urllib3 put the connection object before the words.
    return one_line(_OBJECT.sub("", str(deepest)) or type(deepest).__name__)
