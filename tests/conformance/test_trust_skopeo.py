# SPDX-License-Identifier: LGPL-2.1-or-later
"""skopeo judges beside us: the same policies, the same images, the same verdicts."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from atomic_sys.trust.policy import InvalidPolicy, parse
from tests.conformance.judging import INSTALLED, ours, signed, skopeo, unsigned
from tests.support.gpg import LONG_AGO, NAME, Gpg, payload
from tests.support.newer_skopeo import newer_skopeo

pytestmark = pytest.mark.conformance


def signed_by(key: str | None, identity: dict[str, str] | None = None, **more: Any) -> Any:
    requirement = {
        "type": "signedBy",
        "keyType": "GPGKeys",
        "signedIdentity": identity
        or {"type": "exactRepository", "dockerRepository": "example.com/ns/repo"},
    }
    return requirement | ({} if key is None else {"keyPath": f"KEYS/{key}"}) | more


OPEN, REJECT = {"type": "insecureAcceptAnything"}, {"type": "reject"}
ALICE, BOB = signed_by("alice"), signed_by("bob")


def policy_of(*requirements: Any, **scopes: Any) -> dict[str, Any]:
    return {"default": list(requirements), "transports": {"dir": scopes}}


POLICIES: dict[str, Any] = {
    "open": policy_of(OPEN),
    "reject": policy_of(REJECT),
    "alice": policy_of(ALICE),
    "alice and bob": policy_of(ALICE, BOB),
    "alice or bob": policy_of(signed_by(None, keyPaths=["KEYS/alice", "KEYS/bob"])),
    "both in one file": policy_of(signed_by("both")),
    "open and alice": policy_of(OPEN, ALICE),
    "reference": policy_of(
        signed_by("alice", {"type": "exactReference", "dockerReference": NAME})
    ),
    "other reference": policy_of(
        signed_by("alice", {"type": "exactReference", "dockerReference": f"{NAME}2"})
    ),
    "needs a name": policy_of(signed_by("alice", {"type": "matchRepository"})),
    "no such key": policy_of(signed_by("gone")),
    "no keys": policy_of(signed_by("empty")),
    "key list empty": policy_of(signed_by(None, keyPaths=[])),
    "key list with a gap": policy_of(signed_by(None, keyPaths=["KEYS/alice", "KEYS/gone"])),
    "other key type": policy_of(signed_by("alice") | {"keyType": "signedByGPGKeys"}),
    "expired and revoked": policy_of(signed_by("unfit")),
    "with subkeys": policy_of(signed_by("team")),
    "by path": policy_of(REJECT, **{"IMAGE": [OPEN], "": [REJECT]}),
    "by parent": policy_of(REJECT, **{"PARENT": [ALICE], "": [OPEN]}),
    "by transport": policy_of(REJECT, **{"": [OPEN], "/elsewhere": [REJECT]}),
}  # fmt: skip
# Where skopeo may say something else than we: its verdict, ours, and why.
DIFFERENCES = {
    "SHA-1": ("accepted", "rejected"),  # collisions are cheap; gpg 2.2 still takes it for data
    "concatenated": ("accepted", "rejected"),  # gpg reads the first message and skips the rest
    "trailing": ("accepted", "rejected"),  # as above
    "subkey": (
        "rejected",
        "accepted",
    ),  # 1.9 and 1.18 compare the subkey, later ones the primary key
}


@pytest.fixture(scope="module")
def signature_sets(gpg: Gpg, revoked: tuple[bytes, bytes]) -> dict[str, list[bytes]]:
    alice, bob = gpg.sign("alice"), gpg.sign("bob")
    return {
        "none": [],
        "alice": [alice],
        "bob": [bob],
        "both": [bob, alice],
        "framed": [b"\0simple-signing\n" + alice],
        "mallory": [gpg.sign("mallory")],
        "mallory first": [gpg.sign("mallory"), alice],
        "other name": [gpg.sign("alice", content=payload(name="example.com/ns/other:1"))],
        "other tag": [gpg.sign("alice", content=payload(name="example.com/ns/repo:2"))],
        "no tag": [gpg.sign("alice", content=payload(name="example.com/ns/repo"))],
        "other digest": [gpg.sign("alice", content=payload(digest="sha256:" + "0" * 64))],
        "unknown key in payload": [gpg.sign("alice", content=payload(more={}))],
        "no payload": [gpg.sign("alice", content=b"")],
        "garbage": [alice, b"<html>"],
        "empty": [b""],
        "armored": [gpg.sign("alice", "--armor")],
        "unsigned": [gpg.run("--store", stdin=payload())],
        "expired": [gpg.sign("old", f"--faked-system-time={LONG_AGO}")],
        "revoked": [revoked[0]],
        "two signers": [gpg.sign("alice", "--local-user=bob@example.com")],
        "subkey": [gpg.sign("team")],
        "SHA-1": [gpg.sign("alice", "--digest-algo=SHA1")],
        "concatenated": [alice + alice],
        "trailing": [alice + b"x"],
    }


@pytest.fixture(scope="module")
def keys(gpg: Gpg, revoked: tuple[bytes, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("keys")
    for name in ("alice", "bob"):
        (directory / name).write_bytes(gpg.public(name))
    (directory / "team").write_bytes(gpg.public("team", "alice"))
    (directory / "both").write_bytes(gpg.public("alice", "bob"))
    (directory / "unfit").write_bytes(gpg.public("old") + revoked[1])
    (directory / "empty").write_bytes(b"")
    return directory


@pytest.fixture(scope="module", params=["of Debian 12", "of Debian 13"])
def program(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """skopeo, two releases of it."""
    return INSTALLED if request.param == "of Debian 12" else newer_skopeo()


@pytest.mark.parametrize("name", POLICIES)
def test_skopeo_agrees(
    name: str,
    program: tuple[str, ...],
    keys: Path,
    signature_sets: dict[str, list[bytes]],
    tmp_path: Path,
) -> None:
    def judged(case: str) -> tuple[str, str]:
        image = signed(tmp_path / case.replace(" ", "-"), signature_sets[case])
        text = json.dumps(POLICIES[name]).replace("KEYS", str(keys))
        policy = image.with_suffix(".policy")
        policy.write_text(text.replace("IMAGE", str(image)).replace("PARENT", str(tmp_path)))
        copy = image.with_suffix(".copy")
        return ours(policy, image), skopeo(policy, image, copy, program)

    with ThreadPoolExecutor(4) as pool:
        outcomes = dict(zip(signature_sets, pool.map(judged, signature_sets), strict=True))
    wrong = {
        case: (us, them)
        for case, (us, them) in outcomes.items()
        if us != them and (them, us) != DIFFERENCES.get(case)
    }
    assert wrong == {}


ALWAYS = '"default":[{"type":"insecureAcceptAnything"}]'
KEY = '"type":"signedBy","keyType":"GPGKeys"'
DOCUMENTS = [
    "", "[]", "{}", f"{{{ALWAYS}}}\n", f"{{{ALWAYS}}} x", f"{{{ALWAYS},}}", f"\ufeff{{{ALWAYS}}}",
    f"{{{ALWAYS},{ALWAYS}}}", '{"Default":[{"type":"reject"}]}', '{"default":[]}',
    '{"default":null}', f'{{{ALWAYS},"transports":null}}', f'{{{ALWAYS},"transports":{{}}}}',
    f'{{{ALWAYS},"transports":{{"dir":null}}}}', f'{{{ALWAYS},"transports":{{"dir":{{}}}}}}',
    f'{{{ALWAYS},"transports":{{"dir":{{"/a/":[{{"type":"reject"}}]}}}}}}',
    f'{{{ALWAYS},"transports":{{"dir":{{"/":[{{"type":"reject"}}]}}}}}}',
    f'{{{ALWAYS},"transports":{{"docker-archive":{{"x":[{{"type":"reject"}}]}}}}}}',
    f'{{{ALWAYS},"transports":{{"docker":{{"*":[{{"type":"reject"}}]}}}}}}',
    f'{{{ALWAYS},"transports":{{"new":{{"?":[{{"type":"reject"}}]}}}}}}',
    f'{{{ALWAYS},"transports":{{"new":{{"?":[{{"type":"x"}}]}}}}}}',
    f'{{{ALWAYS},"transports":{{"containers-storage":{{"[/x]":[{{"type":"reject"}}]}}}}}}',
    f'{{{ALWAYS},"transports":{{"containers-storage":{{"x":[{{"type":"reject"}}]}}}}}}',
    '{"default":[{"type":"reject","\\u0074ype":"reject"}]}',
    '{"default":[{"type":"reject","x":1}]}',
    f'{{"default":[{{{KEY}}}]}}', f'{{"default":[{{{KEY},"keyPath":""}}]}}',
    f'{{"default":[{{{KEY},"keyPath":null}}]}}', f'{{"default":[{{{KEY},"keyData":""}}]}}',
    f'{{"default":[{{{KEY},"keyData":"eH\\nl6"}}]}}',
    f'{{"default":[{{{KEY},"keyData":"eH l6"}}]}}',
    f'{{"default":[{{{KEY},"keyData":"eB=="}}]}}', f'{{"default":[{{{KEY},"keyData":"eB"}}]}}',
    f'{{"default":[{{{KEY},"keyPaths":[]}}]}}',
    f'{{"default":[{{{KEY},"keyPath":"/k","keyData":"eA=="}}]}}',
    *(
        f'{{"default":[{{{KEY},"keyPath":"/k","signedIdentity":{identity}}}]}}'
        for identity in (
            "null", "{}", '{"type":"matchExact"}', '{"type":"matchExact","x":1}',
            '{"type":"exactReference","dockerReference":"busybox"}',
            '{"type":"exactReference","dockerReference":"busybox:1"}',
            '{"type":"exactReference","dockerReference":"x:y\\n"}',
            '{"type":"exactRepository","dockerRepository":"busybox:1"}',
            '{"type":"exactRepository","dockerRepository":"BUSY"}',
            '{"type":"remapIdentity","prefix":"a.example","signedPrefix":"b.example:80/x"}',
            '{"type":"remapIdentity","prefix":"a.example/","signedPrefix":"b.example"}',
            '{"type":"remapIdentity","prefix":"*.example","signedPrefix":"b.example"}',
        )
    ),
]  # fmt: skip


def test_skopeo_reads_the_same_policies(program: tuple[str, ...], tmp_path: Path) -> None:
    image, policy = unsigned(tmp_path / "image"), tmp_path / "policy.json"
    for document in DOCUMENTS:
        policy.write_text(document)
        try:
            parse(document.encode(), "policy")
            valid = True
        except InvalidPolicy:
            valid = False
        said = skopeo(policy, image, tmp_path / "copy", program)
        assert valid is (said != "invalid"), document
