# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the signatures of an image are read: the registry's API, the lookaside, attachments."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from atomic_sys.engine.attachments import read_attachments
from atomic_sys.engine.judge import Judge, from_store, stored_form
from atomic_sys.errors import AtomicSysError
from atomic_sys.image.http import Http
from atomic_sys.image.layout import InvalidLayout, LayoutOrigin
from atomic_sys.image.registries_conf import Registries
from atomic_sys.image.registry import RegistryOrigin
from atomic_sys.image.retry import Patience
from atomic_sys.model.digest import Digest
from atomic_sys.model.reference import ImageName
from atomic_sys.model.source import LayoutSource, RegistrySource
from atomic_sys.trust import lookaside
from atomic_sys.trust.attachments import attachment_tag, build_image
from atomic_sys.trust.extension import new_signature
from atomic_sys.trust.files import LoadedPolicy
from atomic_sys.trust.framing import SignatureBlob, SigstoreAttachment, SimpleSignature
from atomic_sys.trust.gpg import GpgVerifier
from atomic_sys.trust.policy import parse
from atomic_sys.trust.scopes import docker_identity
from atomic_sys.trust.signatures import SIGNATURE_LIMIT
from tests.support.fake_registry import FakeRegistry, Reply
from tests.support.sigstore import attach, new_key

DIGEST = Digest.of(b"manifest")
ONE = attach(b"payload", new_key())
TWO = attach(b"other payload", new_key())
IN_LOOKASIDE = b"\xa3lookaside"
REJECT = b'{"default":[{"type":"reject"}]}'
AT_ONCE = Patience(retries=0, busy_retries=0)
Read = Callable[..., tuple[SignatureBlob, ...]]


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as server:
        server.replies["/v2/"] = Reply()
        yield server


@pytest.fixture
def read(registry: FakeRegistry) -> Iterator[Read]:
    """Reads all signatures, with one in the lookaside store."""

    def get(address: str, limit: int) -> bytes | None:
        assert limit == SIGNATURE_LIMIT
        return IN_LOOKASIDE if address.endswith("signature-1") else None

    with Http() as http:
        name = ImageName.parse(f"{registry.host}/ns/repo:1")
        source = RegistrySource(name=name, plain_http=True)

        def read(*, use_attachments: bool = False) -> tuple[SignatureBlob, ...]:
            text = "default-docker: {lookaside: 'https://l.example'%s}"
            more = ", use-sigstore-attachments: true" if use_attachments else ""
            origin = RegistryOrigin(http, source, Registries(), patience=AT_ONCE)
            judge = Judge(
                policy=LoadedPolicy(
                    path="p", policy=parse(b'{"default":[{"type":"reject"}]}', "p")
                ),
                lookaside=lookaside.parse([("f", (text % more).encode())]),
                get=get,
                read_key=lambda _: b"",
                verifier=GpgVerifier(),
            )
            return judge.signatures(docker_identity(origin.place), DIGEST, origin)

        yield read


def serve(registry: FakeRegistry, *attachments: SigstoreAttachment) -> None:
    image = build_image(attachments)
    path = f"/v2/ns/repo/manifests/{attachment_tag(DIGEST)}"
    registry.replies[path] = Reply(body=image.manifest)
    for one in attachments:
        registry.replies[f"/v2/ns/repo/blobs/{Digest.of(one.payload)}"] = Reply(body=one.payload)


def test_lookaside(read: Read, registry: FakeRegistry) -> None:
    (found,) = read()
    assert isinstance(found, SimpleSignature)
    assert found.message == IN_LOOKASIDE
    assert not registry.asked(f"/v2/ns/repo/manifests/{attachment_tag(DIGEST)}")


EXTENSION = f"/extensions/v2/ns/repo/signatures/{DIGEST}"
PING = Reply(headers={"X-Registry-Supports-Signatures": "1"})


def test_api_extension_instead_of_lookaside(read: Read, registry: FakeRegistry) -> None:
    registry.replies["/v2/"] = PING
    listed = {"signatures": [json.loads(new_signature(DIGEST, b"\xa3api"))]}
    registry.replies[EXTENSION] = Reply(body=json.dumps(listed).encode())
    (found,) = read()
    assert isinstance(found, SimpleSignature)
    assert found.message == b"\xa3api"
    registry.replies[EXTENSION] = Reply(body=b'{"signatures":[]}')
    assert read() == ()


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=404),
        Reply(status=403),
        Reply(body=b"<html>"),
        Reply(body=b'{"signatures":null}'),
        Reply(body=b" " * 65536, endless=True),
    ],
)
def test_api_extension_in_trouble_is_no_absence(
    read: Read, registry: FakeRegistry, reply: Reply
) -> None:
    registry.replies["/v2/"] = PING
    registry.replies[EXTENSION] = reply
    with pytest.raises(AtomicSysError):
        read()


def test_attachments(read: Read, registry: FakeRegistry) -> None:
    assert len(read(use_attachments=True)) == 1  # none under the tag
    serve(registry, ONE, TWO)
    assert len(read()) == 1  # they are not used unless it is said
    simple, *attached = read(use_attachments=True)
    assert isinstance(simple, SimpleSignature)
    assert [replace(one, source="attachment") for one in attached] == [ONE, TWO]
    stored = stored_form((simple, *attached))
    again = from_store(stored)
    assert stored_form(again) == stored
    assert [type(one) for one in again] == [SimpleSignature, SigstoreAttachment, SigstoreAttachment]


def test_attachments_in_trouble_are_no_absence(read: Read, registry: FakeRegistry) -> None:
    serve(registry, ONE)
    path = f"/v2/ns/repo/manifests/{attachment_tag(DIGEST)}"
    payload = f"/v2/ns/repo/blobs/{Digest.of(ONE.payload)}"
    for where, reply in (
        (path, Reply(status=403)),
        (path, Reply(body=b"{}")),
        (payload, Reply(status=404)),
        (payload, Reply(body=b"PAYLOAD")),
        (payload, Reply(body=ONE.payload + b"x")),
    ):
        serve(registry, ONE)
        registry.replies[where] = reply
        with pytest.raises(AtomicSysError):
            read(use_attachments=True)


def test_too_large_to_be_stored(read: Read, registry: FakeRegistry) -> None:
    """What could be read now, but not from the store again, is refused now."""
    serve(registry, attach(bytes(SIGNATURE_LIMIT - 100), new_key()))
    with pytest.raises(AtomicSysError, match="more than 4194304 bytes"):
        read(use_attachments=True)


def test_in_a_layout(tmp_path: Path) -> None:
    image = build_image([ONE])
    blobs = tmp_path / "blobs/sha256"
    blobs.mkdir(parents=True)
    (tmp_path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    for blob in (image.manifest, ONE.payload):
        (blobs / Digest.of(blob).hex).write_bytes(blob)
    entry = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": str(Digest.of(image.manifest)),
        "size": len(image.manifest),
        "annotations": {"org.opencontainers.image.ref.name": attachment_tag(DIGEST)},
    }
    origin = LayoutOrigin(LayoutSource(path=str(tmp_path), tag="1"))

    def write(*entries: object) -> None:
        index = {"schemaVersion": 2, "manifests": entries}
        (tmp_path / "index.json").write_text(json.dumps(index))

    write()
    assert read_attachments(origin, DIGEST) == ()
    write(entry)
    (found,) = read_attachments(origin, DIGEST)
    assert replace(found, source="attachment") == ONE
    write(entry, entry)
    with pytest.raises(InvalidLayout, match="2 images with the tag"):
        read_attachments(origin, DIGEST)
