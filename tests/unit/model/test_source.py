# SPDX-License-Identifier: LGPL-2.1-or-later
"""Image arguments: every spelling of the transports, and what each one means."""

import pytest

from atomic_sys.errors import UsageError
from atomic_sys.model.reference import DockerReference
from atomic_sys.model.source import (
    DirectorySource,
    DockerArchiveSource,
    DockerDaemonSource,
    LayoutArchiveSource,
    LayoutSource,
    RegistrySource,
    Source,
    StoredSource,
    parse_source,
)

D1 = "@sha256:" + "0123456789abcdef" * 4
DIRECTORIES = {"/layouts/etcd", "layout", "with:colon", "Etcd_3.4"}


def parse(text: str) -> Source:
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
        "docker-archive:",
        "docker-archive::etcd",
        "docker-archive:a.tar:",
        "docker-archive:a.tar:UPPER",
        "docker-archive:a.tar:@0",
        "docker-archive:a.tar:etcd@sha256:",
        "docker-daemon:",
        "docker-daemon:UPPER",
        "docker-daemon:a@sha256:" + "0" * 64,
        "docker-daemon:" + "0" * 64,
        "oci-archive:",
        "oci-archive::1",
        "oci-archive:a.tar:",
        "oci-archive:a.tar:a/b",
        "dir:",
        "dockertar:",
        "ftp://etcd",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "source", "name"),
    [
        ("dir:/a/Some Image", DirectorySource(path="/a/Some Image"), "some-image:latest"),
        ("dir:a:1", DirectorySource(path="a:1"), "a-1:latest"),
        (
            "oci-archive:/x/etcd.tar",
            LayoutArchiveSource(path="/x/etcd.tar", tag=None),
            "etcd:latest",
        ),
        ("oci-archive:e:3", LayoutArchiveSource(path="e", tag="3"), "e:3"),
        ("docker-archive:e.tar", DockerArchiveSource(path="e.tar", reference=None), "e:latest"),
        (
            "docker-archive:e.tar:h.io:5000/ns/etcd:3",
            DockerArchiveSource(
                path="e.tar", reference=DockerReference.parse("h.io:5000/ns/etcd:3")
            ),
            "h.io:5000/ns/etcd:3",
        ),
    ],
)
def test_files(text: str, source: Source, name: str) -> None:
    assert parse(text) == source
    assert (str(source), str(source.name)) == (text, name)


def test_archive_of_the_predecessor() -> None:
    assert parse("dockertar:/a.tar") == DockerArchiveSource(path="/a.tar", reference=None)
    named = parse("docker-archive:a:etcd")
    assert str(named) == "docker-archive:a:docker.io/library/etcd:latest"
    assert str(named.name) == "docker.io/etcd:latest"


@pytest.mark.parametrize(
    ("text", "asked", "name"),
    [
        ("docker-daemon:etcd", "docker.io/library/etcd:latest", "docker.io/etcd:latest"),
        ("docker-daemon:h.io:5000/a/b:1", "h.io:5000/a/b:1", "h.io:5000/a/b:1"),
        ("docker:etcd:1", "docker.io/library/etcd:1", "docker.io/etcd:1"),
        (f"docker-daemon:sha256:{'1' * 64}", f"sha256:{'1' * 64}", f"{'1' * 12}:latest"),
    ],
)
def test_docker_engine(text: str, asked: str, name: str) -> None:
    source = parse(text)
    assert isinstance(source, DockerDaemonSource)
    assert (source.asked, str(source.name)) == (asked, name)
    assert parse(str(source)) == source
