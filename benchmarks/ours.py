# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic pull` and a checkout in one process, as an installation has it, on a root of its own.

`python -m benchmarks.ours pull DIR IMAGE`, `... checkout DIR IMAGE NAME`. The policy accepts
everything, as that of the programs in the comparison. A checkout prints the seconds of wall and of
CPU time that the files and their sync took, which is what an installation adds to a pull: there is
a process already then, with the tree in memory.
"""

import os
import resource
import sys
import time
from pathlib import Path

from atomic_sys.__main__ import leave
from atomic_sys.cli.output import Output
from atomic_sys.cli.progress import reporting
from atomic_sys.fs.atomic import sync_file_system
from atomic_sys.fs.directory import open_root
from atomic_sys.host import Host, HostOptions
from atomic_sys.model.reference import ImageName
from atomic_sys.store.images import StoredImage

_POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}'


def files(directory: Path) -> tuple[str, str]:
    """The names of the policy and of registries.conf for a root directory."""
    return os.fspath(directory / "policy.json"), os.fspath(directory / "registries.conf")


def write_policy(directory: Path) -> str:
    """Make the policy of a root directory; its name."""
    policy, _ = files(directory)
    Path(policy).write_text(_POLICY)
    return policy


def _pull(directory: Path, image: str) -> None:
    from atomic_sys.verbs.pull import pull  # here since a checkout is measured without it

    policy, registries = files(directory)
    if not os.path.exists(policy):
        write_policy(directory)
        server = image.partition("/")[0]
        Path(registries).write_text(f'[[registry]]\nlocation = "{server}"\ninsecure = true\n')
    options = HostOptions(root=os.fspath(directory), policy=policy, registries_conf=registries)
    with Host(options, {}) as host:
        with reporting(Output(json=False)) as report:
            pulled = pull(image, host, report)
        _check_out(host, pulled.image, directory, "rootfs-" + image.rpartition(":")[2])


def _check_out_again(directory: Path, image: str, name: str) -> None:
    with Host(HostOptions(root=os.fspath(directory)), {}) as host:
        found = host.store.image(ImageName(image))
        if found is None:
            sys.exit(f"{image} is not in the store")
        _check_out(host, found, directory, name)


def _check_out(host: Host, image: StoredImage, directory: Path, name: str) -> None:
    fd = open_root(os.fspath(directory))
    tree = host.store.tree(image)
    wall, cpu = time.perf_counter(), _cpu_time()
    host.store.check_out(tree, fd, name)
    sync_file_system(fd)
    print(time.perf_counter() - wall, _cpu_time() - cpu)


def _cpu_time() -> float:
    """Of this process and of those that it has waited for."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> None:
    """Do what the command line says."""
    match sys.argv[1:]:
        case ["pull", directory, image]:
            _pull(Path(directory), image)
        case ["checkout", directory, image, name]:
            _check_out_again(Path(directory), image, name)
        case _:
            sys.exit(__doc__)
    leave(0)


if __name__ == "__main__":
    main()
