# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a journal says, as lines of JSON: a header, then a line for each step to take back. Pure.

A line is on the disk before its deed begins. So a last line without its end belongs to a deed that
never began, and is passed over; any other line that cannot be read makes the journal damaged.
"""

import dataclasses
import json
import typing
from collections.abc import Sequence
from dataclasses import field
from enum import Enum
from typing import cast

from atomic_sys.engine.operations import Reload, RemoveFile
from atomic_sys.engine.undo import Removal, RestoreFile, Undo
from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen
from atomic_sys.model import strict_json
from atomic_sys.model.strict_json import Json, as_array, as_object, as_string

VERSION = 1
_KINDS = {kind.__name__: kind for kind in (*typing.get_args(Undo), *typing.get_args(Removal))}
_HINTS = {kind: typing.get_type_hints(kind) for kind in _KINDS.values()}


class InvalidJournal(AtomicSysError):
    """A journal that says nothing we could follow."""


class When(Enum):
    """When a step is taken back: in its turn, the last first, or once all the others are."""

    IN_TURN = "undo"
    LAST = "last"


@frozen
class Header:
    """What is done to the container; with `finish`, these steps are done again after a crash."""

    what: str  # a verb: install, update, ...
    finish: tuple[Removal, ...] = ()
    say: str | None = None  # a line that is API, for when it is taken back


@frozen
class Entry:
    """A step to take back."""

    undo: Undo
    when: When = When.IN_TURN


@frozen
class Recorded:
    """All of a journal."""

    header: Header
    entries: tuple[Entry, ...] = field(default=())


def steps_back(entries: Sequence[Entry]) -> tuple[Undo, ...]:
    """What takes everything back, in the order in which it is to be done, each step once.

    systemd may have read a new unit file although nobody had told it to, for it reads each unit
    that it does not know when somebody asks for it. So it is told to forget such a unit.
    """
    in_turn = [entry.undo for entry in reversed(entries) if entry.when is When.IN_TURN]
    last = [entry.undo for entry in entries if entry.when is When.LAST]
    steps = tuple(dict.fromkeys((*in_turn, *last)))
    unread = Reload() not in steps and any(map(_is_of_a_unit, steps))
    return (*steps, Reload()) if unread else steps


def _is_of_a_unit(step: Undo) -> bool:
    match step:
        case RemoveFile() | RestoreFile():
            return "/systemd/" in step.path
        case _:
            return False


def encode_header(header: Header) -> bytes:
    """The first line."""
    finish: list[Json] = [_encode(step) for step in header.finish]
    return _line({
        "version": VERSION,
        "what": header.what,
        "finish": finish,
        "say": header.say,
    })


def encode_entry(entry: Entry) -> bytes:
    """A further line."""
    return _line({entry.when.value: _encode(entry.undo)})


def decode(document: bytes) -> Recorded:
    """Read a journal. Raises InvalidJournal."""
    *lines, _torn = document.split(b"\n")
    if not lines:
        raise InvalidJournal("it has no first line")
    try:
        header = _header(lines[0])
        return Recorded(header=header, entries=tuple(_entry(line) for line in lines[1:]))
    except strict_json.InvalidJson as error:
        raise InvalidJournal(str(error)) from None


def _line(body: dict[str, Json]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode() + b"\n"


def _header(line: bytes) -> Header:
    body = as_object(strict_json.loads(line, "header"), "header")
    if body.get("version") != VERSION:
        raise InvalidJournal(f"its version is {body.get('version')!r}, not {VERSION}")
    steps = [_decode(step) for step in as_array(body.get("finish"), "finish")]
    for step in steps:
        if not isinstance(step, Removal):
            raise InvalidJournal(f"{type(step).__name__} is no step to finish")
    say = body.get("say")
    return Header(
        what=as_string(body.get("what"), "what"),
        finish=cast("tuple[Removal, ...]", tuple(steps)),
        say=None if say is None else as_string(say, "say"),
    )


def _entry(line: bytes) -> Entry:
    body = as_object(strict_json.loads(line, "entry"), "entry")
    if len(body) != 1:
        raise InvalidJournal("an entry has more than one step")
    ((when, step),) = body.items()
    try:
        moment = When(when)
    except ValueError:
        raise InvalidJournal(f"{when!r} is no time to undo") from None
    undo = _decode(step)
    if not isinstance(undo, Undo):
        raise InvalidJournal(f"{type(undo).__name__} takes nothing back")
    return Entry(undo=undo, when=moment)


def _encode(step: Undo | Removal) -> Json:
    body: dict[str, Json] = {"kind": type(step).__name__}
    for item in dataclasses.fields(step):
        value = getattr(step, item.name)
        body[item.name] = list(value) if isinstance(value, tuple) else value
    return body


def _decode(value: Json) -> Undo | Removal:
    """The step, if each of its fields has the type that it was written with."""
    body = dict(as_object(value, "a step"))
    kind = _KINDS.get(as_string(body.pop("kind", None), "kind"))
    if kind is None or body.keys() != _HINTS[kind].keys():
        raise InvalidJournal("a step of a kind or with a field that nobody knows")
    fields = {name: _field(item, _HINTS[kind][name], name) for name, item in body.items()}
    return kind(**fields)  # type: ignore[no-any-return]  # the table's values have no common type


def _field(value: Json, hint: object, name: str) -> object:
    if hint == tuple[str, ...]:
        return strict_json.as_strings(value, name)
    if hint is int:
        return strict_json.as_integer(value, name)
    if value is None and hint == (str | None):
        return None
    return as_string(value, name)
