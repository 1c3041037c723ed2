# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a registry wants its users to read: `Warning: 299 - "text"`.

Source: distribution-spec, "Warnings"; RFC 7234 section 5.5 for the grammar. Only that one form is
shown, and none with control characters, which have no business on a terminal.
"""

import re

from atomic_sys.image.http_response import one_line

LIMIT = 4096  # characters of a header that are looked at
MOST = 4  # warnings of one header
_WARNING = re.compile(r'\s*(?:([0-9]{3}) (\S+) "((?:[^"\\]|\\.)*)"( "[^"]*")?|[^,"]*)\s*(?:,|$)')


def parse_warnings(header: str) -> tuple[str, ...]:
    """The texts of a Warning header that are for the user."""
    text = header[:LIMIT]
    found: list[str] = []
    at = 0
    while at < len(text) and (match := _WARNING.match(text, at)) and match.end() > at:
        at = match.end()
        code, agent, quoted, date = match.groups()
        if (code, agent, date) == ("299", "-", None):
            said = re.sub(r"\\(.)", r"\1", quoted)
            if said.isprintable() and said:
                found.append(one_line(said))
    return tuple(found[:MOST])
