# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rule over gpg's status lines: one way to be good, many ways to be refused."""

import re

import pytest

from atomic_sys.trust.gpg_status import Signer, judge_status, parse_status
from atomic_sys.trust.verifier import Refused

KEY = "A" * 40
SUBKEY = "B" * 40


def good(*, hash_algorithm: str = "8", signature_class: str = "00", primary: str = KEY) -> str:
    return (
        "NEWSIG\nGOODSIG BBBBBBBBBBBBBBBB C\xc3\xa9cile <c@a.example>\n"
        f"VALIDSIG {SUBKEY} 2026-01-01 1 0 4 0 22 {hash_algorithm} {signature_class} {primary}\n"
    )


def judged(text: str, returncode: int = 0) -> Signer | Refused:
    lines = "".join(f"[GNUPG:] {line}\n" for line in text.splitlines())
    return judge_status(parse_status(lines.encode("latin-1"), limit=9999), returncode, (KEY,))


def test_good() -> None:
    assert judged(good()) == Signer(fingerprint=KEY, user="c@a.example")
    assert judged(f"PLAINTEXT 62 0 n\nNOTATION_DATA x\n{good(primary=KEY.lower())}") == Signer(
        fingerprint=KEY, user="c@a.example"
    )


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("Someone", "Someone"),
        ("C%C3%A9cile%0A[GNUPG:]", "C\xe9cile\n[GNUPG:]"),
        ("\xff <a@b.example> (x)", "\ufffd <a@b.example> (x)"),
        ("<a@b.example> <c@d.example>", "c@d.example"),
    ],
)
def test_user(user: str, expected: str) -> None:
    outcome = judged(good().replace("C\xc3\xa9cile <c@a.example>", user))
    assert outcome == Signer(fingerprint=KEY, user=expected)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no single good"),
        ("GOODSIG", "no single good"),
        (good() * 2, "no single good"),
        (good().replace("NEWSIG", "OTHER"), "no single good"),
        (good().replace(" 22 8", ""), "no single good"),
        (good() + "PLAINTEXT 1\nPLAINTEXT 1\n", "more than one"),
        (good(signature_class="01"), "of text"),
        (good(hash_algorithm="1"), "MD5"),
        (good(hash_algorithm="2"), "SHA-1"),
        (good(hash_algorithm="3"), "RIPEMD-160"),
        (good(primary=SUBKEY), f"unknown key {SUBKEY}"),
        (good() + "ERRSIG CCCC 22 8 00 1 9 DDDD\n", "unknown key DDDD"),
        (good() + "ERRSIG CCCC 22 8 00 1 9 \n", "unknown key CCCC"),
        (good() + "ERRSIG CCCC 22 8 00 1 4 DDDD\n", "cannot check the signature of key CCCC"),
        (good() + "BADSIG CCCC x <a@b.example>\n", "not what a@b.example"),
        (good() + "EXPSIG CCCC x\n", "signature of x .CCCC. has expired"),
        (good() + "EXPKEYSIG CCCC x\n", "key CCCC of x has expired"),
        (good() + "REVKEYSIG CCCC x\n", "revoked"),
        (good() + "NODATA 3\n", "NODATA"),
        (good() + "ERROR x\n", "ERROR"),
        (good() + "FAILURE x\n", "FAILURE"),
        (good() + "UNEXPECTED 0\n", "UNEXPECTED"),
        (good() + "DECRYPTION_OKAY\n", "DECRYPTION_OKAY"),
        (good() + "BADSIG\n", r"\(\?\)"),
    ],
)
def test_refused(text: str, reason: str) -> None:
    outcome = judged(text)
    assert isinstance(outcome, Refused)
    assert re.search(reason, outcome.reason), outcome.reason


def test_exit_status_counts_too() -> None:
    assert isinstance(judged(good(), returncode=2), Refused)


def test_too_much_says_nothing() -> None:
    assert parse_status(b"[GNUPG:] NEWSIG\n", limit=15).lines == ()
    assert len(parse_status(b"[GNUPG:] NEWSIG\nx\n[GNUPG:]x\n\xff", limit=99).lines) == 1
