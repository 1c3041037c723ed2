# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is wrong with a valid policy: what can never match, never accept, or accepts too much.

A rule is a function from a place in the policy to what is to be said of it; RULES has them all.
Pure: the keys and their state are given.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from atomic_sys.model.reference import DockerReference, InvalidReference
from atomic_sys.trust.keys import KeyInfo
from atomic_sys.trust.lookaside import LookasideConfig
from atomic_sys.trust.requirements import (
    ExactReference,
    InsecureAcceptAnything,
    KeyType,
    MatchExact,
    MatchRepoDigestOrExact,
    Policy,
    Reject,
    RemapIdentity,
    Requirement,
    Requirements,
    SignedBaseLayer,
    SignedBy,
    SigstoreSigned,
)
from atomic_sys.trust.scopes import docker_identity

_TRANSPORTS = ("atomic", "containers-storage", "dir", "docker", "docker-archive", "docker-daemon",
               "oci", "oci-archive", "sif", "tarball")  # fmt: skip
_WILDCARD = re.compile(r"\*(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+")


class Severity(Enum):
    """How bad it is: an error makes the policy do something else than it says."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """Something to say about a place of the policy."""

    severity: Severity
    place: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyState:
    """A key file of a requirement: the keys in it, or what is wrong with it."""

    source: str
    keys: tuple[KeyInfo, ...] = ()
    problem: str = ""

    def words(self) -> tuple[str, ...]:
        """What to call them in a table: mail addresses, else the file."""
        return tuple(mail for key in self.keys for mail in key.mails) or (self.source,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The requirements of one scope; `transport` is None for the default of all."""

    policy: Policy
    lookaside: LookasideConfig
    transport: str | None
    scope: str
    requirements: Requirements
    keys: Mapping[int, tuple[KeyState, ...]]  # by the requirement's number
    now: float

    @property
    def name(self) -> str:
        """What to call it."""
        if self.transport is None:
            return "default"
        return f"{self.transport}: {self.scope or 'the whole transport'}"


Said = Iterator[tuple[Severity, str]]


def _unknown_transport(place: Place) -> Said:
    if place.transport is not None and place.transport not in _TRANSPORTS:
        yield Severity.WARNING, "nobody knows this transport, so it never applies"


def _impossible_scope(place: Place) -> Said:
    if place.transport != "docker" or not place.scope:
        return
    if (problem := docker_scope_problem(place.scope)) is not None:
        yield Severity.ERROR, problem


def docker_scope_problem(scope: str) -> str | None:
    """Why no image of a registry can ever have this scope; None when one can."""
    if "*" in scope:
        fits = _WILDCARD.fullmatch(scope) is not None
        return None if fits else "it never matches: a wildcard is *.DOMAIN, without port or path"
    host, slash, path = scope.partition("/")
    if not ("." in host or ":" in host or host == "localhost"):
        return f"it never matches: names are qualified, write docker.io/{_expanded(scope)}"
    if not slash:
        return None
    if host in ("docker.io", "index.docker.io") and "/" not in path:
        if host == "docker.io" and path == "library":
            return None
        return f"it never matches: write docker.io/{_expanded(path)}"
    try:
        parsed = DockerReference.parse(scope)
    except InvalidReference as error:
        return f"it never matches: {error}"
    if parsed.tag is not None and parsed.digest is not None:
        return "it never matches: a tag and a digest"
    return None if str(parsed) == scope else f"it never matches: write {parsed}"


def _expanded(name: str) -> str:
    return name if "/" in name else f"library/{name}"


def _open(place: Place) -> Said:
    if not any(isinstance(one, InsecureAcceptAnything) for one in place.requirements):
        return
    if len(place.requirements) > 1:
        yield Severity.WARNING, "insecureAcceptAnything beside other requirements does nothing"
    elif place.transport is None:
        yield Severity.WARNING, "whatever has no scope of its own is accepted, from anywhere"
    elif place.transport == "docker" and not place.scope:
        yield Severity.WARNING, "every image of every registry without a scope is accepted"


def _closed(place: Place) -> Said:
    if len(place.requirements) > 1 and any(isinstance(r, Reject) for r in place.requirements):
        yield Severity.WARNING, "reject makes the other requirements useless"
    for one in place.requirements:
        if isinstance(one, SignedBaseLayer):
            yield Severity.ERROR, "signedBaseLayer is implemented by nobody and always rejects"
        if isinstance(one, SignedBy) and one.key_type is not KeyType.GPG_KEYS:
            yield Severity.ERROR, f"the key type {one.key_type.value} always rejects"


