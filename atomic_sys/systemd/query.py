# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a list has to know of many units, in one round trip, by libsystemd's sd-bus(3).

PyGObject and pydbus take longer to load than all else that a list does, and busctl(1) with what it
takes to run a process five times as long as this. Sources: org.freedesktop.systemd1(5),
sd_bus_call(3), sd_bus_message_append_strv(3), sd_bus_message_read(3), sd-bus-errors(3).
"""

import ctypes
import os
from collections.abc import Iterator, Mapping, Sequence

from atomic_sys.systemd.manager import DEFAULT_TIMEOUT, SystemdError, UnitState

_LIBRARY = "libsystemd.so.0"
_MANAGER = (  # who is asked: destination, path, interface
    b"org.freedesktop.systemd1", b"/org/freedesktop/systemd1", b"org.freedesktop.systemd1.Manager",
)  # fmt: skip
_ASKING = "asking systemd about units"
_ANY_STATE: Sequence[str] = ()  # the states that are wanted, where none is named


class _Error(ctypes.Structure):
    """sd_bus_error(3)."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("message", ctypes.c_char_p),
        ("need_free", ctypes.c_int),
    ]


def states(units: Sequence[str]) -> Mapping[str, UnitState]:
    """How the units are, as Manager.states() has it. Raises SystemdError."""
    rows = _ask("ListUnitsByNames", (units,), "ssssssouso")
    return {row[0]: UnitState(load=row[2], active=row[3], sub=row[4]) for row in rows}


def file_states(units: Sequence[str]) -> Mapping[str, str]:
    """`enabled` and the like, of those that have a unit file. Raises SystemdError."""
    rows = _ask("ListUnitFilesByPatterns", (_ANY_STATE, units), "ss")
    return {path.rpartition("/")[2]: state for path, state in rows}


def _ask(method: str, arguments: Sequence[Sequence[str]], row: str) -> list[tuple[str, ...]]:
    """The rows of these types that the method answers, for arrays of strings."""
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError as missing:
        raise SystemdError(f"{_ASKING}: {missing}") from None
    bus, call, reply = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
    error = _Error()
    try:
        _check(library.sd_bus_open_system(ctypes.byref(bus)), doing="connecting to systemd")
        _check(
            library.sd_bus_message_new_method_call(
                bus, ctypes.byref(call), *_MANAGER, method.encode()
            )
        )
        for words in arguments:
            array = (ctypes.c_char_p * (len(words) + 1))(*map(str.encode, words), None)
            _check(library.sd_bus_message_append_strv(call, array))
        limit = ctypes.c_uint64(int(DEFAULT_TIMEOUT * 1_000_000))
        _check(
            library.sd_bus_call(bus, call, limit, ctypes.byref(error), ctypes.byref(reply)), error
        )
        return list(_rows(library, reply, row))
    finally:  # each takes what was never made, too
        library.sd_bus_error_free(ctypes.byref(error))
        library.sd_bus_message_unref(reply)
        library.sd_bus_message_unref(call)
        library.sd_bus_flush_close_unref(bus)


def _rows(library: ctypes.CDLL, reply: ctypes.c_void_p, row: str) -> Iterator[tuple[str, ...]]:
    """An array of structures, of strings (`s`, `o`) and numbers (`u`), which are text here too."""
    contents = f"({row})".encode()
    columns = [ctypes.c_uint32() if kind == "u" else ctypes.c_char_p() for kind in row]
    references = [ctypes.byref(column) for column in columns]
    _check(library.sd_bus_message_enter_container(reply, ctypes.c_char(b"a"), contents))
    while _check(library.sd_bus_message_read(reply, contents, *references)):
        values = (column.value for column in columns)
        yield tuple(value.decode() if isinstance(value, bytes) else str(value) for value in values)


def _check(code: int, error: _Error | None = None, *, doing: str = _ASKING) -> int:
    """What the library returned; below 0 it is an errno. Raises SystemdError for that."""
    if code >= 0:
        return code
    said = None if error is None else error.message
    why = os.strerror(-code) if said is None else said.decode("utf-8", "replace")
    raise SystemdError(
        f"{doing}: {why}",
        name="" if error is None or error.name is None else error.name.decode(),
    )
