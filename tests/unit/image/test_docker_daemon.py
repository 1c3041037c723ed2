# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images to and from an engine, and everything that one can answer."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from atomic_sys.errors import AtomicSysError, NotFound, UsageError
from atomic_sys.image.docker_daemon import DockerDaemonDestination, DockerDaemonOrigin
from atomic_sys.image.docker_engine import DockerEngine, EngineError, socket_path
from atomic_sys.image.origin import RawManifest
from atomic_sys.model import manifest as documents
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import Manifest
from atomic_sys.model.reference import DockerReference
from atomic_sys.model.source import DockerDaemonSource
from atomic_sys.model.stream import ContentMismatch
from tests.support.fake_engine import Engine, running
from tests.support.layers import archive, file

SOURCE = DockerDaemonSource(reference=DockerReference.parse("h.io/a:1"))
LAYER = archive([file("a", b"content")])
DIFF_ID = f"sha256:{hashlib.sha256(LAYER).hexdigest()}"
CONFIG = json.dumps({
    "architecture": "amd64",
    "os": "linux",
    "config": {},
    "rootfs": {"type": "layers", "diff_ids": [DIFF_ID]},
}).encode()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with running(tmp_path / "socket") as made:
        yield made


def manifest(config: bytes = CONFIG) -> RawManifest:
    body = {
        "schemaVersion": 2,
        "mediaType": documents.DOCKER_MANIFEST,
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "digest": str(Digest.of(config)),
            "size": len(config),
        },
        "layers": [
            {"mediaType": "application/x", "digest": str(Digest.of(LAYER)), "size": len(LAYER)}
        ],
    }
    return RawManifest.checked(json.dumps(body).encode(), expected=None, content_type=None)


def send(engine: Engine, config: bytes = CONFIG) -> None:
    raw = manifest(config)
    parsed = documents.parse(raw.raw)
    assert isinstance(parsed, Manifest)
    with DockerDaemonDestination(SOURCE, DockerEngine(str(engine.path))) as destination:
        destination.put_blob(parsed.layers[0], [LAYER])
        assert destination.has_blob(parsed.layers[0])
        destination.put_blob(parsed.config, [config])
        destination.put_manifest(raw)
        destination.put_signatures(raw.digest, ())
        destination.finish(raw)


def test_there_and_back(engine: Engine) -> None:
    send(engine)
    (engine.images["h.io/a:1"],) = engine.loaded
    origin = DockerDaemonOrigin(SOURCE, DockerEngine(str(engine.path)))
    parsed = documents.parse(origin.manifest(None).raw)
    assert isinstance(parsed, Manifest)
    assert b"".join(origin.blob(parsed.config)) == CONFIG
    assert b"".join(origin.blob(parsed.layers[0])) == LAYER
    assert engine.asked == ["POST /images/load?quiet=1", "GET /images/h.io/a:1/get"]


def test_an_image_that_is_not_what_its_config_says(engine: Engine) -> None:
    with pytest.raises(ContentMismatch):
        send(engine, CONFIG.replace(DIFF_ID.encode(), f"sha256:{'0' * 64}".encode()))
    assert engine.loaded == []


def test_no_place_for_signatures(engine: Engine) -> None:
    with (
        DockerDaemonDestination(SOURCE, DockerEngine(str(engine.path))) as destination,
        pytest.raises(AtomicSysError, match="no place for the signatures"),
    ):
        destination.put_signatures(Digest.of(b""), (b"x",))


@pytest.mark.parametrize(
    ("status", "answer", "message"),
    [
        (200, b'{"stream":"x"}\n{"error":"no space","errorDetail":{}}\n', "docker: no space"),
        (500, b'{"message":"broken\\u001b[31m"}', "broken"),
        (500, b"[]", r"status 500"),
        (400, b"plain text", "plain text"),
    ],
)
def test_a_load_that_fails(engine: Engine, status: int, answer: bytes, message: str) -> None:
    engine.status, engine.answer = status, answer
    with pytest.raises(EngineError, match=message):
        send(engine)


def test_a_save_that_fails(engine: Engine) -> None:
    docker = DockerEngine(str(engine.path))
    with pytest.raises(NotFound, match=r"no image h\.io/a:1"):
        list(docker.save("h.io/a:1"))
    engine.images["h.io/a:1"] = bytes(1024)
    engine.cut = 1
    with pytest.raises(EngineError):
        list(docker.save("h.io/a:1"))
    with pytest.raises(EngineError, match="No such file") as caught:
        list(DockerEngine(f"{engine.path}.not").save("a"))
    assert "is docker running?" in str(caught.value.hint)


def test_where_the_socket_is() -> None:
    assert socket_path(None) == socket_path("") == "/run/docker.sock"
    assert socket_path("unix:///x/y.sock") == "/x/y.sock"
    for other in ("tcp://127.0.0.1:2375", "unix://relative", "/x", "ssh://h"):
        with pytest.raises(UsageError, match="only an engine on a Unix socket"):
            socket_path(other)
