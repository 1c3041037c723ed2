# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tiers need: without root the conformance tests are left out, and say so.

A program that is missing is no reason to skip: `make venv` installs it, and a test that cannot run
it fails.
"""

import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):  # of pytest-xdist
        items[:] = for_several_workers(items)
    if os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("conformance"):
            item.add_marker(pytest.mark.skip(reason="conformance tests need root"))


def for_several_workers(items: Iterable[pytest.Item]) -> Iterator[pytest.Item]:
    """Module by module, so that all have work until the end: those of hosts, which wait much, in
    turn with those of conformance, which compute; then the short ones.
    """
    parts: dict[str, list[list[pytest.Item]]] = {}
    for path, of_module in itertools.groupby(items, lambda item: item.path):
        part = path.relative_to(TOP).parts[0]
        parts.setdefault(part, []).append(list(of_module))
    long = (parts.pop("host", []), parts.pop("conformance", []))
    for module in itertools.chain(*itertools.zip_longest(*long, fillvalue=[]), *parts.values()):
        yield from module
