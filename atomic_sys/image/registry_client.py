# SPDX-License-Identifier: LGPL-2.1-or-later
"""One registry: how it is reached, and requests below `/v2/` with what it takes to be let in.

HTTPS with verification, unless it may be insecure: then HTTPS without verification and, where
nobody answers that, plain HTTP. Source: distribution-spec, "Endpoints".
"""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import SplitResult, urlsplit

from atomic_sys.image.auth import Access, AccessDenied, Server
from atomic_sys.image.http import Http, Request, Stream
from atomic_sys.image.http_response import NetworkError, Response, Temporary
from atomic_sys.image.tls import Tls
from atomic_sys.image.warnings import parse_warnings
from atomic_sys.log import debug, warn
from atomic_sys.model.reference import DEFAULT_DOMAIN

_DOCKER_HUB = "registry-1.docker.io"
_MOST_WARNINGS = 20


class RegistryClient:
    """A registry and our way into it; safe for threads."""

    def __init__(self, http: Http, access: Access, *, domain: str, tls: Tls) -> None:
        self.domain = domain
        self._http = http
        self._access = access
        self._tls = tls
        self._lock = threading.Lock()
        self._server: Server | None = None
        self._shown: set[str] = set()

    @property
    def hint(self) -> str:
        """What helps against a refusal."""
        return f"atomic login {self.domain}"

    def address(self, path: str, *, api: str = "v2") -> str:
        """The URL of `/v2/PATH`. Raises ConnectionFailed when the registry cannot be reached.

        `api` is `extensions/v2` for what some registries have beside that.
        """
        return f"{self._reached().url}/{api}/{path}"

    def get(
        self, path: str, headers: Mapping[str, str] | None = None, *, api: str = "v2"
    ) -> contextlib.AbstractContextManager[Response]:
        """The answer to `/v2/PATH`, as send() gives it; `api` as in address()."""
        return self.send(Request(url=self.address(path, api=api), headers=headers or {}))

    @contextlib.contextmanager
    def send(self, request: Request) -> Iterator[Response]:
        """The answer, whatever its status, after one renewal of our authorization.

        A second one follows only when the registry names a scope that it misses. A stream is not
        sent again: the renewal is followed by Temporary. Another server than the registry, which
        uploads may go to, gets no authorization, and an https registry cannot send us to plain
        http. Raises NetworkError; AccessDenied when the registry wants what we do not have.
        """
        server = self._reached()
        own = _is_at(request.url, server)
        renewed = False
        while True:
            authorization = self._authorization(server) if own else None
            with self._http.send(_authorized(request, server, authorization)) as response:
                self._show_warnings(response.header("Warning"))
                challenge = response.header("WWW-Authenticate")
                refused = own and response.status in (401, 403)
                more = refused and self._access.wants_more(challenge)
                if not more and (not refused or response.status != 401 or renewed):
                    yield response
                    return
            renewed = True
            self._renew(server, challenge, authorization)
            if isinstance(request.body, Stream):
                raise Temporary(f"{self.domain} wanted to know again who we are")

    def check_access(self) -> None:
        """Whether the registry lets us in. Raises AccessDenied, else NetworkError."""
        with self.get("") as response:
            if response.status in (401, 403):
                raise AccessDenied(str(response.failure(self.domain)))
            if response.status != 200:
                raise response.failure(f"{self.domain} is no registry")

    def _show_warnings(self, header: str | None) -> None:
        """Each once, and not more of them than a person reads."""
        for text in parse_warnings(header or ""):
            with self._lock:
                new = text not in self._shown and len(self._shown) < _MOST_WARNINGS
                if new:
                    self._shown.add(text)
            if new:
                warn(f"{self.domain} says: {text}")

    def _authorization(self, server: Server) -> str | None:
        with self._with_hint():
            return self._access.authorization(server)

    def _renew(self, server: Server, challenge: str | None, refused: str | None) -> None:
        with self._with_hint():
            self._access.renew(server, challenge, refused)

    @contextlib.contextmanager
    def _with_hint(self) -> Iterator[None]:
        try:
            yield
        except AccessDenied as error:
            error.hint = error.hint or self.hint
            raise

    def _reached(self) -> Server:
        """The address; a registry that may be insecure is tried once."""
        with self._lock:
            if self._server is None:
                host = _DOCKER_HUB if self.domain == DEFAULT_DOMAIN else self.domain
                match self._tls:
                    case Tls.VERIFIED:
                        self._server = Server(url=f"https://{host}", tls=Tls.VERIFIED)
                    case Tls.UNVERIFIED:
                        self._server = self._try(host)
            return self._server

    def _try(self, host: str) -> Server:
        failures: list[str] = []
        for scheme in ("https", "http"):
            server = Server(url=f"{scheme}://{host}", tls=Tls.UNVERIFIED)
            try:
                with self._http.send(Request(url=f"{server.url}/v2/", tls=server.tls)) as response:
                    if response.status in (200, 401):
                        return server
                    raise response.failure(f"{server.url}/v2/")
            except NetworkError as error:
                debug(str(error))
                failures.append(str(error))
        raise NetworkError(f"{host} is no registry: {'; '.join(failures)}")


def _is_at(url: str, server: Server) -> bool:
    """Whether the URL is the registry's own. Raises NetworkError where it leaves https."""
    asked, own = urlsplit(url), urlsplit(server.url)
    if own.scheme == "https" and asked.scheme != "https":
        raise NetworkError(
            f"{server.host} wants an upload at {asked.scheme}://{asked.netloc}, without https",
            hint="a proxy before a registry must tell it X-Forwarded-Proto: https",
        )
    return _authority(asked) == _authority(own)


def _authority(parts: SplitResult) -> tuple[str, str | None, int]:
    """Scheme, host and port, the default one spelled out."""
    try:
        port = parts.port
    except ValueError:
        raise NetworkError(f"invalid port in {parts.netloc[:300]!r}") from None
    return parts.scheme, parts.hostname, port or {"https": 443}.get(parts.scheme, 80)


def _authorized(request: Request, server: Server, authorization: str | None) -> Request:
    ours = {} if authorization is None else {"Authorization": authorization}
    return replace(request, headers=dict(request.headers) | ours, tls=server.tls)
