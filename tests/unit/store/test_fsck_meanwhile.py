# SPDX-License-Identifier: LGPL-2.1-or-later
"""A check of the store while others write to it: what is not there yet is no damage."""

from pathlib import Path

from atomic_sys.image.layer import read_layer
from atomic_sys.model.layer import Metadata
from atomic_sys.model.reference import ImageName
from atomic_sys.store.fsck import fsck
from atomic_sys.store.integrity import ObjectName
from atomic_sys.store.objects import ObjectKind
from atomic_sys.store.store import Store
from atomic_sys.store.transaction import Transaction
from tests.support import layers
from tests.support.layers import file


def put(store: Store, name: str) -> None:
    members = [file(f"{name}{number}", f"{name} {number}".encode()) for number in range(40)]
    about = layers.layer_import(members)
    store.import_layer(about, read_layer([layers.archive(members)], diff_id=about.diff_id))
    store.put_image(layers.image(name, [about]))


def test_an_image_that_comes_meanwhile_is_not_missed(store: Store) -> None:
    put(store, "first")
    names = iter(("second", "third"))

    def advance(_: int) -> None:
        name = next(names, None)
        if name is not None:
            put(store, name)

    assert fsck(store.repository, advance).clean
    assert store.image(ImageName.parse("third")) is not None
    assert fsck(store.repository, lambda _: None).clean


def test_an_object_is_no_damage_while_it_is_written(store: Store, tmp_path: Path) -> None:
    put(store, "first")
    with Transaction.open(store.repository) as transaction:
        content = transaction.add_file(Metadata(0, 0, 0o644), 4, (b"data",))
        (path,) = (tmp_path / "repo/objects").rglob(f"{content.hex()[2:]}.file")
        path.write_bytes(b"da")  # as if it were still being written: its time is not the epoch
        assert fsck(store.repository, lambda _: None).clean
        transaction.commit([])
    name = ObjectName(ObjectKind.FILE, content)
    assert fsck(store.repository, lambda _: None).strays == {name}
    path.write_bytes(b"data")
    store.discard({name})
    assert path.exists()
    path.write_bytes(b"date")
    store.discard({name})
    assert not path.exists()
