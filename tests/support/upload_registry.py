# SPDX-License-Identifier: LGPL-2.1-or-later
"""A registry in memory that takes uploads by the letter of the specification, faults apart.

Each address of an upload is good for one request: who does not follow `Location`, or loses its
query, gets 400.
"""

import hashlib
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request that came in, with as much of its body as was read."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def name(self) -> str:
        """`METHOD WHAT`, WHAT being begin, upload, blob, manifest or other."""
        kind = "other"
        for part, what in (
            ("/uploads/", "begin"),
            ("/blobs/", "blob"),
            ("/manifests/", "manifest"),
        ):
            if part in self.path and kind == "other":
                kind = what
        return f"{self.method} {'upload' if self.path.startswith('/upload/') else kind}"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is said to a call; `cut` reads and keeps so many bytes of its body, and hangs up."""

    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None


class UploadRegistry:
    """Repositories by name; `faults` has what to answer instead to the next calls of a name."""

    def __init__(self, certificate: Path | None = None) -> None:
        self.blobs: dict[str, dict[str, bytes]] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.calls: list[Call] = []
        self.faults: dict[str, list[Answer]] = {}
        self.mounts = True
        self.absolute = False
        self.base = ""  # where uploads go, if not here
        self.begin_headers: dict[str, str] = {}
        self.sessions: dict[str, bytearray] = {}
        self.states: dict[str, int] = {}
        self.cancelled: list[str] = []
        self.lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self.scheme = "https"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}"

    @property
    def names(self) -> list[str]:
        """What was done, in order."""
        return [call.name for call in self.calls]

    def called(self, name: str) -> list[Call]:
        return [call for call in self.calls if call.name == name]

    def fail(self, name: str, *answers: Answer) -> None:
        """Answer the next calls of this name so."""
        self.faults.setdefault(name, []).extend(answers)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, call: Call) -> Answer:
        """What the specification says."""
        if call.path.startswith("/upload/"):
            return self._upload(call, call.path.removeprefix("/upload/"))
        if call.path == "/v2/":
            return Answer(status=200)
        repository, _, rest = call.path.removeprefix("/v2/").partition("/blobs/")
        if call.method == "POST":
            return self._begin(call, repository)
        if rest:
            return Answer(status=200 if rest in self.blobs.get(repository, {}) else 404)
        repository, _, name = call.path.removeprefix("/v2/").partition("/manifests/")
        self.manifests[repository, name] = (call.headers["Content-Type"], call.body)
        digest = f"sha256:{hashlib.sha256(call.body).hexdigest()}"
        return Answer(status=201, headers={"Docker-Content-Digest": digest})

    def _begin(self, call: Call, repository: str) -> Answer:
        digest, source = call.query.get("mount", ""), call.query.get("from", "")
        if self.mounts and digest in self.blobs.get(source, {}):
            self.blobs.setdefault(repository, {})[digest] = self.blobs[source][digest]
            return Answer(status=201)
        session = f"{len(self.states)}/{repository}"
        self.sessions[session] = bytearray()
        return Answer(status=202, headers=self._location(session) | self.begin_headers)

    def _location(self, session: str) -> dict[str, str]:
        self.states[session] = self.states.get(session, 0) + 1
        base = self.base or (self.url if self.absolute else "")
        return {"Location": f"{base}/upload/{session}?a=%2F&state={self.states[session]}"}

    def _upload(self, call: Call, session: str) -> Answer:
        if session not in self.sessions:
            return Answer(status=404)
        if call.query.get("state") != str(self.states[session]) or call.query.get("a") != "/":
            return Answer(status=400)
        data = self.sessions[session]
        if call.method == "DELETE":
            self.cancelled.append(session)
            del self.sessions[session]
            return Answer(status=204)
        if call.method == "PATCH":
            first = call.headers.get("Content-Range", f"{len(data)}-").partition("-")[0]
            if int(first) != len(data):
                return Answer(status=416)
            data += call.body
        range_ = {"Range": f"0-{max(0, len(data) - 1)}"}
        if call.method != "PUT":
            status = 204 if call.method == "GET" else 202
            return Answer(status=status, headers=self._location(session) | range_)
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if digest != call.query["digest"]:
            error = b'{"errors":[{"code":"DIGEST_INVALID","message":"not what was promised"}]}'
            return Answer(status=400, body=error)
        repository = session.partition("/")[2]
        self.blobs.setdefault(repository, {})[digest] = bytes(data)
        del self.sessions[session]
        return Answer(status=201, headers={"Docker-Content-Digest": digest})


class _Server(ThreadingHTTPServer):
    block_on_close = True
    daemon_threads = False

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients that go away are what the tests are about."""


def _handler(registry: UploadRegistry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def _serve(self) -> None:
            assert "Transfer-Encoding" not in self.headers
            length = int(self.headers.get("Content-Length") or 0)
            parts = urlsplit(self.path)
            name = Call(method=self.command, path=parts.path, query={}, headers={}, body=b"").name
            with registry.lock:
                waiting = registry.faults.get(name)
                fault = waiting.pop(0) if waiting else None
            cut = None if fault is None else fault.cut
            body = self.rfile.read(length if cut is None else cut)
            call = Call(
                method=self.command,
                path=parts.path,
                query=dict(parse_qsl(parts.query)),
                headers=dict(self.headers.items()),
                body=body,
            )
            with registry.lock:
                registry.calls.append(call)
                if cut is not None or len(body) < length:  # the client went away, or we do
                    session = parts.path.removeprefix("/upload/")
                    registry.sessions.get(session, bytearray()).extend(body)
                    self.close_connection = True
                    return
                answer = fault or registry.answer(call)
            self.send_response(answer.status)
            for header, value in answer.headers.items():
                self.send_header(header, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

        def log_message(self, *_: object) -> None:
            """Keep the tests' output clean."""

    return Handler
