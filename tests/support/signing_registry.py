# SPDX-License-Identifier: LGPL-2.1-or-later
"""The API extension for signatures before a real registry, as OpenShift's registry has it.

Debian's docker-registry knows nothing of it: everything else is handed on to that one.
Source: containers/image docs/signature-protocols.md.
"""

import base64
import contextlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from atomic_sys.model.manifest import ACCEPT

_PATH = re.compile(r"/extensions/v2/(?P<name>.+)/signatures/(?P<digest>sha256:[0-9a-f]{64})")
_OF_ONE_HOP = ("Content-Length", "Transfer-Encoding", "Connection")
_ANY_MANIFEST = {"Accept": ", ".join(ACCEPT)}
_KEYS = {"schemaVersion", "type", "name", "content"}


class SigningRegistry:
    """Signatures by repository and digest; `failures` has a status for the next uploads."""

    def __init__(self, behind: str) -> None:
        self.behind = behind
        self.host = ""
        self.signatures: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self.puts = 0
        self.failures: list[int] = []

    def contents(self, name: str, digest: object) -> list[bytes]:
        """The signatures themselves."""
        listed = self.signatures.get((name, str(digest)), [])
        return [base64.b64decode(one["content"], validate=True) for one in listed]

    def put(self, name: str, digest: str, body: bytes) -> int:
        """The status that an upload ends with; signatures of what is not there are none."""
        self.puts += 1
        connection = HTTPConnection(self.behind, timeout=10)
        connection.request("HEAD", f"/v2/{name}/manifests/{digest}", headers=_ANY_MANIFEST)
        there = connection.getresponse().status == 200
        connection.close()
        if not there:
            return 404
        document = json.loads(body)
        listed = self.signatures.setdefault((name, digest), [])
        good = (
            set(document) == _KEYS
            and document["schemaVersion"] == 2
            and document["type"] == "atomic"
            and re.fullmatch(re.escape(digest) + "@[0-9a-f]{32}", document["name"])
            and base64.b64decode(document["content"], validate=True)
        )
        if not good:
            return 400
        if any(one["name"] == document["name"] for one in listed):
            return 409
        listed.append(document)
        return self.failures.pop(0) if self.failures else 201


@contextlib.contextmanager
def signing_registry(behind: str) -> Iterator[SigningRegistry]:
    """Serve on a loopback port in front of the registry at `HOST:PORT`."""
    registry = SigningRegistry(behind)
    server = _Server(("127.0.0.1", 0), _Handler)
    server.registry = registry
    registry.host = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    registry: SigningRegistry


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10

    def _serve(self) -> None:
        body = self._body()
        if found := _PATH.fullmatch(self.path):
            key = found["name"], found["digest"]
            if self.command == "PUT":
                self._answer(self.server.registry.put(*key, body), {}, b"")
            else:
                listed = {"signatures": self.server.registry.signatures.get(key, [])}
                self._answer(200, {}, json.dumps(listed).encode())
        else:
            self._hand_on(body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _hand_on(self, body: bytes) -> None:
        connection = HTTPConnection(self.server.registry.behind, timeout=10)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():  # some are there more than once
            if name not in _OF_ONE_HOP:
                connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        reply = connection.getresponse()
        self._answer(reply.status, dict(reply.getheaders()), reply.read())
        connection.close()

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name not in _OF_ONE_HOP:
                self.send_header(name, value)
        if self.path == "/v2/":
            self.send_header("X-Registry-Supports-Signatures", "1")
        length = headers.get("Content-Length", "0") if self.command == "HEAD" else len(body)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""
