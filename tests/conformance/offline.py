# SPDX-License-Identifier: LGPL-2.1-or-later
"""A root directory in which the whole command works, without a systemd, and how to call it."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from atomic_sys.__main__ import run
from tests.support.layers import listing

CHECKOUTS = "var/lib/containers/atomic"
STORE = f"{CHECKOUTS}/.storage"
ACCEPT = {"type": "insecureAcceptAnything"}
NAME = "hello"  # of the layout `hello`
_OF_THE_ENVIRONMENT = (
    "RUNC_PATH", "ATOMIC_OSTREE_REPO", "ATOMIC_OSTREE_CHECKOUT_PATH", "TRUST_POLICY",
    "CONTAINERS_POLICY_JSON", "CONTAINERS_REGISTRIES_CONF",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Atomic:
    """Runs a command line on the root; gives the exit code, stdout and stderr."""

    root: Path
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *words: str) -> tuple[int, str, str]:
        code = run(["--root", str(self.root), *words])
        out, err = self.capsys.readouterr()
        return code, out, err


def as_json(done: tuple[int, str, str]) -> Any:
    """What a command printed, if it printed JSON and nothing else."""
    return json.loads(done[1])


def make_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root whose policy accepts OCI layouts and nothing else; the environment names no other."""
    for name in _OF_THE_ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    for directory in (
        "etc/containers", "etc/systemd/system", "etc/tmpfiles.d",
        "usr/bin", "usr/lib/systemd/system", CHECKOUTS, "run", "var/lib", "usr/local/bin",
    ):  # fmt: skip
        (root / directory).mkdir(parents=True, exist_ok=True)
    write_policy(root, {"oci": {"": [ACCEPT]}})
    runc = shutil.which("runc")
    assert runc is not None
    (root / "usr/bin/runc").symlink_to(runc)
    return root


def write_policy(root: Path, transports: Mapping[str, object]) -> None:
    policy = {"default": [{"type": "reject"}], "transports": transports}
    (root / "etc/containers/policy.json").write_text(json.dumps(policy))


def seen(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything below the root but the store and the empty file of the locks."""
    hidden = (STORE, f"{CHECKOUTS}/.lock", f"{CHECKOUTS}/.journal")
    return {path: what for path, what in listing(root).items() if not path.startswith(hidden)}
