# SPDX-License-Identifier: LGPL-2.1-or-later
"""A rejection fits five lines, and its hint is a command that can be typed."""

from dataclasses import replace

import pytest

from atomic_sys.model.digest import Digest
from atomic_sys.trust.explain import rejection
from atomic_sys.trust.verdict import Cause, RequirementVerdict, SignatureVerdict, Verdict
from atomic_sys.trust.verifier import TrustedKey

KEY = TrustedKey(fingerprint="AAAA", owner="a@x")


def verdict(*requirements: RequirementVerdict, reference: str | None = "a.example/x:1") -> Verdict:
    return Verdict(
        source="/p",
        transport="docker",
        scope="a.example",
        reference=reference,
        digest=Digest.of(b""),
        requirements=requirements,
    )


def bad(number: int) -> SignatureVerdict:
    return SignatureVerdict(source=f"s-{number}", reason=f"reason {number}")


def signed_by(*signatures: SignatureVerdict) -> RequirementVerdict:
    return RequirementVerdict.of_candidates("signedBy", (KEY,), signatures, others=0)


def test_each_signature_has_a_line() -> None:
    error = rejection(verdict(signed_by(bad(1), bad(2))), "IMAGE")
    assert str(error) == (
        "IMAGE is rejected by /p (the scope a.example of the transport docker):"
        " signedBy: reason 1; reason 2"
    )
    assert error.details == (
        "signedBy wants a signature of a@x (AAAA)",
        "s-1: reason 1",
        "s-2: reason 2",
    )


@pytest.mark.parametrize(("count", "last"), [(3, "s-3: reason 3"), (4, "and 2 more lines")])
def test_there_are_five_lines_at_most(count: int, last: str) -> None:
    error = rejection(verdict(signed_by(*map(bad, range(1, count + 1)))), "IMAGE")
    assert len(error.details) == 4
    assert error.details[-1] == last


def test_what_is_met_is_not_told() -> None:
    met = RequirementVerdict.accept("insecureAcceptAnything", "everything is accepted")
    error = rejection(verdict(met, signed_by()), "IMAGE")
    assert "insecureAcceptAnything" not in str(error)
    assert error.details == ("signedBy wants a signature of a@x (AAAA)",)


@pytest.mark.parametrize(
    ("cause", "reference", "hint"),
    [
        (Cause.POLICY, "a.example/x:1", "atomic trust add --pubkeysfile FILE a.example/x"),
        (Cause.POLICY, None, "atomic trust show --effective 'dir:/a b' shows where"),
        (Cause.KEYS, None, "repair the key file, or /p; atomic trust lint"),
        (Cause.UNSIGNED, None, "atomic trust show --effective 'dir:/a b' shows where"),
        (Cause.SIGNATURES, None, "atomic trust check 'dir:/a b' shows"),
        (Cause.UNSUPPORTED, None, "use signedBy with GPGKeys, or sigstoreSigned, in /p"),
    ],
)
def test_hint(cause: Cause, reference: str | None, hint: str) -> None:
    denied = RequirementVerdict.deny("kind", cause, "because")
    error = rejection(verdict(denied, reference=reference), "dir:/a b")
    assert error.hint is not None
    assert hint in error.hint


def test_what_is_wrong_twice_is_told_once() -> None:
    """Two keys must sign, and nobody did: the lines below the first one say whose."""
    other = replace(signed_by(), keys=(TrustedKey(fingerprint="BBBB"),))
    error = rejection(verdict(signed_by(), other), "IMAGE")
    assert str(error).count("a signature is required") == 1
    assert error.details == (
        "signedBy wants a signature of a@x (AAAA)",
        "signedBy wants a signature of BBBB",
    )


def test_a_signature_can_be_demanded() -> None:
    met = verdict(RequirementVerdict.accept("insecureAcceptAnything", "everything is accepted"))
    assert met.accepted
    error = rejection(met.without_signature(), "IMAGE")
    assert "--require-signed: the policy asks for no signature" in str(error)
