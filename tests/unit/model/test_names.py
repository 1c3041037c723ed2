# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names of containers, which become files and units."""

import pytest

from atomic_sys.errors import UsageError
from atomic_sys.model.names import MAX_LENGTH, ContainerName


@pytest.mark.parametrize("text", ["etcd", "a", "0", "Etcd_3.4-x", "a" * MAX_LENGTH, "a.b.c"])
def test_valid(text: str) -> None:
    name = ContainerName.parse(text)
    assert str(name) == text
    assert (name.unit, name.tmpfiles) == (f"{text}.service", f"{text}.conf")


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        ".a",
        "-a",
        "_a",
        "a/b",
        "../a",
        "a@b",
        "a b",
        "a\n",
        "a\0",
        "ä",
        "a%i",
        "a:b",
        "a\\x2d",
        "a" * (MAX_LENGTH + 1),
    ],
)
def test_invalid(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        ContainerName.parse(text)
    assert caught.value.hint


def test_the_suffix_of_a_unit() -> None:
    with pytest.raises(UsageError) as caught:
        ContainerName.parse("etcd.service")
    assert caught.value.hint == "leave out the suffix: etcd"
