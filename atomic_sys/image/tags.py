# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tags of a repository, page by page, by the links that the registry gives.

Of a link only the query is used, and only when it stays at the same address: no registry can send
us, and our token, elsewhere (CVE-2024-3727's relatives). Source: distribution-spec, "Listing Tags".
"""

import re
from collections.abc import Callable
from urllib.parse import urljoin, urlsplit

from atomic_sys.frozen import frozen
from atomic_sys.image.http_response import NetworkError
from atomic_sys.log import warn
from atomic_sys.model import strict_json
from atomic_sys.model.reference import is_tag
from atomic_sys.model.strict_json import as_object, as_strings

PAGE_LIMIT = 4 << 20  # bytes
MAX_PAGES = 1000
MAX_TAGS = 1_000_000
_NEXT = re.compile(r'<([^<>]*)>\s*;[^,]*\brel="?next\b')


@frozen
class Page:
    """The body of an answer, and its Link header."""

    body: bytes
    link: str | None


def read_tags(fetch: Callable[[str], Page], url: str) -> tuple[str, ...]:
    """All tags, in the registry's order; one that cannot be a tag is there too, with a warning.

    `fetch` gets the query, with its question mark, of each page; `url` is the address of the first.
    Raises NetworkError for a link that leads elsewhere or to no end, InvalidJson, and whatever
    `fetch` raises.
    """
    found: list[str] = []
    query = ""
    for _ in range(MAX_PAGES):
        page = fetch(query)
        found += _parse(page.body, url)
        if len(found) > MAX_TAGS:
            raise NetworkError(f"{url}: more than {MAX_TAGS} tags")
        if not (link := _NEXT.search(page.link or "")):
            for tag in found:
                if not is_tag(tag):
                    warn(f"{url}: the registry has a tag that no reference can name: {tag[:160]!r}")
            return tuple(found)
        query = _query(url, link[1])
    raise NetworkError(f"{url}: more than {MAX_PAGES} pages of tags")


def _parse(body: bytes, url: str) -> tuple[str, ...]:
    what = f"the answer of {url}"
    return as_strings(as_object(strict_json.loads(body, what), what).get("tags"), f"{what}: tags")


def _query(url: str, link: str) -> str:
    """The query of the link."""
    try:
        here, there = urlsplit(url), urlsplit(urljoin(url, link))
    except ValueError:
        raise NetworkError(f"{url}: invalid link to the next page: {link[:160]!r}") from None
    if (there.scheme, there.netloc, there.path) != (here.scheme, here.netloc, here.path):
        raise NetworkError(f"{url}: refusing a next page elsewhere: {link[:160]!r}")
    return f"?{there.query}"
