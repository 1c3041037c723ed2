# SPDX-License-Identifier: LGPL-2.1-or-later
"""auth.json and docker's config.json, read without touching anything: keys, secrets, helpers.

Source: containers-auth.json(5). Unknown keys are ignored, as both formats want it; a secret that
cannot be read is an error, since going on without it would look like a wrong password.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from atomic_sys.errors import AtomicSysError, UsageError
from atomic_sys.frozen import frozen
from atomic_sys.model import strict_json
from atomic_sys.model.strict_json import Json, as_object, as_string, as_string_map

DOCKER_HUB_KEY = "https://index.docker.io/v1/"  # what docker and its helpers call docker.io
_DOCKER_HUB_HOSTS = ("index.docker.io", "registry-1.docker.io")
_KEY = re.compile(r"[a-zA-Z0-9.\-_\[\]:]+(?:/[a-z0-9._\-]+)*")
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class InvalidCredentials(AtomicSysError):
    """Credentials that cannot be read, or a file or helper of them that must not be used."""


class Layout(Enum):
    """How the entries are arranged in the file."""

    AUTHS = "below `auths`"
    LEGACY = "at the top, by host only"  # ~/.dockercfg


@frozen
class Password:
    """A user and the password."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class IdentityToken:
    """A refresh token, which only a token server takes."""

    token: str = field(repr=False)


Credentials: TypeAlias = Password | IdentityToken


@frozen
class AuthFile:
    """One file: secrets by key, the helper of each host, and the helper for all others."""

    entries: Mapping[str, Credentials] = field(default_factory=dict)
    helpers: Mapping[str, str] = field(default_factory=dict)
    default_helper: str | None = None

    def find(self, repository: str) -> Credentials | None:
        """The credentials of the most specific key for `HOST[:PORT]/PATH`."""
        return next((self.entries[key] for key in _keys(repository) if key in self.entries), None)


def parse(document: bytes, what: str, layout: Layout = Layout.AUTHS) -> AuthFile:
    """Read one file; an empty one holds nothing. `what` names it in an error.

    Raises InvalidCredentials, or InvalidJson.
    """
    if not document.strip():
        return AuthFile()
    body = as_object(strict_json.loads(document, what), what)
    if layout is Layout.LEGACY:
        return AuthFile(entries=_entries(body, what, layout))
    store = body.get("credsStore")
    helpers = as_string_map(body.get("credHelpers"), f"{what}: credHelpers")
    return AuthFile(
        entries=_entries(as_object(_or_empty(body.get("auths")), f"{what}: auths"), what, layout),
        helpers={normal_key(host): helper_name(name) for host, name in helpers.items()},
        default_helper=helper_name(as_string(store, f"{what}: credsStore")) if store else None,
    )


def parse_option(text: str) -> Password:
    """`USER[:PASSWORD]` of a command line. Raises UsageError without a user."""
    user, _, password = text.partition(":")
    if not user:
        raise UsageError("credentials are given as USER[:PASSWORD]")
    return Password(user=user, password=password)


def from_helper(answer: bytes, name: str) -> Credentials | None:
    """What a credential helper's `get` printed. Raises InvalidJson.

    Source: docker-credential-helpers, "Development": a user `<token>` says that the secret is one.
    """
    body = as_object(strict_json.loads(answer, name), name)
    user = as_string(body.get("Username", ""), f"{name}: Username")
    secret = as_string(body.get("Secret", ""), f"{name}: Secret")
    if not secret:
        return None
    return IdentityToken(secret) if user == "<token>" else Password(user=user, password=secret)


def login_key(text: str) -> str:
    """A registry or a repository as a key of `auths`. Raises UsageError for any other."""
    if not _KEY.fullmatch(text) or ":" in text.partition("/")[2]:
        raise UsageError(
            f"{text[:160]!r} is no registry", hint="it is written as HOST[:PORT][/REPOSITORY]"
        )
    return normal_key(text)


def normal_key(key: str) -> str:
    """The key without scheme, which makes it a host, and with one name for Docker Hub."""
    bare = key.removeprefix("https://").removeprefix("http://")
    if bare != key:
        bare = bare.partition("/")[0]
    host, slash, path = bare.partition("/")
    return f"{'docker.io' if host in _DOCKER_HUB_HOSTS else host}{slash}{path}"


def helper_name(name: str) -> str:
    """The name, which becomes that of a program. Raises InvalidCredentials where it must not."""
    if not _HELPER.fullmatch(name):
        raise InvalidCredentials(f"invalid name of a credential helper: {name[:80]!r}")
    return name


def encoded(credentials: Password) -> str:
    """`auth` of an entry, and what follows `Basic` in a header (RFC 7617)."""
    pair = f"{credentials.user}:{credentials.password}".encode()
    return base64.b64encode(pair).decode("ascii")


def _or_empty(value: Json) -> Json:
    return {} if value is None else value


def _keys(repository: str) -> Iterator[str]:
    key = repository
    while key:
        yield key
        key = key.rpartition("/")[0]


def _entries(auths: Mapping[str, Json], what: str, layout: Layout) -> dict[str, Credentials]:
    found: dict[str, Credentials] = {}
    exact: set[str] = set()
    for key, value in auths.items():
        name = normal_key(key)
        if layout is Layout.LEGACY:
            name = name.partition("/")[0]
        entry = _entry(as_object(value, f"{what}: {key[:160]}"), f"{what}: {key[:160]}")
        # A key in its plain form wins over one that had to be brought into it.
        if entry is not None and (name == key or name not in exact):
            found[name] = entry
            exact |= {name} & {key}
    return found


def _entry(body: Mapping[str, Json], what: str) -> Credentials | None:
    """The secret of an entry; docker leaves empty ones where a helper has it."""
    if token := as_string(body.get("identitytoken") or "", f"{what}: identitytoken"):
        return IdentityToken(token)
    auth = as_string(body.get("auth") or "", f"{what}: auth")
    if not auth:
        return None
    try:
        user, colon, password = base64.b64decode(auth, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise InvalidCredentials(f"{what}: auth is not the base64 of USER:PASSWORD") from None
    if not colon:
        return None
    return Password(user=user, password=password.rstrip("\0"))
