# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keys as people want to see them, and the places where one should be."""

import json

import pytest

from atomic_sys.model.reference import DockerReference
from atomic_sys.trust.key_facts import KeyFact, facts
from atomic_sys.trust.openpgp_keys import OpenPgpKey
from atomic_sys.trust.policy import parse
from atomic_sys.trust.requirements import (
    ExactReference,
    ExactRepository,
    Identity,
    KeyData,
    KeyPaths,
    KeyType,
    MatchExact,
    MatchRepoDigestOrExact,
    MatchRepository,
    Reject,
    RemapIdentity,
    Requirement,
    SignedBy,
    identity_json,
)

KEY = OpenPgpKey(fingerprint="AAAA", users=("A <a@x>",), expires=1609502400, flaw="expired")


def signed_by(keys: KeyData | KeyPaths) -> Requirement:
    return SignedBy(key_type=KeyType.GPG_KEYS, keys=keys, identity=MatchExact())


def read(path: str) -> bytes:
    if path == "/gone":
        raise FileNotFoundError(2, "No such file", path)
    return path.encode()


def found(requirement: Requirement) -> tuple[KeyFact, ...]:
    return facts(requirement, read, lambda content: (KEY,) if content == b"/a" else ())


def test_one_missing_file_hides_no_other_one() -> None:
    good, gone, empty = found(signed_by(KeyPaths(("/a", "/gone", "/none"))))
    assert str(good) == "AAAA a@x, expires 2021-01-01, in /a (expired)"
    assert str(gone) == "/gone (cannot read the key file /gone: No such file)"
    assert str(empty) == "/none (no OpenPGP public key in it)"
    assert good.as_json() == {
        "source": "/a", "fingerprint": "AAAA", "owner": "a@x", "expires": "2021-01-01",
        "flaw": "expired",
    }  # fmt: skip


def test_no_keys_at_all() -> None:
    (fact,) = found(signed_by(KeyPaths(())))
    assert fact.flaw == "names no key files"
    (fact,) = found(signed_by(KeyData(b"x")))
    assert (fact.source, fact.fingerprint) == ("keyData", None)
    assert found(Reject()) == ()


@pytest.mark.parametrize(
    ("users", "owner"),
    [
        ((), "AAAA"),
        (("Nobody",), "Nobody"),
        (("Nobody", "A <a@x>"), "a@x"),
        (("<a@x> B",), "<a@x> B"),
    ],
)
def test_owner(users: tuple[str, ...], owner: str) -> None:
    key = OpenPgpKey(fingerprint="AAAA", users=users, expires=None, flaw=None)
    assert key.owner == owner


REFERENCE = DockerReference.parse("a.example/x:1")


@pytest.mark.parametrize(
    "identity",
    [
        MatchExact(),
        MatchRepoDigestOrExact(),
        MatchRepository(),
        ExactReference(REFERENCE),
        ExactRepository(DockerReference.parse("a.example/x")),
        RemapIdentity(prefix="a.example", signed_prefix="b.example"),
    ],
)
def test_identities_are_written_as_they_are_read(identity: Identity) -> None:
    one = {"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/a"}
    document = {"default": [one | {"signedIdentity": identity_json(identity)}]}
    (requirement,) = parse(json.dumps(document).encode(), "p").default
    assert isinstance(requirement, SignedBy)
    assert requirement.identity == identity
