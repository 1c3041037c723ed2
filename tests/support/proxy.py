# SPDX-License-Identifier: LGPL-2.1-or-later
"""A proxy on a loopback port: CONNECT, and requests with a whole URL. Source: RFC 9110, 9112."""

import contextlib
import http.client
import selectors
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit

_CHUNK = 1 << 16


@dataclass(slots=True)
class Proxy:
    """Passes on what it is asked for, and notes it; `refuses` makes it answer 403 to all."""

    refuses: bool = False
    requests: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)
    _server: ThreadingHTTPServer = field(init=False)
    _thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def host(self) -> str:
        """`HOST:PORT`."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def targets(self) -> list[tuple[str, str]]:
        """Method and target of each request."""
        return [(method, target) for method, target, _ in self.requests]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_CONNECT(self) -> None:
            if self._is_refused():
                return
            host, _, port = self.path.rpartition(":")
            with socket.create_connection((host, int(port)), timeout=10) as far:
                self.send_response(200)
                self.end_headers()
                _relay(self.connection, far)
            self.close_connection = True

        def do_GET(self) -> None:
            if self._is_refused():
                return
            url = urlsplit(self.path)
            far = http.client.HTTPConnection(url.netloc, timeout=10)
            path = f"{url.path}?{url.query}" if url.query else url.path
            far.request("GET", path, headers=dict(self.headers.items()))
            answer = far.getresponse()
            body = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            far.close()

        def _is_refused(self) -> bool:
            proxy.requests.append((self.command, self.path, dict(self.headers.items())))
            if proxy.refuses:
                self.send_error(403)
            return proxy.refuses

        def log_message(self, *_: object) -> None:
            """Keep the tests' output clean."""

    return Handler


def _relay(near: socket.socket, far: socket.socket) -> None:
    """Pass bytes both ways until one side has no more."""
    with selectors.DefaultSelector() as selector, contextlib.suppress(OSError):
        selector.register(near, selectors.EVENT_READ, far)
        selector.register(far, selectors.EVENT_READ, near)
        while ready := selector.select(10):
            for key, _ in ready:
                assert isinstance(key.fileobj, socket.socket)
                data = key.fileobj.recv(_CHUNK)
                if not data:
                    return
                key.data.sendall(data)
