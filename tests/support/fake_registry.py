# SPDX-License-Identifier: LGPL-2.1-or-later
"""A registry that lies, stalls, breaks off or asks for tokens, as the test wants it."""

import os
import ssl
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What to answer; `length` is the Content-Length if it is not to be the body's."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    length: int | None = None
    endless: bool = False  # the body over and over, until the client has enough
    stall: float = 0  # seconds of silence after the body, unless the registry is closed


Answer: TypeAlias = Reply | Callable[[Mapping[str, str]], Reply]
NOTHING = Reply(status=404, body=b'{"errors":[{"code":"NAME_UNKNOWN","message":"no such thing"}]}')


class FakeRegistry:
    """Serves `replies` by path without query on a loopback port, and notes every request."""

    def __init__(
        self, certificate: Path | None = None, context: ssl.SSLContext | None = None
    ) -> None:
        self.replies: dict[str, Answer] = {}
        self.requests: list[tuple[str, Mapping[str, str]]] = []
        self.forms: dict[str, bytes] = {}  # what was posted, by path
        self.connections = 0
        self.keep_alive = False  # then the client must be closed before the registry
        self.hung_up = threading.Event()  # by a client, in the middle of an answer
        self.closing = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self.scheme = "https"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def host(self) -> str:
        """`HOST:PORT`."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        """`SCHEME://HOST:PORT`."""
        return f"{self.scheme}://{self.host}"

    def asked(self, path: str) -> list[Mapping[str, str]]:
        """The headers of each request for this path."""
        return [headers for asked, headers in self.requests if asked.partition("?")[0] == path]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    block_on_close = True
    daemon_threads = False
    request_queue_size = 64

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients that go away are what the tests are about."""


def _handler(registry: FakeRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def setup(self) -> None:
            super().setup()
            self.protocol_version = "HTTP/1.1" if registry.keep_alive else "HTTP/1.0"
            registry.connections += 1

        def do_POST(self) -> None:
            path = self.path.partition("?")[0]
            registry.forms[path] = self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def do_GET(self) -> None:
            headers = dict(self.headers.items())
            registry.requests.append((self.path, headers))
            answer = registry.replies.get(self.path.partition("?")[0], NOTHING)
            reply = answer if isinstance(answer, Reply) else answer(headers)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if not reply.endless:
                length = len(reply.body) if reply.length is None else reply.length
                self.send_header("Content-Length", str(length))
            self.end_headers()
            try:
                self.wfile.write(reply.body)
                while reply.endless:
                    self.wfile.write(reply.body)
                registry.closing.wait(reply.stall)
            except ConnectionError:
                registry.hung_up.set()

        def log_message(self, *_: object) -> None:
            """Keep the tests' output clean."""

    return Handler


def make_certificate(path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1 and its key, in one file."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", os.fspath(path), "-out", os.fspath(path.with_suffix(".crt"))],
        check=True, capture_output=True,
    )  # fmt: skip
    with path.open("ab") as both:
        both.write(path.with_suffix(".crt").read_bytes())
    return path
