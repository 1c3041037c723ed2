# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each rule of the linter: what it finds, and what it leaves alone."""

import json
import time
from typing import Any

import pytest

from atomic_sys.trust.key_facts import KeyFact
from atomic_sys.trust.lint import RULES, Finding, Place, Severity, lint
from atomic_sys.trust.lint_keys import Demand, shared
from atomic_sys.trust.lookaside import parse as parse_lookaside
from atomic_sys.trust.policy import parse
from atomic_sys.trust.requirements import Requirements, SignedBy, SigstoreSigned

OPEN, REJECT = {"type": "insecureAcceptAnything"}, {"type": "reject"}
GPG = {"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/good"}
COSIGN = {"type": "sigstoreSigned", "keyPath": "/good"}
REPOSITORY = {"signedIdentity": {"type": "matchRepository"}}
EXACT = {"signedIdentity": {"type": "exactRepository", "dockerRepository": "a.example/x"}}
DEFAULT_LOOKASIDE = "default-docker: {lookaside: 'file:///d', use-sigstore-attachments: true}"
SOON = int(time.time()) + 86400
KEYS = {
    "good": KeyFact(source="/good", fingerprint="AAAA", owner="a@x"),
    "late": KeyFact(source="/late", fingerprint="DDDD", owner="d@x", expires=SOON + 90 * 86400),
    "soon": KeyFact(source="/soon", fingerprint="BBBB", owner="b@x", expires=SOON),
    "expired": KeyFact(source="/e", fingerprint="CCCC", owner="c@x", expires=1, flaw="expired"),
    "revoked": KeyFact(source="/r", fingerprint="EEEE", owner="e@x", flaw="revoked"),
    "gone": KeyFact(source="/gone", flaw="cannot read the key file /gone: No such file"),
    "junk": KeyFact(source="keyData", flaw="no OpenPGP public key in it"),
}


def remap(prefix: str, signed: str) -> dict[str, Any]:
    identity = {"type": "remapIdentity", "prefix": prefix, "signedPrefix": signed}
    return GPG | {"signedIdentity": identity}


def findings(
    transports: dict[str, Any],
    *,
    default: list[dict[str, Any]] | None = None,
    keys: tuple[str, ...] = ("good",),
    lookaside: str = DEFAULT_LOOKASIDE,
) -> tuple[Finding, ...]:
    """What is found in a policy; whatever asks for a signature has these keys."""
    body = {"default": default or [REJECT], "transports": transports}
    policy = parse(json.dumps(body).encode(), "p")
    config = parse_lookaside([("f", lookaside.encode())])
    facts = tuple(KEYS[key] for key in keys)

    def place(transport: str | None, scope: str | None, requirements: Requirements) -> Place:
        demands = tuple(
            Demand(
                requirement=one,
                keys=facts if isinstance(one, SignedBy | SigstoreSigned) else (),
            )
            for one in requirements
        )
        return Place(
            transport=transport, scope=scope, demands=demands, policy=policy, lookaside=config
        )

    return lint([
        place(None, None, policy.default),
        *(
            place(transport, scope, requirements)
            for transport, scopes in policy.transports.items()
            for scope, requirements in scopes.items()
        ),
    ])


def docker(*requirements: dict[str, Any], scope: str = "a.example/x") -> dict[str, Any]:
    return {"docker": {scope: list(requirements)}}


