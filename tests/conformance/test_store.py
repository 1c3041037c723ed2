# SPDX-License-Identifier: LGPL-2.1-or-later
"""libostree and umoci judge what the store writes and checks out."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from atomic_sys.model.layer import Metadata
from atomic_sys.model.reference import ImageName
from atomic_sys.store.commits import TreeReader, store_commit
from atomic_sys.store.objects import Commit
from atomic_sys.store.repository import Mode, Repository
from atomic_sys.store.store import Store
from atomic_sys.store.transaction import Transaction
from atomic_sys.store.tree import Directory
from atomic_sys.store.view import Tree
from tests.support import layers
from tests.support.layers import Member, archive, directory, file, hard_link, listing, symlink

pytestmark = pytest.mark.conformance

BASE = [
    directory("./", mode=0o755),
    directory("bin", mode=0o755),
    file("bin/tool", b"#!/bin/sh\n" * 40, mode=0o4755),
    file("bin/large", bytes(range(256)) * 9000, mode=0o755, uid=12, gid=34),
    hard_link("bin/again", "bin/tool"),
    directory("etc", mode=0o2775, uid=0, gid=42),
    file("etc/empty", b""),
    file("etc/secret", b"x", mode=0o600, uid=1000, gid=1000),
    file("etc/umlaut-\u00e4\u20ac\U0001f600", b"name"),
    symlink("etc/link", "../bin/tool"),
    symlink("etc/owned", "/nowhere", uid=7, gid=8),
    directory("tmp", mode=0o1777),
    directory("var/lib/deep/er", mode=0o700),
    *(file(f"many/n{number:04}", str(number).encode()) for number in range(300)),
]
UPPER = [
    file("etc/.wh.secret"),
    file("etc/.wh.never-there"),
    file("bin/.wh..wh..opq"),
    file("bin/new", b"new"),
    directory("tmp", mode=0o755, uid=5),
    file("var/lib/deep", b"now a file"),
    directory("etc/link", mode=0o750),
    file("etc/link/inside", b"in"),
    file("many/n0001", b"changed"),
    hard_link("many/linked", "many/n0001"),
    hard_link("many/lower", "many/n0002"),
    directory("etc", mode=0o700),
]


def run(*argv: str | Path) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def user_store(scratch: Path) -> Store:
    fd = os.open(scratch, os.O_RDONLY)
    try:
        return Store(Repository.create(fd, "user", Mode.BARE_USER), timeout=0)
    finally:
        os.close(fd)


def put(store: Store, name: str, *contents: Sequence[Member]) -> None:
    imports = [layers.layer_import(members) for members in contents]
    for about, members in zip(imports, contents, strict=True):
        store.import_layer(about, layers.stream(members))
    store.put_image(layers.image(name, imports, (b"first", b"second")))


def check_out(store: Store, name: str, where: Path) -> Path:
    image = store.image(ImageName.parse(name))
    assert image is not None
    fd = os.open(where.parent, os.O_RDONLY)
    try:
        assert store.check_out(store.tree(image), fd, where.name)
    finally:
        os.close(fd)
    return where


def peer_commit(repository: Path, mode: str, tree: str) -> Commit:
    """What libostree makes of the tree."""
    run("ostree", "init", f"--repo={repository}", f"--mode={mode}")
    name = run("ostree", "commit", f"--repo={repository}", "--branch=x", "--orphan", tree,
               "--tar-autocreate-parents", "--subject=x")  # fmt: skip
    fd = os.open(repository.parent, os.O_RDONLY)
    opened = Repository.open(fd, repository.name)
    try:
        return opened.commit(bytes.fromhex(name))
    finally:
        opened.close()
        os.close(fd)


def test_a_layer_is_the_tree_that_ostree_makes_of_the_tar(scratch: Path, store: Store) -> None:
    (scratch / "layer.tar").write_bytes(archive(BASE))
    peer = peer_commit(scratch / "peer", "bare", f"--tree=tar={scratch / 'layer.tar'}")
    report = store.import_layer(layers.layer_import(BASE), layers.stream(BASE))
    ours = store.repository.commit(bytes.fromhex(report.commit))
    assert (ours.root_tree, ours.root_metadata) == (peer.root_tree, peer.root_metadata)
    assert names(scratch / "peer") - names(scratch / "repo") == {f"{commit_name(scratch)}"}


def commit_name(scratch: Path) -> str:
    return next(name for name in names(scratch / "peer") if name.endswith(".commit"))


def names(repository: Path) -> set[str]:
    return {path.parent.name + path.name for path in (repository / "objects").glob("*/*")}


def test_a_checkout_is_the_tree_that_ostree_commits(scratch: Path, store: Store) -> None:
    xattrs = ((b"security.capability", bytes.fromhex("0100000200040000000000000000000000000000")),
              (b"user.empty", b""), (b"user.note", b"a\0b"))  # fmt: skip
    with Transaction.open(store.repository) as transaction:
        metadata = Metadata(3, 4, 0o2755, xattrs)
        root = Directory(Metadata(0, 0, 0o755, ((b"user.empty", b""), (b"user.top", b"1"))))
        root.nodes["ping"] = transaction.add_file(metadata, 4, (b"ping",))
        root.nodes["hollow"] = transaction.add_file(metadata, 0, ())
        root.nodes["dir"] = Directory(Metadata(1, 2, 0o3711, ((b"user.dir", b"1"),)))
        commit = store_commit(transaction, root, {})
        transaction.commit([("test", commit)])
    fd = os.open(scratch, os.O_RDONLY)
    stored = TreeReader(store.repository).load(store.repository.commit(commit))
    store.check_out(Tree(store.repository, stored, commit.hex()), fd, "out")
    os.close(fd)
    peer = peer_commit(scratch / "peer", "bare", f"--tree=dir={scratch / 'out'}")
    ours = store.repository.commit(commit)
    assert (ours.root_tree, ours.root_metadata) == (peer.root_tree, peer.root_metadata)
    run("ostree", "fsck", f"--repo={scratch / 'repo'}")
    run("ostree", "checkout", "-H", f"--repo={scratch / 'repo'}", "test", scratch / "theirs")
    assert listing(scratch / "theirs") == listing(scratch / "out")
    assert (scratch / "out/ping").stat().st_nlink == 3
    assert (scratch / "out/hollow").stat().st_nlink == 1


@pytest.mark.parametrize("mode", list(Mode), ids=lambda mode: str(mode.value))
def test_ostree_accepts_the_whole_store(scratch: Path, store: Store, mode: Mode) -> None:
    used = store if mode is Mode.BARE else user_store(scratch)
    repository = scratch / ("repo" if mode is Mode.BARE else "user")
    put(used, "example.com/a:1", BASE, UPPER)
    assert "no errors found" in run("ostree", "fsck", f"--repo={repository}")
    refs = run("ostree", "refs", f"--repo={repository}").splitlines()
    assert "ociimage/example.com_2Fa_3A1" in refs
    shown = run("ostree", "show", f"--repo={repository}", "--print-metadata-key=docker.manifest",
                "ociimage/example.com_2Fa_3A1")  # fmt: skip
    assert "schemaVersion" in shown
    assert "signature-2" in run(
        "ostree", "ls", "-RX", f"--repo={repository}", "ociimage/example.com_2Fa_3A1"
    )
    rootfs = next(ref for ref in refs if ref.startswith("ocirootfs/"))
    option = "-H" if mode is Mode.BARE else "-UH"
    run("ostree", "checkout", option, f"--repo={repository}", rootfs, scratch / "theirs")
    ours = check_out(used, "example.com/a:1", scratch / "ours")
    assert listing(ours) == listing(scratch / "theirs")


def test_user_objects_are_the_files_that_ostree_writes(scratch: Path) -> None:
    (scratch / "layer.tar").write_bytes(archive(BASE))
    peer_commit(scratch / "peer", "bare-user", f"--tree=tar={scratch / 'layer.tar'}")
    user_store(scratch).import_layer(layers.layer_import(BASE), layers.stream(BASE))
    theirs = listing(scratch / "peer/objects")
    ours = listing(scratch / "user/objects")
    common = [name for name in theirs if "/" in name and not name.endswith(".commit")]
    assert len(common) > 310
    for name in common:
        assert ours[name] == theirs[name]
        if name.endswith(".file"):
            assert (scratch / "user/objects" / name).lstat().st_mtime == 0


def test_a_checkout_is_what_umoci_unpacks(scratch: Path, store: Store) -> None:
    contents = [BASE, UPPER, [directory("bin", mode=0o711), file("bin/x/y/z", b"deep")]]
    put(store, "a:1", *contents)
    imports = [layers.layer_import(members) for members in contents]
    tars = [archive(members) for members in contents]
    layers.write_layout(scratch / "layout", layers.image("a:1", imports), tars)
    run("umoci", "unpack", "--image", f"{scratch / 'layout'}:latest", scratch / "bundle")
    ours = check_out(store, "a:1", scratch / "ours")
    theirs = listing(scratch / "bundle/rootfs")
    del theirs["."]  # umoci keeps the mode of its own directory where a layer has no entry
    seen = listing(ours)
    del seen["."]
    assert seen == theirs


def test_layers_check_out_one_upon_another_by_ostree(scratch: Path, store: Store) -> None:
    upper = [item for item in UPPER if item[0].name not in ("many/lower", "tmp", "etc", "etc/link",
                                                            "etc/link/inside")]  # fmt: skip
    put(store, "a:1", BASE, upper)
    for members in (BASE, upper):
        ref = f"ociimage/{layers.layer_import(members).digest.hex}"
        run("ostree", "checkout", "-H", "--union", "--whiteouts", f"--repo={scratch / 'repo'}",
            ref, scratch / "theirs")  # fmt: skip
    # libostree makes an opaque directory anew, and gives it the layer's metadata
    assert listing(check_out(store, "a:1", scratch / "ours")) == listing(scratch / "theirs")


def test_ostree_prune_waits_while_we_work(scratch: Path, store: Store) -> None:
    put(store, "a:1", BASE)
    repository = scratch / "repo"
    run("ostree", "config", f"--repo={repository}", "set", "core.lock-timeout-secs", "0")
    prune = ["ostree", "prune", f"--repo={repository}", "--refs-only"]
    with store.in_use():
        done = subprocess.run(prune, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert "Locking repo exclusive failed" in done.stderr
    run(*prune)


def test_prune_leaves_what_ostree_needs(scratch: Path, store: Store) -> None:
    repository = scratch / "repo"
    put(store, "a:1", BASE, UPPER)
    put(store, "b:1", BASE)
    (scratch / "foreign").mkdir()
    (scratch / "foreign/file").write_text("of another user of the repository")
    for _ in range(2):  # the first commit is the parent of the second one
        run("ostree", "commit", f"--repo={repository}", "--branch=host/os",
            f"--tree=dir={scratch / 'foreign'}", f"--subject={_}")  # fmt: skip
    before = len(names(repository))
    store.delete_image(ImageName.parse("a:1"))
    report = store.prune()
    assert report.refs == 3  # the upper layer, the root file system and the config of a:1
    assert report.objects == before - len(names(repository)) > 0
    assert "not fetched" not in run("ostree", "log", f"--repo={repository}", "host/os")
    run("ostree", "fsck", f"--repo={repository}")
    check_out(store, "b:1", scratch / "ours")
    assert store.prune().objects == 0
    assert run("ostree", "prune", f"--repo={repository}", "--refs-only", "--no-prune")


def test_an_image_that_the_predecessor_stored(scratch: Path, store: Store) -> None:
    """Commits as skopeo's `ostree:` made them: plain trees, all metadata strings, no root tree."""
    repository = scratch / "repo"
    imports = [layers.layer_import(members) for members in (BASE, UPPER[:6])]
    stored = layers.image("docker.io/library/a", imports, (b"sig",))
    for about, members in zip(imports, (BASE, UPPER[:6]), strict=True):
        (scratch / "layer.tar").write_bytes(archive(members))
        size = f"docker.size={about.compressed_size}"
        tree = f"--tree=tar={scratch / 'layer.tar'}"
        peer_add(repository, f"ociimage/{about.digest.hex}", tree, size)
    (scratch / "c").mkdir()
    (scratch / "c/content").write_bytes(stored.config)
    peer_add(repository, f"ociimage/{stored.config_digest.hex}", f"--tree=dir={scratch / 'c'}",
             "docker.size=1")  # fmt: skip
    (scratch / "m").mkdir()
    (scratch / "m/manifest.json").write_bytes(stored.raw_manifest)
    (scratch / "m/signature-1").write_bytes(b"sig")
    peer_add(repository, "ociimage/docker.io_2Fa_3Alatest", f"--tree=dir={scratch / 'm'}",
             f"docker.manifest={stored.raw_manifest.decode()}", "signatures=1",
             f"docker.digest={stored.digest}")  # fmt: skip
    (found,) = store.images()
    assert str(found.name) == "docker.io/a:latest"
    assert found.size == sum(about.compressed_size for about in imports)
    assert store.find(found.digest.hex[:12]) == store.find("docker.io/a") == (found,)
    assert store.signatures(found) == (b"sig",)
    assert store.config(found) == stored.config
    ours = check_out(store, "docker.io/a", scratch / "ours")
    assert (ours / "bin/new").read_bytes() == b"new"
    assert not (ours / "etc/secret").exists()
    assert (ours / "var/lib/deep").is_file()


def peer_add(repository: Path, branch: str, tree: str, *metadata: str) -> None:
    strings = [f"--add-metadata-string={text}" for text in metadata]
    run("ostree", "commit", f"--repo={repository}", f"--branch={branch}", "--subject=x",
        "--tar-autocreate-parents", tree, *strings)  # fmt: skip
