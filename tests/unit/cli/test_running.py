# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether a word on the command line is a container or an image."""

from pathlib import Path

import pytest

from atomic_sys.errors import ExitCode, NotFound, UsageError
from atomic_sys.host import Host, HostOptions
from atomic_sys.verbs.run_once import DIRECTORY, clean_runs
from atomic_sys.verbs.running import (
    container_of_image,
    container_or_image,
    container_to_remove,
    installed_name,
)
from tests.support import images, layers
from tests.unit.engine.hosts import deploy, make_root, record


@pytest.fixture
def host(tmp_path: Path) -> Host:
    root = make_root(tmp_path)
    deploy(root, "etcd")
    return Host(HostOptions(root=str(root), lock_timeout=0.1), {})


def test_a_container_of_exactly_that_name_wins(host: Host) -> None:
    with host:
        assert str(container_or_image("etcd", host)) == "etcd"
        assert installed_name("etc", host) is None
        assert installed_name("docker.io/etcd", host) is None


@pytest.mark.parametrize("word", ["docker.io/library/x", "x:latest", "oci:/srv/x", "x@sha256:1"])
def test_a_registry_or_a_tag_makes_an_image(word: str, host: Host) -> None:
    with host:
        assert container_or_image(word, host) is None


def test_a_plain_word_is_an_image_when_the_store_has_it(host: Host) -> None:
    content = images.members()
    with host:
        with pytest.raises(NotFound, match="the container hello, nor an image") as caught:
            container_or_image("hello", host)
        assert caught.value.exit_code == ExitCode.NOT_FOUND
        host.store.import_layer(layers.layer_import(content), layers.stream(content))
        image = host.store.put_image(images.make(content))
        assert container_or_image(str(image.name).partition(":")[0], host) is None


def test_an_image_stands_for_its_only_container(host: Host, tmp_path: Path) -> None:
    root, image = tmp_path / "root", "registry.example.com/db:16"
    deploy(root, "one", 0, record(image=f"docker://{image}").to_json())
    with host:
        assert str(container_of_image(image, host)) == "one"
        assert str(container_to_remove(image, host)) == "one"
        assert str(container_to_remove("etcd", host)) == "etcd"
        assert str(container_to_remove("nobody", host)) == "nobody"  # which is then not found
        assert container_of_image("one", host) is None
        with pytest.raises(NotFound, match="a container of the image registry"):
            container_to_remove("registry.example.com/db:17", host)
        deploy(root, "two", 0, record(image=image).to_json())
        with pytest.raises(UsageError, match="is the image of one and two"):
            container_to_remove(image, host)


def test_what_nobody_runs_from_is_cleaned(host: Host, tmp_path: Path) -> None:
    left = tmp_path / "root/var/lib/containers/atomic" / DIRECTORY / "0123456789ab"
    with host:
        clean_runs(host)
        assert not left.parent.exists()
        (left / "rootfs").mkdir(parents=True)
        clean_runs(host)
        assert list(left.parent.iterdir()) == []
