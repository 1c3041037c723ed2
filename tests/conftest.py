# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tiers need: without root the conformance tests are left out, and say so.

A program that is missing is no reason to skip: `make venv` installs it, and a test that cannot run
it fails.
"""

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("conformance"):
            item.add_marker(pytest.mark.skip(reason="conformance tests need root"))
