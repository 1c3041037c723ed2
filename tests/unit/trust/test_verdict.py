# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a verdict says of itself: as JSON, in lines for people, and who signed."""

import json

from atomic_sys.trust.explain import rejection
from atomic_sys.trust.verdict import Verdict
from tests.unit.trust.verdicts import (
    DIGEST,
    NAME,
    OPEN,
    A,
    B,
    judged,
    signature,
)


def test_no_requirements() -> None:
    verdict = Verdict(
        source="p", transport=None, scope=None, reference=None, digest=DIGEST, requirements=()
    )
    assert not verdict.accepted
    assert "no requirements" in str(rejection(verdict, "IMAGE"))


def test_json() -> None:
    wrong = signature("AAAA", name="x:1")
    verdict = judged([OPEN, A, B], signature("AAAA"), wrong, signature("CCCC"))
    assert verdict.as_json("repo") == {
        "image": "repo",
        "reference": NAME,
        "digest": str(DIGEST),
        "accepted": False,
        "policy": "/p.json",
        "transport": "docker",
        "scope": "example.com",
        "requirements": [
            {
                "type": "insecureAcceptAnything",
                "accepted": True,
                "reason": "everything is accepted",
                "keys": [],
                "owners": [],
                "signatures": [],
            },
            {
                "type": "signedBy",
                "accepted": True,
                "reason": f"signed by a@x.example (AAAA) as {NAME}",
                "keys": ["AAAA"],
                "owners": ["a@x.example"],
                "signatures": [
                    {
                        "source": "s-AAAA",
                        "accepted": True,
                        "signer": "AAAA",
                        "user": "a@x.example",
                        "identity": NAME,
                        "reason": "",
                    },
                    {
                        "source": "s-AAAA",
                        "accepted": False,
                        "signer": "AAAA",
                        "user": "a@x.example",
                        "identity": "x:1",
                        "reason": f"signed as x:1, which does not fit {NAME}",
                    },
                    {
                        "source": "s-CCCC",
                        "accepted": False,
                        "signer": None,
                        "user": None,
                        "identity": None,
                        "reason": "signed by the unknown key CCCC",
                    },
                ],
            },
            {
                "type": "signedBy",
                "accepted": False,
                "reason": "signed by the unknown key AAAA; signed by the unknown key CCCC",
                "keys": ["BBBB"],
                "owners": ["b@x.example"],
                "signatures": [
                    {
                        "source": f"s-{key}",
                        "accepted": False,
                        "signer": None,
                        "user": None,
                        "identity": None,
                        "reason": f"signed by the unknown key {key}",
                    }
                    for key in ("AAAA", "AAAA", "CCCC")
                ],
            },
        ],
    }
    assert json.dumps(verdict.as_json("repo"))


def test_explanation() -> None:
    assert judged([A], signature("AAAA"), scope="").explain() == (
        "accepted by /p.json",
        "by the default of the transport docker",
        f"signedBy: accepted: signed by a@x.example (AAAA) as {NAME}",
    )
    lines = judged([OPEN, OPEN, OPEN, A, B], signature("AAAA")).explain()
    assert len(lines) == 5
    assert lines[0] == "rejected by /p.json"
    assert lines[2] == "signedBy: rejected: signed by the unknown key AAAA"
    assert lines[4] == "and 3 more requirements"
    assert len(judged([OPEN, OPEN, OPEN]).explain()) == 5


def test_signers() -> None:
    verdict = judged([A, B, A], signature("AAAA"), signature("BBBB"), signature("CCCC"))
    assert verdict.signers() == ("a@x.example (AAAA)", "b@x.example (BBBB)")
