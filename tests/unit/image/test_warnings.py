# SPDX-License-Identifier: LGPL-2.1-or-later
"""Warnings of a registry."""

import pytest

from atomic_sys.image.http import Http
from atomic_sys.image.registries_conf import Registries
from atomic_sys.image.registry import RegistryOrigin
from atomic_sys.image.warnings import LIMIT, MOST, parse_warnings
from atomic_sys.model.reference import ImageName
from atomic_sys.model.source import RegistrySource
from tests.support.fake_registry import FakeRegistry, Reply


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('299 - "going away"', ("going away",)),
        ('299 - "a \\"b\\" \\\\c"', ('a "b" \\c',)),
        ('299 - "one", 299 - "two"', ("one", "two")),
        ('199 - "other", 299 - "two, with comma"', ("two, with comma",)),
        ('nonsense, 299 - "two"', ("two",)),
        ('299 - ""', ()),
        ("", ()),
        ("299 - text", ()),
        ("299 -", ()),
        ('299 - "open', ()),
        ('299 host "text"', ()),
        ('299 - "text" "Tue, 15 Nov 1994 08:12:31 GMT"', ()),
        ('300 - "text"', ()),
        ('2999 - "text"', ()),
        ('299 - "a\x1b[31m"', ()),
        ('299 - "a\\\nb"', ()),
        ('299 - "a\u202eb"', ()),
    ],
)
def test_rows(header: str, expected: tuple[str, ...]) -> None:
    assert parse_warnings(header) == expected


def test_limits() -> None:
    assert len(parse_warnings('299 - "x",' * 100)) == MOST
    assert parse_warnings('299 - "' + "x" * LIMIT + '"') == ()
    for hostile in ("," * 10**6, '"\\' * 10**6, " " * 10**6, '299 - "' + "\\a" * 10**6):
        parse_warnings(hostile)


def test_shown_once(http: Http, registry: FakeRegistry, capsys: pytest.CaptureFixture[str]) -> None:
    headers = {"Warning": '299 - "moving to quay", 299 - "x\x1b[0m"'}
    registry.replies["/v2/"] = Reply()
    registry.replies["/v2/a/b/manifests/1"] = Reply(body=b"{}", headers=headers)
    source = RegistrySource(name=ImageName.parse(f"{registry.host}/a/b:1"), plain_http=True)
    origin = RegistryOrigin(http, source, Registries())
    for _ in range(2):
        origin.manifest(None)
    assert capsys.readouterr().err == f"warning: {registry.host} says: moving to quay\n"
