# SPDX-License-Identifier: LGPL-2.1-or-later
"""A file of registries.d changed for one namespace: its other lines and comments stay as they are.

PyYAML keeps no comments, so it only says where things stand, and the text is changed there. The
result is read again and compared with what the change should make of it.
"""

import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen
from atomic_sys.trust import lookaside
from atomic_sys.trust.lookaside import Section

if TYPE_CHECKING:
    import yaml

_FORMER_NAMES = {"lookaside": "sigstore"}
_COMMENT = re.compile(r"^[ \t]*#", re.MULTILINE)


@frozen
class Change:
    """What is to be said of a namespace; None leaves it as it is."""

    lookaside: str | None = None
    use_sigstore_attachments: bool | None = None

    def fields(self) -> dict[str, str]:
        """Keys and values as they are written."""
        fields = {} if self.lookaside is None else {"lookaside": _scalar(self.lookaside)}
        if self.use_sigstore_attachments is not None:
            use = "true" if self.use_sigstore_attachments else "false"
            fields["use-sigstore-attachments"] = use
        return fields

    def on(self, section: Section) -> Section:
        """The section as it should be afterwards."""
        use = self.use_sigstore_attachments
        return replace(
            section,
            lookaside=section.lookaside if self.lookaside is None else self.lookaside,
            use_sigstore_attachments=section.use_sigstore_attachments if use is None else use,
        )


def new_file(scope: str, change: Change) -> bytes:
    """A file that speaks of this namespace alone."""
    lines = [f"        {key}: {value}\n" for key, value in change.fields().items()]
    return f"docker:\n    {_scalar(scope)}:\n{''.join(lines)}".encode()


def set_section(document: bytes, what: str, scope: str, change: Change) -> bytes:
    """The document with the change of a namespace that it speaks of.

    Raises InvalidLookaside for a document that is none, AtomicSysError where the change cannot be
    made in place.
    """
    before = lookaside.parse([(what, document)])
    text = document.decode()
    for key, value in change.fields().items():
        text = _put(text, _find(text, scope)[1], key, value)
    wanted = {**before.docker, scope: change.on(before.docker[scope])}
    return _checked(text, what, replace(before, docker=wanted))


def remove_section(document: bytes, what: str, scope: str) -> bytes | None:
    """The document without a namespace that it speaks of; None if it says nothing any more.

    Raises as set_section().
    """
    before = lookaside.parse([(what, document)])
    text = document.decode()
    key, value = _find(text, scope)
    others = {name: section for name, section in before.docker.items() if name != scope}
    if not others:
        top = _compose(text)
        key, value = next((k, v) for k, v in top.value if k.value == "docker")
        if len(top.value) == 1 and not _COMMENT.search(text):
            return None
    return _checked(_without_lines(text, key, value), what, replace(before, docker=others))


def _checked(text: str, what: str, wanted: lookaside.LookasideConfig) -> bytes:
    document = text.encode()
    try:
        sound = lookaside.parse([(what, document)]) == wanted
    except lookaside.InvalidLookaside:
        sound = False
    if not sound:
        raise AtomicSysError(f"{what} cannot be changed without a loss", hint="edit it by hand")
    return document


def _put(text: str, section: "yaml.Node", key: str, value: str) -> str:
    """The text with this value in the mapping of a namespace."""
    import yaml  # heavy, and only needed for a change

    if not isinstance(section, yaml.MappingNode):  # nothing is said yet
        start, end = section.start_mark.index, section.end_mark.index
        return f"{text[:start].rstrip(' ')} {{{key}: {value}}}{text[end:]}"
    values: Mapping[str, yaml.Node] = {name.value: node for name, node in section.value}
    present = values.get(key) or values.get(_FORMER_NAMES.get(key, ""))
    if present is not None:
        new = value if present.start_mark.index < present.end_mark.index else f" {value}"
        return text[: present.start_mark.index] + new + text[present.end_mark.index :]
    if section.flow_style:
        at = section.start_mark.index + 1
        return f"{text[:at]}{key}: {value}{', ' if values else ''}{text[at:]}"
    first = section.value[0][0].start_mark
    newline = "\r\n" if "\r\n" in text else "\n"
    return f"{text[: first.index]}{key}: {value}{newline}{' ' * first.column}{text[first.index :]}"


def _without_lines(text: str, key: "yaml.Node", value: "yaml.Node") -> str:
    """The text without the lines of an entry; comments behind it stay."""
    start = text.rfind("\n", 0, key.start_mark.index) + 1
    end = text.find("\n", _end(value))
    return text[:start] + (text[end + 1 :] if end >= 0 else "")


def _end(node: "yaml.Node") -> int:
    """Where the last scalar of a node ends: a block's own end is that of the comments behind it."""
    import yaml  # as above

    if isinstance(node, yaml.MappingNode) and node.value and not node.flow_style:
        return _end(node.value[-1][1])
    return int(node.end_mark.index)


def _find(text: str, scope: str) -> tuple["yaml.Node", "yaml.Node"]:
    """The key and the value of a namespace that the document is known to have."""
    docker = next(value for key, value in _compose(text).value if key.value == "docker")
    return next((key, value) for key, value in docker.value if key.value == scope)


def _compose(text: str) -> "yaml.MappingNode":
    """The nodes of a document that is known to speak of a namespace: it is a mapping."""
    import yaml  # as above

    return cast("yaml.MappingNode", yaml.compose(text, Loader=yaml.SafeLoader))


def _scalar(text: str) -> str:
    """The text as a scalar of YAML, in quotes where it needs them."""
    import yaml  # as above

    plain = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/:@-]*[A-Za-z0-9/]", text) is not None
    if plain and yaml.safe_load(text) == text:
        return text
    quoted: str = yaml.safe_dump(text, default_style='"', width=sys.maxsize)
    return quoted.rstrip("\n")
