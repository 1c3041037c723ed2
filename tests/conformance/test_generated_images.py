# SPDX-License-Identifier: LGPL-2.1-or-later
"""Thousands of made-up images: what we check out is what a slow extractor has, node by node.

ATOMIC_SYS_EXAMPLES in the environment is how many images there are; without it, as many as a minute
allows. umoci and the whole command have a look at some of them, libostree at all.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, event, given, settings

from atomic_sys.errors import AtomicSysError
from atomic_sys.fs.directory import remove_tree
from atomic_sys.image.layer import read_layer
from atomic_sys.model.digest import Digest
from atomic_sys.model.reference import ImageName
from atomic_sys.store.images import ImageToStore, LayerImport
from atomic_sys.store.store import Store
from tests.support import generated, layers, reference
from tests.support.generated import Member
from tests.support.places import Place
from tests.support.tidy import tidy
from tests.support.trees import Node, expected, hard_links, seen

pytestmark = pytest.mark.conformance
EXAMPLES = int(os.environ.get("ATOMIC_SYS_EXAMPLES", "2000"))
NAME = ImageName.parse("generated")
# After a refusal a store looks through all that it has: with one for all, time grows as its square.
IMAGES_OF_A_STORE = 100
ODD = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much]


def described(archives: list[bytes]) -> list[LayerImport]:
    """What is to be said about layers that are not compressed."""
    digests = [Digest.of(archive) for archive in archives]
    return [
        LayerImport(digest=digest, diff_id=digest, compressed_size=len(archive))
        for digest, archive in zip(digests, archives, strict=True)
    ]


def described_image(archives: list[bytes]) -> ImageToStore:
    return layers.image(NAME.value, described(archives))


class Importer:
    """A store in a directory, and the tree of the image that was imported last."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.fd = os.open(directory, os.O_RDONLY)
        self.store = Store.create(self.fd, "repo", timeout=0)
        self.images = 0

    def close(self) -> None:
        self.store.close()
        os.close(self.fd)

    def judge(self) -> None:
        """Have libostree look at all that was imported; go on with an empty store."""
        subprocess.run(["ostree", "fsck", "-q", f"--repo={self.directory}/repo"], check=True)
        self.store.close()
        remove_tree(self.fd, "repo")
        self.store = Store.create(self.fd, "repo", timeout=0)

    def check_out(self, archives: list[bytes]) -> Path:
        """Import the image; gives its checkout. Raises AtomicSysError."""
        self.images += 1
        if self.images % IMAGES_OF_A_STORE == 0:
            self.judge()
        for about, archive in zip(described(archives), archives, strict=True):
            if not self.store.has_layer(about.digest):
                self.store.import_layer(about, read_layer([archive], diff_id=about.diff_id))
        image = self.store.put_image(described_image(archives))
        where = self.directory / "out"
        if where.exists():
            remove_tree(self.fd, where.name)
        tree = self.store.tree(image)  # what was merged, of which this is to be a record
        assert Store(self.store.repository).tree(image).root == tree.root
        self.store.check_out(tree, self.fd, where.name)
        return where


@pytest.fixture
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="generated-test.") as path:
        yield Path(path)


@pytest.fixture
def importer(scratch: Path) -> Iterator[Importer]:
    made = Importer(scratch)
    yield made
    made.close()


def test_a_checkout_is_what_the_reference_extracts(importer: Importer) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=ODD)
    @given(generated.IMAGES)
    def check(image: list[list[Member]]) -> None:
        archives = [generated.tar(members) for members in image]
        tree: reference.Tree = {}
        clear = True
        try:
            tree = reference.extract(archives)
        except reference.Ambiguous:
            clear = False
        except reference.Refused:
            pass
        assume(clear)
        if not tree or not all(member.is_storable for members in image for member in members):
            event("refused")
            with pytest.raises(AtomicSysError):
                importer.check_out(archives)
            return
        event("checked out")
        out = importer.check_out(archives)
        assert seen(out) == expected(tree)
        for paths in hard_links(tree):
            assert len({(out / os.fsdecode(b"/".join(p))).lstat().st_ino for p in paths}) == 1

    check()
    importer.judge()


def test_a_sample_is_what_umoci_unpacks_and_the_command_checks_out(scratch: Path) -> None:
    place = Place.make(scratch / "root")

    @settings(max_examples=max(1, EXAMPLES // 50), deadline=None, suppress_health_check=ODD)
    @given(generated.IMAGES.map(tidy).filter(bool))
    def check(image: list[list[Member]]) -> None:
        archives = [generated.tar(members) for members in image]
        with tempfile.TemporaryDirectory(dir=scratch) as path:
            layout, bundle, out = (Path(path, name) for name in ("layout", "bundle", "out"))
            layers.write_layout(layout, described_image(archives), archives)
            argv = ["umoci", "unpack", "--image", f"{layout}:latest", str(bundle)]
            done = subprocess.run(argv, check=False, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            place.atomic("pull", f"oci:{layout}")
            place.atomic("images", "checkout", "layout", out)
            assert seen(out) == expected(reference.extract(archives))
            assert below_top(seen(out)) == below_top(seen(bundle / "rootfs"))

    check()
    place.check()


def below_top(tree: dict[reference.Path, Node]) -> dict[reference.Path, Node]:
    """Less the root, whose mode umoci keeps, and special files, which OSTree has no room for."""
    return {path: node for path, node in tree.items() if path and node[0] != "special"}


def test_processes_of_the_command_do_the_same(scratch: Path) -> None:
    place = Place.make(scratch / "root")

    @settings(max_examples=5, deadline=None, suppress_health_check=ODD)
    @given(generated.IMAGES.map(tidy).filter(bool))
    def check(image: list[list[Member]]) -> None:
        archives = [generated.tar(members) for members in image]
        with tempfile.TemporaryDirectory(dir=scratch) as path:
            layers.write_layout(Path(path, "layout"), described_image(archives), archives)
            place.alone("pull", f"oci:{path}/layout")
            place.alone("images", "checkout", "layout", f"{path}/out")
            assert seen(Path(path, "out")) == expected(reference.extract(archives))

    check()
    place.check()
