# SPDX-License-Identifier: LGPL-2.1-or-later
"""The user that an image names, looked up in the image's own /etc/passwd and /etc/group.

Sources: image-spec config.md ("User": user, uid, user:group, uid:gid); passwd(5), group(5).
"""

from collections.abc import Callable, Iterator

from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen

MAX_ID = (1 << 32) - 2  # the highest one is "no id", chown(2)
_MAX_GROUPS = 64  # supplementary ones that are kept


@frozen
class User:
    """Ids inside the container, and the home directory where one is known."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    home: str | None = None


FindUser = Callable[[str], User]


class UnknownUser(AtomicSysError):
    """The image names a user that its own /etc/passwd does not have."""


def find_user(passwd: str, group: str) -> FindUser:
    """A look-up of the image's `User`, given the texts of its two files; empty means root.

    The function raises UnknownUser for a name that is in neither file, or an id out of range.
    """

    def find(spec: str) -> User:
        user_name, _, group_name = spec.partition(":")
        entry = _passwd_entry(passwd, user_name or "0")
        uid = _identity(user_name or "0") if entry is None else _identity(entry[2])
        if uid is None:
            raise UnknownUser(f"the image's user {user_name!r} is not in its /etc/passwd")
        primary = 0 if entry is None else _identity(entry[3]) or 0
        groups: tuple[int, ...] = ()
        if group_name:
            primary = _group_id(group, group_name)
        elif entry is not None:
            groups = tuple(_memberships(group, entry[0], primary))[:_MAX_GROUPS]
        return User(uid=uid, gid=primary, groups=groups, home=entry[5] if entry else None)

    return find


def _rows(text: str, fields: int) -> Iterator[list[str]]:
    for line in text.splitlines():
        row = line.strip().split(":")
        if len(row) >= fields and not line.startswith("#"):
            yield row


def _passwd_entry(passwd: str, user: str) -> list[str] | None:
    """The row of a name, or else of an id."""
    rows = list(_rows(passwd, 6))
    for column in (0, 2):
        for row in rows:
            if row[column] == user and _identity(row[2]) is not None:
                return row
    return None


def _group_id(group: str, name: str) -> int:
    for row in _rows(group, 3):
        found = _identity(row[2])
        if row[0] == name and found is not None:
            return found
    number = _identity(name)
    if number is None:
        raise UnknownUser(f"the image's group {name!r} is not in its /etc/group")
    return number


def _memberships(group: str, user: str, primary: int) -> Iterator[int]:
    for row in _rows(group, 4):
        number = _identity(row[2])
        if number is not None and number != primary and user in row[3].split(","):
            yield number


def _identity(text: str) -> int | None:
    if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= MAX_ID:
        return int(text)
    return None
