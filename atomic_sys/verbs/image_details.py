# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic images info`, `version`, `inspect`, `history`, `tag`, `help`: one image of the store."""

import json
from collections.abc import Mapping

from atomic_sys.engine.prepare import read_exports
from atomic_sys.errors import AtomicSysError, UsageError, doing
from atomic_sys.frozen import frozen
from atomic_sys.host import Host
from atomic_sys.model import image_config
from atomic_sys.model import manifest as documents
from atomic_sys.model.manifest import Manifest
from atomic_sys.model.oci_config import image_history, oci_config
from atomic_sys.model.reference import ImageName
from atomic_sys.model.source import RegistrySource
from atomic_sys.model.strict_json import as_object
from atomic_sys.render.variables import SettableVariables, settable_variables
from atomic_sys.store.images import ImageToStore, StoredImage
from atomic_sys.verbs.images import ListedImage, find_images

_HELP_FILES = ("/README.md", "/help.1")  # not formatted, so the plain one is the better one
_HELP_LIMIT = 1 << 20  # bytes
_HELP_LABELS = ("HELP", "help", "Help")


@frozen
class Info:
    """What `images info` shows."""

    item: ListedImage
    labels: Mapping[str, str]
    variables: SettableVariables


@frozen
class HistoryEntry:
    """A step of the build; `size` is that of its layer as it was downloaded, None if not known."""

    created: str
    created_by: str
    comment: str
    size: int | None
    empty: bool


def find_image(text: str, host: Host) -> ListedImage:
    """The image of this name, or the one whose id begins so. Raises NotFound, UsageError."""
    found = find_images([text], host, force=True)
    if len({item.image.digest for item in found}) > 1:
        names = ", ".join(str(item.image.name) for item in found)
        raise UsageError(f"{text} is the beginning of several ids: {names}")
    return found[0]


def info(text: str, host: Host) -> Info:
    """Labels, variables and who signed it. Raises NotFound, AtomicSysError."""
    item = find_image(text, host)
    with doing(f"reading {item.image.name}"):
        exports = read_exports(item.image, host.store.tree(item.image))
        return Info(
            item=item,
            labels=dict(sorted(_labels(item.image, host).items())),
            variables=settable_variables(exports),
        )


def version(text: str, host: Host) -> tuple[ListedImage, str]:
    """The image and its version: its labels Version and Release, else its id. Raises NotFound."""
    item = find_image(text, host)
    labels = _labels(item.image, host)
    parts = [labels.get(name) or labels.get(name.lower()) for name in ("Version", "Release")]
    return item, "-".join(part for part in parts if part) or item.image.digest.hex


def inspect(text: str, host: Host) -> dict[str, object]:
    """Everything that the store knows of the image, in podman's keys. Raises NotFound, Damaged."""
    item = find_image(text, host)
    image = item.image
    config = oci_config(host.store.config(image))
    process = as_object(config["config"], "image config: config")
    names = [other.name for other in host.store.images() if other.digest == image.digest]
    return {
        "Id": "" if image.config_digest is None else image.config_digest.hex,
        "Digest": str(image.digest),
        "RepoTags": [str(name) for name in names],
        "Created": config.get("created"),
        "Author": config.get("author", ""),
        "Architecture": config["architecture"],
        "Os": config["os"],
        "Size": image.size,
        "Config": process,
        "Labels": process.get("Labels") or {},
        "RootFS": config["rootfs"],
        "History": config.get("history", []),
        "Layers": [str(layer) for layer in image.layers],
        "Source": image.source,
        "Signers": list(item.signers),
        "Verdict": json.loads(image.verdict or "null"),
        "Containers": list(item.users),
    }


def history(text: str, host: Host) -> tuple[ListedImage, tuple[HistoryEntry, ...]]:
    """The steps of the build, the last one first. Raises NotFound, Damaged."""
    item = find_image(text, host)
    steps = image_history(host.store.config(item.image))
    sizes = _layer_sizes(item.image)
    if sum(not step.get("empty_layer") for step in steps) != len(sizes):
        sizes = []  # then nobody knows which layer is whose
    entries = []
    left = iter(sizes)
    for step in steps:
        empty = bool(step.get("empty_layer"))
        entries.append(
            HistoryEntry(
                created=str(step.get("created") or ""),
                created_by=str(step.get("created_by") or ""),
                comment=str(step.get("comment") or ""),
                size=0 if empty else next(left, None),
                empty=empty,
            )
        )
    return item, tuple(reversed(entries))


def tag(source: str, target: str, host: Host) -> None:
    """Give the image a further name. Raises NotFound, InvalidReference, Busy, OSError."""
    item = find_image(source, host)
    name = ImageName.parse(target)
    if not name.tag:
        raise UsageError(f"{target}: a digest is no name to give")
    with doing(f"tagging {item.image.name}"):
        host.store.tag_image(_with_source(item.image, host), name)


def _with_source(image: StoredImage, host: Host) -> StoredImage:
    """The image with its source on record, which a tag must not change.

    The predecessor recorded none: there the name says where it came from, so that by another name
    it would be judged as another image.
    """
    if image.source is not None or image.config_digest is None:
        return image
    return host.store.put_image(
        ImageToStore(
            name=image.name,
            source=f"docker://{RegistrySource(name=image.name).reference}",
            raw_manifest=image.raw_manifest,
            digest=image.digest,
            signatures=host.store.signatures(image),
            config=host.store.config(image),
            config_digest=image.config_digest,
            layers=image.layers,
        )
    )


def help_text(text: str, host: Host) -> str:
    """The help in the image, else that in its labels. Raises NotFound; AtomicSysError for none."""
    item = find_image(text, host)
    tree = host.store.tree(item.image)
    for path in _HELP_FILES:
        if (content := tree.read_file(path, _HELP_LIMIT)) is not None:
            return content.decode("utf-8", "replace")
    labels = _labels(item.image, host)
    for label in _HELP_LABELS:
        if labels.get(label):
            return labels[label]
    raise AtomicSysError(f"the image {item.image.name} brings no help")


def _labels(image: StoredImage, host: Host) -> Mapping[str, str]:
    return image_config.parse(host.store.config(image)).labels


def _layer_sizes(image: StoredImage) -> list[int]:
    """The sizes in bytes that the manifest promises, base first."""
    document = documents.parse(image.raw_manifest)
    return [layer.size for layer in document.layers] if isinstance(document, Manifest) else []
