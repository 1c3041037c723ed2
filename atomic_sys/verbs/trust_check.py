# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic trust check` and `audit`: what the policy says today, of an image or of the installed.

Nothing is copied: of an image anywhere only its manifest and its signatures are read.
"""

from dataclasses import dataclass

from atomic_sys.engine.judge import from_store
from atomic_sys.engine.observe import Installed, installed
from atomic_sys.engine.pull import require_image
from atomic_sys.engine.sources import stored_identity
from atomic_sys.errors import AtomicSysError, doing
from atomic_sys.host import Host
from atomic_sys.image.resolve import resolve
from atomic_sys.model.reference import DockerReference
from atomic_sys.model.source import StoredSource
from atomic_sys.store.images import StoredImage
from atomic_sys.trust.scopes import ImageIdentity, docker_identity
from atomic_sys.trust.verdict import Verdict
from atomic_sys.verbs.support import locate, make_judge, parse_image


def check(image: str, alias: str | None, host: Host) -> Verdict:
    """The verdict on an image, wherever it is, as if its name were `alias`.

    Raises Rejected when there is no policy, and AtomicSysError when it cannot be judged.
    """
    with doing(f"judging {image}"):
        source = parse_image(image)
        named = None if alias is None else _named(alias)
        judge = make_judge(host)
        if isinstance(source, StoredSource):
            stored = require_image(host.store, source.name)
            signatures = from_store(host.store.signatures(stored))
            return judge.verdict(named or stored_identity(stored), stored.digest, signatures)
        at = locate(host, source)
        digest = resolve(at.origin, host.platform).raw.digest
        signatures = judge.signatures(at.place, digest, at.origin)
        return judge.verdict(named or at.identity, digest, signatures)


def _named(alias: str) -> ImageIdentity:
    """As what the image is to be judged. Raises InvalidReference."""
    reference = DockerReference.parse(alias.removeprefix("docker://")).with_default_tag()
    return docker_identity(reference)


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """An installed container and what today's policy says of its image.

    `verdict` is None where nothing could be said, for the reason in `problem`.
    """

    container: Installed
    verdict: Verdict | None
    problem: str = ""

    @property
    def accepted(self) -> bool:
        """Whether it could be installed today."""
        return self.verdict is not None and self.verdict.accepted


def audit(host: Host) -> tuple[Audited, ...]:
    """Judge the image of each container by the signatures that were stored with it.

    Raises Rejected when there is no policy, OSError.
    """
    images = {image.digest.hex: image for image in host.store.images()}
    return tuple(_audit(container, images, host) for container in installed(host.root, host.paths))


def _audit(container: Installed, images: dict[str, StoredImage], host: Host) -> Audited:
    record = container.record
    image = None if record is None else images.get(record.revision)
    if image is None:
        problem = container.problem or "its image is not in the store any more"
        return Audited(container=container, verdict=None, problem=problem)
    try:
        signatures = from_store(host.store.signatures(image))
        verdict = make_judge(host).verdict(stored_identity(image), image.digest, signatures)
    except AtomicSysError as error:
        return Audited(container=container, verdict=None, problem=str(error))
    return Audited(container=container, verdict=verdict)