@pytest.mark.parametrize(
    ("rule", "transports", "more"),
    [
        ("open-default", {}, {"default": [OPEN]}),
        ("open-transport", docker(OPEN, scope=""), {}),
        ("open-transport", {"docker-daemon": {"": [OPEN, OPEN]}}, {}),
        ("shadowed-scope", {"docker": {"a.example": [REJECT], "a.example/x": [OPEN]}}, {}),
        ("shadowed-scope", {"docker": {"": [REJECT], "a.example": [OPEN]}}, {}),
        ("shadowed-scope", {"docker": {"*.example": [REJECT], "a.example": [OPEN]}}, {}),
        ("redundant-scope", {"docker": {"a.example": [OPEN], "a.example/x": [OPEN]}}, {}),
        ("redundant-scope", {"docker": {"*.example": [REJECT], "a.example:5": [REJECT]}}, {}),
        ("unknown-transport", {"future": {"x": [REJECT]}}, {}),
        ("dead-scope", docker(REJECT, scope="busybox"), {}),
        ("dead-scope", docker(REJECT, scope="*.example.com:5000"), {}),
        ("never-met", docker({"type": "signedBaseLayer",
                              "baseLayerIdentity": {"type": "matchExact"}}), {}),
        ("never-met", docker(GPG | {"keyType": "X509Certificates"}), {}),
        ("nameless-image", {"dir": {"/x": [GPG]}}, {}),
        ("nameless-image", {"oci": {"": [COSIGN | REPOSITORY]}}, {}),
        ("missing-key", docker(GPG), {"keys": ("good", "gone")}),
        ("missing-key", docker(GPG), {"keys": ("junk",)}),
        ("unusable-keys", docker(GPG), {"keys": ("expired", "revoked")}),
        ("flawed-key", docker(GPG), {"keys": ("good", "revoked")}),
        ("expiring-key", docker(GPG), {"keys": ("soon",)}),
        ("shared-key", docker(GPG, GPG), {}),
        ("cosign-identity", docker(COSIGN), {}),
        ("idle-remap", docker(remap("a.example", "a.example")), {}),
        ("idle-remap", docker(remap("b.example", "c.example")), {}),
        ("idle-requirement", docker(GPG, REJECT), {}),
        ("idle-requirement", docker(OPEN, GPG), {}),
        ("no-lookaside", docker(GPG), {"lookaside": ""}),
        ("no-lookaside", docker(GPG, scope=""), {"lookaside": "docker: {a.example: {}}"}),
        ("no-attachments", docker(COSIGN | REPOSITORY), {"lookaside": ""}),
        ("no-attachments", docker(COSIGN | REPOSITORY), {
            "lookaside": "docker: {a.example: {use-sigstore-attachments: false}}"
        }),
    ],
)  # fmt: skip
def test_finding(rule: str, transports: dict[str, Any], more: dict[str, Any]) -> None:
    found = findings(transports, **more)
    assert [finding.rule for finding in found] == [rule]
    severity = {row.name: row.severity for row in RULES}[rule]
    assert str(found[0]).startswith(f"{severity.value}: {found[0].place}: ")
    assert found[0].as_json() == {
        "rule": rule,
        "severity": severity.value,
        "place": found[0].place,
        "message": found[0].message,
    }


@pytest.mark.parametrize(
    ("transports", "more"),
    [
        ({}, {}),
        (docker(GPG), {"keys": ("good", "late")}),
        (docker(GPG, scope=""), {}),
        (docker(COSIGN | REPOSITORY), {}),
        (docker(COSIGN | EXACT), {}),
        ({"docker": {"b.example": [REJECT], "a.example": [OPEN]}}, {}),
        ({"docker": {"a.example": [OPEN]}}, {}),
        ({"dir": {"/x": [GPG | EXACT]}}, {}),
        (docker(remap("a.example/x", "b.example/x"), scope="a.example"), {}),
        (docker(remap("a.example", "b.example"), scope="a.example/x:1"), {}),
        (docker(remap("b.example", "c.example"), scope="*.example"), {}),
        (docker(GPG), {"lookaside": "docker: {a.example: {lookaside: 'file:///x'}}"}),
        (docker(COSIGN | REPOSITORY), {
            "lookaside": "docker: {a.example: {use-sigstore-attachments: true}}"
        }),
    ],
)  # fmt: skip
def test_nothing_to_find(transports: dict[str, Any], more: dict[str, Any]) -> None:
    assert findings(transports, **more) == ()


def test_signatures_of_different_keys_are_two() -> None:
    (requirement,) = parse(json.dumps({"default": [GPG]}).encode(), "p").default
    one, other = (Demand(requirement=requirement, keys=(KEYS[key],)) for key in ("good", "late"))
    assert list(shared((one, other))) == []
    assert len(list(shared((one, other, one)))) == 1


def test_every_rule_has_a_name_of_its_own() -> None:
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    assert {rule.severity for rule in RULES} == set(Severity)


def test_a_dead_scope_is_not_asked_for_more() -> None:
    assert [one.rule for one in findings(docker(OPEN, scope="busybox"))] == ["dead-scope"]
