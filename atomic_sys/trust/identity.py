# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether the name in a signature speaks of the image at hand.

Source: containers-policy.json(5), "signedIdentity". A name that cannot be parsed matches nothing,
not even itself.
"""

from typing import assert_never

from atomic_sys.model.reference import DockerReference, InvalidReference
from atomic_sys.trust.requirements import (
    ExactReference,
    ExactRepository,
    Identity,
    MatchExact,
    MatchRepoDigestOrExact,
    MatchRepository,
    RemapIdentity,
)


def matches(identity: Identity, image: DockerReference | None, signed: str) -> bool:
    """Whether a signature for the name `signed` is good for `image`, what the user asked for.

    An image without a name fits only the two identities that do not look at it.
    """
    try:
        claimed = DockerReference.parse(signed)
    except InvalidReference:
        return False
    match identity:
        case ExactReference(reference):
            return _exactly(reference, claimed)
        case ExactRepository(repository):
            return repository.name == claimed.name
        case MatchExact() | MatchRepoDigestOrExact() | MatchRepository() | RemapIdentity():
            return image is not None and _matches_image(identity, image, claimed)
        case _ as unreachable:
            assert_never(unreachable)


def _matches_image(
    identity: MatchExact | MatchRepoDigestOrExact | MatchRepository | RemapIdentity,
    image: DockerReference,
    claimed: DockerReference,
) -> bool:
    match identity:
        case MatchExact():
            return _exactly(image, claimed)
        case MatchRepoDigestOrExact():
            return _by_digest_or_exactly(image, claimed)
        case MatchRepository():
            return image.name == claimed.name
        case RemapIdentity():
            remapped = remap(identity, image)
            return remapped is not None and _by_digest_or_exactly(remapped, claimed)
        case _ as unreachable:
            assert_never(unreachable)


def remap(identity: RemapIdentity, image: DockerReference) -> DockerReference | None:
    """The name that the signer knows: the image's, with the prefix replaced where it has it.

    None when the result is not a fully qualified name.
    """
    if image.name != identity.prefix and not image.name.startswith(f"{identity.prefix}/"):
        return image
    renamed = identity.signed_prefix + str(image).removeprefix(identity.prefix)
    try:
        reference = DockerReference.parse(renamed)
    except InvalidReference:
        return None
    return reference if str(reference) == renamed else None


def _is_complete(reference: DockerReference) -> bool:
    return reference.tag is not None or reference.digest is not None


def _exactly(wanted: DockerReference, claimed: DockerReference) -> bool:
    return _is_complete(claimed) and wanted == claimed


def _by_digest_or_exactly(image: DockerReference, claimed: DockerReference) -> bool:
    """Exactly; for an image named by digest only, which was checked already, by repository."""
    if image.tag is None and image.digest is not None:
        return _is_complete(claimed) and image.name == claimed.name
    return _exactly(image, claimed)
