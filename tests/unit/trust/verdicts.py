# SPDX-License-Identifier: LGPL-2.1-or-later
"""Verdicts by a verifier that believes whatever a message says of its key."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from atomic_sys.model.digest import Digest
from atomic_sys.model.reference import DockerReference
from atomic_sys.model.stream import TooLarge
from atomic_sys.trust.framing import SignatureBlob, SimpleSignature
from atomic_sys.trust.judge import ImageUnderJudgement, judge
from atomic_sys.trust.policy import parse
from atomic_sys.trust.scopes import docker_identity, select
from atomic_sys.trust.verdict import Verdict
from atomic_sys.trust.verifier import Keyring, Outcome, Refused, Signed, TrustedKey

DIGEST = Digest.of(b"manifest")
NAME = "example.com/ns/repo:1"
FILES = {"/a": b"AAAA", "/b": b"BBBB", "/ab": b"AAAA BBBB", "/none": b""}


def owner(fingerprint: str) -> str:
    return f"{fingerprint[0].lower()}@x.example"


@dataclass(frozen=True)
class Credulous:
    keys: tuple[TrustedKey, ...]

    def verify(self, blob: bytes) -> Outcome:
        fingerprint, _, content = blob.decode().partition("|")
        if fingerprint == "stranger":  # a verifier that forgot to look at its own keys
            return Signed(content=content.encode(), fingerprint="EEEE", user="e@x.example")
        if fingerprint not in [key.fingerprint for key in self.keys]:
            return Refused(f"signed by the unknown key {fingerprint}")
        user = owner(fingerprint)
        return Signed(content=content.encode(), fingerprint=fingerprint, user=user)


class CredulousVerifier:
    @contextlib.contextmanager
    def keyring(self, keys: tuple[bytes, ...]) -> Iterator[Keyring]:
        names = b" ".join(keys).decode().split()
        yield Credulous(tuple(TrustedKey(fingerprint=one, owner=owner(one)) for one in names))


def read_key(path: str) -> bytes:
    if path == "/large":
        raise TooLarge("/large is larger than the limit")
    if path not in FILES:
        raise FileNotFoundError(2, "No such file or directory", path)
    return FILES[path]


def signature(key: str, name: str = NAME, digest: str = str(DIGEST)) -> SimpleSignature:
    content = {
        "critical": {
            "type": "atomic container signature",
            "image": {"docker-manifest-digest": digest},
            "identity": {"docker-reference": name},
        },
        "optional": {},
    }
    return SimpleSignature(source=f"s-{key}", message=f"{key}|{json.dumps(content)}".encode())


def by(path: str, **more: Any) -> dict[str, Any]:
    return {"type": "signedBy", "keyType": "GPGKeys", "keyPath": path} | more


def judged(
    requirements: list[dict[str, Any]], *signatures: SignatureBlob, scope: str = "example.com"
) -> Verdict:
    document = {
        "default": [{"type": "reject"}],
        "transports": {"docker": {scope: requirements}, "dir": {"": requirements}},
    }
    policy = parse(json.dumps(document).encode(), "/p.json")
    image = ImageUnderJudgement(
        identity=docker_identity(DockerReference.parse(NAME)),
        manifest_digest=DIGEST,
        signatures=signatures,
    )
    return judge(select(policy, image.identity), image, read_key, CredulousVerifier())


A, B, OPEN, REJECT = by("/a"), by("/b"), {"type": "insecureAcceptAnything"}, {"type": "reject"}
