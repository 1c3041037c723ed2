# SPDX-License-Identifier: LGPL-2.1-or-later
"""What this program has installed, made into what the predecessor would have left on the disk."""

import json
import shutil
from pathlib import Path

CHECKOUTS = "var/lib/containers/atomic"
# What this program adds to the record.
_OURS = ("user-values", "installed-directories", "source", "signers", "verdict", "health",
         "data-version", "state", "hooks", "checksums")  # fmt: skip


def age(root: Path, name: str) -> None:
    """Take from the container and from the store what the predecessor did not write.

    Its image must be the only one of the store.
    """
    deployment = root / CHECKOUTS / f"{name}.0"
    info = deployment / "info"
    record = json.loads(info.read_text())
    refs = root / CHECKOUTS / ".storage/ostree/refs/heads"
    (named,) = (ref for ref in (refs / "ociimage").iterdir() if "_3A" in ref.name)
    record["ostree-commit"] = named.read_text().strip()  # of the manifest, not of the files
    record["created"] = float(record["created"]) + 0.25
    info.write_text(json.dumps({key: record[key] for key in record if key not in _OURS}))
    shutil.rmtree(refs / "ocirootfs")
    (deployment / "host-files.json").unlink()
    shutil.rmtree(deployment / "host-files")
