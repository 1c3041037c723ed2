# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images of a registry that is not one: what the tests of origins share."""

from atomic_sys.image.http import Http
from atomic_sys.image.registries_conf import Registries, parse
from atomic_sys.image.registry import RegistryOrigin
from atomic_sys.image.retry import Patience
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import Descriptor
from atomic_sys.model.reference import ImageName
from atomic_sys.model.source import RegistrySource
from tests.support.fake_registry import FakeRegistry, Reply

MANIFEST = b'{"schemaVersion": 2}'
BLOB = bytes(range(256)) * 4096


def origin(http: Http, registry: FakeRegistry, name: str = "a/b:1") -> RegistryOrigin:
    registry.replies.setdefault("/v2/", Reply())
    source = RegistrySource(name=ImageName.parse(f"{registry.host}/{name}"), plain_http=True)
    return RegistryOrigin(http, source, Registries(), None, Patience(sleep=lambda _: None))


def promise(content: bytes = BLOB, size: int | None = None) -> Descriptor:
    return Descriptor(
        media_type="x",
        digest=Digest.of(content),
        size=len(content) if size is None else size,
        annotations={},
    )


def mirrored(
    http: Http, places: tuple[FakeRegistry, FakeRegistry], name: str, more: str = ""
) -> RegistryOrigin:
    """An image of the second registry, which the first one mirrors."""
    mirror, primary = places
    for place in places:
        place.replies["/v2/"] = Reply()
    conf = (
        f'[[registry]]\nlocation = "{primary.host}"\ninsecure = true\n[[registry.mirror]]\n'
        f'location = "{mirror.host}/copy"\ninsecure = true\n{more}'
    )
    source = RegistrySource(name=ImageName.parse(f"{primary.host}/{name}"))
    registries = parse(conf.encode(), "conf")
    return RegistryOrigin(http, source, registries, None, Patience(sleep=lambda _: None))
