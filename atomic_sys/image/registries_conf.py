# SPDX-License-Identifier: LGPL-2.1-or-later
"""registries.conf: what an unqualified name means, and where a registry really is.

Source: containers-registries.conf(5), version 2. Mirrors are for pulls.
Unknown keys are ignored, as the format wants it; a key of the wrong type is an error.
"""

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import field
from enum import Enum
from typing import assert_never

from atomic_sys.frozen import frozen
from atomic_sys.image import short_names
from atomic_sys.image.short_names import ShortNameMode, ShortNames
from atomic_sys.image.toml_fields import InvalidFile, array, flag, string, tables
from atomic_sys.log import note
from atomic_sys.model.reference import DockerReference, ImageName, InvalidReference
from atomic_sys.model.stream import read_limited

LIMIT = 1 << 20  # bytes of one file
_BOUNDARY = ("/", ":", "@")


class InvalidRegistries(InvalidFile):
    """A registries.conf that cannot be read the one way it is meant."""


class Serves(Enum):
    """Which references a mirror may be asked for: `pull-from-mirror`."""

    ALL = "all"
    DIGESTS = "digest-only"
    TAGS = "tag-only"


@frozen
class Mirror:
    """Another place for the same images, or for some of them."""

    location: str
    insecure: bool
    serves: Serves

    def has(self, reference: DockerReference) -> bool:
        """Whether it may be asked for this."""
        match self.serves:
            case Serves.ALL:
                return True
            case Serves.DIGESTS:
                return reference.digest is not None
            case Serves.TAGS:
                return reference.digest is None
            case _:
                assert_never(self.serves)


@frozen
class Registry:
    """What holds for the references below `prefix`; an empty location leaves them as they are."""

    prefix: str
    location: str
    insecure: bool
    blocked: bool
    mirrors: tuple[Mirror, ...]

    def matched(self, reference: str) -> int:
        """How many characters of the reference the prefix covers; 0 when it does not match."""
        if self.prefix.startswith("*."):
            start = reference.find(self.prefix[1:])
            end = start + len(self.prefix) - 1
            if start < 1 or "/" in reference[:start]:
                return 0
        else:
            end = len(self.prefix)
            if not reference.startswith(self.prefix):
                return 0
        return end if reference[end : end + 1] in ("", *_BOUNDARY) else 0


@frozen
class Place:
    """Where an image is fetched; the policy judges the reference that was asked for, not this."""

    reference: DockerReference
    insecure: bool


@frozen
class Registries:
    """The configuration of all files together; `search` is None where no file sets it."""

    registries: tuple[Registry, ...] = ()
    search: tuple[str, ...] | None = None
    short_names: ShortNames = field(default_factory=ShortNames)

    def over(self, other: "Registries") -> "Registries":
        """This file on top of another: a registry is replaced as a whole, by its prefix."""
        mine = {registry.prefix: registry for registry in self.registries}
        merged = {registry.prefix: registry for registry in other.registries} | mine
        search = other.search if self.search is None else self.search
        return Registries(
            registries=tuple(merged.values()),
            search=search,
            short_names=self.short_names.over(other.short_names),
        )

    def qualify(self, name: ImageName) -> DockerReference:
        """The full reference of a name as typed: by its alias, else by the search list.

        Raises InvalidRegistries for one that several registries might have, if that is enforced.
        """
        if not name.is_qualified and (alias := self.short_names.resolve(name)) is not None:
            return alias
        if name.is_qualified or not self.search:
            return name.reference
        first = self.search[0]
        if len(self.search) > 1:
            if self.short_names.mode is ShortNameMode.ENFORCING:
                raise InvalidRegistries(
                    f"{name}: it may be in any of {', '.join(self.search)}",
                    hint=f"say which: {first}/{name}",
                )
            note(f"{name}: taking it from {first}, the first of {len(self.search)} registries")
        return DockerReference.parse(f"{first}/{name}")

    def find(self, reference: DockerReference) -> Registry | None:
        """The registry with the longest matching prefix; of equals, the one without wildcard."""
        text = str(reference)
        best: Registry | None = None
        rank = (0, False)
        for registry in self.registries:
            length = registry.matched(text)
            if length and (length, not registry.prefix.startswith("*.")) > rank:
                best, rank = registry, (length, not registry.prefix.startswith("*."))
        return best

    def locate(self, reference: DockerReference) -> Place:
        """Where the image is fetched.

        Raises InvalidRegistries when it is blocked, or moved to something that is no reference.
        """
        registry = self.find(reference)
        if registry is None:
            return Place(reference=reference, insecure=False)
        if registry.blocked:
            raise InvalidRegistries(f"{reference}: registries.conf blocks {registry.prefix}")
        if not registry.location:
            return Place(reference=reference, insecure=registry.insecure)
        moved = _moved(reference, registry, registry.location)
        return Place(reference=moved, insecure=registry.insecure)

    def mirrors(self, reference: DockerReference) -> tuple[Place, ...]:
        """Where it may be fetched instead, in the order of the file. Raises InvalidRegistries."""
        registry = self.find(reference)
        if registry is None:
            return ()
        return tuple(
            Place(reference=_moved(reference, registry, m.location), insecure=m.insecure)
            for m in registry.mirrors
            if m.has(reference)
        )


