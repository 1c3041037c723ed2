# SPDX-License-Identifier: LGPL-2.1-or-later
"""The engine's parts, put together from a host for the verbs that need them."""

import contextlib
import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from atomic_sys import log
from atomic_sys.engine import protection
from atomic_sys.engine.journal import Journal
from atomic_sys.engine.observe import find, is_free
from atomic_sys.engine.prepare import HostView
from atomic_sys.engine.recover import recover
from atomic_sys.engine.report import Report
from atomic_sys.engine.runtime import check_runtime, runtime_features
from atomic_sys.engine.steps import Tools
from atomic_sys.errors import AtomicSysError
from atomic_sys.host import Host
from atomic_sys.model.names import ContainerName
from atomic_sys.render import render
from atomic_sys.render.host_facts import HostFacts
from atomic_sys.render.render import DefaultTemplates
from atomic_sys.verbs.sourcing import locate as locate
from atomic_sys.verbs.sourcing import make_judge as make_judge
from atomic_sys.verbs.sourcing import parse_image as parse_image

START_TIMEOUT = 600.0  # seconds; the unit's own TimeoutStartSec= usually ends it before
_SHARE = "share/atomic-sys"


class Transaction(NamedTuple):
    """What changes of one container are made with; `recovered` is a verb that was interrupted."""

    journal: Journal
    tools: Tools
    recovered: str | None


@contextlib.contextmanager
def claimed(host: Host, name: ContainerName, report: Report) -> Iterator[Transaction]:
    """Hold the container's name for the length of the block.

    What a command that died left behind is dealt with first. Raises Busy, AtomicSysError.
    """
    with host.locked(name):
        journal = Journal(host.root, host.paths.checkouts, name)
        tools = make_tools(host, report, journal)
        recovered = recover(journal, tools, find(host.root, host.paths, name))
        yield Transaction(journal, tools, recovered)


def make_tools(host: Host, report: Report, journal: Journal) -> Tools:
    """What operations work with."""

    def check_out(commit: str, dfd: int, name: str) -> None:
        host.store.check_out(host.store.rootfs(commit), dfd, name)

    def protect(deployment: str) -> None:
        if host.manager.online:
            protect_deployment(deployment)

    return Tools(
        root=host.root,
        root_path=host.options.root,
        manager=host.manager,
        check_out=check_out,
        protect=protect,
        backup=journal.backup,
        say=report.say,
        start_timeout=START_TIMEOUT,
        written=host.paths.written,
    )


def protect_deployment(deployment: str) -> str | None:
    """Protect it on the running host; why that cannot be is returned, and no error."""
    try:
        reason = protection.protect(deployment)
    except (AtomicSysError, OSError) as error:
        reason = str(error)
    if reason is not None:
        log.debug(f"{deployment} is not protected from accidental writes: {reason}")
    return reason


def make_view(host: Host, runtime: str) -> HostView:
    """The host as templates see it. Raises AtomicSysError when the runtime is not installed."""
    here = host.paths.inside(runtime)
    check_runtime(here)
    return HostView(
        host=render.Host(
            facts=HostFacts(
                uid=os.geteuid(),
                gid=os.getegid(),
                capabilities=_capabilities(host),
                home=os.path.expanduser("~"),
                atomic=_program(),
            ),
            runtime=runtime,
            features=runtime_features(here),
            exists=lambda path: not is_free(host.root, path),
        ),
        templates=_default_templates(),
    )


def _capabilities(host: Host) -> int:
    """What this host's first process may grant; for the root of another one, everything."""
    if host.manager.online:
        for line in (
            Path("/proc/1/status").read_text(encoding="utf-8", errors="replace").splitlines()
        ):
            if line.startswith("CapBnd:"):
                return int(line.split()[1], 16)
    return HostFacts().capabilities


def _program() -> str:
    return sys.argv[0] if os.path.isabs(sys.argv[0]) else "/usr/bin/atomic"


def _default_templates() -> DefaultTemplates:
    """The templates of the installation, or of the source tree that we run from."""
    own = Path(__file__).parents[2]
    for directory in (
        own / "templates",
        Path("/usr", _SHARE, "templates"),
        Path("/usr/local", _SHARE, "templates"),
        Path(sysconfig.get_path("data"), _SHARE, "templates"),
    ):
        config, service = directory / "config.json.j2", directory / "service.j2"
        if config.is_file() and service.is_file():
            return DefaultTemplates(config=config.read_text(), service=service.read_text())
    raise AtomicSysError("the default templates are not installed", hint="install atomic-sys again")
