# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic trust show`: what the policy says, of everything or of one image. Reads only."""

import functools
from collections.abc import Iterator

from atomic_sys.engine.pull import require_image
from atomic_sys.engine.sources import stored_identity
from atomic_sys.errors import AtomicSysError, doing
from atomic_sys.frozen import frozen
from atomic_sys.host import Host
from atomic_sys.model.source import StoredSource
from atomic_sys.model.strict_json import Json
from atomic_sys.trust.docker_scopes import images_of
from atomic_sys.trust.files import find_policy
from atomic_sys.trust.key_facts import ListKeys, facts
from atomic_sys.trust.lint_keys import Demand
from atomic_sys.trust.lookaside import (
    LookasideConfig,
    lookaside_base,
    sections,
    staging_base,
    uses_attachments,
)
from atomic_sys.trust.openpgp_keys import list_keys
from atomic_sys.trust.requirements import (
    Identity,
    InsecureAcceptAnything,
    Policy,
    Requirements,
    SignedBy,
    SigstoreSigned,
    identity_json,
)
from atomic_sys.trust.scopes import ImageIdentity, Selection, select
from atomic_sys.verbs.support import locate, parse_image

DEFAULT = "* (default)"


@frozen
class Entry:
    """A scope of the policy; both names are None for the policy's default.

    `lookaside` is where signatures of its images are read, None where that is not asked for.
    """

    transport: str | None
    scope: str | None
    demands: tuple[Demand, ...]
    lookaside: str | None

    @property
    def name(self) -> str:
        """As the predecessor's list has it; those of other transports say which one it is."""
        if self.transport is None:
            return DEFAULT
        return self.scope if self.transport == "docker" and self.scope else self._qualified

    @property
    def _qualified(self) -> str:
        return f"{self.transport}:{self.scope}"

    @property
    def owners(self) -> list[str]:
        """Whose keys it names, each once."""
        shown = (key.shown for demand in self.demands for key in demand.keys)
        return list(dict.fromkeys(shown))

    @property
    def word(self) -> str:
        """accept, signed or reject: what the whole list comes to."""
        words = {word(demand) for demand in self.demands}
        return next(one for one in ("reject", "signed", "accept") if one in words)

    def as_json(self) -> Json:
        """The predecessor's keys, and more."""
        return {
            "type": self.word,
            "keys": None if self.transport is None else list(self.owners),
            "sigstore": self.lookaside,
            "transport": self.transport,
            "scope": self.scope,
            "requirements": [demand_json(demand) for demand in self.demands],
        }


def word(demand: Demand) -> str:
    """What one requirement asks for: accept, signed or reject."""
    match demand.requirement:
        case InsecureAcceptAnything():
            return "accept"
        case SignedBy() | SigstoreSigned():
            return "signed"
        case _:
            return "reject"


def demand_json(demand: Demand) -> Json:
    """A requirement, for a program."""
    identity = identity_of(demand)
    return {
        "type": demand.requirement.kind,
        "identity": None if identity is None else identity_json(identity),
        "keys": [key.as_json() for key in demand.keys],
    }


def identity_of(demand: Demand) -> Identity | None:
    """Which names a signature may speak of; None where none is asked for."""
    match demand.requirement:
        case SignedBy(identity=identity) | SigstoreSigned(identity=identity):
            return identity
        case _:
            return None


@frozen
class SignaturePlaces:
    """Where signatures of an image in a registry are read and written, and which file says so."""

    read: str
    source: str | None
    staging: str | None
    attachments: bool

    def as_json(self) -> Json:
        """The same for a program."""
        return {
            "lookaside": self.read,
            "source": self.source,
            "staging": self.staging,
            "use_sigstore_attachments": self.attachments,
        }


