# SPDX-License-Identifier: LGPL-2.1-or-later
"""An image from where registries.conf says that its registry is copied to."""

import pytest

from atomic_sys.image.http import Http
from atomic_sys.image.http_response import NetworkError
from atomic_sys.image.registry import NotInRegistry
from atomic_sys.model.digest import Digest
from tests.support.fake_registry import FakeRegistry, Reply
from tests.unit.image.origins import BLOB, MANIFEST, mirrored, promise


def test_mirror(http: Http, registry: FakeRegistry) -> None:
    with FakeRegistry() as mirror:
        found = mirrored(http, (mirror, registry), "a/b:1")
        mirror.replies["/v2/copy/a/b/manifests/1"] = Reply(body=MANIFEST)
        mirror.replies[f"/v2/copy/a/b/blobs/{promise().digest}"] = Reply(body=BLOB)
        assert found.manifest(None).raw == MANIFEST
        assert b"".join(found.blob(promise())) == BLOB
        assert not registry.requests
        assert str(found.reference) == f"{registry.host}/a/b:1", "the policy judges this"
        assert found.description.endswith(f"at {mirror.host}/copy/a/b")


@pytest.mark.parametrize(
    "reply",
    [Reply(status=404), Reply(status=503), Reply(status=401), Reply(body=b"x", length=9)],
    ids=["404", "503", "401", "cut"],
)
def test_mirror_that_fails(http: Http, registry: FakeRegistry, reply: Reply) -> None:
    with FakeRegistry() as mirror:
        found = mirrored(http, (mirror, registry), "a/b:1")
        mirror.replies["/v2/copy/a/b/manifests/1"] = reply
        with pytest.raises(NetworkError) as caught:
            found.manifest(None)
        assert str(caught.value).startswith(f"{mirror.host}/copy/a/b: ")
        assert "404: NAME_UNKNOWN" in str(caught.value), "each attempt is told"
        assert isinstance(caught.value, NotInRegistry) == (reply.status == 404)
        registry.replies["/v2/a/b/manifests/1"] = Reply(body=MANIFEST)
        assert found.manifest(None).raw == MANIFEST
        assert len(mirror.asked("/v2/copy/a/b/manifests/1")) == 2
        found.manifest(None)
        assert len(mirror.asked("/v2/copy/a/b/manifests/1")) == 2, "the other one was chosen"


def test_mirror_only_for(http: Http, registry: FakeRegistry) -> None:
    digest = Digest.of(MANIFEST)
    for more, by_tag, by_digest in (
        ('pull-from-mirror = "tag-only"', 1, 0),
        ('pull-from-mirror = "digest-only"', 0, 1),
        ('pull-from-mirror = "all"', 1, 1),
    ):
        with FakeRegistry() as mirror:
            for name in ("1", str(digest)):
                mirror.replies[f"/v2/copy/a/b/manifests/{name}"] = Reply(body=MANIFEST)
                registry.replies[f"/v2/a/b/manifests/{name}"] = Reply(body=MANIFEST)
            mirrored(http, (mirror, registry), "a/b:1", more).manifest(None)
            mirrored(http, (mirror, registry), f"a/b@{digest}", more).manifest(None)
            assert len(mirror.asked("/v2/copy/a/b/manifests/1")) == by_tag
            assert len(mirror.asked(f"/v2/copy/a/b/manifests/{digest}")) == by_digest
