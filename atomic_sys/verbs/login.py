# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic login` and `atomic logout`: credentials checked by their registry, and kept for later."""

from atomic_sys.errors import NotFound, UsageError
from atomic_sys.host import Host
from atomic_sys.image import auth_store
from atomic_sys.image.auth import Access
from atomic_sys.image.auth_file import Password, login_key
from atomic_sys.image.registry_client import RegistryClient
from atomic_sys.image.tls import Tls
from atomic_sys.model.reference import DockerReference


def registry_key(text: str) -> str:
    """`HOST[:PORT][/REPOSITORY]` as a key of auth.json. Raises UsageError for anything else."""
    key = login_key(text)
    if _reference(key).domain != key.partition("/")[0]:
        raise UsageError(f"{text!r} has no host", hint="a registry is written as HOST[:PORT]")
    return key


def login(key: str, credentials: Password, host: Host) -> None:
    """Keep the credentials once the registry has let us in. Raises AtomicSysError."""
    reference = _reference(key)
    registry = host.registries.find(reference)
    insecure = registry is not None and registry.insecure
    client = RegistryClient(
        host.http,
        Access(host.http, lambda: credentials, scope=None),
        domain=reference.domain,
        tls=Tls.UNVERIFIED if insecure else Tls.VERIFIED,
    )
    client.check_access()
    auth_store.save(
        host.credential_files[0].path, key, credentials, timeout=host.options.lock_timeout
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
