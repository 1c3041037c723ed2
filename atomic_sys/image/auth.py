# SPDX-License-Identifier: LGPL-2.1-or-later
"""The way into a registry: a token or a password, sent only when it asks for one.

The token server is asked under the same TLS policy as the registry (CVE-2019-10214); a registry
that was reached by https cannot send us to a plain http one when it is verified, nor, whatever the
user allows, when we would send a secret there. Sources: RFC 7617, distribution's "Token
Authentication Specification" and "OAuth2 token endpoint".
"""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import field, replace
from urllib.parse import urlencode, urlsplit

from atomic_sys.frozen import frozen
from atomic_sys.image.auth_file import Credentials, IdentityToken, Password, encoded
from atomic_sys.image.challenge import Challenge, missing_scope, parse_challenges
from atomic_sys.image.http import Http, Request
from atomic_sys.image.http_response import NetworkError
from atomic_sys.image.tls import Tls
from atomic_sys.model import strict_json
from atomic_sys.model.strict_json import as_object

TOKEN_LIMIT = 1 << 20  # bytes of the token server's answer
SHORTEST_LIFE = 60.0  # seconds of a token, by the specification
_LONGEST_LIFE = 86400.0  # seconds; a token that lives longer is renewed when it is refused
_CLIENT_ID = "atomic-sys"
_TOKEN = re.compile(r"[\x21-\x7e]+")


class AccessDenied(NetworkError):
    """The registry wants somebody else."""


@frozen
class Server:
    """A registry's `SCHEME://HOST[:PORT]`, once it is known how it can be reached."""

    url: str
    tls: Tls

    @property
    def host(self) -> str:
        """`HOST[:PORT]`."""
        return urlsplit(self.url).netloc


@frozen
class _Token:
    value: str = field(repr=False)
    expires: float


class Access:
    """What lets us into one registry, for some scopes; safe for threads.

    `credentials` is asked once, when the registry wants some; `clock` is in seconds.
    """

    def __init__(
        self,
        http: Http,
        credentials: Callable[[], Credentials | None],
        *,
        scope: str | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = http
        self._ask = credentials
        self._clock = clock
        self._lock = threading.Lock()
        self._asked = False
        self._credentials: Credentials | None = None
        self._scopes: tuple[str, ...] = () if scope is None else (scope,)
        self._tokens: dict[tuple[str, ...], _Token] = {}
        self._bearer: Challenge | None = None
        self._basic: str | None = None

    def authorization(self, server: Server) -> str | None:
        """The header to send, if the registry asked for one before.

        Raises NetworkError when a token has expired and there is no new one.
        """
        with self._lock:
            if self._bearer is None:
                return self._basic
            return self._token(server, self._bearer)

    def widen(self, scope: str) -> None:
        """Ask for this scope too, from the next token on."""
        with self._lock:
            if scope not in self._scopes:
                self._scopes += (scope,)

    def wants_more(self, header: str | None) -> bool:
        """Whether the refusal names a scope that was not asked for yet."""
        scope = missing_scope(parse_challenges(header or ""))
        with self._lock:
            return scope is not None and scope not in self._scopes

    def renew(self, server: Server, header: str | None, refused: str | None) -> None:
        """Take the challenge of a 401, which refused the given authorization.

        Raises AccessDenied when we have nothing that would answer it, else NetworkError.
        """
        challenges = parse_challenges(header or "")
        with self._lock:
            scope = missing_scope(challenges)
            wider = scope is not None and scope not in self._scopes
            if not wider and self._is_newer(refused):
                return  # another thread was quicker
            if scope is not None and wider:
                self._scopes += (scope,)
            bearer = next((c for c in challenges if c.scheme == "bearer"), None)
            if bearer is None:
                self._basic, self._bearer = self._password(server, challenges, refused), None
            else:
                self._tokens.pop(self._scopes, None)
                self._token(server, bearer)
                self._bearer = bearer

    def _is_newer(self, refused: str | None) -> bool:
        token = self._tokens.get(self._scopes)
        current = self._basic if token is None else f"Bearer {token.value}"
        return current is not None and current != refused

    def _known(self) -> Credentials | None:
        if not self._asked:
            self._credentials = self._ask()
            self._asked = True
        return self._credentials

    def _password(
        self, server: Server, challenges: tuple[Challenge, ...], refused: str | None
    ) -> str:
        if not any(challenge.scheme == "basic" for challenge in challenges):
            raise AccessDenied(f"{server.host} denies access and does not say how to get it")
        known = self._known()
        if not isinstance(known, Password):
            raise AccessDenied(f"{server.host} asks for a user name and password")
        header = f"Basic {encoded(known)}"
        if header == refused:
            raise AccessDenied(f"{server.host} does not accept the password of {known.user}")
        return header

    def _token(self, server: Server, challenge: Challenge) -> str:
        token = self._tokens.get(self._scopes)
        if token is None or token.expires <= self._clock():
            token = self._fetch(server, challenge)
            self._tokens[self._scopes] = token
        return f"Bearer {token.value}"

    def _fetch(self, server: Server, challenge: Challenge) -> _Token:
        known = self._known()
        realm = challenge.parameters.get("realm", "")
        secure = known is not None or server.tls is Tls.VERIFIED
        if secure and server.url.startswith("https:") and not realm.startswith("https:"):
            raise NetworkError(
                f"{server.host} sends us to a token server without https: {realm[:200]!r}"
            )
        asked = self._clock()
        request = _token_request(realm, challenge.parameters.get("service"), self._scopes, known)
        # Whoever runs a registry with certificates of their own has such a token server as well.
        request = replace(request, tls=server.tls, trust_as=server.host)
        with self._http.send(request) as response:
            if response.status in (400, 401, 403) and known is not None:
                who = known.user if isinstance(known, Password) else "the identity token"
                raise AccessDenied(f"{server.host} does not accept the credentials of {who}")
            if response.status in (401, 403):
                what = " ".join(self._scopes) or "access"
                raise AccessDenied(f"{server.host} does not give {what} to everybody")
            if response.status != 200:
                raise response.failure(f"the token server of {server.host}")
            document = response.read(TOKEN_LIMIT, f"the token of {server.host}")
        return _parse_token(document, server.host, asked)


def _token_request(
    realm: str, service: str | None, scopes: tuple[str, ...], known: Credentials | None
) -> Request:
    """Ask for a token: by GET with a password or without, by POST with a refresh token."""
    if isinstance(known, IdentityToken):
        form = {
            "grant_type": "refresh_token",
            "service": service or "",
            "client_id": _CLIENT_ID,
            "scope": " ".join(scopes),
            "refresh_token": known.token,
        }
        return Request(url=realm, form=form)
    query = [("account", known.user)] if known is not None else []
    query += [("service", service)] if service else []
    query += [("scope", scope) for scope in scopes]
    separator = "&" if "?" in realm else "?"
    return Request(
        url=f"{realm}{separator}{urlencode(query)}",
        headers={} if known is None else {"Authorization": f"Basic {encoded(known)}"},
    )


def _parse_token(document: bytes, host: str, asked: float) -> _Token:
    """The token; it lives from the moment when we asked, since the server's clock is its own."""
    body = as_object(strict_json.loads(document, f"the token of {host}"), f"the token of {host}")
    value = body.get("token") or body.get("access_token")
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise NetworkError(f"the token server of {host} gave no usable token")
    life = body.get("expires_in")
    if not isinstance(life, int | float):
        life = SHORTEST_LIFE
    return _Token(value=value, expires=asked + min(max(life, SHORTEST_LIFE), _LONGEST_LIFE))
