# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names without a registry: their aliases, and whether a list of registries may be tried for one.

An alias leads from a name without tag to one with a registry and without tag; an empty one takes
back what another file says. Sources: containers-registries.conf(5), "short-name aliasing";
containers/image, pkg/shortnames.
"""

from collections.abc import Mapping
from dataclasses import field, replace
from enum import Enum

from atomic_sys.frozen import frozen
from atomic_sys.image.toml_fields import InvalidFile
from atomic_sys.model.reference import DockerReference, ImageName, InvalidReference


class ShortNameMode(Enum):
    """What becomes of a name without an alias where several registries could be searched."""

    ENFORCING = "enforcing"  # nobody is there to be asked, so it is an error
    PERMISSIVE = "permissive"
    DISABLED = "disabled"


@frozen
class ShortNames:
    """What the files say together; `mode` is None where none of them does."""

    aliases: Mapping[str, str] = field(default_factory=dict)
    mode: ShortNameMode | None = None

    def over(self, other: "ShortNames") -> "ShortNames":
        """This file on top of another."""
        mode = other.mode if self.mode is None else self.mode
        return ShortNames(aliases={**other.aliases, **self.aliases}, mode=mode)

    def resolve(self, name: ImageName) -> DockerReference | None:
        """What the alias of a name without registry leads to, with the name's tag and digest."""
        target = self.aliases.get(name.repository)
        if not target:
            return None
        typed = name.reference
        return replace(DockerReference.parse(target), tag=typed.tag, digest=typed.digest)


def parse(body: Mapping[str, object]) -> ShortNames:
    """Read `[aliases]` and `short-name-mode` of a decoded file. Raises InvalidFile."""
    mode = body.get("short-name-mode", "")
    try:
        chosen = ShortNameMode(mode) if mode != "" else None
    except ValueError:
        known = ", ".join(mode.value for mode in ShortNameMode)
        raise InvalidFile(f"short-name-mode {str(mode)[:80]!r} is none of {known}") from None
    aliases = body.get("aliases", {})
    if not isinstance(aliases, dict):
        raise InvalidFile("aliases is not a table")
    return ShortNames(aliases={_name(n): _target(n, t) for n, t in aliases.items()}, mode=chosen)


def _name(text: str) -> str:
    try:
        name = ImageName(text)
        reference = name.reference
    except InvalidReference as error:
        raise InvalidFile(f"aliases: {error}") from None
    if name.is_qualified or reference.tag is not None or reference.digest is not None:
        raise InvalidFile(f"aliases: {text[:80]!r} has a registry or a tag")
    return text


def _target(name: str, value: object) -> str:
    if value == "":
        return ""
    if not isinstance(value, str):
        raise InvalidFile(f"aliases: that of {name!r} is not a string")
    try:
        target = ImageName(value)
        reference = target.reference
    except InvalidReference as error:
        raise InvalidFile(f"aliases: that of {name!r}: {error}") from None
    if not target.is_qualified or reference.tag is not None or reference.digest is not None:
        raise InvalidFile(f"aliases: {value[:80]!r} has no registry, or has a tag")
    return value