def _keys(place: Place) -> Said:
    for number in range(len(place.requirements)):
        for state in place.keys.get(number, ()):
            if state.problem:
                yield Severity.ERROR, f"{state.source}: {state.problem}"
            for key in state.keys:
                if key.revoked:
                    yield Severity.ERROR, f"{state.source}: revoked: {key.describe()}"
                elif key.is_expired(place.now):
                    yield Severity.ERROR, f"{state.source}: expired: {key.describe()}"


def _sigstore_identity(place: Place) -> Said:
    """cosign signs a repository's name, without a tag."""
    for one in place.requirements:
        if not isinstance(one, SigstoreSigned):
            continue
        match one.identity:
            case MatchExact() | ExactReference():
                yield Severity.ERROR, _cosign(one, "can never match")
            case MatchRepoDigestOrExact() | RemapIdentity():
                yield Severity.WARNING, _cosign(one, "matches only names with a digest, if any,")
            case _:
                pass


def _cosign(one: SigstoreSigned, what: str) -> str:
    kind = type(one.identity).__name__
    name = f"{kind[0].lower()}{kind[1:]}"
    return f"the identity {name} {what} of a signature by cosign; write matchRepository"


def _remap(place: Place) -> Said:
    for one in place.requirements:
        identity = one.identity if isinstance(one, SignedBy | SigstoreSigned) else None
        if not isinstance(identity, RemapIdentity) or place.transport != "docker":
            continue
        scope, prefix = place.scope, identity.prefix
        if scope and "*" not in scope and not _related(scope, prefix):
            yield Severity.WARNING, f"the prefix {prefix} of remapIdentity is not of this scope"


def _related(scope: str, prefix: str) -> bool:
    return any(
        longer == shorter or longer.startswith((f"{shorter}/", f"{shorter}:", f"{shorter}@"))
        for longer, shorter in ((scope, prefix), (prefix, scope))
    )


def _nowhere_to_look(place: Place) -> Said:
    if place.transport != "docker" or not any(isinstance(r, SignedBy) for r in place.requirements):
        return
    default = place.lookaside.default
    if default is not None and default.lookaside:
        return
    known = [name for name, section in place.lookaside.docker.items() if section.lookaside]
    if not place.scope or not any(_related(place.scope, name) for name in known):
        yield Severity.WARNING, "registries.d does not say where its signatures are looked up"


def _same_as_above(place: Place) -> Said:
    if place.transport is None or not place.scope:
        return
    scopes = place.policy.transports.get(place.transport, {})
    for above in _above(place):
        if above in scopes:
            if scopes[above] == place.requirements:
                name = above or "the whole transport"
                yield Severity.WARNING, f"it says what {name} says already"
            return
    if place.policy.default == place.requirements:
        yield Severity.WARNING, "it says what the default says already"


def _above(place: Place) -> tuple[str, ...]:
    """The scopes that would apply if this one were not there, the nearest first."""
    if place.transport == "docker" and docker_scope_problem(place.scope) is None:
        if "*" in place.scope:
            labels = place.scope.split(".")[1:]
            return (*(f"*.{'.'.join(labels[n:])}" for n in range(1, len(labels))), "")
        complete = place.scope if "/" in place.scope else f"{place.scope}/x"
        reference = DockerReference.parse(complete).with_default_tag()
        found = docker_identity(reference).scopes
        return (*found[found.index(place.scope) + 1 :], "") if place.scope in found else ("",)
    if place.scope.startswith("/"):
        parts = place.scope.split("/")
        return (*("/".join(parts[:n]) for n in range(len(parts) - 1, 1, -1)), "")
    return ("",)


RULES: tuple[Callable[[Place], Said], ...] = (
    _unknown_transport,
    _impossible_scope,
    _open,
    _closed,
    _keys,
    _sigstore_identity,
    _remap,
    _nowhere_to_look,
    _same_as_above,
)


def lint(
    policy: Policy,
    lookaside: LookasideConfig,
    keys_of: Callable[[Requirement], tuple[KeyState, ...]],
    now: float,
) -> tuple[Complaint, ...]:
    """Everything that is to be said about the policy, in its order; `now` is in seconds."""
    places: list[tuple[str | None, str, Requirements]] = [(None, "", policy.default)]
    places += [
        (transport, scope, requirements)
        for transport, scopes in policy.transports.items()
        for scope, requirements in scopes.items()
    ]
    return tuple(
        complaint
        for transport, scope, requirements in places
        for complaint in _complaints(
            Place(
                policy=policy,
                lookaside=lookaside,
                transport=transport,
                scope=scope,
                requirements=requirements,
                keys={number: keys_of(one) for number, one in enumerate(requirements)},
                now=now,
            )
        )
    )


def _complaints(place: Place) -> Iterator[Complaint]:
    for rule in RULES:
        for severity, text in rule(place):
            yield Complaint(severity=severity, place=place.name, text=text)
