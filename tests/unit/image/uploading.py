# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of uploads share: a blob, a manifest, and a destination without patience."""

from collections.abc import Iterable, Iterator

from atomic_sys.image.auth_file import parse_option
from atomic_sys.image.credentials import CredentialLookup
from atomic_sys.image.http import Http
from atomic_sys.image.origin import RawManifest
from atomic_sys.image.registries_conf import Registries
from atomic_sys.image.registry_destination import RegistryDestination, RegistryWriter
from atomic_sys.image.retry import Patience
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import OCI_MANIFEST, Descriptor
from atomic_sys.model.reference import ImageName
from atomic_sys.model.source import RegistrySource
from tests.support.upload_registry import UploadRegistry

BLOB = bytes(range(256)) * 4096  # 1 MiB
DIGEST = Digest.of(BLOB)
PROMISE = Descriptor(media_type="x", digest=DIGEST, size=len(BLOB), annotations={})
RAW = b'{"schemaVersion": 2}'
MANIFEST = RawManifest(raw=RAW, digest=Digest.of(RAW), content_type=OCI_MANIFEST)
BASIC = {"WWW-Authenticate": 'Basic realm="x"'}


def destination(
    http: Http,
    registry: UploadRegistry,
    name: str = "a/b:1",
    *,
    known: Iterable[str] = (),
    creds: str | None = None,
    waits: list[float] | None = None,
) -> RegistryDestination:
    target = RegistrySource(
        name=ImageName.parse(f"{registry.host}/{name}"), plain_http=registry.scheme == "http"
    )
    lookup = CredentialLookup({}, given=parse_option(creds)) if creds else None
    sleep = (lambda _: None) if waits is None else waits.append
    return RegistryDestination(
        RegistryWriter(http, target, Registries(), lookup),
        lambda _digest, _signatures: None,
        lambda _: known,
        Patience(sleep=sleep, now=lambda: 0.0),
    )


def chunks(content: bytes = BLOB, size: int = 100_000) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]
