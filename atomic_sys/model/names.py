# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names of containers: checked on entry, since they become unit, file and directory names."""

import re
from dataclasses import dataclass
from typing import Self

from atomic_sys.errors import UsageError

# What systemd allows in a unit name (systemd.unit(5)) without "@", which makes a template, and
# without a leading "." or "-", which hide a file or look like an option.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*")
MAX_LENGTH = 200
_UNIT_SUFFIXES = (".service", ".socket", ".target", ".timer", ".mount", ".slice", ".scope", ".path")


@dataclass(frozen=True, slots=True, order=True)
class ContainerName:
    """The name of a system container and of its unit, without `.service`."""

    value: str

    def __str__(self) -> str:
        return self.value

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name.

        Raises UsageError when it cannot be the name of a file, a unit and a container at once.
        """
        if text.endswith(_UNIT_SUFFIXES):
            stem = text.rpartition(".")[0]
            raise UsageError(
                f"invalid container name {text!r}", hint=f"leave out the suffix: {stem}"
            )
        if len(text) > MAX_LENGTH or not _NAME.fullmatch(text):
            raise UsageError(
                f"invalid container name {text[:MAX_LENGTH]!r}",
                hint="use letters, digits, '_', '.' and '-', and start with a letter or digit",
            )
        return cls(text)

    @property
    def unit(self) -> str:
        """`NAME.service`."""
        return f"{self.value}.service"

    @property
    def tmpfiles(self) -> str:
        """`NAME.conf`, in a tmpfiles.d directory."""
        return f"{self.value}.conf"
