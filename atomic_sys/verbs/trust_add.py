# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic trust add`: whom to trust for a scope. Prepared first, so that it can be shown and asked.

Nothing is written before `apply`.
"""

import os

from atomic_sys.errors import UsageError
from atomic_sys.frozen import frozen
from atomic_sys.host import Host
from atomic_sys.log import warn
from atomic_sys.model.strict_json import Json
from atomic_sys.trust.docker_scopes import problem
from atomic_sys.trust.edit_files import change_policy, save_key, set_lookaside
from atomic_sys.trust.files import find_policy
from atomic_sys.trust.key_facts import KeyFact
from atomic_sys.trust.lookaside import check_address
from atomic_sys.trust.lookaside_edit import Change
from atomic_sys.trust.new_requirements import Kind, Require, requirements
from atomic_sys.trust.policy import parse
from atomic_sys.trust.policy_edit import set_scope
from atomic_sys.trust.scopes import scope_problem
from atomic_sys.verbs.trust_edit import policy_to_edit
from atomic_sys.verbs.trust_keys import GivenKey, KeyOptions, collect

_NAMELESS = ("dir", "oci", "oci-archive", "docker-archive", "tarball", "sif")
_FREE = ("exactReference", "exactRepository")  # identities that look at no name of the image


@frozen
class Add:
    """What is asked for; `identity` is a signedIdentity, `keys` are for a kind that has some."""

    transport: str
    scope: str
    kind: Kind
    keys: KeyOptions
    require: Require
    identity: dict[str, Json] | None
    lookaside: str | None


@frozen
class Prepared:
    """What would be written, and what somebody should agree to before.

    `replaces` says whether the policy has the scope; `fetched` are keys that came from elsewhere.
    """

    policy: str
    start: bytes
    place: tuple[str, str]
    requirements: list[dict[str, Json]]
    keys: tuple[GivenKey, ...]
    change: Change
    replaces: bool

    @property
    def fetched(self) -> tuple[GivenKey, ...]:
        """The keys that nobody looked at yet."""
        return tuple(key for key in self.keys if key.fetched)

    @property
    def flawed(self) -> tuple[KeyFact, ...]:
        """The keys that no signature can count with."""
        return tuple(fact for key in self.keys for fact in key.facts if fact.flaw is not None)


def prepare(request: Add, host: Host) -> Prepared:
    """Look at everything that is asked for, and write nothing.

    Raises UsageError for what makes no sense, InvalidPolicy, AtomicSysError.
    """
    _check_scope(request.transport, request.scope)
    change = _change(request)
    identity = _identity(request)
    keys = collect(request.kind, request.keys, request.require, host)
    policy, start = policy_to_edit(host)
    place = (request.transport, request.scope)
    new = requirements(request.kind, [key.key for key in keys], request.require, identity)
    present = find_policy([policy])[1] if os.path.lexists(policy) else start
    set_scope(present, policy, place, new)  # so that a mistake is told before any question
    scopes = parse(present, policy).transports.get(request.transport, {})
    return Prepared(
        policy=policy,
        start=start,
        place=place,
        requirements=new,
        keys=keys,
        change=change,
        replaces=request.scope in scopes,
    )


def apply(prepared: Prepared, host: Host) -> tuple[str, ...]:
    """Write it; the files that were written. Raises Busy, AtomicSysError.

    Keys and signature places first: until the policy names them they mean nothing.
    """
    written: list[str] = []
    timeout = host.options.lock_timeout
    for key in prepared.keys:
        if key.save_in is not None:
            written.append(save_key(*key.save_in, key.key.content))
    if prepared.change != Change():
        changed = set_lookaside(
            host.registries_d, prepared.place[1], prepared.change, timeout=timeout
        )
        written += [] if changed is None else [changed]
    if change_policy(
        prepared.policy,
        lambda old: set_scope(old, prepared.policy, prepared.place, prepared.requirements),
        start=prepared.start,
        timeout=timeout,
    ):
        written.append(prepared.policy)
    return tuple(written)


def _check_scope(transport: str, scope: str) -> None:
    reason = problem(scope) if transport == "docker" else scope_problem(transport, scope)
    if reason is None:
        if scope.startswith("/") and (real := os.path.realpath(scope)) != scope:
            warn(f"{scope} leads to {real}, and images are judged by where they really are")
        return
    part = "repository" if "/" in scope else "registry"
    raise UsageError(f"Invalid {part} format: {scope!r} can never match: {reason}")


def _change(request: Add) -> Change:
    """What registries.d must say; sigstore signatures are read only where it says so."""
    if request.lookaside is not None:
        if request.transport != "docker" or not request.scope:
            raise UsageError(
                f"Sigstore cannot be defined for sigstoretype {request.transport!r}",
                hint="only images of registries have their signatures elsewhere",
            )
        check_address(request.lookaside, "--sigstore")
    sigstore = request.kind is Kind.SIGSTORE_SIGNED and request.transport == "docker"
    return Change(
        lookaside=request.lookaside,
        use_sigstore_attachments=True if sigstore and request.scope else None,
    )


def _identity(request: Add) -> dict[str, Json] | None:
    """The signedIdentity: what was asked for, else what signatures of this kind can meet."""
    if not request.kind.has_keys:
        if request.identity is not None:
            raise UsageError(f"{request.kind.value} looks at no signature: --identity is for none")
        return None
    given = request.identity
    nameless = request.transport in _NAMELESS
    if nameless and (given is None or given["type"] not in _FREE):
        raise UsageError(
            f"images of {request.transport} have no name that a signature could fit",
            hint="say which one it must speak of: --identity exactRepository=HOST/REPOSITORY",
        )
    if given is None and request.kind is Kind.SIGSTORE_SIGNED:
        return {"type": "matchRepository"}  # cosign's signatures name no tag
    return given
