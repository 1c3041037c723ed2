# SPDX-License-Identifier: LGPL-2.1-or-later
"""Copies through a network that breaks, and what is left of those that fail."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from atomic_sys.cli.output import Output
from atomic_sys.cli.progress import PlainReport
from atomic_sys.engine.copy import Copied, Copy, Extent, OpenDestination, Signatures, copy
from atomic_sys.engine.destinations import Outside
from atomic_sys.engine.judge import Judge
from atomic_sys.engine.pull import ImageAt
from atomic_sys.errors import AtomicSysError, Rejected
from atomic_sys.image.dir_destination import DirectoryDestination
from atomic_sys.image.dir_image import DirectoryOrigin
from atomic_sys.image.http import Http
from atomic_sys.image.http_response import NetworkError, Temporary
from atomic_sys.image.layout import LayoutOrigin
from atomic_sys.image.origin import Origin
from atomic_sys.image.registries_conf import Registries
from atomic_sys.image.registry_destination import RegistryDestination, RegistryWriter
from atomic_sys.image.retry import Patience
from atomic_sys.model.digest import Digest
from atomic_sys.model.manifest import Descriptor
from atomic_sys.model.platform import Platform
from atomic_sys.model.reference import ImageName
from atomic_sys.model.source import DirectorySource, LayoutSource, RegistrySource
from atomic_sys.trust.files import LoadedPolicy
from atomic_sys.trust.framing import (
    SignatureBlob,
    SigstoreAttachment,
    SimpleSignature,
    frame,
)
from atomic_sys.trust.gpg import GpgVerifier
from atomic_sys.trust.lookaside import LookasideConfig
from atomic_sys.trust.policy import parse
from atomic_sys.trust.scopes import path_identity
from tests.support.indexes import IndexedImage, indexed_layout
from tests.support.upload_registry import Answer, UploadRegistry

AMD64 = Platform(os="linux", architecture="amd64")
Signed = Callable[[Digest], tuple[SignatureBlob, ...]]


@pytest.fixture
def image(tmp_path: Path) -> IndexedImage:
    return indexed_layout(tmp_path / "layout")


@pytest.fixture
def uploads() -> Iterator[UploadRegistry]:
    with UploadRegistry() as server:
        yield server


def judge(requirement: str) -> Judge:
    document = f'{{"default": [{{"type": "{requirement}"}}]}}'.encode()
    return Judge(
        policy=LoadedPolicy(path="policy", policy=parse(document, "policy")),
        lookaside=LookasideConfig(docker={}),
        get=lambda _address, _limit: None,
        read_key=lambda _path: b"",
        verifier=GpgVerifier(),
    )


def wanted(image: IndexedImage, origin: Origin | None = None, **other: Any) -> Copy:
    identity = path_identity("oci", "/image")
    at = ImageAt(
        name=ImageName.parse("image:1"),
        source="oci:/image",
        origin=origin or LayoutOrigin(LayoutSource(path=str(image.path), tag="multi")),
        identity=identity,
        place=identity,
    )
    choices: dict[str, Any] = {
        "signatures": lambda _digest: (),
        "extent": Extent.ALL,
        "platform": AMD64,
        "keep": Signatures.KEEP,
    }
    return Copy(at=at, **(choices | other))


def run(job: Copy, opener: OpenDestination, waits: list[float] | None = None) -> Copied:
    patience = Patience(sleep=(waits if waits is not None else []).append)
    return copy(job, opener, judge("insecureAcceptAnything"), PlainReport(Output()), patience)


def to_registry(uploads: UploadRegistry, http: Http) -> OpenDestination:
    name = ImageName.parse(f"{uploads.host}/a/b:1")
    writer = RegistryWriter(http, RegistrySource(name=name, plain_http=True), Registries())
    patience = Patience(sleep=lambda _: None)
    return lambda _types: RegistryDestination(
        writer, lambda _digest, _signatures: None, patience=patience
    )


def test_through_cuts(
    image: IndexedImage, uploads: UploadRegistry, capsys: pytest.CaptureFixture[str]
) -> None:
    uploads.fail("PATCH upload", *[Answer(cut=size) for size in (1, 5000, 100)])
    waits: list[float] = []
    with Http() as http:
        copied = run(wanted(image), to_registry(uploads, http), waits)
    assert copied.digest == image.index
    assert copied.blobs == len(uploads.blobs["a/b"]) == 5
    assert waits, "the blob was sent again from here, and not only a chunk of it"
    assert not uploads.faults["PATCH upload"]
    assert not uploads.sessions
    names = [name for _, name in uploads.manifests]
    assert names[-1] == "1", "the tag is the last"
    assert set(names[:-1]) == {str(digest) for digest in image.instances.values()}
    puts = [i for i, name in enumerate(uploads.names) if name == "PUT manifest"]
    assert puts == list(range(len(uploads.names) - 3, len(uploads.names)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "Writing manifest to image destination"
    assert [line.split()[1] for line in lines[:-1]] == ["blob"] * 3 + ["config"] * 2


def test_giving_up(image: IndexedImage, uploads: UploadRegistry) -> None:
    uploads.fail("PATCH upload", *[Answer(cut=1)] * 40)
    uploads.fail("GET upload", *[Answer(status=404)] * 40)
    with Http() as http, pytest.raises(Temporary):
        run(wanted(image), to_registry(uploads, http))
    assert not uploads.manifests
    assert not uploads.sessions, "what was begun is cancelled"


def test_rejected(image: IndexedImage) -> None:
    def never(_types: frozenset[str]) -> contextlib.AbstractContextManager[Any]:
        raise AssertionError("opened for what is rejected")

    with pytest.raises(Rejected):
        copy(wanted(image), never, judge("reject"), PlainReport(Output()))


class TiredOrigin(DirectoryOrigin):
    """Gives manifests, but no blob; counts who asks."""

    def __init__(self, source: DirectorySource) -> None:
        super().__init__(source)
        self.asked = 0

    def blob(self, descriptor: Descriptor) -> Any:
        self.asked += 1
        yield b"x"
        raise Temporary(f"{descriptor.digest} does not come")


def test_the_source_has_its_own_patience(image: IndexedImage, tmp_path: Path) -> None:
    source, target = (DirectorySource(path=str(tmp_path / name)) for name in ("a", "b"))
    run(wanted(image, extent=Extent.SYSTEM), lambda _: DirectoryDestination(source))
    origin = TiredOrigin(source)
    with pytest.raises(NetworkError, match="does not come") as caught:
        run(wanted(image, origin), lambda _: DirectoryDestination(target))
    assert not isinstance(caught.value, Temporary)
    assert origin.asked <= 2, "each blob once"
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == ["version"]


class SlowDestination(DirectoryDestination):
    """Counts the blobs that are on their way at once."""

    def __init__(self, target: DirectorySource, together: int) -> None:
        super().__init__(target)
        self.barrier = threading.Barrier(together, timeout=20)

    def put_blob(self, blob: Descriptor, chunks: Iterable[bytes]) -> None:
        if blob.size != 10240:  # the layer of both images; three layers, and two may be together
            self.barrier.wait()
        super().put_blob(blob, chunks)


def test_at_once(image: IndexedImage, tmp_path: Path) -> None:
    target = DirectorySource(path=str(tmp_path / "new"))
    run(wanted(image), lambda _: SlowDestination(target, together=2))


def signed(digest: Digest) -> tuple[SignatureBlob, ...]:
    return (SimpleSignature(source="s", message=digest.hex.encode()),)


def attached(_digest: Digest) -> tuple[SignatureBlob, ...]:
    return (SigstoreAttachment(source="s", mime="m", payload=b"", annotations={}),)


def test_signatures(image: IndexedImage, tmp_path: Path) -> None:
    target = DirectorySource(path=str(tmp_path / "new"))
    copied = run(wanted(image, signatures=signed), lambda _: DirectoryDestination(target))
    assert copied.signatures == 3
    first = tmp_path / "new/signature-1"
    assert first.read_bytes() == image.index.hex.encode()
    for digest in image.instances.values():
        own = tmp_path / f"new/{digest.hex}.signature-1"
        assert own.read_bytes() == digest.hex.encode()
    job = wanted(image, signatures=signed, keep=Signatures.REMOVE)
    assert run(job, lambda _: DirectoryDestination(target)).signatures == 0
    assert not list((tmp_path / "new").glob("*signature*"))
    run(wanted(image, signatures=attached), lambda _: DirectoryDestination(target))
    assert first.read_bytes() == frame(*attached(image.index))


def test_attachments_go_where_registries_d_says_so_and_nowhere_else(
    image: IndexedImage, uploads: UploadRegistry
) -> None:
    with Http() as http:
        outside = Outside(
            http=http,
            registries=Registries(),
            credentials=None,
            lookaside=LookasideConfig(docker={}),
            known=lambda _digest: (),
        )
        name = ImageName.parse(f"{uploads.host}/a/b:1")
        target = RegistrySource(name=name, plain_http=True)
        with pytest.raises(AtomicSysError, match="nobody would look for them there"):
            run(wanted(image, signatures=attached), lambda types: outside.open(target, types))
    assert not uploads.calls
