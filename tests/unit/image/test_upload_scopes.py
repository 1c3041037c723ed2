# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which tokens are asked for: to push, and one for each repository that a blob is mounted from."""

from urllib.parse import parse_qs, urlsplit

from atomic_sys.image.http import Http
from atomic_sys.image.registries_conf import Registries
from atomic_sys.image.registry_destination import RegistryDestination, RegistryWriter
from atomic_sys.image.retry import Patience
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import Descriptor
from atomic_sys.model.reference import ImageName
from atomic_sys.model.source import RegistrySource
from tests.support.fake_registry import FakeRegistry, Reply
from tests.support.upload_registry import Answer, UploadRegistry

BLOB = b"content"
PROMISE = Descriptor(media_type="x", digest=Digest.of(BLOB), size=len(BLOB), annotations={})


def test_scopes(http: Http, registry: FakeRegistry) -> None:
    with UploadRegistry() as uploads:
        challenge = f'Bearer realm="{registry.url}/token",service="s"'
        refusal = Answer(status=401, headers={"WWW-Authenticate": challenge})
        registry.replies["/token"] = Reply(body=b'{"token": "abc"}')
        uploads.fail("HEAD blob", refusal)
        uploads.fail("POST begin", refusal)
        uploads.blobs["other"] = {str(PROMISE.digest): BLOB}
        name = ImageName.parse(f"{uploads.host}/a/b:1")
        writer = RegistryWriter(http, RegistrySource(name=name, plain_http=True), Registries())
        place = RegistryDestination(
            writer, lambda *_: None, lambda _: ["other"], Patience(sleep=lambda _: None)
        )
        assert place.has_blob(PROMISE)
        queries = [parse_qs(urlsplit(path).query) for path, _ in registry.requests]
        own = "repository:a/b:pull,push"
        assert [query["scope"] for query in queries] == [[own], [own, "repository:other:pull"]]
        assert uploads.called("POST begin")[-1].headers["Authorization"] == "Bearer abc"
