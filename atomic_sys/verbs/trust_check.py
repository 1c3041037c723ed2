# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic trust check` and `atomic trust audit`: verdicts, without copying or changing anything."""

from collections.abc import Iterator
from dataclasses import replace

from atomic_sys.engine.judge import Judge, from_store
from atomic_sys.engine.observe import Installed, installed
from atomic_sys.engine.pull import require_image
from atomic_sys.engine.sources import stored_identity
from atomic_sys.errors import AtomicSysError, UsageError, doing
from atomic_sys.frozen import frozen
from atomic_sys.host import Host
from atomic_sys.image.resolve import resolve
from atomic_sys.model.digest import Digest
from atomic_sys.model.record import Record
from atomic_sys.model.reference import DockerReference
from atomic_sys.model.source import DirectorySource, RegistrySource, StoredSource, parse_source
from atomic_sys.model.strict_json import Json
from atomic_sys.store.images import StoredImage
from atomic_sys.store.outlines import Outlines
from atomic_sys.trust.framing import SignatureBlob
from atomic_sys.trust.lint_keys import Demand
from atomic_sys.trust.requirements import Policy
from atomic_sys.trust.scopes import ImageIdentity, docker_identity, select
from atomic_sys.trust.verdict import Verdict
from atomic_sys.verbs.support import locate, make_judge, parse_image
from atomic_sys.verbs.trust_show import demands_of


@frozen
class Checked:
    """An image and its verdict; `demands` are the requirements with their keys."""

    image: str
    verdict: Verdict
    demands: tuple[Demand, ...]


@frozen
class _Case:
    """What the judge gets to see."""

    identity: ImageIdentity
    digest: Digest
    signatures: tuple[SignatureBlob, ...]


def check(image: str, as_name: str | None, host: Host) -> Checked:
    """Judge an image by today's policy, where it is.

    With `as_name`, a reference of a registry, it is judged as that one where the policy has a scope
    for it; else as what it is, with that name. Raises AtomicSysError when it cannot be judged.
    """
    with doing(f"judging {image}"):
        name = None if as_name is None else _reference(as_name)
        judge = make_judge(host)
        case = _case(image, name, judge, host)
        if name is not None:
            case = replace(case, identity=_judged_as(name, case.identity, judge.policy.policy))
        verdict = judge.verdict(case.identity, case.digest, case.signatures)
        requirements = select(judge.policy.policy, case.identity).requirements
        return Checked(image=image, verdict=verdict, demands=demands_of(requirements, host))


def _reference(text: str) -> DockerReference:
    """The reference of `[docker://]NAME[:TAG][@DIGEST]`, as a pull would use it."""
    source = parse_source(text, is_directory=lambda _path: False)
    if not isinstance(source, RegistrySource):
        raise UsageError(f"{text}: it is not the name of an image in a registry")
    return source.reference


def _judged_as(name: DockerReference, own: ImageIdentity, policy: Policy) -> ImageIdentity:
    as_pulled = docker_identity(name)
    if select(policy, as_pulled).transport is not None:
        return as_pulled
    return replace(own, reference=name)


def _case(image: str, name: DockerReference | None, judge: Judge, host: Host) -> _Case:
    source = parse_image(image)
    if isinstance(source, StoredSource):
        stored = require_image(host.store, source.name)
        return _stored_case(stored, stored_identity(stored), host)
    at = locate(host, source)
    digest = resolve(at.origin, host.platform).raw.digest
    signatures = judge.signatures(at.place, digest, at.origin)
    if name is not None and not isinstance(source, RegistrySource | DirectorySource):
        # A layout or an archive has no place for simple signatures: those of its name are good.
        signatures += judge.signatures(docker_identity(name), digest)
    return _Case(identity=at.identity, digest=digest, signatures=signatures)


def _stored_case(image: StoredImage, identity: ImageIdentity, host: Host) -> _Case:
    return _Case(
        identity=identity,
        digest=image.digest,
        signatures=from_store(host.store.signatures(image)),
    )


@frozen
class Audited:
    """An installed container; without a verdict it could not be judged, and `problem` says why."""

    container: str
    image: str
    verdict: Verdict | None
    problem: str | None = None

    @property
    def accepted(self) -> bool | None:
        """Whether today's policy accepts its image; None where nobody knows."""
        return None if self.verdict is None else self.verdict.accepted

    @property
    def reason(self) -> str:
        """Why it is rejected, or could not be judged, or whom it is accepted for."""
        if self.verdict is None:
            return self.problem or ""
        denied = [one for one in self.verdict.requirements if not one.accepted]
        return "; ".join(f"{one.kind}: {one.reason}" for one in denied or self.verdict.requirements)

    def as_json(self) -> Json:
        """The same for a program."""
        return {
            "container": self.container,
            "image": self.image,
            "accepted": self.accepted,
            "reason": self.reason,
            "verdict": None if self.verdict is None else self.verdict.as_json(self.image),
        }


def audit(host: Host) -> tuple[Audited, ...]:
    """Judge what every container was installed from, by its stored signatures.

    Raises AtomicSysError where there is no policy, or gpg does not work.
    """
    judge = make_judge(host)
    return tuple(_audit(one, judge, host) for one in installed(host.root, host.paths))


def _audit(container: Installed, judge: Judge, host: Host) -> Audited:
    name, record = container.name.value, container.record
    if record is None:
        return Audited(container=name, image="", verdict=None, problem=container.problem)
    try:
        image, identity = _image_of(record, host)
        case = _stored_case(image, identity, host)
    except AtomicSysError as error:
        return Audited(container=name, image=record.image, verdict=None, problem=str(error))
    verdict = judge.verdict(case.identity, case.digest, case.signatures)
    return Audited(container=name, image=record.image, verdict=verdict)


def _image_of(record: Record, host: Host) -> tuple[StoredImage, ImageIdentity]:
    """The image of the store that the record's deployment was made from, and what it was then.

    Names may have moved on to other images since. Raises AtomicSysError.
    """
    candidates = list(_with_digest(record.revision, host))
    if not candidates:
        raise AtomicSysError(f"the store has no image sha256:{record.revision} any more")
    same = [image for image in candidates if image.source == record.source]
    image = (same or candidates)[0]
    if not same and record.source:
        image = replace(image, source=record.source)
    return image, stored_identity(image)


def _with_digest(revision: str, host: Host) -> Iterator[StoredImage]:
    yield from (image for image in host.store.images() if image.digest.hex == revision)
    outlined = Outlines(host.store).image(Digest.parse(f"sha256:{revision}"))
    if outlined is not None:
        yield outlined
