# SPDX-License-Identifier: LGPL-2.1-or-later
"""The log's promise: signed by the log, and for this payload, this signature, this key."""

import base64
import json
from typing import Any

import pytest

from atomic_sys.trust import pem
from atomic_sys.trust.public_key import load_pem
from atomic_sys.trust.rekor import Claim, NotLogged, logged_at
from tests.support.sigstore import NOW, Log, new_key, public_pem

LOG = Log(new_key())
KEY_PEM = public_pem(new_key())
KEY = pem.block(KEY_PEM, "key").content
CLAIM = Claim(payload=b"payload", signature=b"signature", key=KEY)
BODY = LOG.entry(b"payload", b"signature", KEY_PEM)
SPEC: dict[str, Any] = BODY["spec"]


def when(bundle: str) -> int:
    return logged_at(bundle, (load_pem(public_pem(LOG.key), "log"),), CLAIM)


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def test_logged() -> None:
    assert when(LOG.promise(BODY)) == int(NOW.timestamp())


def test_canonical_form_is_what_is_signed() -> None:
    """However the entry is written in the annotation: order and white space are not signed."""
    document = json.loads(LOG.promise(BODY, logID='é"\\\n\x7f'))
    document["Payload"] = dict(reversed(document["Payload"].items()))
    assert when(json.dumps(document, indent=3)) == int(NOW.timestamp())


def test_any_log_will_do() -> None:
    keys = tuple(load_pem(public_pem(key), "log") for key in (new_key(), LOG.key))
    assert logged_at(LOG.promise(BODY), keys, CLAIM)
    with pytest.raises(NotLogged, match="not signed by a trusted log"):
        logged_at(LOG.promise(BODY), (), CLAIM)


@pytest.mark.parametrize("field", ["body", "integratedTime", "logIndex", "logID"])
def test_everything_is_signed(field: str) -> None:
    document = json.loads(LOG.promise(BODY))
    value = document["Payload"][field]
    document["Payload"][field] = value + 1 if isinstance(value, int) else f"{value}AAAA"
    with pytest.raises(NotLogged, match="not signed by a trusted log"):
        when(json.dumps(document))


PROMISE = json.loads(LOG.promise(BODY))


@pytest.mark.parametrize(
    "bundle",
    [
        "", "[]", "{}", "\ud800",
        json.dumps(PROMISE | {"more": 1}),
        json.dumps(PROMISE | {"Payload": None}),
        json.dumps(PROMISE | {"SignedEntryTimestamp": "a b"}),
        json.dumps(PROMISE | {"SignedEntryTimestamp": 1}),
        json.dumps(PROMISE)[:-1] + ',"Payload":{}}',
        LOG.promise(BODY, more=1),
        LOG.promise(BODY, logID=1),
        LOG.promise(BODY, logIndex="1"),
        LOG.promise(BODY, logIndex=1.0),
        LOG.promise(BODY, logIndex=True),
        LOG.promise(BODY, integratedTime=-1),
        LOG.promise(BODY, integratedTime=1 << 54),
    ],
)  # fmt: skip
def test_malformed_promise(bundle: str) -> None:
    with pytest.raises(NotLogged):
        when(bundle)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "invalid JSON"),
        ([], "not an object"),
        (BODY | {"kind": "rekord"}, "not a hashedrekord"),
        (BODY | {"apiVersion": "0.0.2"}, "not a hashedrekord"),
        (BODY | {"spec": None}, "spec is not an object"),
        (BODY | {"spec": SPEC | {"signature": None}}, "signature is not an object"),
        (BODY | {"spec": SPEC | {"signature": {"content": ""}}}, "publicKey is not an object"),
        (BODY | {"spec": SPEC | {"signature": {"publicKey": {"content": encoded(b"junk")}}}},
         "not in PEM"),
        (LOG.entry(b"payload", b"signature", KEY_PEM * 2), "2 PEM blocks"),
        (LOG.entry(b"payload", b"signature", public_pem(new_key())), "another key"),
        (LOG.entry(b"payload", b"other", KEY_PEM), "another signature"),
        (LOG.entry(b"other", b"signature", KEY_PEM), "other content"),
        (LOG.entry(b"payload", b"signature", KEY_PEM, data=None), "data is not an object"),
        (LOG.entry(b"payload", b"signature", KEY_PEM, data={}), "hash is not an object"),
        (LOG.entry(b"payload", b"signature", KEY_PEM, data={"hash": {"algorithm": "md5"}}),
         "unsupported algorithm"),
        (LOG.entry(b"payload", b"signature", KEY_PEM, data={"hash": {"algorithm": "sha256"}}),
         "not a string"),
    ],
)  # fmt: skip
def test_entry_of_something_else(body: object, reason: str) -> None:
    with pytest.raises(NotLogged, match=reason):
        when(LOG.promise(body))
