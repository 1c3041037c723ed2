# SPDX-License-Identifier: LGPL-2.1-or-later
"""WWW-Authenticate: what a server wants to see before it lets us in.

Sources: RFC 9110 section 11, distribution's "Token Scope Documentation" for the grammar of a scope.
"""

import re
from collections.abc import Iterable, Mapping

from atomic_sys.frozen import frozen

_HEADER_LIMIT = 8192  # characters of a WWW-Authenticate header that are looked at
_PARAMETER = re.compile(r'\s*,?\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_SCHEME = re.compile(r"\s*,?\s*([A-Za-z][A-Za-z0-9_-]*)(?:\s+|\s*$|(?=,))")
_SCOPE = re.compile(r"[a-z]+(?:\([a-z]+\))?:[A-Za-z0-9._:/-]{1,400}:[a-z*]+(?:,[a-z*]+)*")


@frozen
class Challenge:
    """One way in that the server offers; scheme and parameter names are in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """The challenges of a WWW-Authenticate header, up to the first thing that is none."""
    text = header[:_HEADER_LIMIT]
    found: list[Challenge] = []
    at = 0
    while scheme := _SCHEME.match(text, at):
        at = scheme.end()
        parameters: dict[str, str] = {}
        while parameter := _PARAMETER.match(text, at):
            name, quoted, plain = parameter.groups()
            value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            parameters.setdefault(name.lower(), value)
            at = parameter.end()
        found.append(Challenge(scheme=scheme[1].lower(), parameters=parameters))
    return tuple(found)


def missing_scope(challenges: Iterable[Challenge]) -> str | None:
    """The scope that a token lacked, where the server says so in a form that can be trusted."""
    for challenge in challenges:
        if challenge.scheme == "bearer":
            error = challenge.parameters.get("error")
            scope = challenge.parameters.get("scope", "")
            if error == "insufficient_scope" and _SCOPE.fullmatch(scope):
                return scope
    return None
