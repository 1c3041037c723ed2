# SPDX-License-Identifier: LGPL-2.1-or-later
"""From an image argument to where it is, and how the policy names it: then, and from the store."""

from pathlib import Path

import pytest

from atomic_sys.engine.pull import ImageAt
from atomic_sys.engine.sources import locate, stored_identity
from atomic_sys.errors import UsageError
from atomic_sys.image.http import Http
from atomic_sys.image.registries_conf import parse
from atomic_sys.model.reference import DockerReference, ImageName
from atomic_sys.model.source import parse_source
from atomic_sys.store.images import StoredImage
from atomic_sys.trust.scopes import ImageIdentity, docker_identity, path_identity
from tests.support import images

REGISTRIES = parse(
    b'[[registry]]\nprefix = "example.com"\nlocation = "mirror.example/all"\n', "registries.conf"
)
DIGEST = "sha256:" + "a" * 64


def docker(reference: str) -> ImageIdentity:
    return docker_identity(DockerReference.parse(reference))


def at(text: str) -> ImageAt:
    with Http() as http:
        source = parse_source(text, is_directory=lambda path: Path(path).is_dir())
        return locate(source, http, REGISTRIES)


def test_a_registry_is_judged_by_its_name_and_asked_at_its_place() -> None:
    found = at("example.com/team/etcd:3")
    assert str(found.name) == "example.com/team/etcd:3"
    assert found.source == "docker://example.com/team/etcd:3"
    assert found.identity == docker("example.com/team/etcd:3")
    assert found.place == docker("mirror.example/all/team/etcd:3")


@pytest.mark.parametrize(
    ("text", "source", "reference"),
    [
        ("etcd", "docker://docker.io/library/etcd:latest", "docker.io/library/etcd:latest"),
        ("http:example.org/a", "http:example.org/a:latest", "example.org/a:latest"),
        (f"a.org/b:1@{DIGEST}", f"docker://a.org/b@{DIGEST}", f"a.org/b@{DIGEST}"),
    ],
)
def test_names_of_registries(text: str, source: str, reference: str) -> None:
    found = at(text)
    assert (found.source, found.identity) == (source, docker(reference))
    assert found.place == found.identity
    assert stored_identity(stored(text.removeprefix("http:"), found.source)) == found.identity


@pytest.mark.parametrize("tag", ["", ":1.2"])
def test_a_layout_is_where_its_links_lead(tag: str, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    found = at(f"oci:{tmp_path}/link{tag}")
    real = str(tmp_path.resolve() / "real")
    assert found.source == f"oci:{real}{tag}"
    assert found.identity == found.place == path_identity("oci", real)
    assert stored_identity(stored(str(found.name), found.source)) == found.identity


def test_the_store_is_no_place_to_pull_from() -> None:
    with pytest.raises(UsageError, match="cannot be pulled from there"):
        at("ostree:etcd")


def test_the_predecessors_images_came_from_a_registry() -> None:
    assert stored_identity(stored("etcd", None)) == docker("docker.io/library/etcd:latest")


def stored(name: str, source: str | None) -> StoredImage:
    made = images.make(images.members())
    return StoredImage(
        name=ImageName.parse(name), digest=made.digest, created=0, raw_manifest=made.raw_manifest,
        signature_count=0, layers=made.layers, config_digest=made.config_digest, size=None,
        commit="0" * 64, source=source, verdict=None,
    )  # fmt: skip
