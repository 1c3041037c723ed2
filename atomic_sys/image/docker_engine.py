# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Docker engine's API, as far as images go: save one, load an archive.

The engine listens on a Unix socket; $DOCKER_HOST may name another one. Its answers are believed no
more than a file's: each is limited, and what it saves is read as any archive of `docker save` is.
Source: Docker Engine API, ImageGet (`GET /images/{name}/get`) and ImageLoad (`POST /images/load`).
"""

import contextlib
import http.client
import json
import socket
from collections.abc import Iterable, Iterator
from urllib.parse import quote

from atomic_sys.errors import AtomicSysError, NotFound, UsageError
from atomic_sys.image.files import CHUNK

DEFAULT_SOCKET = "/run/docker.sock"
SAVED_LIMIT = 1 << 38  # bytes of an image that the engine saves
_ANSWER_LIMIT = 1 << 20  # bytes of what it says
_TIMEOUT = 600.0  # seconds without a byte: an engine saves a large image before it sends anything


class EngineError(AtomicSysError):
    """The engine cannot be reached, or refuses."""


def socket_path(docker_host: str | None) -> str:
    """The socket that $DOCKER_HOST names. Raises UsageError for anything but a Unix socket."""
    if not docker_host:
        return DEFAULT_SOCKET
    path = docker_host.removeprefix("unix://")
    if path == docker_host or not path.startswith("/"):
        raise UsageError(
            f"DOCKER_HOST={docker_host}: only an engine on a Unix socket is supported",
            hint="unset DOCKER_HOST, or set it to unix:///PATH",
        )
    return path


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket. Raises OSError."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class DockerEngine:
    """The engine behind a socket."""

    def __init__(self, path: str) -> None:
        self._path = path

    def save(self, name: str) -> Iterator[bytes]:
        """The image of this name or id, as an archive of `docker save`.

        Raises NotFound, EngineError.
        """
        with _explained(self._path):
            connection = _Connection(self._path)
            try:
                connection.request("GET", f"/images/{quote(name, safe='/:')}/get")
                response = connection.getresponse()
                if response.status == http.client.NOT_FOUND:
                    raise NotFound(f"docker has no image {name}", hint="docker images")
                _check(response)
                yield from _limited(response)
            finally:
                connection.close()

    def load(self, size: int, chunks: Iterable[bytes]) -> None:
        """Load an archive of `size` bytes. Raises EngineError with what the engine says."""
        headers = {"Content-Type": "application/x-tar", "Content-Length": str(size)}
        with _explained(self._path):
            connection = _Connection(self._path)
            try:
                connection.request("POST", "/images/load?quiet=1", chunks, headers)
                response = connection.getresponse()
                _check(response)
                _check_messages(response.read(_ANSWER_LIMIT))
            finally:
                connection.close()


@contextlib.contextmanager
def _explained(path: str) -> Iterator[None]:
    """Errors of the connection as EngineError."""
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        raise EngineError(
            f"docker's engine at {path}: {_reason(error)}",
            hint="is docker running? DOCKER_HOST names another socket",
        ) from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _check(response: http.client.HTTPResponse) -> None:
    if response.status != http.client.OK:
        said = _message(response.read(_ANSWER_LIMIT)) or response.reason
        raise EngineError(f"docker: {said} (status {response.status})")


def _limited(response: http.client.HTTPResponse) -> Iterator[bytes]:
    size = 0
    while chunk := response.read(CHUNK):
        size += len(chunk)
        if size > SAVED_LIMIT:
            raise EngineError(f"docker sends an image of more than {SAVED_LIMIT} bytes")
        yield chunk
    if response.length:
        raise EngineError("docker's answer is cut off")


def _message(answer: bytes) -> str:
    try:
        body = json.loads(answer)
    except ValueError:
        return answer[:200].decode("utf-8", "replace").strip()
    message = body.get("message") if isinstance(body, dict) else None
    return message[:1000] if isinstance(message, str) else ""


def _check_messages(answer: bytes) -> None:
    """One JSON object a line; the status is 200 also when one of them is an error."""
    for line in answer.splitlines():
        try:
            message = json.loads(line)
        except ValueError:
            continue  # cut off at the limit, or text
        error = message.get("error") if isinstance(message, dict) else None
        if error is not None:
            raise EngineError(f"docker: {str(error)[:1000]}")
