# SPDX-License-Identifier: LGPL-2.1-or-later
"""Destination arguments: as sources, but that a layout need not be there."""

import pytest

from atomic_sys.errors import UsageError
from atomic_sys.model.manifest import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from atomic_sys.model.source import DirectorySource, LayoutSource, RegistrySource, StoredSource
from atomic_sys.model.target import UnfitFormat, check_format, parse_target


@pytest.mark.parametrize(
    ("text", "path", "tag"),
    [
        ("oci:new", "new", None),
        ("oci:new:1.0", "new", "1.0"),
        ("oci:/a/b:latest", "/a/b", "latest"),
        ("oci:there:is", "there:is", None),
        ("oci:there:is:1", "there:is", "1"),
        ("oci:a:b/c", "a:b/c", None),
        ("oci:host:5000/name", "host:5000/name", None),
    ],
)
def test_layouts(text: str, path: str, tag: str | None) -> None:
    found = parse_target(text, is_directory={"there:is"}.__contains__)
    assert found == LayoutSource(path=path, tag=tag)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("dir:x", DirectorySource),
        ("ostree:x", StoredSource),
        ("docker://h/x:1", RegistrySource),
        ("h/x:1", RegistrySource),
    ],
)
def test_others(text: str, kind: type) -> None:
    assert isinstance(parse_target(text, is_directory=lambda _: False), kind)


@pytest.mark.parametrize("text", ["", "oci:", "oci::1", "oci:a\n", "dir:", "docker://H"])
def test_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_target(text, is_directory=lambda _: False)


def test_formats() -> None:
    layout = LayoutSource(path="x", tag="1")
    check_format(layout, (OCI_MANIFEST, OCI_INDEX))
    for docker in (DOCKER_LIST, DOCKER_MANIFEST):
        check_format(DirectorySource(path="x"), (docker,))
        with pytest.raises(UnfitFormat, match="nothing is converted"):
            check_format(layout, (OCI_MANIFEST, docker))
