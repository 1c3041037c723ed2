# SPDX-License-Identifier: LGPL-2.1-or-later
"""/exports/manifest.json: what an image says about its values, its host files and its life.

Unknown keys are ignored, as the predecessor did; a known key of the wrong type is an error.
Sources: the predecessor's image contract, "manifest.json keys"; the contract, section 4.
"""

from collections.abc import Callable, Mapping
from dataclasses import field
from enum import Enum
from typing import TypeVar

from atomic_sys.errors import AtomicSysError, UsageError
from atomic_sys.frozen import frozen
from atomic_sys.model import hooks, strict_json
from atomic_sys.model.health import DataVersion, Health
from atomic_sys.model.hooks import Hook
from atomic_sys.model.strict_json import (
    InvalidJson,
    Json,
    as_integer,
    as_object,
    as_string,
    as_string_map,
    as_strings,
)
from atomic_sys.render import typed
from atomic_sys.render.limits import VALUE_LIMIT
from atomic_sys.render.typed import ValueType

T = TypeVar("T")


class InvalidSettings(AtomicSysError):
    """The manifest.json of an image is not what it must be."""

    def __init__(self, image: str, reason: str) -> None:
        super().__init__(f"Invalid manifest.json file in image: {image}.", hint=reason)


class Readiness(Enum):
    """When a started container counts as ready."""

    NOTIFY = "notify"  # it says so itself, by sd_notify(3)
    EXEC = "exec"  # once the runtime has been executed
    COMMAND = "command"  # once the command of the health check succeeds


@frozen
class DeclaredValue:
    """A documented value; `default` is text, whatever its type, and None when there is none."""

    type: ValueType = ValueType.STRING
    default: str | None = None
    description: str = ""
    required: bool = False
    secret: bool = False


@frozen
class Settings:
    """A manifest.json; the defaults are those of an image that has none."""

    version: str = "1.0"
    defaults: Mapping[str, str] = field(default_factory=dict)
    declared: Mapping[str, DeclaredValue] = field(default_factory=dict)
    has_service: bool = True
    rename_files: Mapping[str, str] = field(default_factory=dict)
    installed_files_template: tuple[str, ...] = ()
    use_links: bool = True
    health: Health | None = None
    readiness: Readiness | None = None
    state: tuple[str, ...] = ()
    data_version: DataVersion | None = None
    hooks: Mapping[Hook, tuple[str, ...]] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """The variables that manifest.json knows."""
        return frozenset(self.defaults) | frozenset(self.declared)

    @property
    def secrets(self) -> frozenset[str]:
        """The variables whose values are not to be shown."""
        return frozenset(name for name, value in self.declared.items() if value.secret)

    def all_defaults(self) -> dict[str, str]:
        """The default of each variable that has one; `values` says it before `defaultValues`."""
        declared = {n: v.default for n, v in self.declared.items() if v.default is not None}
        return dict(self.defaults) | declared


def parse(document: bytes, image: str) -> Settings:
    """Read a manifest.json. Raises InvalidSettings."""
    try:
        body = _Body(as_object(strict_json.loads(document, "manifest.json"), "manifest.json"))
        return Settings(
            version=body.get("version", _version, "1.0"),
            defaults=body.get("defaultValues", _defaults, {}),
            declared=body.get("values", _declared, {}),
            has_service=not body.get("noContainerService", _boolean, False),
            rename_files=body.get("renameFiles", as_string_map, {}),
            installed_files_template=body.get("installedFilesTemplate", as_strings, ()),
            use_links=body.get("useLinks", _boolean, True),
            health=body.get("health", health, None),
            readiness=body.get("readiness", _readiness, None),
            state=body.get("state", _paths, ()),
            data_version=body.get("dataVersion", DataVersion.from_json, None),
            hooks=body.get("hooks", hooks.parse, {}),
        )
    except (InvalidJson, UsageError) as error:
        raise InvalidSettings(image, str(error)) from None


class _Body:
    """An object whose keys are optional; null is as good as absent."""

    def __init__(self, body: Mapping[str, Json], prefix: str = "") -> None:
        self._body = body
        self._prefix = prefix

    def get(self, key: str, read: Callable[[Json, str], T], default: T) -> T:
        value = self._body.get(key)
        return default if value is None else read(value, self._prefix + key)


def _any(value: Json, _what: str) -> Json:
    return value


def _boolean(value: Json, what: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidJson(f"{what} is neither true nor false")
    return value


def _number(value: Json, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 86400:
        raise InvalidJson(f"{what} is not a number of seconds")
    return float(value)


def _version(value: Json, what: str) -> str:
    return str(value) if isinstance(value, int | float) else as_string(value, what)


def _short(text: str, what: str) -> str:
    if len(text) > VALUE_LIMIT:
        raise InvalidJson(f"{what} is longer than {VALUE_LIMIT} characters")
    return text


def _defaults(value: Json, what: str) -> Mapping[str, str]:
    """Strings; numbers are taken as text, since `$VAR` pastes them all the same."""
    result = {}
    for key, item in as_object(value, what).items():
        number = isinstance(item, int | float) and not isinstance(item, bool)
        text = str(item) if number else as_string(item, f"{what}.{key}")
        result[key] = _short(text, f"{what}.{key}")
    return result


def _declared(value: Json, what: str) -> Mapping[str, DeclaredValue]:
    return {
        name: _declared_value(item, name, f"{what}.{name}")
        for name, item in as_object(value, what).items()
    }


def _declared_value(value: Json, name: str, what: str) -> DeclaredValue:
    body = _Body(as_object(value, what), f"{what}.")
    kind = _member(body.get("type", as_string, "string"), ValueType, f"{what}.type")
    default = body.get("default", lambda item, _: typed.as_text(item), None)
    if default is not None:
        typed.parse(name, kind, _short(default, what))
    return DeclaredValue(
        type=kind,
        default=default,
        description=body.get("description", as_string, ""),
        required=body.get("required", _boolean, False),
        secret=body.get("secret", _boolean, False),
    )


E = TypeVar("E", bound=Enum)


def _member(text: str, members: type[E], what: str) -> E:
    try:
        return members(text)
    except ValueError:
        known = ", ".join(str(member.value) for member in members)
        raise InvalidJson(f"{what} is none of {known}") from None


def _readiness(value: Json, what: str) -> Readiness:
    return _member(as_string(value, what), Readiness, what)


def health(value: Json, what: str) -> Health:
    """Read a health check. Raises InvalidJson."""
    body = _Body(as_object(value, what), f"{what}.")
    command = as_strings(body.get("command", _any, None), f"{what}.command")
    if not command:
        raise InvalidJson(f"{what}.command is missing")
    return Health(
        command=command,
        interval=body.get("interval", _number, 5.0),
        timeout=body.get("timeout", _number, 30.0),
        retries=body.get("retries", as_integer, 3),
        start_period=body.get("start_period", _number, 0.0),
    )


def _paths(value: Json, what: str) -> tuple[str, ...]:
    try:
        return tuple(
            path if "$" in path else typed.checked_path(path) for path in as_strings(value, what)
        )
    except ValueError as error:
        raise InvalidJson(f"{what}: {error}") from None
