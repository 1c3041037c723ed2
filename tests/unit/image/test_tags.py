# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tags of a repository: pages, links that lead astray, and tags that are none."""

import json
from collections.abc import Mapping

import pytest

from atomic_sys.errors import AtomicSysError
from atomic_sys.image import tags as module
from atomic_sys.image.http import Http
from atomic_sys.image.http_response import NetworkError
from atomic_sys.image.registries_conf import Registries
from atomic_sys.image.registry import NotInRegistry, RegistryOrigin
from atomic_sys.image.tags import PAGE_LIMIT, Page, read_tags
from atomic_sys.model.reference import ImageName
from atomic_sys.model.source import RegistrySource
from atomic_sys.model.stream import TooLarge
from tests.support.fake_registry import FakeRegistry, Reply

URL = "https://h.io/v2/ns/i/tags/list"
LIST = "/v2/ns/i/tags/list"


def page(*tags: object, link: str | None = None) -> Page:
    return Page(body=json.dumps({"name": "ns/i", "tags": tags}).encode(), link=link)


@pytest.mark.parametrize(
    "link",
    [
        f'<{URL}?n=2&last=b>; rel="next"',
        f'<{LIST}?n=2&last=b>; rel="next"',
        "<?n=2&last=b>; rel=next",
        f'</other>; rel="prev", <{LIST}?n=2&last=b>; rel="next"',
    ],
)
def test_pages_follow_one_another(link: str) -> None:
    pages = {"": page("a", "b", link=link), "?n=2&last=b": page("c")}
    assert read_tags(pages.__getitem__, URL) == ("a", "b", "c")


@pytest.mark.parametrize(
    "link",
    [
        f'<https://evil.io{LIST}?n=2>; rel="next"',
        f'<//evil.io{LIST}?n=2>; rel="next"',
        f'<http://h.io{LIST}?n=2>; rel="next"',
        f'<https://h.io:444{LIST}>; rel="next"',
        f'<https://u:p@h.io{LIST}>; rel="next"',
        '</v2/other/tags/list?n=2>; rel="next"',
        '<../manifests/x>; rel="next"',
        '<https://[>; rel="next"',
    ],
)
def test_no_page_elsewhere(link: str) -> None:
    with pytest.raises(NetworkError, match="next page"):
        read_tags({"": page("a", link=link)}.__getitem__, URL)


@pytest.mark.parametrize("link", ["", "nonsense", f'<{URL}?n=2>; rel="prev"', f"<{URL}>"])
def test_what_is_no_next_page_ends_it(link: str) -> None:
    assert read_tags({"": page("a", link=link)}.__getitem__, URL) == ("a",)


def test_pages_that_never_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NetworkError, match="more than 1000 pages"):
        read_tags(lambda _: page(link=f'<{URL}?n=1>; rel="next"'), URL)
    monkeypatch.setattr(module, "MAX_TAGS", 1)
    with pytest.raises(NetworkError, match="more than 1 tags"):
        read_tags(lambda _: page("a", "b"), URL)


def test_odd_tags_are_listed_with_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    assert read_tags(lambda _: page("ok", "\x1b[31m", "a b"), URL) == ("ok", "\x1b[31m", "a b")
    warned = capsys.readouterr().err
    assert "\x1b" not in warned
    assert "'a b'" in warned
    assert "'ok'" not in warned


@pytest.mark.parametrize("body", [b"[]", b"<html>", b'{"tags": [1]}', b'{"tags": "a"}'])
def test_what_is_no_list_of_tags(body: bytes) -> None:
    with pytest.raises(AtomicSysError, match=r"answer of https://h\.io"):
        read_tags(lambda _: Page(body=body, link=None), URL)


def test_no_tags() -> None:
    assert read_tags(lambda _: Page(body=b'{"tags": null}', link=None), URL) == ()


def origin(http: Http, registry: FakeRegistry) -> RegistryOrigin:
    name = ImageName.parse(f"{registry.host}/ns/i")
    registry.replies["/v2/"] = Reply()
    return RegistryOrigin(http, RegistrySource(name=name, plain_http=True), Registries())


def test_of_a_registry(http: Http, registry: FakeRegistry) -> None:
    def answer(_headers: Mapping[str, str]) -> Reply:
        path, _ = registry.requests[-1]
        if path == LIST:
            link = {"Link": f'<{LIST}?n=1&last=a>; rel="next"'}
            return Reply(headers=link, body=b'{"tags": ["a"]}')
        assert path == f"{LIST}?n=1&last=a"
        return Reply(body=b'{"tags": ["b"]}')

    registry.replies[LIST] = answer
    assert origin(http, registry).tags() == ("a", "b")


def test_of_a_registry_that_has_none_or_too_much(http: Http, registry: FakeRegistry) -> None:
    with pytest.raises(NotInRegistry, match="no such thing"):
        origin(http, registry).tags()
    registry.replies[LIST] = Reply(body=bytes(PAGE_LIMIT + 1))
    with pytest.raises(TooLarge):
        origin(http, registry).tags()
