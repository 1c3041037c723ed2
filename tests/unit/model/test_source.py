# SPDX-License-Identifier: LGPL-2.1-or-later
"""Image arguments: every spelling of the transports, and what each one means."""

import pytest

from atomic_sys.errors import UsageError
from atomic_sys.model.source import LayoutSource, RegistrySource, StoredSource, parse_source

D1 = "@sha256:" + "0123456789abcdef" * 4
DIRECTORIES = {"/layouts/etcd", "layout", "with:colon", "Etcd_3.4"}


def parse(text: str) -> RegistrySource | LayoutSource | StoredSource:
    return parse_source(text, is_directory=DIRECTORIES.__contains__)


@pytest.mark.parametrize(
    ("text", "shown", "reference"),
    [
        ("etcd", "docker://etcd:latest", "docker.io/library/etcd:latest"),
        ("docker://etcd:1", "docker://etcd:1", "docker.io/library/etcd:1"),
        ("h:5000/ns/etcd", "docker://h:5000/ns/etcd:latest", "h:5000/ns/etcd:latest"),
        ("etcd:1" + D1, "docker://etcd:1" + D1, "docker.io/library/etcd" + D1),
        ("oci:ns/etcd:1", "docker://ns/etcd:1", "docker.io/ns/etcd:1"),
        ("https:h.io/etcd", "docker://h.io/etcd:latest", "h.io/etcd:latest"),
        ("https://h.io/etcd", "docker://h.io/etcd:latest", "h.io/etcd:latest"),
        ("docker:24", "docker://docker:24", "docker.io/library/docker:24"),
        ("dir/etcd", "docker://dir/etcd:latest", "docker.io/dir/etcd:latest"),
    ],
)
def test_registry(text: str, shown: str, reference: str) -> None:
    source = parse(text)
    assert isinstance(source, RegistrySource)
    assert (str(source), str(source.reference)) == (shown, reference)
    assert not source.plain_http


@pytest.mark.parametrize("text", ["http:h/etcd:1", "http://h/etcd:1"])
def test_plain_http(text: str) -> None:
    source = parse(text)
    assert isinstance(source, RegistrySource)
    assert source.plain_http
    assert str(source.name) == "h/etcd:1"


@pytest.mark.parametrize(
    ("text", "path", "tag", "name"),
    [
        ("oci:/layouts/etcd", "/layouts/etcd", None, "etcd:latest"),
        ("oci:/layouts/etcd:3", "/layouts/etcd", "3", "etcd:3"),
        ("oci:layout", "layout", None, "layout:latest"),
        ("oci:with:colon", "with:colon", None, "with-colon:latest"),
        ("oci:with:colon:1", "with:colon", "1", "with-colon:1"),
        ("oci:Etcd_3.4:x", "Etcd_3.4", "x", "etcd-3-4:x"),
    ],
)
def test_layout(text: str, path: str, tag: str | None, name: str) -> None:
    source = parse(text)
    assert source == LayoutSource(path=path, tag=tag)
    assert (str(source), str(source.name)) == (text, name)


def test_a_layout_without_a_usable_name() -> None:
    assert str(LayoutSource(path="/___", tag=None).name) == "image:latest"


def test_stored() -> None:
    source = parse("ostree:etcd")
    assert isinstance(source, StoredSource)
    assert str(source) == "ostree:etcd:latest"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "etcd\n",
        "\x1b[31m",
        "UPPER/",
        "oci:/nowhere",
        "oci:./nowhere:1",
        "oci:../nowhere",
        "ostree:UPPER",
        "docker-archive:a.tar",
        "docker-daemon:a:1",
        "oci-archive:a.tar:1",
        "dir:/a",
        "dockertar:/a.tar",
        "docker:etcd:1",
        "ftp://etcd",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)


def test_what_comes_later_has_a_hint() -> None:
    with pytest.raises(UsageError, match="docker-archive: is not supported") as caught:
        parse("docker-archive:a.tar")
    assert caught.value.hint is not None
    assert "skopeo copy" in caught.value.hint
