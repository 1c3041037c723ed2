# SPDX-License-Identifier: LGPL-2.1-or-later
"""Platforms: what a machine is called, and what it can run."""

import pytest

from atomic_sys.errors import UsageError
from atomic_sys.model.platform import Platform


@pytest.mark.parametrize(
    ("machine", "shown", "wishes"),
    [
        ("x86_64", "linux/amd64", ["linux/amd64"]),
        ("aarch64", "linux/arm64/v8", ["linux/arm64/v8", "linux/arm64"]),
        ("armv7l", "linux/arm/v7", ["linux/arm/v7", "linux/arm/v6", "linux/arm/v5", "linux/arm"]),
        ("armv6l", "linux/arm/v6", ["linux/arm/v6", "linux/arm/v5", "linux/arm"]),
        ("armv5tel", "linux/arm/v5", ["linux/arm/v5", "linux/arm"]),
        ("i686", "linux/386", ["linux/386"]),
        ("loongarch64", "linux/loong64", ["linux/loong64"]),
        ("mystery", "linux/mystery", ["linux/mystery"]),
    ],
)
def test_machines(machine: str, shown: str, wishes: list[str]) -> None:
    platform = Platform.of_machine(machine)
    assert str(platform) == shown
    assert [str(wish) for wish in platform.wishes()] == wishes


def test_a_variant_that_was_asked_for() -> None:
    platform = Platform(os="linux", architecture="amd64", variant="v3")
    assert [str(wish) for wish in platform.wishes()] == ["linux/amd64/v3", "linux/amd64"]
    bare = Platform(os="linux", architecture="arm64")
    assert [str(wish) for wish in bare.wishes()] == ["linux/arm64/v8", "linux/arm64"]


@pytest.mark.parametrize(
    ("os", "architecture", "variant", "shown", "wishes"),
    [
        (None, None, None, "linux/arm64/v8", ["linux/arm64/v8", "linux/arm64"]),
        (None, "arm64", None, "linux/arm64/v8", ["linux/arm64/v8", "linux/arm64"]),
        (None, "s390x", None, "linux/s390x", ["linux/s390x"]),
        (None, "amd64", "v2", "linux/amd64/v2", ["linux/amd64/v2", "linux/amd64"]),
        ("freebsd", None, None, "freebsd/arm64/v8", ["freebsd/arm64/v8", "freebsd/arm64"]),
        (
            None, "arm", None, "linux/arm",
            ["linux/arm", "linux/arm/v8", "linux/arm/v7", "linux/arm/v6", "linux/arm/v5"],
        ),
    ],
)  # fmt: skip
def test_what_the_user_says_instead(
    os: str | None, architecture: str | None, variant: str | None, shown: str, wishes: list[str]
) -> None:
    host = Platform.of_machine("aarch64")
    platform = host.overridden(os=os, architecture=architecture, variant=variant)
    assert str(platform) == shown
    assert [str(wish) for wish in platform.wishes()] == wishes


@pytest.mark.parametrize("word", ["", "a/b", "\n", "-x", "a" * 65, "é"])
def test_what_is_no_part_of_a_platform(word: str) -> None:
    host = Platform.of_machine("x86_64")
    with pytest.raises(UsageError):
        host.overridden(os=None, architecture=word, variant=None)
