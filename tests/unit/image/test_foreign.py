# SPDX-License-Identifier: LGPL-2.1-or-later
"""Foreign layers come from their own addresses, without credentials, and ordinary ones never do."""

from collections.abc import Iterator

import pytest

from atomic_sys.image.auth_file import parse_option
from atomic_sys.image.credentials import CredentialLookup
from atomic_sys.image.foreign import MOST_URLS, foreign_urls
from atomic_sys.image.http import Http
from atomic_sys.image.registries_conf import Registries
from atomic_sys.image.registry import NotInRegistry, RegistryOrigin
from atomic_sys.image.retry import Patience
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import Descriptor
from atomic_sys.model.reference import ImageName
from atomic_sys.model.source import RegistrySource
from atomic_sys.model.stream import ContentMismatch
from tests.support.fake_registry import FakeRegistry, Reply

BLOB = bytes(range(256)) * 4096
OCI = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
DOCKER = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
PLAIN = "application/vnd.oci.image.layer.v1.tar+gzip"
PATH = f"/v2/a/b/blobs/{Digest.of(BLOB)}"


@pytest.fixture
def maker() -> Iterator[FakeRegistry]:
    """The server of whoever made the layer."""
    with FakeRegistry() as server:
        server.replies["/layer"] = Reply(body=BLOB)
        yield server


def layer(media_type: str, *urls: str) -> Descriptor:
    return Descriptor(
        media_type=media_type, digest=Digest.of(BLOB), size=len(BLOB), urls=urls, annotations={}
    )


def fetch(http: Http, registry: FakeRegistry, wanted: Descriptor) -> bytes:
    registry.replies.setdefault("/v2/", Reply())
    source = RegistrySource(name=ImageName.parse(f"{registry.host}/a/b:1"), plain_http=True)
    lookup = CredentialLookup({}, given=parse_option("me:secret"))
    patience = Patience(sleep=lambda _: None)
    origin = RegistryOrigin(http, source, Registries(), lookup, patience)
    return b"".join(origin.blob(wanted))


@pytest.mark.parametrize("media_type", [OCI, DOCKER])
def test_from_its_maker(
    http: Http, registry: FakeRegistry, maker: FakeRegistry, media_type: str
) -> None:
    wanted = layer(media_type, f"{maker.url}/gone", f"{maker.url}/layer")
    assert fetch(http, registry, wanted) == BLOB
    assert registry.asked(PATH) == []
    assert all("Authorization" not in headers for _, headers in maker.requests)


def test_from_the_registry_when_nobody_else_has_it(
    http: Http, registry: FakeRegistry, maker: FakeRegistry
) -> None:
    registry.replies[PATH] = Reply(body=BLOB)
    wanted = layer(OCI, f"{maker.url}/gone", "http://127.0.0.1:1/layer")
    assert fetch(http, registry, wanted) == BLOB
    with pytest.raises(NotInRegistry):
        fetch(http, maker, layer(OCI, f"{maker.url}/gone"))


def test_an_ordinary_layer_has_no_other_address(
    http: Http, registry: FakeRegistry, maker: FakeRegistry
) -> None:
    registry.replies[PATH] = Reply(body=BLOB)
    assert fetch(http, registry, layer(PLAIN, f"{maker.url}/layer")) == BLOB
    assert maker.requests == []


def test_it_is_verified(http: Http, registry: FakeRegistry, maker: FakeRegistry) -> None:
    maker.replies["/layer"] = Reply(body=b"x" + BLOB[1:])
    with pytest.raises(ContentMismatch):
        fetch(http, registry, layer(OCI, f"{maker.url}/layer"))


def test_it_is_resumed(http: Http, registry: FakeRegistry, maker: FakeRegistry) -> None:
    said = {"Content-Range": f"bytes 5000-{len(BLOB) - 1}/{len(BLOB)}"}
    maker.replies["/layer"] = lambda headers: (
        Reply(status=206, headers=said, body=BLOB[5000:])
        if "Range" in headers
        else Reply(body=BLOB[:5000], length=len(BLOB))
    )
    assert fetch(http, registry, layer(OCI, f"{maker.url}/layer")) == BLOB


def test_which_addresses_count() -> None:
    assert foreign_urls(layer(OCI, "file:///etc/shadow", "ftp://a/b", "gopher:c")) == ()
    many = tuple(f"https://a/{number}" for number in range(MOST_URLS + 5))
    assert foreign_urls(layer(OCI, *many)) == many[:MOST_URLS]
