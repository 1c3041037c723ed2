# SPDX-License-Identifier: LGPL-2.1-or-later
"""A token server as the real docker-registry wants one: HTTPS, JSON web tokens, signed by openssl.

Source: distribution's "Token Authentication Specification" and "OAuth2 token endpoint".
"""

import base64
import json
import ssl
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, urlsplit

SERVICE = "test registry"
ISSUER = "test issuer"
USER, PASSWORD = "tester", "secret"
REFRESH_TOKEN = "refresh-me"  # noqa: S105 - likewise
PUBLIC = "public/"  # what everybody may pull


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request for a token: by whom, how, and for what."""

    method: str
    user: str | None
    scopes: tuple[str, ...]


@dataclass(slots=True)
class TokenServer:
    """Gives tokens that live `life` seconds, signed with the key in `directory`."""

    directory: Path
    certificate: Path  # certificate and key of the server, in one file
    life: int = 300
    asked: list[Asked] = field(default_factory=list)
    given: list[str] = field(default_factory=list)  # tokens
    _server: ThreadingHTTPServer = field(init=False)
    _thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
             "-subj", "/CN=tokens", "-keyout", self.key, "-out", self.bundle],
            check=True, capture_output=True,
        )  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def key(self) -> Path:
        """What signs the tokens."""
        return self.directory / "tokens.key"

    @property
    def bundle(self) -> Path:
        """The certificate that the registry believes."""
        return self.directory / "tokens.crt"

    @property
    def realm(self) -> str:
        """Where to ask."""
        return f"https://127.0.0.1:{self._server.server_address[1]}/token"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def token(self, user: str | None, scopes: Sequence[str]) -> str:
        """A token for what this user may do of what was asked for."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": user or "",
            "aud": SERVICE,
            "exp": now + self.life,
            "nbf": now - 10,
            "iat": now,
            "jti": f"{now}-{len(self.asked)}",
            "access": [granted for scope in scopes if (granted := _granted(user, scope))],
        }
        der = ssl.PEM_cert_to_DER_cert(self.bundle.read_text())
        header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
        signature = subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", self.key],
            input=signed.encode(), capture_output=True, check=True,
        ).stdout  # fmt: skip
        return f"{signed}.{_encoded(signature)}"


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _granted(user: str | None, scope: str) -> dict[str, object] | None:
    kind, _, rest = scope.partition(":")
    name, _, actions = rest.rpartition(":")
    wanted = actions.split(",")
    if user is None:
        wanted = [action for action in wanted if action == "pull" and name.startswith(PUBLIC)]
    return {"type": kind, "name": name, "actions": wanted} if wanted else None


def _handler(tokens: TokenServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            kind, _, encoded = self.headers.get("Authorization", "").partition(" ")
            user = None
            if kind == "Basic":
                user, _, password = base64.b64decode(encoded).decode().partition(":")
                if (user, password) != (USER, PASSWORD):
                    self._answer(401, {"errors": [{"code": "UNAUTHORIZED", "message": "no"}]})
                    return
            self._give("GET", user, query.get("scope", []), "token")

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            if form.get("refresh_token") != [REFRESH_TOKEN] or form.get("service") != [SERVICE]:
                self._answer(401, {"error": "invalid_grant"})
                return
            scopes = [part for scope in form.get("scope", []) for part in scope.split()]
            self._give("POST", USER, scopes, "access_token")

        def _give(self, method: str, user: str | None, scopes: list[str], key: str) -> None:
            tokens.asked.append(Asked(method=method, user=user, scopes=tuple(scopes)))
            tokens.given.append(tokens.token(user, scopes))
            self._answer(200, {key: tokens.given[-1], "expires_in": tokens.life})

        def _answer(self, status: int, body: dict[str, object]) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Keep the tests' output clean."""

    return Handler
