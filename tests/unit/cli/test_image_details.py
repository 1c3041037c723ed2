# SPDX-License-Identifier: LGPL-2.1-or-later
"""`images info` and its like, as whole commands on a root with an image of ours."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from atomic_sys.__main__ import run
from atomic_sys.errors import ExitCode
from atomic_sys.host import Host, HostOptions
from atomic_sys.model.digest import Digest
from atomic_sys.model.reference import ImageName
from atomic_sys.store.images import ImageToStore
from tests.support import images, layers

LABELS = {"atomic.type": "system", "Version": "1.2", "Release": "3", "odd": "\x1b[2J", "HELP": "rm"}
TEMPLATE = b'{"process": {"args": ["$NAME", "$PORT", "$UUID", "$RUN_DIRECTORY", "$NEEDED"]}}'
SETTINGS = {
    "defaultValues": {"PORT": "8081", "NAME": "x", "PIDFILE": "/x"},
    "values": {"TOKEN": {"secret": True, "default": "hunter2"}, "DECLARED": {}},
}
HISTORY = [
    {"created": "2020-01-01T00:00:00Z", "created_by": "ADD file", "comment": "first"},
    {"created": "2020-01-02T00:00:00Z", "created_by": "CMD sh", "empty_layer": True},
]
Atomic = Callable[..., str]


def pulled(root: Path, atomic: Atomic, name: str, *members: layers.Member, steps: object) -> str:
    """An image of these files in the store; returns its digest in hex."""
    exports = {
        "config.json.template": TEMPLATE,
        "manifest.json": json.dumps(SETTINGS).encode(),
    }
    content = [*images.members(exports), *members]
    made = images.make(content, {"Labels": LABELS, "Env": ["A=1"]})
    config = json.dumps(json.loads(made.config) | {"history": steps}).encode()
    manifest = json.loads(made.raw_manifest)
    manifest["config"] |= {"digest": str(Digest.of(config)), "size": len(config)}
    raw = json.dumps(manifest).encode()
    whole = replace(
        made, config=config, config_digest=Digest.of(config), raw_manifest=raw,
        digest=Digest.of(raw),
    )  # fmt: skip
    layers.write_layout(root / "layouts" / name, whole, [layers.archive(content)])
    atomic("pull", f"oci:{root}/layouts/{name}:latest")
    return whole.digest.hex


@pytest.fixture
def atomic(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Atomic:
    (tmp_path / "etc/containers").mkdir(parents=True)
    policy = {"default": [{"type": "insecureAcceptAnything"}]}
    (tmp_path / "etc/containers/policy.json").write_text(json.dumps(policy))

    def call(*argv: str, code: ExitCode = ExitCode.DONE) -> str:
        capsys.readouterr()
        status = run(["--root", str(tmp_path), *argv])
        out, err = capsys.readouterr()
        assert status == code, err
        return out

    return call


@pytest.fixture
def digest(tmp_path: Path, atomic: Atomic) -> str:
    readme = layers.file("README.md", b"# Hello\x1b[2J\n\tworld\n")
    return pulled(tmp_path, atomic, "hello", readme, steps=HISTORY)


def test_info(atomic: Atomic, digest: str) -> None:
    assert atomic("images", "info", "hello") == (
        "Image Name: hello:latest\n"
        "HELP: rm\nRelease: 3\nVersion: 1.2\natomic.type: system\nodd: \\x1b[2J\n"
        "\n"
        "Template variables with default value, but overridable with --set:\n"
        "PIDFILE: {SET_BY_OS}\nPORT: 8081\nRUN_DIRECTORY: {SET_BY_OS}\nTOKEN: {SECRET}\n"
        "UUID: {SET_BY_OS}\n"
        "\n"
        "Template variables that has no default value, and must be set with --set:\n"
        "DECLARED: {DEF_VALUE}\nNEEDED: {DEF_VALUE}\n"
        "\n"
        f"Digest: sha256:{digest}\nSigned by: nobody\n"
    )
    answer = json.loads(atomic("images", "info", "--json", digest[:8]))
    assert answer["labels"] == LABELS
    assert answer["variables_without_default"] == ["DECLARED", "NEEDED"]
    assert answer["source"].startswith("oci:/")


def test_version(atomic: Atomic, digest: str) -> None:
    table = atomic("images", "version", "hello").splitlines()
    assert table[0].split() == ["IMAGE", "NAME", "VERSION", "IMAGE", "ID"]
    assert table[1].split() == ["hello:latest", "1.2-3", digest[:12]]
    answer = json.loads(atomic("images", "version", "-r", "hello", "--json"))
    assert answer == {"image": "hello:latest", "version": "1.2-3", "id": digest}


def test_inspect(atomic: Atomic, digest: str) -> None:
    atomic("images", "tag", "hello", "h.io/other:2")
    (answer,) = json.loads(atomic("images", "inspect", "hello"))
    assert answer["Digest"] == f"sha256:{digest}"
    assert answer["RepoTags"] == ["h.io/other:2", "hello:latest"]
    assert (answer["Architecture"], answer["Os"]) == ("amd64", "linux")
    assert answer["Config"]["Env"] == ["A=1"]
    assert answer["Labels"] == LABELS
    assert answer["Verdict"]["accepted"] is True
    assert answer["RootFS"]["diff_ids"] == answer["Layers"]


def test_history(tmp_path: Path, atomic: Atomic, digest: str) -> None:
    last, first = json.loads(atomic("images", "history", "--json", "hello"))
    assert (last["id"], first["id"]) == (digest, "<missing>")
    assert (last["emptyLayer"], last["size"]) == (True, 0)
    assert first["createdBy"] == "ADD file"
    assert first["size"] > 0
    lines = atomic("images", "history", "hello").splitlines()
    assert [line.split()[0] for line in lines] == ["ID", digest[:12], "<missing>"]
    assert atomic("images", "history", "-q", "hello") == f"{digest[:12]}\n<missing>\n"
    assert atomic("images", "history", "-q", "--no-trunc", "hello").startswith(f"{digest}\n")
    pulled(tmp_path, atomic, "odd", steps=HISTORY[1:])
    (step,) = json.loads(atomic("images", "history", "--json", "odd"))
    assert (step["emptyLayer"], step["size"]) == (True, 0)
    pulled(tmp_path, atomic, "more", steps=[HISTORY[0], HISTORY[0]])
    sizes = [s["size"] for s in json.loads(atomic("images", "history", "--json", "more"))]
    assert sizes == [None, None], "two steps, but one layer"


def test_tag(atomic: Atomic, digest: str) -> None:
    atomic("images", "tag", "hello", "new:1")
    assert json.loads(atomic("images", "version", "--json", "new:1"))["id"] == digest
    atomic("images", "delete", "hello")
    assert json.loads(atomic("images", "version", "--json", digest[:6]))["image"] == "new:1"
    atomic("images", "tag", "new:1", "UPPER", code=ExitCode.USAGE)
    atomic("images", "tag", "new:1", f"a@sha256:{digest}", code=ExitCode.USAGE)


def test_a_tag_does_not_change_where_an_image_came_from(
    tmp_path: Path, atomic: Atomic, digest: str
) -> None:
    with Host(HostOptions(root=str(tmp_path)), {}) as host:
        name = ImageName.parse("hello")
        image = host.store.image(name)
        assert image is not None
        assert image.config_digest is not None
        host.store.put_image(  # as the predecessor did, who recorded no source
            ImageToStore(
                name=name, raw_manifest=image.raw_manifest, digest=image.digest, signatures=(),
                config=host.store.config(image), config_digest=image.config_digest,
                layers=image.layers,
            )
        )  # fmt: skip
    atomic("images", "tag", "hello", "trusted.example/hello:1")
    listed = {
        item["repo"]: item["source"] for item in json.loads(atomic("images", "list", "--json"))
    }
    came_from = "docker://docker.io/library/hello:latest"
    assert listed == {"hello": came_from, "trusted.example/hello": came_from}


def test_help(tmp_path: Path, atomic: Atomic, digest: str) -> None:
    assert atomic("images", "help", "hello") == "# Hello\\x1b[2J\n        world\n\n"
    page = layers.file("help.1", b".TH X\n")
    pulled(tmp_path, atomic, "page", page, steps=[])
    assert atomic("images", "help", "page").startswith(".TH X\n")
    pulled(tmp_path, atomic, "label", steps=[])
    assert atomic("images", "help", "label") == "rm\n"


@pytest.mark.parametrize("verb", ["info", "version", "inspect", "history", "tag", "help"])
def test_no_such_image(atomic: Atomic, verb: str) -> None:
    more = ["x"] if verb == "tag" else []
    assert atomic("images", verb, "nothing", *more, code=ExitCode.NOT_FOUND) == ""
    atomic("images", verb, "--storage", "docker", "x", *more, code=ExitCode.USAGE)


def test_the_beginning_of_several_ids(tmp_path: Path, atomic: Atomic, digest: str) -> None:
    for number in range(17):  # then two of them begin with the same digit
        name = f"n{number}"
        other = pulled(tmp_path, atomic, name, layers.file(name), steps=[])
        if other[0] == digest[0]:
            break
    found = [i["id"][0] for i in json.loads(atomic("images", "list", "--json"))]
    shared = next(first for first in found if found.count(first) > 1)
    atomic("images", "info", shared, code=ExitCode.USAGE)
