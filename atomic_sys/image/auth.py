# SPDX-License-Identifier: LGPL-2.1-or-later
"""Anonymous access to registries that want a token even for public images.

The token server is asked under the same TLS policy as the registry (CVE-2019-10214), and a registry
that was reached by https cannot send us to a plain http one. Credentials are not supported yet.
Sources: RFC 9110 section 11, distribution's "Token Authentication Specification".
"""

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from atomic_sys.image.http import Http, Request, Tls
from atomic_sys.image.http_response import NetworkError
from atomic_sys.model import strict_json
from atomic_sys.model.strict_json import as_object

TOKEN_LIMIT = 1 << 20  # bytes of the token server's answer
CREDENTIALS_HINT = (
    "registries that ask for a password are not supported yet: skopeo copy it to oci:"
)
_HEADER_LIMIT = 8192  # characters of a WWW-Authenticate header that are looked at
_PARAMETER = re.compile(r'\s*,?\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_SCHEME = re.compile(r"\s*,?\s*([A-Za-z][A-Za-z0-9_-]*)(?:\s+|\s*$|(?=,))")
_TOKEN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One way in that the server offers; scheme and parameter names are in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """The challenges of a WWW-Authenticate header, up to the first thing that is none."""
    text = header[:_HEADER_LIMIT]
    found: list[Challenge] = []
    at = 0
    while scheme := _SCHEME.match(text, at):
        at = scheme.end()
        parameters: dict[str, str] = {}
        while parameter := _PARAMETER.match(text, at):
            name, quoted, plain = parameter.groups()
            value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            parameters.setdefault(name.lower(), value)
            at = parameter.end()
        found.append(Challenge(scheme=scheme[1].lower(), parameters=parameters))
    return tuple(found)


class AnonymousTokens:
    """The token of one repository, fetched when the registry asks for one; safe for threads."""

    def __init__(self, http: Http, *, scope: str, tls: Tls) -> None:
        self._http = http
        self._scope = scope
        self._tls = tls
        self._lock = threading.Lock()
        self._token: str | None = None

    @property
    def token(self) -> str | None:
        """The token to send, if the registry asked for one before."""
        return self._token

    def renew(self, registry: str, header: str | None, refused: str | None) -> str:
        """A token in answer to a 401 of the registry at this URL, which refused the given one.

        Raises NetworkError when the registry asks for something that we do not have.
        """
        with self._lock:
            if self._token is not None and self._token != refused:
                return self._token  # another thread was quicker
            self._token = self._fetch(registry, _bearer(registry, parse_challenges(header or "")))
            return self._token

    def _fetch(self, registry: str, challenge: Challenge) -> str:
        realm = challenge.parameters.get("realm", "")
        host = urlsplit(registry).netloc
        secure = registry.startswith("https:") and self._tls is Tls.VERIFIED
        if secure and not realm.startswith("https:"):
            raise NetworkError(f"{host} sends us to a token server without https: {realm[:200]!r}")
        query = {"service": challenge.parameters.get("service", ""), "scope": self._scope}
        parameters = urlencode({key: value for key, value in query.items() if value})
        url = f"{realm}{'&' if '?' in realm else '?'}{parameters}"
        with self._http.get(Request(url=url, tls=self._tls)) as response:
            if response.status in (401, 403):
                raise NetworkError(
                    f"{host} does not give {self._scope} to everybody", hint=CREDENTIALS_HINT
                )
            if response.status != 200:
                raise response.failure(f"the token server of {host}")
            document = response.read(TOKEN_LIMIT, f"the token of {host}")
        return _token(document, host)


def _bearer(registry: str, challenges: tuple[Challenge, ...]) -> Challenge:
    for challenge in challenges:
        if challenge.scheme == "bearer":
            return challenge
    host = urlsplit(registry).netloc
    if any(challenge.scheme == "basic" for challenge in challenges):
        raise NetworkError(f"{host} asks for a user name and password", hint=CREDENTIALS_HINT)
    raise NetworkError(f"{host} denies access and does not say how to get it")


def _token(document: bytes, host: str) -> str:
    body = as_object(strict_json.loads(document, f"the token of {host}"), f"the token of {host}")
    token = body.get("token") or body.get("access_token")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise NetworkError(f"the token server of {host} gave no usable token")
    return token
