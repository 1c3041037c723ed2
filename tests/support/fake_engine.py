# SPDX-License-Identifier: LGPL-2.1-or-later
"""A Docker engine on a Unix socket: it saves what it is given, and keeps what it loads."""

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import unquote


class Engine:
    """What it has by name, what was loaded, and how it answers a load."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.images: dict[str, bytes] = {}
        self.loaded: list[bytes] = []
        self.answer = b'{"stream":"Loaded image: x\\n"}\n'
        self.status = 200
        self.cut = 0  # bytes missing at the end of what it saves
        self.asked: list[str] = []


@contextlib.contextmanager
def running(path: Path) -> Iterator[Engine]:
    engine = Engine(path)

    class Handler(BaseHTTPRequestHandler):
        def address_string(self) -> str:
            return "socket"

        def log_request(self, *_: object) -> None:
            engine.asked.append(f"{self.command} {self.path}")

        def do_GET(self) -> None:
            name = unquote(self.path.removeprefix("/images/").removesuffix("/get"))
            content = engine.images.get(name)
            if content is None:
                self._answer(404, b'{"message":"No such image"}')
            else:
                self._answer(engine.status, content)

        def do_POST(self) -> None:
            engine.loaded.append(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(engine.status, engine.answer)

        def _answer(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) - engine.cut])

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

        def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
            request, _ = super().get_request()
            return request, ("socket", 0)

    with Server(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield engine
        finally:
            server.shutdown()
            thread.join()
