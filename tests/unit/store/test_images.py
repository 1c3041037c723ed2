# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is read from the commits of images, the predecessor's old ones too."""

import json

import pytest

from atomic_sys.errors import Damaged
from atomic_sys.model.digest import Digest
from atomic_sys.model.reference import ImageName
from atomic_sys.store.images import StoredImage, read_image
from atomic_sys.store.objects import Commit

NAME = ImageName("a:latest")
ONE, TWO = (f"sha256:{digit * 64}" for digit in "12")
SCHEMA_1 = json.dumps({"schemaVersion": 1, "fsLayers": [{"blobSum": TWO}, {"blobSum": ONE}]})
SCHEMA_2 = json.dumps({"schemaVersion": 2, "config": {"digest": ONE}, "layers": [{"digest": TWO}]})


def read(**metadata: str) -> StoredImage:
    strings = {key.replace("_", "."): ("s", value) for key, value in metadata.items()}
    commit = Commit(metadata=strings, timestamp=5, root_tree=b"", root_metadata=b"")
    return read_image(NAME, bytes(32), commit)


def test_a_manifest_of_schema_1_lists_its_layers_top_first() -> None:
    image = read(docker_manifest=SCHEMA_1)
    assert [str(layer) for layer in image.layers] == [ONE, TWO]
    assert image.config_digest is None


def test_without_its_digest_an_image_has_that_of_its_manifest() -> None:
    image = read(docker_manifest=SCHEMA_2)
    assert image.digest == Digest.of(SCHEMA_2.encode())
    assert (image.signature_count, image.created, image.size) == (0, 5, None)
    assert str(read(docker_manifest=SCHEMA_2, docker_digest=ONE).digest) == ONE


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"docker_manifest": ""},
        {"docker_manifest": "[]"},
        {"docker_manifest": "{}"},
        {"docker_manifest": '{"fsLayers": [{}]}'},
        {"docker_manifest": SCHEMA_2.replace("sha256:", "sha256:../")},
        {"docker_manifest": SCHEMA_2, "docker_digest": "sha256:x"},
        {"docker_manifest": SCHEMA_2, "signatures": "many"},
    ],
)
def test_a_commit_that_describes_no_image(metadata: dict[str, str]) -> None:
    with pytest.raises(Damaged):
        read(**metadata)
