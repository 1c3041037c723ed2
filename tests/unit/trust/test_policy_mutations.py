# SPDX-License-Identifier: LGPL-2.1-or-later
"""No mutation of a policy that rejects starts to accept by accident.

The image has no signature, and each policy has a requirement that this image cannot meet beside one
that accepts anything: whatever loses the first, or stops short of it, would accept.
"""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from atomic_sys.model.digest import Digest
from atomic_sys.model.reference import DockerReference
from atomic_sys.trust.judge import ImageUnderJudgement, judge
from atomic_sys.trust.policy import InvalidPolicy, parse
from atomic_sys.trust.scopes import docker_identity, select
from tests.unit.trust.verdicts import CredulousVerifier, read_key

IMAGE = docker_identity(DockerReference.parse("example.com/ns/repo:1"))
OPEN = {"type": "insecureAcceptAnything"}
UNMET: list[dict[str, Any]] = [
    {"type": "reject"},
    {"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/a"},
    {"type": "signedBy", "keyType": "GPGKeys", "keyPaths": ["/a", "/b"],
     "signedIdentity": {"type": "matchRepository"}},
    {"type": "sigstoreSigned", "keyData": "QUFBQQ=="},
    {"type": "signedBaseLayer", "baseLayerIdentity": {"type": "matchExact"}},
]  # fmt: skip
LISTS = st.sampled_from([
    json.dumps(requirements)
    for unmet in UNMET
    for requirements in ([unmet], [OPEN, unmet], [unmet, OPEN], [OPEN, unmet, OPEN])
])
# Every way that leads to the image: scope, transport, default.
DOCUMENTS = LISTS.flatmap(
    lambda requirements: st.sampled_from([
        f'{{"default": {requirements}}}',
        f'{{"default": {requirements}, "transports": {{}}}}',
        f'{{"default": {requirements}, "transports": {{"docker": {{"": {requirements}}}}}}}',
        f'{{"transports":{{"docker":{{"example.com":{requirements}}}}},"default":{requirements}}}',
    ])
)


def accepts(document: bytes) -> bool:
    try:
        policy = parse(document, "p")
    except InvalidPolicy:
        return False
    image = ImageUnderJudgement(identity=IMAGE, manifest_digest=Digest.of(b""), signatures=())
    return judge(select(policy, IMAGE), image, read_key, CredulousVerifier()).accepted


@given(DOCUMENTS)
def test_as_it_is(document: str) -> None:
    parse(document.encode(), "p")
    assert not accepts(document.encode())


EDITS = st.lists(
    st.tuples(st.integers(0, 10_000), st.integers(0, 2), st.binary(max_size=2)),
    min_size=1, max_size=4,
)  # fmt: skip


@settings(max_examples=400)
@given(DOCUMENTS, EDITS)
def test_edited_bytes(document: str, edits: list[tuple[int, int, bytes]]) -> None:
    edited = bytearray(document.encode())
    for where, removed, added in edits:
        at = where % (len(edited) + 1)
        edited[at : at + removed] = added
    assert not accepts(bytes(edited))


@settings(max_examples=400)
@given(DOCUMENTS, st.data())
def test_edited_keys(document: str, data: st.DataObject) -> None:
    """Keys twice, in another case, escaped, with a space, or one more: refused, or the same."""
    keys = [key for key in ("default", "transports", "docker", "type", "keyPath", "keyType")
            if f'"{key}"' in document]  # fmt: skip
    key = data.draw(st.sampled_from(keys))
    nth = data.draw(st.integers(0, document.count(f'"{key}"') - 1))
    spelling = data.draw(st.sampled_from([
        key.upper(), key.title(), f"{key} ", f"\\u00{ord(key[0]):02x}{key[1:]}", "", "x",
    ]))  # fmt: skip
    twice = data.draw(st.booleans())
    before, after = split_at(document, f'"{key}"', nth)
    value = data.draw(st.sampled_from(["null", "[]", "{}", json.dumps([OPEN]), '"reject"']))
    more = f'"{key}": {value}, "{spelling}"' if twice else f'"{spelling}"'
    assert not accepts(f"{before}{more}{after}".encode())


def split_at(text: str, part: str, nth: int) -> tuple[str, str]:
    pieces = text.split(part)
    return part.join(pieces[: nth + 1]), part.join(pieces[nth + 1 :])


@given(DOCUMENTS, st.integers(0, 2000))
def test_cut_off(document: str, at: int) -> None:
    assert not accepts(document.encode()[: at % len(document)])
