# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is wrong with a valid policy: rules, one row each, asked of every scope.

A policy can be valid and still never accept what it should, or accept what it should not. Pure:
the keys were looked at before.
"""

from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import NamedTuple

from atomic_sys.frozen import frozen
from atomic_sys.model.strict_json import Json
from atomic_sys.trust import docker_scopes, lint_keys
from atomic_sys.trust.lint_keys import Demand
from atomic_sys.trust.lookaside import LookasideConfig, Section, sections
from atomic_sys.trust.requirements import (
    ExactReference,
    ExactRepository,
    Identity,
    InsecureAcceptAnything,
    KeyType,
    MatchRepository,
    Policy,
    Reject,
    RemapIdentity,
    Requirements,
    SignedBaseLayer,
    SignedBy,
    SigstoreSigned,
)

KNOWN_TRANSPORTS = frozenset((
    "atomic",
    "containers-storage",
    "dir",
    "docker",
    "docker-archive",
    "docker-daemon",
    "oci",
    "oci-archive",
    "ostree",
    "sif",
    "tarball",
))
_NAMED_TRANSPORTS = ("docker", "atomic", "docker-daemon", "containers-storage", "ostree")


class Severity(Enum):
    """An error makes the policy do what nobody can want; a warning is worth a look."""

    ERROR = "error"
    WARNING = "warning"


@frozen
class Place:
    """A scope of a policy with its requirements; both names are None for the policy's default."""

    transport: str | None
    scope: str | None
    demands: tuple[Demand, ...]
    policy: Policy
    lookaside: LookasideConfig

    def __str__(self) -> str:
        if self.transport is None:
            return "default"
        return f"{self.transport}: {self.scope or 'all of the transport'}"

    @property
    def is_open(self) -> bool:
        """Whether every image is accepted here."""
        return all(isinstance(one.requirement, InsecureAcceptAnything) for one in self.demands)

    def sections(self) -> Iterator[Section]:
        """What registries.d says for images of this scope of docker, the most specific first."""
        return sections(self.lookaside, docker_scopes.images_of(self.scope or ""))


@frozen
class Finding:
    """One thing that is wrong; `place` says where in the policy."""

    rule: str
    severity: Severity
    place: str
    message: str

    def as_json(self) -> Json:
        """The same for a program."""
        return {
            "rule": self.rule,
            "severity": self.severity.value,
            "place": self.place,
            "message": self.message,
        }

    def __str__(self) -> str:
        return f"{self.severity.value}: {self.place}: {self.message} [{self.rule}]"


def _unknown_transport(place: Place) -> Iterator[str]:
    if place.transport is not None and place.transport not in KNOWN_TRANSPORTS:
        yield "the transport is not known here; only other programs can mean it"


def _dead_scope(place: Place) -> Iterator[str]:
    if place.transport == "docker" and (reason := docker_scopes.problem(place.scope or "")):
        yield f"no image can ever match it: {reason}"


def _open_default(place: Place) -> Iterator[str]:
    if place.transport is None and place.is_open:
        yield "images that no scope names are accepted from anywhere; atomic trust default reject"


def _open_transport(place: Place) -> Iterator[str]:
    if place.transport is not None and place.scope == "" and place.is_open:
        yield "every image that no other scope of the transport names is accepted"


def _shadowed(place: Place) -> Iterator[str]:
    """Nothing is inherited: the narrower scope decides alone."""
    name, wider = _nearest_wider(place)
    if place.is_open and not all(isinstance(one, InsecureAcceptAnything) for one in wider):
        yield f"it accepts everything, and hides what {name} asks for"


def _redundant(place: Place) -> Iterator[str]:
    name, wider = _nearest_wider(place)
    if wider == tuple(demand.requirement for demand in place.demands):
        yield f"it says what {name} says already"


def _nearest_wider(place: Place) -> tuple[str, Requirements]:
    """The scope of docker that would decide if this one were not there; () for none."""
    if place.transport == "docker" and place.scope:
        others = place.policy.transports["docker"]
        for wider in (*docker_scopes.images_of(place.scope).scopes[1:], ""):
            if wider in others:
                return wider or "docker as a whole", others[wider]
    return "", ()


def _idle(place: Place) -> Iterator[str]:
    kinds = {demand.requirement.kind for demand in place.demands}
    if Reject.kind in kinds and len(kinds) > 1:
        yield "reject makes the other requirements meaningless: all of them must be met"
    elif InsecureAcceptAnything.kind in kinds and len(kinds) > 1:
        yield "insecureAcceptAnything adds nothing: the other requirements must be met all the same"


