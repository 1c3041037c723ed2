# SPDX-License-Identifier: LGPL-2.1-or-later
"""What lies on top of the packages: an image's own files, its labels, variants for tests."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from images import tree
from images.layout import ImageConfig, Layout
from images.packages import Package
from images.recipes import MOUNT_POINTS, Recipe

SOURCES = Path(__file__).resolve().parent
_VENDOR = "atomic-sys example images"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A second image in the same layout: one small layer on top of `latest`, and other labels.

    `files` maps a path in the image to its text; without any, the layer holds the tag's name.
    """

    tag: str
    labels: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


def fill(recipe: Recipe, root: Path) -> None:
    """The image's own files: mount points, sources from this directory, owners and modes made
    plain."""
    root.mkdir(mode=0o755)
    for name in (*MOUNT_POINTS, *recipe.directories):
        (root / tree.merged(name)).mkdir(parents=True, exist_ok=True)
    source = SOURCES / recipe.name
    if (source / "rootfs").is_dir():
        shutil.copytree(source / "rootfs", root, symlinks=True, dirs_exist_ok=True)
    for module in recipe.modules:
        ignored = shutil.ignore_patterns("__pycache__")
        target = root / "usr/lib" / recipe.name / module
        shutil.copytree(SOURCES.parent / module, target, ignore=ignored)
    if (source / "exports").is_dir():
        shutil.copytree(source / "exports", root / "exports", symlinks=True)
    for directory, names, files in os.walk(root):
        for name in (*names, *files):
            path = Path(directory, name)
            os.chown(path, 0, 0, follow_symlinks=False)
            if not path.is_symlink():
                # the umask of a checkout is no part of an image; "executable or not" is
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    for name in ("tmp", "var/tmp"):
        (root / name).chmod(0o1777)
    (root / "root").chmod(0o700)


def labels_of(recipe: Recipe, packages: Sequence[Package]) -> dict[str, str]:
    """The labels of an image; its version is its main package's, or the recipe's own."""
    version = recipe.version or next(p.version for p in packages if p.name == recipe.version_of)
    return {
        "org.opencontainers.image.title": recipe.name,
        "org.opencontainers.image.description": recipe.summary,
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.vendor": _VENDOR,
        **recipe.labels,
    }


def config_of(recipe: Recipe, labels: Mapping[str, str]) -> ImageConfig:
    """The image config of a recipe with these labels."""
    path = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    return ImageConfig(
        labels=labels, environment=path | dict(recipe.environment), command=recipe.command
    )


def add_variant(
    layout: Layout, recipe: Recipe, variant: Variant, root: Path, labels: Mapping[str, str]
) -> None:
    """Give the layout a second tag: `latest`, the variant's layer made in `root`, its labels."""
    root.mkdir(mode=0o755)
    files = variant.files or {"usr/share/atomic-sys/variant": f"{variant.tag}\n"}
    for name, text in files.items():
        path = root / tree.merged(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    tree.normalise(root, layout.epoch)
    layout.tag("latest", variant.tag)
    layout.insert(root, tag=variant.tag, comment=f"variant {variant.tag}")
    layout.configure(config_of(recipe, {**labels, **variant.labels}), tag=variant.tag)
