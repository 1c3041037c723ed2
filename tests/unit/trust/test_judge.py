# SPDX-License-Identifier: LGPL-2.1-or-later
"""AND over requirements, OR over signatures, and a verdict that says why.

The verifier here believes what a message says of itself: `FINGERPRINT|CONTENT`.
"""

import contextlib
import json
from typing import Any

import pytest

from atomic_sys.errors import AtomicSysError, ExitCode
from atomic_sys.trust.explain import rejection
from atomic_sys.trust.framing import SignatureBlob, SigstoreAttachment, SimpleSignature
from atomic_sys.trust.judge import ImageUnderJudgement, judge
from atomic_sys.trust.policy import parse
from atomic_sys.trust.scopes import path_identity, select
from atomic_sys.trust.verifier import Keyring
from tests.unit.trust.verdicts import (
    DIGEST,
    NAME,
    OPEN,
    REJECT,
    A,
    B,
    CredulousVerifier,
    by,
    judged,
    read_key,
    signature,
)

ATTACHMENT = SigstoreAttachment(source="s0", mime="m", payload=b"", annotations={})
EITHER = {"type": "signedBy", "keyType": "GPGKeys", "keyPaths": ["/a", "/b"]}
ANY_TAG = by("/a", signedIdentity={"type": "matchRepository"})


@pytest.mark.parametrize(
    ("requirements", "signatures", "accepted"),
    [
        ([OPEN], [], True),
        ([REJECT], [signature("AAAA")], False),
        ([A], [], False),
        ([A], [ATTACHMENT], False),
        ([A], [signature("AAAA")], True),
        ([A], [signature("BBBB")], False),
        ([A], [signature("BBBB"), signature("AAAA")], True),
        ([A, A], [signature("AAAA")], True),
        ([A, B], [signature("AAAA")], False),
        ([A, B], [signature("BBBB"), signature("AAAA")], True),
        ([OPEN, A], [], False),
        ([OPEN, A], [signature("AAAA")], True),
        ([A, REJECT], [signature("AAAA")], False),
        ([EITHER], [signature("BBBB")], True),
        ([by("/ab")], [signature("BBBB")], True),
        ([A], [signature("stranger")], False),
        ([A], [signature("AAAA", name="example.com/ns/repo:2")], False),
        ([ANY_TAG], [signature("AAAA", name="example.com/ns/repo:2")], True),
        ([ANY_TAG], [signature("AAAA", name="example.com/ns/other:1")], False),
        ([A], [signature("AAAA", digest="sha256:" + "0" * 64)], False),
        ([A], [SimpleSignature(source="s", message=b"AAAA|{}")], False),
        ([by("/gone")], [signature("AAAA")], False),
        ([EITHER | {"keyPaths": ["/a", "/gone"]}], [signature("AAAA")], False),
        ([EITHER | {"keyPaths": []}], [signature("AAAA")], False),
        ([by("/none")], [signature("AAAA")], False),
        ([by("/a", keyType="signedByGPGKeys")], [signature("AAAA")], False),
        ([{"type": "signedBaseLayer", "baseLayerIdentity": {"type": "matchExact"}}], [], False),
        ([{"type": "sigstoreSigned", "keyPath": "/a"}], [ATTACHMENT], False),
        ([{"type": "signedBy", "keyType": "GPGKeys", "keyData": "QUFBQQ=="}],
         [signature("AAAA")], True),
    ],
)  # fmt: skip
def test_accepted(
    requirements: list[dict[str, Any]], signatures: list[SignatureBlob], *, accepted: bool
) -> None:
    verdict = judged(requirements, *signatures)
    assert verdict.accepted is accepted
    assert len(verdict.requirements) == len(requirements)