def _never_met(place: Place) -> Iterator[str]:
    for demand in place.demands:
        match demand.requirement:
            case SignedBaseLayer():
                yield "signedBaseLayer is supported by nobody and rejects everything"
            case SignedBy(key_type=kind) if kind is not KeyType.GPG_KEYS:
                yield f"keys of type {kind.value} are supported by nobody and reject everything"
            case _:
                pass


def _nameless(place: Place) -> Iterator[str]:
    if place.transport is None or place.transport in _NAMED_TRANSPORTS:
        return
    for demand, identity in _identities(place):
        if not isinstance(identity, ExactReference | ExactRepository):
            yield (
                f"{demand.requirement.kind} can never be met: images of this transport have no"
                " name to compare; use exactRepository or exactReference"
            )


def _cosign_identity(place: Place) -> Iterator[str]:
    for demand, identity in _identities(place):
        sigstore = isinstance(demand.requirement, SigstoreSigned)
        if sigstore and not isinstance(identity, MatchRepository | ExactRepository):
            yield (
                "signatures by cosign name no tag, so they never fit this signedIdentity;"
                " use matchRepository or exactRepository for them"
            )


def _idle_remap(place: Place) -> Iterator[str]:
    for _, identity in _identities(place):
        if not isinstance(identity, RemapIdentity):
            continue
        prefix, scope = identity.prefix, place.scope or ""
        if prefix == identity.signed_prefix:
            yield f"remapIdentity replaces {prefix} by itself"
        elif place.transport == "docker" and scope and not scope.startswith("*"):
            name = scope.partition("@")[0]
            if not _is_within(name, prefix) and not _is_within(prefix, name):
                yield f"remapIdentity changes no name: no image of this scope begins with {prefix}"


def _is_within(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith((f"{prefix}/", f"{prefix}:"))


def _identities(place: Place) -> Iterator[tuple[Demand, Identity]]:
    for demand in place.demands:
        if isinstance(demand.requirement, SignedBy | SigstoreSigned):
            yield demand, demand.requirement.identity


def _no_lookaside(place: Place) -> Iterator[str]:
    if _asks(place, SignedBy) and not any(section.lookaside for section in place.sections()):
        yield "registries.d says nowhere where its signatures are stored (lookaside)"


def _no_attachments(place: Place) -> Iterator[str]:
    if not _asks(place, SigstoreSigned):
        return
    said = (section.use_sigstore_attachments for section in place.sections())
    if not next((use for use in said if use is not None), False):
        yield "sigstore signatures are never read: registries.d lacks use-sigstore-attachments"


def _asks(place: Place, kind: type[SignedBy | SigstoreSigned]) -> bool:
    """Whether it is a scope of registries that can match, and asks for such a signature."""
    return (
        place.transport == "docker"
        and docker_scopes.problem(place.scope or "") is None
        and any(isinstance(demand.requirement, kind) for demand in place.demands)
    )


class Rule(NamedTuple):
    """A row: its name, how bad it is, and what it says of a place."""

    name: str
    severity: Severity
    check: Callable[[Place], Iterable[str]]


def _of_keys(check: Callable[[tuple[Demand, ...]], Iterable[str]]) -> Callable[[Place], list[str]]:
    return lambda place: list(check(place.demands))


_ERROR, _WARNING = Severity.ERROR, Severity.WARNING
RULES = (
    Rule("open-default", _ERROR, _open_default),
    Rule("open-transport", _WARNING, _open_transport),
    Rule("shadowed-scope", _WARNING, _shadowed),
    Rule("redundant-scope", _WARNING, _redundant),
    Rule("unknown-transport", _WARNING, _unknown_transport),
    Rule("dead-scope", _ERROR, _dead_scope),
    Rule("never-met", _ERROR, _never_met),
    Rule("nameless-image", _ERROR, _nameless),
    Rule("missing-key", _ERROR, _of_keys(lint_keys.missing)),
    Rule("unusable-keys", _ERROR, _of_keys(lint_keys.unusable)),
    Rule("flawed-key", _WARNING, _of_keys(lint_keys.flawed)),
    Rule("expiring-key", _WARNING, _of_keys(lint_keys.expiring)),
    Rule("shared-key", _WARNING, _of_keys(lint_keys.shared)),
    Rule("cosign-identity", _WARNING, _cosign_identity),
    Rule("idle-remap", _WARNING, _idle_remap),
    Rule("idle-requirement", _WARNING, _idle),
    Rule("no-lookaside", _WARNING, _no_lookaside),
    Rule("no-attachments", _ERROR, _no_attachments),
)


def lint(places: Iterable[Place]) -> tuple[Finding, ...]:
    """What the rules find, place by place."""
    return tuple(
        Finding(rule=rule.name, severity=rule.severity, place=str(place), message=message)
        for place in places
        for rule in RULES
        for message in rule.check(place)
    )
