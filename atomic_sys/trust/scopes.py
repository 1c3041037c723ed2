# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which requirements of a policy apply to an image: the first scope that is there, nothing merged.

Source: containers-policy.json(5), "TRANSPORTS AND SCOPES".
"""

import posixpath
import re

from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen
from atomic_sys.model.reference import DockerReference, InvalidReference
from atomic_sys.trust.requirements import Policy, Requirements

_ATOMIC_SCOPE = re.compile(r"[^/]*(?:/[^:/]*(?:/[^:/]*(?::[^:/]*)?)?)?")
_DIGEST = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-fA-F0-9]{32,}")
_IMAGE_ID = re.compile(r"[a-f0-9]{64}")
_PATH_TRANSPORTS = ("dir", "oci", "oci-archive", "sif")
_NAMELESS_TRANSPORTS = ("docker-archive", "tarball")


@frozen
class ImageIdentity:
    """How a policy names an image.

    `scopes` are in the order of the look-up, without the final "" for the whole transport;
    `reference` is what the user asked for, None where the transport knows no names.
    """

    transport: str
    scopes: tuple[str, ...]
    reference: DockerReference | None


@frozen
class Selection:
    """The requirements that apply, and where in the policy they stand.

    `scope` is "" for the default of the transport; both are None for the default of the policy.
    """

    source: str
    transport: str | None
    scope: str | None
    requirements: Requirements


def docker_identity(reference: DockerReference) -> ImageIdentity:
    """The identity of an image in a registry.

    Raises InvalidReference unless the reference has either a tag or a digest: with both, it would
    not be clear which of them was judged.
    """
    if (reference.tag is None) == (reference.digest is None):
        raise InvalidReference(f"{reference} needs either a tag or a digest to be judged")
    parts = reference.path.split("/")
    parents = [
        f"{reference.domain}/{'/'.join(parts[:count])}" for count in range(len(parts), 0, -1)
    ]
    labels = reference.domain.partition(":")[0].split(".")
    wildcards = [f"*.{'.'.join(labels[count:])}" for count in range(1, len(labels))]
    return ImageIdentity(
        transport="docker",
        scopes=(str(reference), *parents, reference.domain, *wildcards),
        reference=reference,
    )


def path_identity(transport: str, resolved_path: str) -> ImageIdentity:
    """The identity of an image in a directory or file: its path and the directories above, not `/`.

    Raises AtomicSysError unless the path is absolute and clean; the caller has resolved its links.
    """
    if not _is_clean(resolved_path):
        raise AtomicSysError(f"{resolved_path!r} is not a resolved absolute path")
    scopes = []
    path = resolved_path
    while path != "/":
        scopes.append(path)
        path = posixpath.dirname(path)
    return ImageIdentity(transport=transport, scopes=tuple(scopes), reference=None)


def nameless_identity(transport: str) -> ImageIdentity:
    """The identity of an image of a transport that knows no names: only its scope "" can apply."""
    return ImageIdentity(transport=transport, scopes=(), reference=None)


def select(policy: Policy, identity: ImageIdentity) -> Selection:
    """The requirements for this image."""
    scopes = policy.transports.get(identity.transport, {})
    for scope in (*identity.scopes, ""):
        if scope in scopes:
            return Selection(
                source=policy.source,
                transport=identity.transport,
                scope=scope,
                requirements=scopes[scope],
            )
    return Selection(source=policy.source, transport=None, scope=None, requirements=policy.default)


def scope_problem(transport: str, scope: str) -> str | None:
    """Why the transport knows no such scope, or None when it may have it.

    Scopes of docker and of transports that are not known here are not looked at.
    """
    if not scope:
        return None
    match transport:
        case path if path in _PATH_TRANSPORTS:
            valid = scope != "/" and _is_clean(scope)
            return None if valid else "a scope is a clean absolute path, and not /"
        case nameless if nameless in _NAMELESS_TRANSPORTS:
            return "the only scope of this transport is the empty one"
        case "atomic":
            valid = _ATOMIC_SCOPE.fullmatch(scope) is not None
            return None if valid else "a scope is HOST[:PORT][/NAMESPACE[/STREAM[:TAG]]]"
        case "docker-daemon":
            return "an image id is no scope" if _DIGEST.fullmatch(scope) else None
        case "containers-storage":
            valid = _is_storage_scope(scope)
            return None if valid else "a scope is [[DRIVER@]/PATH][NAME][@DIGEST][@ID]"
        case _:
            return None


def _is_clean(path: str) -> bool:
    """Whether the path is absolute and in its shortest lexical form."""
    return path.startswith("/") and not path.startswith("//") and posixpath.normpath(path) == path


def _is_storage_scope(scope: str) -> bool:
    location, bracket, rest = scope.partition("]")
    if not bracket or not location.startswith("["):
        return False
    driver, at, root = location[1:].partition("@")
    if not (root if at and driver else location[1:]).startswith("/"):
        return False
    _name, *qualifiers = rest.split("@")
    match qualifiers:
        case []:
            return True
        case [either]:
            return _is_digest_or_id(either)
        case [digest, image_id]:
            return bool(_DIGEST.fullmatch(digest) and _IMAGE_ID.fullmatch(image_id))
        case _:
            return False


def _is_digest_or_id(text: str) -> bool:
    return bool(_DIGEST.fullmatch(text) or _IMAGE_ID.fullmatch(text))
