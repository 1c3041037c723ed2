# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keys as people want to see them, and the places where one should be."""

import base64
import json
from datetime import timedelta
from typing import Any

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
from tests.support.sigstore import NOW, authority, new_key, public_pem

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


PUBLIC = public_pem(new_key())
ROOT = authority("The Root")
SIGSTORE = {"type": "sigstoreSigned"}
FILES = {"/key": PUBLIC, "/ca": ROOT.pem, "/junk": b"junk"}


def in_policy(**fields: Any) -> list[tuple[str, str | None, str | None]]:
    """Source, owner, and flaw of each key of a requirement; a sound one has a fingerprint."""
    document = json.dumps({"default": [SIGSTORE | fields]}).encode()
    (requirement,) = parse(document, "p").default
    listed = facts(requirement, FILES.__getitem__, lambda _: ())
    for one in listed:
        no_key = one.flaw is not None or one.source in ("fulcio", "pki")
        assert (one.fingerprint is None) is no_key
    return [(one.source, one.owner, one.flaw) for one in listed]


def test_keys_of_sigstore() -> None:
    found = in_policy(keyPaths=["/key", "/junk"], rekorPublicKeyPath="/key")
    good = ("/key", None, None)
    assert found == [good, ("/junk", None, "/junk is not in PEM format"), good]
    encoded = base64.b64encode(PUBLIC).decode()
    assert in_policy(keyDatas=[encoded] * 2) == [("keyDatas[0]", None, None),
                                                  ("keyDatas[1]", None, None)]  # fmt: skip


def test_certificates_of_sigstore() -> None:
    """Whoever the certificates must name stands beside them: that is who is trusted."""
    fulcio = {"caPath": "/ca", "oidcIssuer": "https://o.example", "subjectEmail": "a@x"}
    assert in_policy(fulcio=fulcio, rekorPublicKeyPath="/key") == [
        ("/ca", "CN=The Root", None), ("fulcio", "a@x", None), ("/key", None, None)
    ]  # fmt: skip
    pki = {"caRootsPath": "/ca", "caIntermediatesPath": "/junk", "subjectHostname": "h.example"}
    root, junk, subject = in_policy(pki=pki)
    assert (root, subject) == (("/ca", "CN=The Root", None), ("pki", "h.example", None))
    assert junk[2] is not None
    del pki["caIntermediatesPath"]
    assert in_policy(pki=pki | {"subjectEmail": "a@x"}) == [
        root, ("pki", "a@x", None), ("pki", "h.example", None)
    ]  # fmt: skip


def test_an_expiry_is_that_of_the_certificate() -> None:
    document = {"caRootsPath": "/ca", "subjectEmail": "a@x"}
    (requirement,) = parse(
        json.dumps({"default": [SIGSTORE | {"pki": document}]}).encode(), "p"
    ).default
    listed = facts(requirement, FILES.__getitem__, lambda _: ())
    assert listed[0].expires == int((NOW + timedelta(days=1)).timestamp())


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
