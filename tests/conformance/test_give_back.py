# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an import that found no room leaves, as libostree sees it."""

import errno
import os
import subprocess
from pathlib import Path

import pytest

from atomic_sys.image.layer import read_layer
from atomic_sys.store import space
from atomic_sys.store.skeleton import SkeletonWriter, recording
from atomic_sys.store.store import Store
from tests.support.layers import Member, archive, file, layer_import

pytestmark = pytest.mark.conformance
KEPT = [file(f"kept/{number}", b"%d" % number) for number in range(20)]
FAILED = [*KEPT, *(file(f"new/{number}", b"new %d" % number) for number in range(20))]


def put(store: Store, members: list[Member]) -> None:
    layer = layer_import(members)
    with recording(store.repository) as skeleton:
        stream = read_layer([archive(members)], diff_id=layer.diff_id, recorder=skeleton)
        store.import_layer(layer, stream, skeleton)


def objects(scratch: Path) -> set[Path]:
    return set((scratch / "repo/objects").glob("*/*"))


def test_no_commit_stays_without_its_files(
    store: Store, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, KEPT)
    before = objects(scratch)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(SkeletonWriter, "store", full)  # by then the layer's commit is there
    with pytest.raises(OSError, match="No space left"):
        put(store, FAILED)
    assert {path.suffix for path in objects(scratch) - before} >= {".file", ".commit"}
    space.give_back(store.repository)
    assert {path.suffix for path in objects(scratch) - before} <= {".dirtree", ".dirmeta"}
    assert before <= objects(scratch)
    subprocess.run(["ostree", "fsck", "-q", f"--repo={scratch}/repo"], check=True)
