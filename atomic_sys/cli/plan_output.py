# SPDX-License-Identifier: LGPL-2.1-or-later
"""A plan for people: each step, and what it would change in each text, as a unified diff."""

import difflib
from collections.abc import Iterator

from atomic_sys.engine.operations import InstallHostFile, Operation, Plan, ReplaceFile, WriteFile
from atomic_sys.engine.rendered_files import SECRET_MODE
from atomic_sys.errors import printable

# What only root may read; without a mode of its own a file may be one of these.
_HIDDEN = (SECRET_MODE, None)


def print_plan(plan: Plan) -> None:
    """Print all of it to stdout."""
    for operation in plan:
        print(printable(operation.describe()))
        for line in _diff(operation):
            print(f"    {printable(line)}")


def _diff(operation: Operation) -> Iterator[str]:
    match operation:
        case WriteFile() | ReplaceFile():
            path, content, before = operation.path, operation.content, operation.before
        case InstallHostFile():
            path, content, before = operation.path, operation.content, b""
        case _:
            return
    if content is None:
        return
    if not isinstance(operation, InstallHostFile) and operation.mode in _HIDDEN:
        yield "(for root alone: not shown)"
        return
    try:
        old, new = before.decode().splitlines(), content.decode().splitlines()
    except UnicodeDecodeError:
        yield "(binary)"
        return
    yield from difflib.unified_diff(old, new, path if before else "/dev/null", path, lineterm="")
