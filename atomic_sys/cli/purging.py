# SPDX-License-Identifier: LGPL-2.1-or-later
"""`--purge`: what goes is shown, and asked for where there is somebody to ask."""

import argparse
from collections.abc import Iterable, Sequence

from atomic_sys import log
from atomic_sys.cli.output import agree
from atomic_sys.engine.observe import Installed
from atomic_sys.engine.state_rules import StatePath
from atomic_sys.host import Host
from atomic_sys.verbs.uninstall import state_of


def add_removal_options(parser: argparse.ArgumentParser) -> None:
    """What both verbs that remove containers have."""
    add = parser.add_argument
    add("--purge", action="store_true", help="remove the state too that the image declares")
    add("-f", "--force", action="store_true", help="go on where the image's uninstall hook fails")


def agree_to_purge(
    containers: Sequence[Installed], host: Host, *, assume_yes: bool
) -> frozenset[str]:
    """The state that goes with these containers, when the user agrees to it.

    Without a terminal the named containers are the agreement. Raises UsageError when the user
    declines.
    """
    going, kept = _sorted(
        state
        for number, container in enumerate(containers)
        for state in state_of(container, host, [one.name for one in containers[:number]])
    )
    for state in kept:
        log.warn(f"{state.path} stays: {state.kept}")
    if not going:
        log.note("no state to remove")
        return frozenset()
    for path in going:
        log.note(f"this state is removed: {path}")
    agree(["Remove the state with all that is in it?"], assume_yes=assume_yes, unattended=True)
    return frozenset(going)


def _sorted(states: Iterable[StatePath]) -> tuple[list[str], list[StatePath]]:
    """The paths that go, and what stays; of containers that share one, the last one takes it."""
    every = list(states)
    going = list(dict.fromkeys(state.path for state in every if state.kept is None))
    return going, [state for state in every if state.kept is not None and state.path not in going]
