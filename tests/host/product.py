# SPDX-License-Identifier: LGPL-2.1-or-later
"""Puts this repository's atomic-sys into a test host, as a distribution's package would.

Promised: what is installed is a wheel built from the work tree (its files, not its build
leftovers), once per process; `/usr/bin/atomic`, `/usr/bin/atomic-sys` and
`/usr/share/atomic-sys/` are there and run with the host's own /usr/bin/python3; nothing is
fetched from anywhere.
"""

import atexit
import functools
import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path

from tests.host.host import Host
from tests.host.process import ENVIRONMENT, HostError, run

REPOSITORY = Path(__file__).parents[2]
SOURCES = ("atomic_sys", "templates", "policy", "completions", "docs", "systemd", "pyproject.toml",
           "setup.cfg", "README.md", "LICENSE")  # fmt: skip
# Debian's Python then uses /usr/lib/python3/dist-packages, where its own packages are.
LAYOUT = {"DEB_PYTHON_INSTALL_LAYOUT": "deb", "PYTHONDONTWRITEBYTECODE": "1"}


def install_product(host: Host) -> None:
    """Installs the product into the host, running or not; raises HostError when it cannot be."""
    host.copy_in(product_tree() / "usr", "/usr")


@functools.cache
def product_tree() -> Path:
    """A directory with the installed product in it, as it lies below the host's root."""
    work = Path(tempfile.mkdtemp(prefix="atomic-sys-product-"))
    atexit.register(shutil.rmtree, work, ignore_errors=True)  # shared by all hosts
    source = work / "source"
    source.mkdir()
    # A copy, as setuptools builds in the source directory and would use what it left there before.
    for name in SOURCES:
        if (REPOSITORY / name).is_dir():
            shutil.copytree(REPOSITORY / name, source / name, symlinks=True,
                            ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))  # fmt: skip
        elif (REPOSITORY / name).exists():
            shutil.copy2(REPOSITORY / name, source / name)
    # An absolute path: pip takes a bare word for the name of a project on the package index.
    offline = ["--no-index", "--no-deps", "--quiet"]
    run(
        [sys.executable, "-m", "pip", "wheel", *offline, "--no-build-isolation",
         "--wheel-dir", work / "wheel", source],
        timeout=300, environment=ENVIRONMENT | LAYOUT,
    )  # fmt: skip
    wheels = list((work / "wheel").glob("*.whl"))
    if len(wheels) != 1:
        raise HostError(f"expected one wheel, found {[path.name for path in wheels]}")
    # The virtual environment's pip, run by the system's Python: its layout is the one we want.
    run(
        ["/usr/bin/python3", pip_directory(), "install", *offline, "--ignore-installed",
         "--no-compile", "--no-warn-script-location", "--root-user-action=ignore",
         "--root", work / "root", "--prefix", "/usr", wheels[0]],
        timeout=300, environment=ENVIRONMENT | LAYOUT,
    )  # fmt: skip
    tree = work / "root"
    for needed in ("usr/bin/atomic", "usr/bin/atomic-sys", "usr/lib/python3/dist-packages"):
        if not (tree / needed).exists():
            raise HostError(f"the wheel installs no /{needed}")
    # As packages do: else each host's first commands would write the caches, also where none fit.
    run(["/usr/bin/python3", "-m", "compileall", "-q", "-s", tree, "-p", "/", tree])
    # It names a directory of this machine, and only `pip freeze` reads it.
    for leftover in tree.rglob("direct_url.json"):
        leftover.unlink()
    return tree


def pip_directory() -> str:
    """Where this Python's pip is; running the directory runs pip."""
    found = importlib.util.find_spec("pip")
    if found is None or found.origin is None:
        raise HostError(f"{sys.executable} has no pip")
    return os.path.dirname(found.origin)