@frozen
class Effective:
    """What the policy asks of one image, and why just that.

    `tried` are the scopes that were looked up before, and are not there; `passed_over` those that
    are there, but less specific.
    """

    image: str
    identity: ImageIdentity
    selection: Selection
    demands: tuple[Demand, ...]
    tried: tuple[str, ...]
    passed_over: tuple[str, ...]
    places: SignaturePlaces | None

    def as_json(self) -> Json:
        """The same for a program."""
        reference = self.identity.reference
        return {
            "image": self.image,
            "reference": None if reference is None else str(reference),
            "policy": self.selection.source,
            "transport": self.selection.transport,
            "scope": self.selection.scope,
            "not_in_policy": list(self.tried),
            "less_specific": list(self.passed_over),
            "requirements": [demand_json(demand) for demand in self.demands],
            "signatures": None if self.places is None else self.places.as_json(),
        }


def show(host: Host) -> tuple[Entry, ...]:
    """Everything that the policy says, sorted by name. Raises AtomicSysError."""
    policy, config = host.policy.policy, host.lookaside
    entries = [
        Entry(
            transport=transport,
            scope=scope,
            demands=demands,
            lookaside=_lookaside_of(transport, scope, config) if _asks(demands) else None,
        )
        for transport, scope, demands in places(policy, host)
    ]
    return tuple(sorted(entries, key=lambda entry: entry.name))


def show_raw(host: Host) -> bytes:
    """The bytes of the policy, even of an invalid one. Raises AtomicSysError."""
    return find_policy(host.policy_paths)[1]


def places(
    policy: Policy, host: Host
) -> Iterator[tuple[str | None, str | None, tuple[Demand, ...]]]:
    """The default, and every scope with its transport, and the keys of each requirement."""
    listing = functools.cache(list_keys)  # many scopes name the same key
    yield None, None, demands_of(policy.default, host, listing)
    for transport, scopes in policy.transports.items():
        for scope, requirements in scopes.items():
            yield transport, scope, demands_of(requirements, host, listing)


def demands_of(
    requirements: Requirements, host: Host, listing: ListKeys = list_keys
) -> tuple[Demand, ...]:
    """The requirements with the keys that they name. Raises AtomicSysError without gpg."""
    return tuple(
        Demand(requirement=one, keys=facts(one, host.read_key, listing)) for one in requirements
    )


def effective(image: str, host: Host) -> Effective:
    """What the policy asks of this image; nothing of it is fetched. Raises AtomicSysError."""
    with doing(f"looking up {image}"):
        source = parse_image(image)
        if isinstance(source, StoredSource):
            identity = place = stored_identity(require_image(host.store, source.name))
        else:
            at = locate(host, source)
            identity, place = at.identity, at.place
        policy = host.policy.policy
        selection = select(policy, identity)
        order = [*identity.scopes, ""]
        there = policy.transports.get(identity.transport, {})
        at_scope = len(order) if selection.scope is None else order.index(selection.scope)
        return Effective(
            image=image,
            identity=identity,
            selection=selection,
            demands=demands_of(selection.requirements, host),
            tried=tuple(order[:at_scope]),
            passed_over=tuple(scope for scope in order[at_scope + 1 :] if scope in there),
            places=_signature_places(place, host.lookaside),
        )


def _signature_places(place: ImageIdentity, config: LookasideConfig) -> SignaturePlaces | None:
    base = lookaside_base(config, place)
    if base is None:
        return None
    said = (section.source for section in sections(config, place) if section.lookaside)
    try:
        staging: str | None = staging_base(config, place)
    except AtomicSysError:  # it can only be read
        staging = None
    return SignaturePlaces(
        read=base,
        source=next(said, None),
        staging=staging,
        attachments=uses_attachments(config, place),
    )


def _asks(demands: tuple[Demand, ...]) -> bool:
    return any(word(demand) == "signed" for demand in demands)


def _lookaside_of(transport: str | None, scope: str | None, config: LookasideConfig) -> str | None:
    if transport != "docker":
        return None
    said = (one.lookaside for one in sections(config, images_of(scope or "")) if one.lookaside)
    return next(said, config.builtin)
