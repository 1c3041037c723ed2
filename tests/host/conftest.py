# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fixtures of the host tier: a base built once, a booted host for whoever asks for one.

Every test that uses one of them is marked `host`, and skipped only where it cannot run at all.
"""

import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.host.base import base_image
from tests.host.disk import sweep
from tests.host.host import Host
from tests.host.nspawn import Lifetime

BOOTING = {"base", "host", "new_host"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--keep-host", action="store_true", help="leave the test hosts running, to look into them"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = missing()
    ours = (item for item in items if Path(__file__).parent in item.path.parents)
    for item in ours:
        if BOOTING & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.host)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


def missing() -> str:
    """Why no host can be booted here; empty when one can."""
    if os.geteuid() != 0:
        return "a test host needs root"
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    return (
        "" if release.get("ID") == "debian" else "a test host is made from a Debian's own archive"
    )


@pytest.fixture(scope="session")
def base() -> Path:
    """The image that all hosts start from."""
    sweep()
    return base_image()


@pytest.fixture
def new_host(base: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Host]]:
    """Makes hosts, not booted yet, that are gone when the test is over."""
    lifetime = lifetime_of(request)
    hosts: list[Host] = []

    def make(name: str) -> Host:
        hosts.append(Host(name, base=base, lifetime=lifetime))
        return hosts[-1]

    yield make
    for made in hosts:
        finish(made, lifetime)


@pytest.fixture(scope="module")
def host(base: Path, request: pytest.FixtureRequest) -> Iterator[Host]:
    """One booted host for the tests of a module."""
    lifetime = lifetime_of(request)
    made = Host(request.node.name.removesuffix(".py").replace("_", "-"), base=base,
                lifetime=lifetime)  # fmt: skip
    try:
        made.boot()
        yield made
    finally:
        finish(made, lifetime)


def lifetime_of(request: pytest.FixtureRequest) -> Lifetime:
    # Without a default, pytest run from the root, which does not load this file early, would fail.
    kept = request.config.getoption("--keep-host", default=False)
    return Lifetime.KEPT if kept else Lifetime.OWNED


def finish(made: Host, lifetime: Lifetime) -> None:
    """Destroys the host, or tells how to enter the one that is kept."""
    match lifetime:
        case Lifetime.OWNED:
            made.destroy()
        case Lifetime.KEPT:
            how = " ".join([*made.enter(), "bash", "-l"]) if made.is_on else f"off: {made.name}"
            print(f"\nkept: {how}\nIt goes with the next run after `systemctl poweroff` in it.")
