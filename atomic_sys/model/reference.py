# SPDX-License-Identifier: LGPL-2.1-or-later
"""Docker references and image sources: what a user types, parsed once, without asking any network.

The grammar is that of the distribution project's `reference` package:
`[HOST[:PORT]/]PATH[:TAG][@DIGEST]`.
"""

import re
from dataclasses import dataclass, replace
from typing import Self

from atomic_sys.errors import UsageError
from atomic_sys.frozen import frozen
from atomic_sys.model.digest import Digest, InvalidDigest

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_HOST_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = re.compile(rf"(?:{_HOST_LABEL}(?:\.{_HOST_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_HEX64 = re.compile(r"[a-f0-9]{64}")
_NAME_LIMIT = 255
DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
OTHER_NAMES_OF_HOSTS = {"index.docker.io": DEFAULT_DOMAIN}  # as containers/image and Docker have it


class InvalidReference(UsageError):
    """A string that names no image."""


def is_tag(text: str) -> bool:
    """Whether the text can be a tag."""
    return _TAG.fullmatch(text) is not None


@frozen
class DockerReference:
    """A fully qualified name with an optional tag and an optional digest."""

    domain: str
    path: str
    tag: str | None = None
    digest: Digest | None = None

    @property
    def name(self) -> str:
        """`DOMAIN/PATH`."""
        return f"{self.domain}/{self.path}"

    def __str__(self) -> str:
        tag = "" if self.tag is None else f":{self.tag}"
        digest = "" if self.digest is None else f"@{self.digest}"
        return f"{self.name}{tag}{digest}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a reference; a name without a host is docker.io's, as all its clients do.

        The tag stays None where none was given. Raises InvalidReference.
        """
        name, tag, digest = _split(text)
        head, slash, rest = name.partition("/")
        if slash and looks_like_domain(head):
            domain, path = OTHER_NAMES_OF_HOSTS.get(head, head), rest
        else:
            domain, path = DEFAULT_DOMAIN, name
            if _HEX64.fullmatch(name):
                raise InvalidReference(
                    f"invalid image name {text!r}: 64 hex digits are an image id"
                )
        if domain == DEFAULT_DOMAIN and "/" not in path:
            path = f"library/{path}"
        if not _DOMAIN.fullmatch(domain):
            raise InvalidReference(
                f"invalid image name {text[:_NAME_LIMIT]!r}: bad host {domain!r}"
            )
        if not _PATH.fullmatch(path):
            hint = "a name is in lower case" if path != path.lower() else None
            raise InvalidReference(f"invalid image name {text[:_NAME_LIMIT]!r}", hint=hint)
        if len(domain) + 1 + len(path) > _NAME_LIMIT:
            raise InvalidReference(f"image name of more than {_NAME_LIMIT} characters")
        return cls(domain=domain, path=path, tag=tag, digest=digest)

    def with_default_tag(self) -> Self:
        """The same reference, `:latest` when it has neither tag nor digest."""
        if self.tag is None and self.digest is None:
            return replace(self, tag=DEFAULT_TAG)
        return self


def looks_like_domain(head: str) -> bool:
    """Whether what stands before the first `/` of a name is a registry's host."""
    return "." in head or ":" in head or head == "localhost" or head != head.lower()


def _split(text: str) -> tuple[str, str | None, Digest | None]:
    """Name, tag and digest of `NAME[:TAG][@DIGEST]`."""
    rest, at, digest_text = text.partition("@")
    try:
        digest = Digest.parse(digest_text) if at else None
    except InvalidDigest as error:
        raise InvalidReference(f"invalid image name {text[:_NAME_LIMIT]!r}: {error}") from None
    name, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:
        return rest, None, digest
    if not is_tag(tag):
        raise InvalidReference(f"invalid image name {text[:_NAME_LIMIT]!r}: bad tag {tag!r}")
    return name, tag, digest


@dataclass(frozen=True, slots=True)
class ImageName:
    """The name of an image in the store: as typed, less the transport, plus a default tag.

    The predecessor keeps `busybox` and `docker.io/busybox` apart, and so do we: a name that is not
    qualified stays as it is (predecessor's layout, "ostree refs").
    """

    value: str

    def __str__(self) -> str:
        return self.value

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name, with `:latest` where there is neither tag nor digest.

        Raises InvalidReference when it is no valid docker reference.
        """
        reference = DockerReference.parse(text)
        if reference.tag is None and reference.digest is None:
            text = f"{text}:{DEFAULT_TAG}"
        if text.startswith("docker.io/library/"):
            text = "docker.io/" + text.removeprefix("docker.io/library/")
        return cls(text)

    @property
    def reference(self) -> DockerReference:
        """The name as a fully qualified reference."""
        return DockerReference.parse(self.value)

    @property
    def is_qualified(self) -> bool:
        """Whether the name says its registry."""
        head, slash, _ = self.repository.partition("/")
        return bool(slash) and looks_like_domain(head)

    @property
    def repository(self) -> str:
        """The name without tag and digest, as the user typed it."""
        return _split(self.value)[0]

    @property
    def tag(self) -> str:
        """The tag, or the empty string for a name by digest."""
        return _split(self.value)[1] or ""

    @property
    def default_container_name(self) -> str:
        """The basename, with `-TAG` unless the tag is `latest`; a digest is dropped."""
        base = self.repository.rpartition("/")[2]
        return base if self.tag in ("", DEFAULT_TAG) else f"{base}-{self.tag}"
