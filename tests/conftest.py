# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tiers need: without root the conformance tests are left out, and say so.

A program that is missing is no reason to skip: `make venv` installs it, and a test that cannot run
it fails.
"""

import os
from pathlib import Path

import pytest

_FIRST = (
    "host",
    "conformance",
    "unit",
    "test_checks.py",
    "test_architecture.py",
    "test_completion.py",
    "test_man_page.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _FIRST.index(part(item)))
    if os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("conformance"):
            item.add_marker(pytest.mark.skip(reason="conformance tests need root"))


def part(item: pytest.Item) -> str:
    return item.path.relative_to(Path(__file__).parent).parts[0]
