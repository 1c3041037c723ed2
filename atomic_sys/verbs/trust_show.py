# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic trust show`: the policy as rows, and the part of it that one image meets."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

from atomic_sys.engine.pull import require_image
from atomic_sys.engine.sources import stored_identity
from atomic_sys.errors import AtomicSysError
from atomic_sys.host import Host
from atomic_sys.model.source import StoredSource
from atomic_sys.trust.files import read_regular
from atomic_sys.trust.keys import describe_keys
from atomic_sys.trust.lint import Complaint, KeyState, lint
from atomic_sys.trust.lookaside import (
    LookasideConfig,
    lookaside_base,
    staging_base,
    uses_attachments,
)
from atomic_sys.trust.policy import POLICY_LIMIT
from atomic_sys.trust.requirements import (
    Fulcio,
    InsecureAcceptAnything,
    KeyData,
    KeyDatas,
    KeyPath,
    KeyPaths,
    Pki,
    Reject,
    Requirement,
    Requirements,
    SignedBaseLayer,
    SignedBy,
    SigstoreKeySource,
    SigstoreSigned,
)
from atomic_sys.trust.scopes import ImageIdentity, Selection, select
from atomic_sys.verbs.support import locate, parse_image


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRow:
    """A scope of the policy; `transport` is None for the default of all."""

    transport: str | None
    scope: str
    requirements: Requirements
    keys: tuple[KeyState, ...]
    lookaside: str

    @property
    def word(self) -> str:
        """accept, signed or reject, in the predecessor's words."""
        kinds = {type(requirement) for requirement in self.requirements}
        if kinds == {InsecureAcceptAnything}:
            return "accept"
        return "reject" if kinds & {Reject, SignedBaseLayer} else "signed"


def raw_policy(host: Host) -> bytes:
    """The policy file as it is; it was parsed first. Raises Rejected, InvalidPolicy."""
    return read_regular(host.policy.path, POLICY_LIMIT)[0]


def rows(host: Host) -> tuple[TrustRow, ...]:
    """The default, then all scopes by transport and name. Raises Rejected, InvalidPolicy."""
    policy = host.policy.policy
    found = [_row(host, None, "", policy.default)]
    for transport, scopes in sorted(policy.transports.items()):
        found += [_row(host, transport, scope, scopes[scope]) for scope in sorted(scopes)]
    return tuple(found)


def _row(host: Host, transport: str | None, scope: str, requirements: Requirements) -> TrustRow:
    section = host.lookaside.docker.get(scope) if transport == "docker" else None
    if transport == "docker" and not scope:
        section = host.lookaside.default
    return TrustRow(
        transport=transport,
        scope=scope,
        requirements=requirements,
        keys=tuple(key for one in requirements for key in used_keys(one, host)),
        lookaside="" if section is None else section.lookaside or "",
    )


def used_keys(requirement: Requirement, host: Host) -> Iterator[KeyState]:
    """The keys that a requirement names; those of sigstore by their files only."""
    match requirement:
        case SignedBy():
            for source, content in _contents(requirement.keys, host):
                yield _described(source, content)
        case SigstoreSigned():
            trusted = requirement.trusted
            match trusted:
                case KeyPath() | KeyPaths() | KeyData() | KeyDatas():
                    yield from (KeyState(source=s) for s, _ in _contents(trusted, host))
                case Fulcio():
                    yield KeyState(source=f"{trusted.subject_email} by {trusted.oidc_issuer}")
                case Pki():
                    subject = trusted.subject_email or trusted.subject_hostname
                    yield KeyState(source=f"{subject} by a certificate authority")
                case _:
                    assert_never(trusted)
        case _:
            return


def _contents(keys: SigstoreKeySource, host: Host) -> Iterator[tuple[str, bytes | str]]:
    """Name and content of each key file; where it cannot be read, why not."""
    match keys:
        case KeyPath(path):
            yield path, _read(path, host)
        case KeyPaths(paths):
            yield from ((path, _read(path, host)) for path in paths)
        case KeyData(data):
            yield "keyData", data
        case KeyDatas(datas):
            yield from (("keyDatas", data) for data in datas)
        case _:
            assert_never(keys)


def _read(path: str, host: Host) -> bytes | str:
    try:
        return host.read_key(path)
    except OSError as error:
        return error.strerror or str(error)
    except AtomicSysError as error:
        return str(error)


def _described(source: str, content: bytes | str) -> KeyState:
    if isinstance(content, str):
        return KeyState(source=source, problem=content)
    try:
        return KeyState(source=source, keys=describe_keys(content))
    except AtomicSysError as error:
        return KeyState(source=source, problem=str(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """What applies to one image, and where its signatures are looked up and put."""

    identity: ImageIdentity
    selection: Selection
    passed_over: tuple[str, ...]  # scopes that the policy does not have, the more special first
    keys: tuple[tuple[KeyState, ...], ...]  # by requirement
    lookaside: str | None
    staging: str | None
    attachments: bool


def effective(image: str, host: Host) -> Effective:
    """The part of the policy that this image meets; nothing is fetched.

    Raises Rejected, InvalidPolicy, UsageError.
    """
    source = parse_image(image)
    if isinstance(source, StoredSource):
        identity = stored_identity(require_image(host.store, source.name))
        place = identity
    else:
        at = locate(host, source)
        identity, place = at.identity, at.place
    selection = select(host.policy.policy, identity)
    passed = tuple(identity.scopes)
    if selection.transport is not None and selection.scope:
        passed = passed[: passed.index(selection.scope)]
    return Effective(
        identity=identity,
        selection=selection,
        passed_over=passed,
        keys=tuple(tuple(used_keys(one, host)) for one in selection.requirements),
        lookaside=lookaside_base(host.lookaside, place),
        staging=_staging(host.lookaside, place),
        attachments=uses_attachments(host.lookaside, place),
    )


def _staging(config: LookasideConfig, place: ImageIdentity) -> str | None:
    """Where signatures of the image are written; None where nobody can."""
    try:
        return staging_base(config, place)
    except AtomicSysError:
        return None


def lint_policy(host: Host) -> tuple[Complaint, ...]:
    """What is to be said about the policy. Raises Rejected when there is none, InvalidPolicy."""
    return lint(
        host.policy.policy,
        host.lookaside,
        lambda requirement: tuple(used_keys(requirement, host)),
        time.time(),
    )
