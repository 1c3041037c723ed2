# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic pull` and a checkout in one process, on a root directory of its own.

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

from atomic_sys.__main__ import run
from atomic_sys.fs.atomic import sync_file_system
from atomic_sys.fs.directory import open_root
from atomic_sys.host import Host, HostOptions
from atomic_sys.model.reference import ImageName

_POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}'


def _pull(directory: Path, image: str) -> None:
    policy, registries = directory / "policy.json", directory / "registries.conf"
    if not policy.exists():
        policy.write_text(_POLICY)
        server = image.partition("/")[0]
        registries.write_text(f'[[registry]]\nlocation = "{server}"\ninsecure = true\n')
    options = ["--policy", os.fspath(policy), "--registries-conf", os.fspath(registries)]
    code = run(["--root", os.fspath(directory), *options, "pull", image])
    if code:
        sys.exit(code)
    name = "rootfs-" + image.rpartition(":")[2]
    if not (directory / name).exists():
        _check_out(directory, image, name)


def _check_out(directory: Path, image: str, name: str) -> None:
    with Host(HostOptions(root=os.fspath(directory)), {}) as host:
        found = host.store.image(ImageName(image))
        if found is None:
            sys.exit(f"{image} is not in the store")
        fd = open_root(os.fspath(directory))
        tree = host.store.tree(found)
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
            _check_out(Path(directory), image, name)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