def _moved(reference: DockerReference, registry: Registry, location: str) -> DockerReference:
    text = str(reference)
    moved = location + text[registry.matched(text) :]
    try:
        result = DockerReference.parse(moved)
    except InvalidReference as error:
        raise InvalidRegistries(f"{reference}: moved by registries.conf: {error}") from None
    if result.name != moved.partition("@")[0].removesuffix(f":{result.tag}"):
        raise InvalidRegistries(f"{reference}: registries.conf moves it to {moved!r}, no host")
    return result


def parse(document: bytes, what: str) -> Registries:
    """Read one file; `what` names it in an error.

    Raises InvalidRegistries.
    """
    try:
        body = tomllib.loads(document.decode("utf-8"))
        if "registries" in body:
            raise InvalidRegistries("version 1 of the format ([registries.*]) is not supported")
        found = [_registry(table) for table in tables(body, "registry")]
        _check_together(found)
        search = body.get("unqualified-search-registries")
        if search is not None:
            search = tuple(_host(entry) for entry in array(search))
        names = short_names.parse(body)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError, InvalidFile) as error:
        raise InvalidRegistries(f"{what}: {error}") from None
    return Registries(registries=tuple(found), search=search, short_names=names)


def _check_together(found: Sequence[Registry]) -> None:
    """One prefix has one table, and one location one nature. Raises InvalidRegistries."""
    if len({registry.prefix for registry in found}) != len(found):
        raise InvalidRegistries("two [[registry]] with the same prefix")
    natures: dict[str, tuple[bool, bool]] = {}
    for registry in found:
        nature = registry.insecure, registry.blocked
        if registry.location and natures.setdefault(registry.location, nature) != nature:
            raise InvalidRegistries(
                f"{registry.location!r} is insecure or blocked in one [[registry]], not in another"
            )


def load(path: str, drop_ins: str, aliases: str | None = None) -> Registries:
    """Read the file and, over it in the order of their names, the `*.conf` of the directory.

    `aliases` is the file where podman keeps the aliases that users have chosen; only its table of
    them counts, and it is above all others. What does not exist is empty. Raises
    InvalidRegistries, TooLarge, or OSError.
    """
    try:
        names = sorted(name for name in os.listdir(drop_ins) if name.endswith(".conf"))
    except (FileNotFoundError, NotADirectoryError):
        names = []
    result = Registries()
    files = [path, *(os.path.join(drop_ins, name) for name in names)]
    for source in files if aliases is None else [*files, aliases]:
        try:
            with open(source, "rb") as stream:
                document = read_limited(stream, LIMIT, source)
        except FileNotFoundError:
            continue
        parsed = parse(document, source)
        if source == aliases:
            parsed = Registries(short_names=ShortNames(aliases=parsed.short_names.aliases))
        result = parsed.over(result)
    return result


def _registry(table: Mapping[str, object]) -> Registry:
    location = _location(string(table, "location"))
    prefix = _location(string(table, "prefix")) or location
    if not prefix:
        raise InvalidRegistries("a [[registry]] has neither prefix nor location")
    if "*" in prefix.removeprefix("*.") or (prefix.startswith("*.") and "/" in prefix):
        raise InvalidRegistries(f"a wildcard stands for the first labels of a host: {prefix!r}")
    if not location and not prefix.startswith("*."):
        raise InvalidRegistries(f"[[registry]] {prefix!r} has no location")
    if "pull-from-mirror" in table:
        raise InvalidRegistries("pull-from-mirror belongs to a [[registry.mirror]]")
    only_digests = flag(table, "mirror-by-digest-only")
    return Registry(
        prefix=prefix,
        location=location,
        insecure=flag(table, "insecure"),
        blocked=flag(table, "blocked"),
        mirrors=tuple(_mirror(m, only_digests=only_digests) for m in tables(table, "mirror")),
    )


def _mirror(table: Mapping[str, object], *, only_digests: bool) -> Mirror:
    location = _location(string(table, "location"))
    if not location:
        raise InvalidRegistries("a [[registry.mirror]] has no location")
    text = string(table, "pull-from-mirror")
    if text and only_digests:
        raise InvalidRegistries("pull-from-mirror contradicts mirror-by-digest-only")
    default = Serves.DIGESTS if only_digests else Serves.ALL
    try:
        serves = Serves(text) if text else default
    except ValueError:
        raise InvalidRegistries(f"pull-from-mirror cannot be {text[:80]!r}") from None
    return Mirror(location=location, insecure=flag(table, "insecure"), serves=serves)


def _location(text: str) -> str:
    if "://" in text:
        raise InvalidRegistries(f"a location is written without scheme: {text[:80]!r}")
    return text.rstrip("/")


def _host(value: object) -> str:
    if not isinstance(value, str) or not _location(value):
        raise InvalidRegistries("an entry of unqualified-search-registries is no registry")
    return _location(value)
