# SPDX-License-Identifier: LGPL-2.1-or-later
"""Build the example system containers as OCI layouts: DIR/NAME with the tag `latest`.

Promised: the same package versions and sources give the same manifest digest, anywhere and at any
time (SOURCE_DATE_EPOCH overrides the date in it); a layout appears whole or not at all; layers
made of packages are kept in a cache under a key of everything that went into them, so that a
second build takes seconds. Needs root, Debian's apt and dpkg, and umoci.
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from atomic_sys.errors import AtomicSysError, UsageError, doing, printable
from atomic_sys.fs.lock import LockKind, locked
from images import payload, tree
from images.layout import Layout
from images.packages import Package, closure, fetch
from images.payload import Variant
from images.recipes import RECIPES, Layer, Recipe

_HERE = Path(__file__).resolve().parent
DEFAULT_EPOCH = 1_767_225_600  # 2026-01-01; later files are dated back to it
_LOCK_TIMEOUT = 1800.0  # seconds: another build fills the cache, and we want what it makes


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A cached layout of package layers, and the packages in it."""

    layout: Layout
    packages: tuple[Package, ...]


def build(
    names: Sequence[str], output: Path, *, cache: Path | None = None, variant: Variant | None = None
) -> dict[str, str]:
    """Build the named images into `output` and return the manifest digest of each.

    With a variant, the digest is the variant's and the layout holds both tags. Raises UsageError
    for an unknown name, AtomicSysError when packages are missing or a tool fails; an existing
    layout then stays.
    """
    unknown = sorted(set(names) - set(RECIPES))
    if unknown:
        raise UsageError(
            f"no such image: {', '.join(unknown)}", hint=f"there are {', '.join(RECIPES)}"
        )
    if os.geteuid() != 0:
        raise AtomicSysError("building an image needs root, for the owners of its files")
    cache = cache or default_cache()
    with _plain_umask(), _locked_cache(cache):
        return {name: _build_one(RECIPES[name], output, cache, variant) for name in names}


def default_cache() -> Path:
    """Where packages and layers are kept: $ATOMIC_SYS_CACHE or the user's cache directory."""
    base = os.environ.get("ATOMIC_SYS_CACHE")
    return Path(base) if base else Path.home() / ".cache" / "atomic-sys"


def source_date_epoch() -> int:
    """The date of everything in the images, in seconds (reproducible-builds.org's variable)."""
    value = os.environ.get("SOURCE_DATE_EPOCH", str(DEFAULT_EPOCH))
    if not value.isascii() or not value.isdigit():
        raise UsageError(f"SOURCE_DATE_EPOCH is no number of seconds: {value}")
    return int(value)


@contextmanager
def _plain_umask() -> Iterator[None]:
    """Directories that no package brings get their mode from the umask: let it be the usual one."""
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def _locked_cache(cache: Path) -> Iterator[None]:
    (cache / "archives").mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        fd = os.open(cache, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, fd)
        what = f"the image cache {cache}"
        stack.enter_context(
            locked(fd, "images.lock", LockKind.EXCLUSIVE, timeout=_LOCK_TIMEOUT, what=what)
        )
        yield


def _build_one(recipe: Recipe, output: Path, cache: Path, variant: Variant | None) -> str:
    epoch = source_date_epoch()
    with doing(f"building {recipe.name}"), _replacing(output / recipe.name) as work:
        stage = _stage(recipe.layers, cache, epoch)
        layout = Layout(path=work / "layout", epoch=epoch)
        layout.copy_from(stage.layout.path)
        payload.fill(recipe, work / "payload")
        tree.normalise(work / "payload", epoch)
        layout.insert(work / "payload", tag="latest", comment=f"images/{recipe.name}")
        labels = payload.labels_of(recipe, stage.packages)
        layout.configure(payload.config_of(recipe, labels), tag="latest")
        if variant is not None:
            payload.add_variant(layout, recipe, variant, work / "variant", labels)
        layout.clean()
        return layout.digest("latest" if variant is None else variant.tag)


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A work directory beside `target`; its `layout` takes the place of `target` when the block is
    done."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
        work = Path(scratch)
        yield work
        if target.exists():
            target.rename(work / "old")
        (work / "layout").rename(target)


def _stage(layers: Sequence[Layer], cache: Path, epoch: int) -> Stage:
    """The layout of these package layers, from the cache or made now."""
    if not layers:
        raise AtomicSysError("a recipe without a layer makes no image")
    lower = _stage(layers[:-1], cache, epoch) if len(layers) > 1 else None
    below = lower.packages if lower else ()
    layer = layers[-1]
    own = closure(layer.packages, without=layer.without, below=below)
    key = stage_key(layer, own, epoch, lower)
    stage = Stage(layout=Layout(path=cache / "layers" / key, epoch=epoch), packages=(*below, *own))
    if not stage.layout.path.exists():
        with _replacing(stage.layout.path) as work:
            layout = Layout(path=work / "layout", epoch=epoch)
            layout.copy_from(lower.layout.path) if lower else layout.create()
            root = work / "root"
            root.mkdir(mode=0o755)
            tree.unpack(fetch(own, cache / "archives"), root)
            tree.finish(root, layer.links)
            tree.normalise(root, epoch)
            layout.insert(root, tag="latest", comment=" ".join(layer.packages))
            layout.clean()
            if layer.programs:
                layout.unpack(work / "bundle")
                tree.check_programs(work / "bundle" / "rootfs", layer.programs)
    return stage


def stage_key(layer: Layer, packages: Sequence[Package], epoch: int, lower: Stage | None) -> str:
    """What names a cached stage: everything that its bytes depend on, this code among it."""
    code = [(_HERE / name).read_text() for name in ("tree.py", "layout.py")]
    facts = [
        lower.layout.path.name if lower else "",
        epoch,
        code,
        [package.file for package in packages],
        sorted(layer.links.items()),
        layer.packages,
        layer.programs,
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="images.build", description="Build the example images.")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="layouts go here")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="default: $ATOMIC_SYS_CACHE")
    parser.add_argument("--variant", metavar="TAG", help="also make this tag, one layer on top")
    parser.add_argument(
        "--label", action="append", default=[], metavar="K=V", help="a label of the variant"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: {' '.join(RECIPES)}")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """The command: one line `NAME DIGEST` for each image on stdout. Returns the exit status."""
    arguments = _arguments(argv)
    try:
        labels = dict(word.split("=", 1) for word in arguments.label if "=" in word)
        if len(labels) != len(arguments.label):
            raise UsageError("--label wants K=V, each K once")
        if labels and not arguments.variant:
            raise UsageError("--label belongs to a --variant")
        variant = Variant(tag=arguments.variant, labels=labels) if arguments.variant else None
        for name in arguments.names or RECIPES:
            digests = build([name], arguments.output, cache=arguments.cache, variant=variant)
            sys.stdout.write(f"{name} {digests[name]}\n")
            sys.stdout.flush()
    except AtomicSysError as error:
        notes = "".join(f" {note}" for note in getattr(error, "__notes__", ()))
        sys.stderr.write(f"images.build: {printable(str(error))}{notes}\n")
        if error.hint:
            sys.stderr.write(f"hint: {printable(error.hint)}\n")
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
