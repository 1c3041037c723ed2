# SPDX-License-Identifier: LGPL-2.1-or-later
"""Scopes of images in registries: which can ever match, and which others cover the same images.

Readers of policies look at no scope of the transport docker, so that a typo never matches, and
nothing says so. Source: containers-policy.json(5).
"""

import re

from atomic_sys.model.reference import (
    OTHER_NAMES_OF_HOSTS,
    DockerReference,
    InvalidReference,
    looks_like_domain,
)
from atomic_sys.trust.scopes import ImageIdentity, docker_identity

_WILDCARD = re.compile(r"\*(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+")


def problem(scope: str) -> str | None:
    """Why no image of a registry can have this scope, or None when one can."""
    if not scope:
        return None
    if "*" in scope:
        fits = _WILDCARD.fullmatch(scope) is not None
        return None if fits else "a wildcard is *.DOMAIN: whole labels of a host, no port, no path"
    if "://" in scope:
        return "a scope has no scheme"
    host, slash, _ = scope.partition("/")
    if not looks_like_domain(host) or (not slash and not _is_host(host)):
        return _without_host(scope)
    if host in OTHER_NAMES_OF_HOSTS:
        return f"images of {host} are judged as those of {OTHER_NAMES_OF_HOSTS[host]}"
    return _path_problem(scope) if slash else None


def _is_host(text: str) -> bool:
    try:
        return DockerReference.parse(f"{text}/x").domain == text
    except InvalidReference:
        return False


def _without_host(scope: str) -> str:
    try:
        full = DockerReference.parse(scope)
    except InvalidReference:
        full = None
    if full is None or looks_like_domain(scope.partition(":")[0]):
        return "it is not HOST[:PORT][/PATH][:TAG|@DIGEST]"
    return f"images are judged by their full names, such as {full}"


def _path_problem(scope: str) -> str | None:
    try:
        reference = DockerReference.parse(scope)
    except InvalidReference as error:
        return str(error)
    if reference.tag is not None and reference.digest is not None:
        return "an image is judged by its tag or its digest, not by both"
    complete = reference.tag is not None or reference.digest is not None
    if complete and str(reference) != scope:  # without either, it can be a namespace
        return f"the full name of the image is {reference}"
    return None


def images_of(scope: str) -> ImageIdentity:
    """What all images of the scope have in common: it, and the wider scopes that cover it.

    There are none for a scope with a problem().
    """
    scopes = () if problem(scope) else _enclosing(scope)
    return ImageIdentity(transport="docker", scopes=scopes, reference=None)


def _enclosing(scope: str) -> tuple[str, ...]:
    if not scope:
        return ()
    if scope.startswith("*."):
        labels = scope.removeprefix("*.").split(".")
        return tuple(f"*.{'.'.join(labels[at:])}" for at in range(len(labels)))
    host, slash, path = scope.partition("/")
    parsed = DockerReference.parse(scope if slash else f"{host}/x")
    suffix = str(parsed).removeprefix(parsed.name)
    image = DockerReference(
        domain=host,
        path=path.removesuffix(suffix) if slash else "x",  # `docker.io/ns` is not expanded
        tag=parsed.tag,
        digest=parsed.digest,
    )
    scopes = docker_identity(image.with_default_tag()).scopes
    return scopes[scopes.index(scope) :]
