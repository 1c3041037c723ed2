# SPDX-License-Identifier: LGPL-2.1-or-later
"""The platform of a host and of an index entry (image-spec image-index.md, "platform")."""

import re
from dataclasses import replace
from typing import Self

from atomic_sys.errors import UsageError
from atomic_sys.frozen import frozen

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

_MACHINES = {
    "x86_64": ("amd64", ""),
    "aarch64": ("arm64", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "armv5tel": ("arm", "v5"),
    "i386": ("386", ""),
    "i686": ("386", ""),
    "ppc64le": ("ppc64le", ""),
    "riscv64": ("riscv64", ""),
    "s390x": ("s390x", ""),
    "loongarch64": ("loong64", ""),
}
# The variants that a host of the first one can run, best first.
_ARM = ("v7", "v6", "v5")


@frozen
class Platform:
    """Operating system, architecture and variant, in the words of Go's GOOS and GOARCH."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    @classmethod
    def of_machine(cls, machine: str) -> Self:
        """The platform of a Linux host whose `uname -m` says `machine`."""
        architecture, variant = _MACHINES.get(machine, (machine, ""))
        return cls(os="linux", architecture=architecture, variant=variant)

    def overridden(self, *, os: str | None, architecture: str | None, variant: str | None) -> Self:
        """Another platform to choose images for: what is None stays, as skopeo has it.

        The variant belongs to an architecture, so another one begins without. Raises UsageError.
        """
        for word in (os, architecture, variant):
            if word is not None and not _WORD.fullmatch(word):
                raise UsageError(f"{word[:80]!r} is not the name of a platform's part")
        if architecture not in (None, self.architecture) and variant is None:
            variant = ""
        return replace(
            self,
            os=self.os if os is None else os,
            architecture=self.architecture if architecture is None else architecture,
            variant=self.variant if variant is None else variant,
        )

    def wishes(self) -> "tuple[Platform, ...]":
        """What this host runs, the best first."""
        match self.architecture, self.variant:
            case "arm", variant if variant in _ARM:
                variants = (*_ARM[_ARM.index(variant) :], "")
            case "arm", "":
                variants = ("", "v8", *_ARM)  # any of them, as containers/image has it
            case "arm64", "v8" | "":
                variants = ("v8", "")
            case _, "":
                variants = ("",)
            case _:
                variants = (self.variant, "")
        return tuple(replace(self, variant=variant) for variant in variants)
