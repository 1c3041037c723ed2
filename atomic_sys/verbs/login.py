# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic login` and `atomic logout`: credentials checked by their registry, and kept for later."""

import os

from atomic_sys.errors import NotFound, UsageError
from atomic_sys.frozen import frozen
from atomic_sys.host import Host
from atomic_sys.image import auth_store
from atomic_sys.image.auth import Access, AccessDenied
from atomic_sys.image.auth_file import Credentials, Password, login_key
from atomic_sys.image.registry_client import RegistryClient
from atomic_sys.image.tls import Tls
from atomic_sys.model.reference import DockerReference


def registry_key(text: str) -> str:
    """`HOST[:PORT][/REPOSITORY]` as a key of auth.json. Raises UsageError for anything else."""
    key = login_key(text)
    if _reference(key).domain != key.partition("/")[0]:
        raise UsageError(f"{text!r} has no host", hint="a registry is written as HOST[:PORT]")
    return key


@frozen
class LoginPlace:
    """A key of auth.json, and whether its registry need not prove who it is."""

    key: str
    insecure: bool = False


def login(place: LoginPlace, credentials: Password, host: Host) -> None:
    """Keep the credentials once the registry has let us in. Raises AtomicSysError."""
    _client(place, credentials, host).check_access()
    auth_store.save(
        host.credential_files[0].path, place.key, credentials, timeout=host.options.lock_timeout
    )


def logged_in(key: str, host: Host) -> str:
    """The user whose credentials are kept for this key. Raises NotFound, InvalidCredentials."""
    match host.credentials.find(key):
        case Password(user=user):
            return user
        case None:
            raise NotFound(f"not logged in to {key}", hint=f"atomic login {key}")
        case _:
            raise NotFound(f"for {key} there is an identity token, which has no user name")


def is_valid(place: LoginPlace, host: Host) -> bool:
    """Whether credentials are kept, and the registry lets us in. Raises NetworkError."""
    if not any(os.path.exists(candidate.path) for candidate in host.credential_files):
        return False  # a login makes the file that it names
    known = host.credentials.find(place.key)
    if known is None:
        return False
    try:
        _client(place, known, host).check_access()
    except AccessDenied:
        return False
    return True


def _client(place: LoginPlace, credentials: Credentials, host: Host) -> RegistryClient:
    reference = _reference(place.key)
    registry = host.registries.find(reference)
    insecure = place.insecure or (registry is not None and registry.insecure)
    return RegistryClient(
        host.http,
        Access(host.http, lambda: credentials, scope=None),
        domain=reference.domain,
        tls=Tls.UNVERIFIED if insecure else Tls.VERIFIED,
    )


def logout(key: str | None, host: Host) -> None:
    """Forget what a login has kept for this key, or for every one.

    Raises NotFound when that is nothing, else AtomicSysError.
    """
    path = host.credential_files[0].path
    removed = auth_store.remove(path, key, timeout=host.options.lock_timeout)
    if not removed and key is not None:
        others = len(host.credential_files) > 1
        elsewhere = host.credentials.find(key) if others else None
        hint = "other credentials that hold for it were not made by this program's login"
        raise NotFound(f"not logged in to {key}", hint=hint if elsewhere else None)


def _reference(key: str) -> DockerReference:
    return DockerReference.parse(f"{key}/x")