@pytest.mark.parametrize(
    ("requirement", "signatures", "reason", "hint"),
    [
        (REJECT, [], "reject: everything is rejected here", "trust add --pubkeysfile FILE"),
        (A, [], "signedBy: a signature is required, but there is none", "show --effective IMAGE"),
        (A, [ATTACHMENT], "none of this kind (1 of another kind)", "show --effective IMAGE"),
        (A, [signature("CCCC")], "signedBy: signed by the unknown key CCCC", "trust check"),
        (A, [signature("CCCC"), signature("DDDD"), signature("CCCC")],
         "unknown key CCCC; signed by the unknown key DDDD", "trust check"),
        (A, [signature("stranger")], "unknown key EEEE", "trust check"),
        (A, [signature("AAAA", name="x:1")],
         f"signed as x:1, which does not fit {NAME}", "trust check"),
        (A, [signature("AAAA", digest="sha256:" + "0" * 64)],
         f"signed is sha256:{'0' * 64}, not {DIGEST}", "trust check"),
        (A, [SimpleSignature(source="s", message=b"AAAA|{}")], "'critical' is missing", "check"),
        (by("/gone"), [], "cannot read the key file /gone: No such file", "repair the key"),
        (by("/large"), [], "cannot read the key file /large: /large is larger", "repair the key"),
        (by("/none"), [], "no public keys in /none", "repair the key"),
        (EITHER | {"keyPaths": []}, [], "no public keys in an empty list", "repair the key"),
        (EITHER | {"keyPaths": ["/none", "/none"]}, [], "keys in /none, /none", "repair the key"),
        ({"type": "signedBy", "keyType": "GPGKeys", "keyData": ""}, [],
         "no public keys in keyData", "repair the key"),
        (by("/a", keyType="X509Certificates"), [], "type X509Certificates are not", "signedBy"),
        ({"type": "sigstoreSigned", "keyPath": "/a"}, [],
         "/a is not in PEM format", "repair the key"),
        ({"type": "signedBaseLayer", "baseLayerIdentity": {"type": "matchExact"}}, [],
         "signed base layers are not supported", "signedBy"),
    ],
)  # fmt: skip
def test_rejection(
    requirement: dict[str, Any], signatures: list[SignatureBlob], reason: str, hint: str
) -> None:
    error = rejection(judged([requirement], *signatures), "IMAGE")
    assert str(error).startswith("IMAGE is rejected by /p.json (the scope example.com of")
    assert reason in str(error)
    assert error.hint is not None
    assert hint in error.hint
    assert error.exit_code is ExitCode.REJECTED


def test_image_without_a_name() -> None:
    verdict_of = {}
    for kind in ("matchExact", "exactReference"):
        identity = {"type": kind} | ({"dockerReference": NAME} if kind[0] == "e" else {})
        document = {"default": [by("/a", signedIdentity=identity)]}
        policy = parse(json.dumps(document).encode(), "/p.json")
        image = ImageUnderJudgement(
            identity=path_identity("dir", "/images/a"),
            manifest_digest=DIGEST,
            signatures=(signature("AAAA"),),
        )
        selection = select(policy, image.identity)
        verdict_of[kind] = judge(selection, image, read_key, CredulousVerifier())
    assert verdict_of["exactReference"].accepted
    error = rejection(verdict_of["matchExact"], "IMAGE")
    assert "the default of the policy" in str(error)
    assert "does not fit an image without a name" in str(error)


def test_without_a_signature() -> None:
    """`--require-signed`: what was accepted unsigned is rejected, and says so."""
    verdict = judged([{"type": "insecureAcceptAnything"}]).without_signature()
    assert not verdict.accepted
    assert "asks for no signature" in str(rejection(verdict, "IMAGE"))


def test_broken_verifier_is_an_error() -> None:
    class Broken:
        def keyring(self, keys: tuple[bytes, ...]) -> contextlib.AbstractContextManager[Keyring]:
            raise AtomicSysError(f"gpg is not installed, {len(keys)} keys")

    policy = parse(json.dumps({"default": [A]}).encode(), "p")
    image = ImageUnderJudgement(
        identity=path_identity("dir", "/a"), manifest_digest=DIGEST, signatures=()
    )
    with pytest.raises(AtomicSysError, match="not installed"):
        judge(select(policy, image.identity), image, read_key, Broken())
