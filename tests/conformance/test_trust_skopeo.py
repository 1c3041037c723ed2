# SPDX-License-Identifier: LGPL-2.1-or-later
"""skopeo judges beside us: the same policies, the same images, the same verdicts."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from atomic_sys.errors import AtomicSysError
from atomic_sys.model.digest import Digest
from atomic_sys.trust.files import load_policy, read_key_file
from atomic_sys.trust.framing import frame
from atomic_sys.trust.gpg import GpgVerifier
from atomic_sys.trust.judge import ImageUnderJudgement, judge
from atomic_sys.trust.policy import InvalidPolicy, parse
from atomic_sys.trust.scopes import path_identity, select
from atomic_sys.trust.signatures import read_directory_signatures
from tests.support.gpg import LONG_AGO, MANIFEST, NAME, Gpg, payload
from tests.support.sigstore import attach, new_key, public_pem
from tests.support.sigstore import payload as sigstore_payload

pytestmark = pytest.mark.conformance

SKOPEO_OUTCOMES = {
    "Source image rejected": "rejected",
    "reading signatures": "rejected",
    "Error loading trust policy": "invalid",
    "11" * 32: "accepted",  # the configuration blob, which no image here has
}


def skopeo(policy: Path, image: Path, scratch: Path) -> str:
    argv = ["skopeo", f"--policy={policy}", "copy", f"dir:{image}", f"dir:{scratch}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    for text, outcome in SKOPEO_OUTCOMES.items():
        if text in done.stderr:
            return outcome
    raise AssertionError(done.stderr)


def ours(policy: Path, image: Path) -> str:
    try:
        selection = select(load_policy([str(policy)]).policy, path_identity("dir", str(image)))
        digest = Digest.of((image / "manifest.json").read_bytes())
        under_judgement = ImageUnderJudgement(
            identity=path_identity("dir", str(image)),
            manifest_digest=digest,
            signatures=read_directory_signatures(str(image), digest),
        )
    except InvalidPolicy:
        return "invalid"
    except AtomicSysError:
        return "rejected"
    verdict = judge(selection, under_judgement, read_key_file, GpgVerifier())
    return "accepted" if verdict.accepted else "rejected"


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
# Where Debian's skopeo 1.9.3 may say something else than we: its verdict, ours, and why.
DIFFERENCES = {
    "SHA-1": ("accepted", "rejected"),  # collisions are cheap; gpg 2.2 still takes it for data
    "concatenated": ("accepted", "rejected"),  # gpg reads the first message and skips the rest
    "trailing": ("accepted", "rejected"),  # as above
    "subkey": ("rejected", "accepted"),  # it compares the subkey; newer releases the primary key
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


@pytest.mark.parametrize("name", POLICIES)
def test_skopeo_agrees(
    name: str, keys: Path, signature_sets: dict[str, list[bytes]], tmp_path: Path
) -> None:
    def judged(case: str) -> tuple[str, str]:
        image = tmp_path / case.replace(" ", "-")
        image.mkdir()
        (image / "manifest.json").write_bytes(MANIFEST)
        (image / "version").write_text("Directory Transport Version: 1.1\n")
        for number, signature in enumerate(signature_sets[case], start=1):
            (image / f"signature-{number}").write_bytes(signature)
        text = json.dumps(POLICIES[name]).replace("KEYS", str(keys))
        policy = image.with_suffix(".policy")
        policy.write_text(text.replace("IMAGE", str(image)).replace("PARENT", str(tmp_path)))
        return ours(policy, image), skopeo(policy, image, image.with_suffix(".copy"))

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


def test_skopeo_reads_the_same_policies(tmp_path: Path) -> None:
    image, policy = tmp_path / "image", tmp_path / "policy.json"
    image.mkdir()
    (image / "manifest.json").write_bytes(MANIFEST)
    (image / "version").write_text("Directory Transport Version: 1.1\n")
    for document in DOCUMENTS:
        policy.write_text(document)
        try:
            parse(document.encode(), "policy")
            valid = True
        except InvalidPolicy:
            valid = False
        assert valid is (skopeo(policy, image, tmp_path / "copy") != "invalid"), document


def test_sigstore_is_disabled_in_the_judge(tmp_path: Path) -> None:
    """Debian's patch: skopeo rejects what we accept, and says so; upstream's tests judged ours."""
    key = new_key()
    image, policy = tmp_path / "image", tmp_path / "policy.json"
    image.mkdir()
    (image / "manifest.json").write_bytes(MANIFEST)
    (image / "version").write_text("Directory Transport Version: 1.1\n")
    signed = attach(sigstore_payload(Digest.of(MANIFEST), NAME), key)
    (image / "signature-1").write_bytes(frame(signed))
    (tmp_path / "key").write_bytes(public_pem(key))
    requirement = {
        "type": "sigstoreSigned",
        "keyPath": f"{tmp_path}/key",
        "signedIdentity": {"type": "exactReference", "dockerReference": NAME},
    }
    policy.write_text(json.dumps({"default": [requirement]}))
    assert ours(policy, image) == "accepted"
    assert skopeo(policy, image, tmp_path / "copy") == "rejected"
