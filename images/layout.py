# SPDX-License-Identifier: LGPL-2.1-or-later
"""An OCI layout made with umoci: layers from trees, a config, the same bytes each time.

umoci is the judge of the format and does the writing; this file only sees to it that no clock,
name of this machine or left-over of an intermediate step gets into the result.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from atomic_sys.errors import AtomicSysError
from atomic_sys.fs.process import Command

_TIMEOUT = 600.0  # seconds; compressing the largest layer takes about ten


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """The part of an image's config that says what it is and how it runs."""

    labels: Mapping[str, str]
    environment: Mapping[str, str]
    command: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A layout directory and the one time, in seconds, that everything in it is dated with."""

    path: Path
    epoch: int

    @property
    def _created(self) -> str:
        return datetime.fromtimestamp(self.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def create(self) -> None:
        """Make an empty layout with an image `latest` that has no layer."""
        _umoci("init", "--layout", os.fspath(self.path))
        _umoci("new", "--image", self._image("latest"))
        self._config("latest", [])

    def copy_from(self, other: Path) -> None:
        """Make this layout a copy of another one."""
        shutil.copytree(other, self.path)

    def insert(self, tree: Path, *, tag: str, comment: str) -> None:
        """Add the whole of `tree` as one layer on top of the image `tag`."""
        history = ["--history.created", self._created, "--history.created_by", comment]
        _umoci("insert", "--image", self._image(tag), *history, os.fspath(tree), "/")
        self._config(tag, [])

    def configure(self, config: ImageConfig, *, tag: str) -> None:
        """Set the labels (repeated as annotations of the manifest), the environment and the
        command."""
        arguments: list[str] = []
        for key, value in sorted(config.labels.items()):
            arguments += [
                "--config.label",
                f"{key}={value}",
                "--manifest.annotation",
                f"{key}={value}",
            ]
        for key, value in sorted(config.environment.items()):
            arguments += ["--config.env", f"{key}={value}"]
        for word in config.command:
            arguments += ["--config.cmd", word]
        self._config(tag, arguments)

    def tag(self, old: str, new: str) -> None:
        """Give the image `old` a second name."""
        _umoci("tag", "--image", self._image(old), new)

    def clean(self) -> None:
        """Remove what no tag reaches; only then do two builds have the same files."""
        _umoci("gc", "--layout", os.fspath(self.path))

    def unpack(self, bundle: Path, *, tag: str = "latest") -> None:
        """Unpack an image into `bundle`/rootfs, with the owners it has in the image."""
        _umoci("unpack", "--image", self._image(tag), os.fspath(bundle))

    def digest(self, tag: str = "latest") -> str:
        """The manifest digest behind a tag. Raises AtomicSysError when there is no such tag."""
        index = json.loads((self.path / "index.json").read_bytes())
        for manifest in index["manifests"]:
            if manifest.get("annotations", {}).get("org.opencontainers.image.ref.name") == tag:
                return str(manifest["digest"])
        raise AtomicSysError(f"{self.path.name} has no tag {tag}")

    def _image(self, tag: str) -> str:
        return f"{os.fspath(self.path)}:{tag}"

    def _config(self, tag: str, arguments: Sequence[str]) -> None:
        dated = ["--created", self._created, "--no-history"]
        _umoci("config", "--image", self._image(tag), *dated, *arguments)


def _umoci(*arguments: str) -> None:
    Command(argv=["umoci", *arguments], timeout=_TIMEOUT).check()
