# SPDX-License-Identifier: LGPL-2.1-or-later
"""How much a template may take and make, and the error for whatever does not fit."""

from atomic_sys.errors import AtomicSysError

TEMPLATE_LIMIT = 256 << 10  # bytes of a template; the largest real one has 14 KiB
OUTPUT_LIMIT = 1 << 20  # characters of a rendered file, and of any string on the way
VALUE_LIMIT = 64 << 10  # characters of one value
ITERATIONS = 100_000  # turns of all loops of one rendering together
LIST_LIMIT = 10_000  # items of one list or range
INTEGER_BITS = 64


class TemplateError(AtomicSysError):
    """A template, or what comes out of it, is not acceptable."""


class UnreplacedValue(TemplateError):
    """A template uses a variable that has no value."""

    def __init__(self, template: str, variable: str) -> None:
        super().__init__(
            f"The template file '{template}' still contains an unreplaced value for: "
            f"''{variable}''",
            hint=f"give it a value: --set {variable}=VALUE",
        )
        self.variable = variable
