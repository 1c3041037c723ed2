# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the OCI runtime of the host can do, by its own help text, as the predecessor asked it."""

import os

from atomic_sys.errors import AtomicSysError
from atomic_sys.fs.process import Command
from atomic_sys.render.runtime_commands import RuntimeFeature

_HELP_TIMEOUT = 10.0  # seconds


def check_runtime(path: str) -> None:
    """Raises AtomicSysError when there is no such program."""
    if not os.access(path, os.X_OK) or os.path.isdir(path):
        raise AtomicSysError(
            f"Cannot install the container: the runtime {path} is not installed",
            hint="install runc, or name another runtime with --runtime PATH",
        )


def runtime_features(path: str) -> RuntimeFeature:
    """The features that concern us. Raises AtomicSysError when the runtime cannot be run."""
    general, run = (
        Command(argv=[path, *words, "--help"], timeout=_HELP_TIMEOUT).run()
        for words in ((), ("run",))
    )
    features = RuntimeFeature.NONE
    for text, feature in (
        ("systemd-cgroup", RuntimeFeature.SYSTEMD_CGROUP),
        ("cgroup-manager", RuntimeFeature.CGROUP_MANAGER),
    ):
        if text in general.stdout.decode("utf-8", "replace"):
            features |= feature
    if "pid-file" in run.stdout.decode("utf-8", "replace"):
        features |= RuntimeFeature.PID_FILE
    return features
