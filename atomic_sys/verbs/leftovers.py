# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is left of commands that died, in the directory of the deployments."""

from collections.abc import Iterator

from atomic_sys import log
from atomic_sys.engine.leftovers import leftovers_of, names_with_leftovers, old_ones, remove
from atomic_sys.errors import Busy
from atomic_sys.host import Host


def remove_leftovers(host: Host) -> Iterator[str]:
    """Remove them; which those were. A container that somebody is busy with is passed over.

    Raises OSError.
    """
    for name in names_with_leftovers(host.root, host.paths):
        try:
            with host.locked(name):
                for one in tuple(leftovers_of(host.root, host.paths, name)):
                    remove(host.root, one)
                    yield one.path
        except Busy as error:
            log.note(f"{error}: what is left of others stays for now")
    for one in tuple(old_ones(host.root, host.paths)):
        remove(host.root, one)
        yield one.path
