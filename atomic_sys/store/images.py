# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images as refs and commits, in the predecessor's terms, which skopeo's `ostree:` wrote.

`ociimage/NAME` names an image: a commit of manifest.json and its signatures, whose metadata says
the manifest and its digest. `ociimage/HEX` is a layer or a config blob, `ocirootfs/HEX` (ours) the
merged root file system of the image with this manifest digest, `ocitar/HEX` (ours) what it takes to
make the layer's archive again. `ocioutline/HEX` and `ociremote/HEX` (ours) are of images whose
files are elsewhere; see outlines.py.
"""

import re
from collections.abc import Callable, Iterable

from atomic_sys.errors import Damaged
from atomic_sys.frozen import frozen
from atomic_sys.model import strict_json
from atomic_sys.model.digest import Digest, InvalidDigest
from atomic_sys.model.reference import ImageName
from atomic_sys.model.strict_json import InvalidJson, as_array, as_object, as_string
from atomic_sys.store.objects import Checksum, Commit

IMAGES = "ociimage/"
ROOTFS = "ocirootfs/"
TARS = "ocitar/"
OUTLINES = "ocioutline/"
REMOTES = "ociremote/"
SOURCE_KEY = "atomic-sys.source"
VERDICT_KEY = "atomic-sys.verdict"
NAME_KEY = "atomic-sys.name"
OUTLINE_KEY = "atomic-sys.outline"
EMPTY_KEY = "atomic-sys.empty"

_KEPT = re.compile(r"[^A-Za-z0-9.-]")
_ENCODED = re.compile(r"_([0-9A-F]{2})")
_BLOB = re.compile(r"[0-9a-f]{64}|[0-9a-f]{128}")


@frozen
class LayerImport:
    """A layer to import: the blob's digest, what it is uncompressed, its size in bytes.

    `uncompressed_size` is asked when the stream has ended, since only then it is known.
    """

    digest: Digest
    diff_id: Digest
    compressed_size: int
    uncompressed_size: Callable[[], int] | None = None


@frozen
class LayerReport:
    """What an import did: the commit, regular files and their bytes, and what it left out."""

    commit: str
    files: int
    bytes: int
    left_out: tuple[str, ...]


@frozen
class ImageToStore:
    """An image whose layers are in the store: the documents as they came, and their digests.

    `source` is where it came from and what an update asks, as the user would write it.
    """

    name: ImageName
    raw_manifest: bytes
    digest: Digest
    signatures: tuple[bytes, ...]
    config: bytes
    config_digest: Digest
    layers: tuple[Digest, ...]
    source: str | None = None
    verdict: str | None = None  # the policy's, as JSON


@frozen
class StoredImage:
    """An image in the store. `created`: when it was stored, in seconds since 1970.

    `size` is that of its layers as they were downloaded, in bytes, or None where it is not known;
    `source` is None for an image of the predecessor's.
    """

    name: ImageName
    digest: Digest
    created: int
    raw_manifest: bytes
    signature_count: int
    layers: tuple[Digest, ...]
    config_digest: Digest | None
    size: int | None
    commit: str
    source: str | None
    verdict: str | None


@frozen
class DamagedImage:
    """A name in the store whose image cannot be read, and why."""

    name: ImageName
    problem: str


@frozen
class Survey:
    """What the store has: the images, and those that cannot be read."""

    images: tuple[StoredImage, ...]
    damaged: tuple[DamagedImage, ...]


def encode_name(name: ImageName) -> str:
    """The name as the last part of a ref (predecessor's encoding: `_%02X` for the rest)."""
    return _KEPT.sub(
        lambda match: "".join(f"_{byte:02X}" for byte in match.group().encode("utf-8")), name.value
    )


def decode_name(encoded: str) -> ImageName:
    """The name that a ref's last part encodes."""
    return ImageName(_ENCODED.sub(lambda match: chr(int(match.group(1), 16)), encoded))


def is_blob(encoded: str) -> bool:
    """Whether the last part of a ref is that of a layer or a config blob, not of an image."""
    return _BLOB.fullmatch(encoded) is not None


def image_ref(name: ImageName) -> str:
    """The ref of an image."""
    return IMAGES + encode_name(name)


def blob_ref(digest: Digest) -> str:
    """The ref of a layer or of a config blob."""
    return IMAGES + digest.hex


def tar_ref(digest: Digest) -> str:
    """The ref of the skeleton of the layer with this blob digest; see skeleton.py."""
    return TARS + digest.hex


def rootfs_ref(digest: Digest) -> str:
    """The ref of the merged root file system of the image with this manifest digest."""
    return ROOTFS + digest.hex


def outline_ref(digest: Digest) -> str:
    """The ref of the outline of the layer with this blob digest; see outlines.py."""
    return OUTLINES + digest.hex


def remote_ref(digest: Digest) -> str:
    """The ref of the documents of an image whose files are elsewhere, by its manifest digest."""
    return REMOTES + digest.hex


def metadata_of(image: ImageToStore) -> dict[str, str]:
    """The metadata of an image's commit: what skopeo wrote, and the source, which is ours."""
    metadata = {
        "docker.manifest": image.raw_manifest.decode("utf-8"),
        "signatures": str(len(image.signatures)),
        "docker.digest": str(image.digest),
    }
    if image.source is not None:
        metadata[SOURCE_KEY] = image.source
    if image.verdict is not None:
        metadata[VERDICT_KEY] = image.verdict
    return metadata


def empty_files(commit: Commit) -> frozenset[Checksum] | None:
    """Which content objects of a layer or of merged layers have no content; None: not known.

    They are few, one for each owner and mode, and are kept with the commit, since a checkout must
    know them and would otherwise have to look at each object. It may be more than the tree has.
    """
    text = commit.text(EMPTY_KEY)
    try:
        return None if text is None else frozenset(map(bytes.fromhex, text.split()))
    except ValueError:
        return None


def empty_text(empty: Iterable[Checksum]) -> str:
    """The same as the value of EMPTY_KEY."""
    return " ".join(sorted(name.hex() for name in empty))


def read_image(name: ImageName, checksum: Checksum, commit: Commit) -> StoredImage:
    """The image that a commit describes, its size not yet known.

    Raises Damaged when the commit is not an image's.
    """
    text = commit.text("docker.manifest")
    if text is None:
        raise Damaged(f"the commit of image {name} has no manifest", hint="pull it again")
    raw = text.encode("utf-8")
    try:
        stated = commit.text("docker.digest")
        digest = Digest.of(raw) if stated is None else Digest.parse(stated)
        layers, config = _blobs(raw)
        signatures = int(commit.text("signatures") or "0")
    except (InvalidJson, InvalidDigest, ValueError) as error:
        raise Damaged(f"damaged metadata of image {name}: {error}", hint="pull it again") from None
    return StoredImage(
        name=name,
        digest=digest,
        created=commit.timestamp,
        raw_manifest=raw,
        signature_count=signatures,
        layers=layers,
        config_digest=config,
        size=None,
        commit=checksum.hex(),
        source=commit.text(SOURCE_KEY),
        verdict=commit.text(VERDICT_KEY),
    )


def _blobs(raw: bytes) -> tuple[tuple[Digest, ...], Digest | None]:
    """The digests of the layers, base first, and of the config; schema 1 has none of that.

    The store reads what the predecessor accepted years ago, so this is laxer than model.manifest.
    """
    body = as_object(strict_json.loads(raw, "manifest"), "manifest")
    if "fsLayers" in body:
        sums = [
            as_object(item, "a layer").get("blobSum") for item in as_array(body["fsLayers"], "it")
        ]
        return tuple(Digest.parse(as_string(item, "blobSum")) for item in reversed(sums)), None
    config = as_object(body.get("config"), "config").get("digest")
    layers = tuple(
        Digest.parse(as_string(as_object(item, "a layer").get("digest"), "a layer's digest"))
        for item in as_array(body.get("layers"), "layers")
    )
    return layers, Digest.parse(as_string(config, "the config's digest"))
