# SPDX-License-Identifier: LGPL-2.1-or-later
"""The values of a container's variables: one table, one order of precedence.

Forced > --set > computed for this host > defaults of manifest.json; UUID alone: --set > manifest >
generated. Source: the predecessor's image contract ("variable | class | value", "Precedence").
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from atomic_sys.errors import UsageError
from atomic_sys.frozen import frozen
from atomic_sys.model.strict_json import Json
from atomic_sys.render import typed
from atomic_sys.render.escape import is_control
from atomic_sys.render.limits import VALUE_LIMIT
from atomic_sys.render.settings import Settings
from atomic_sys.render.typed import ValueType

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class ValueClass(Enum):
    """Who decides about a variable."""

    FORCED = "forced"
    OVERRIDABLE = "overridable"


class Origin(Enum):
    """Where a value came from."""

    FORCED = "forced"
    USER = "user"
    COMPUTED = "computed"
    IMAGE = "image"
    GENERATED = "generated"


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable that every template may use."""

    name: str
    value_class: ValueClass
    help: str


_F, _O = ValueClass.FORCED, ValueClass.OVERRIDABLE
VARIABLES = (
    Variable("DESTDIR", _F, "directory of the deployment"),
    Variable("NAME", _F, "name of the container"),
    Variable("EXEC_START", _F, "command that starts the container"),
    Variable("EXEC_STOP", _F, "command that stops it"),
    Variable("EXEC_STARTPRE", _F, "command before the start (empty)"),
    Variable("EXEC_STOPPOST", _F, "command after the stop"),
    Variable("HOST_UID", _F, "user id of the installer"),
    Variable("HOST_GID", _F, "group id of the installer"),
    Variable("IMAGE_NAME", _F, "image, as it was named"),
    Variable("IMAGE_ID", _F, "digest of the image's manifest, in hex"),
    Variable("RUN_DIRECTORY", _O, "directory of run-time data"),
    Variable("STATE_DIRECTORY", _O, "directory of persistent data"),
    Variable("CONF_DIRECTORY", _O, "directory of configuration"),
    Variable("PIDFILE", _O, "file with the id of the container's first process"),
    Variable("UUID", _O, "identity of the container, kept over updates"),
    Variable("ALL_PROCESS_CAPABILITIES", _O, "every capability of the kernel, quoted, for JSON"),
    Variable("RUNTIME", _O, "path of the OCI runtime"),
    Variable("ATOMIC", _O, "path of the installer"),
)
FORCED = frozenset(v.name for v in VARIABLES if v.value_class is ValueClass.FORCED)
OVERRIDABLE = frozenset(v.name for v in VARIABLES if v.value_class is ValueClass.OVERRIDABLE)


class UnknownNames(Enum):
    """What a name in --set is that neither the templates nor manifest.json know."""

    REFUSED = "refused"
    ENVIRONMENT = "environment"  # the image brings no config: then it is an environment variable


@frozen
class ValueSources:
    """Whatever has a say, in text; `uuid` is the saved one, or a new one."""

    forced: Mapping[str, str]
    user: Mapping[str, str] = field(default_factory=dict)
    computed: Mapping[str, str]
    settings: Settings
    uuid: str
    known: frozenset[str]  # what the templates use
    unknown: UnknownNames = UnknownNames.REFUSED


@frozen
class Values:
    """The decided values: `all` as text, `typed` as what Jinja sees, `user` what --set gave."""

    all: Mapping[str, str]
    typed: Mapping[str, Json]
    user: Mapping[str, str]
    origins: Mapping[str, Origin]
    secrets: frozenset[str]

    @property
    def unclassed(self) -> dict[str, str]:
        """The values that are not in the table: the image's own variables, or an environment."""
        return {k: v for k, v in self.all.items() if k not in FORCED | OVERRIDABLE}


def parse_assignments(assignments: Iterable[str]) -> dict[str, str]:
    """Read the `NAME=VALUE` of each --set; the last one of a name wins. Raises UsageError."""
    result = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals or not _NAME.fullmatch(name):
            raise UsageError(f"Invalid value '{text}'.  Expected form NAME=VALUE")
        result[name] = value
    return result


def check_user_values(sources: ValueSources) -> None:
    """Raises UsageError for a name that cannot be set, or a value that is no text."""
    known = OVERRIDABLE | sources.known | sources.settings.names
    for name, value in sources.user.items():
        if name in FORCED:
            raise UsageError(f"the value {name} cannot be set: it is the installer's own")
        if not _NAME.fullmatch(name):
            raise UsageError(f"{name!r} is not the name of a value")
        if name not in known and sources.unknown is UnknownNames.REFUSED:
            near = difflib.get_close_matches(name, sorted(known - FORCED), 1)
            raise UsageError(
                f"the image knows no value {name}",
                hint=f"did you mean {near[0]}?" if near else None,
            )
        if len(value) > VALUE_LIMIT:
            raise UsageError(f"the value {name} is longer than {VALUE_LIMIT} characters")
        if any((is_control(c) and c not in "\t\n") or "\ud800" <= c <= "\udfff" for c in value):
            raise UsageError(f"the value {name} contains control characters or is not UTF-8")


def resolve(sources: ValueSources) -> Values:
    """Decide about each value.

    Raises UsageError for a name that cannot be set, a value that is not of its declared type, and
    a required value that nobody gave.
    """
    check_user_values(sources)
    result: dict[str, tuple[str, Origin]] = {"UUID": (sources.uuid, Origin.GENERATED)}
    for origin, values in (
        (Origin.IMAGE, sources.settings.all_defaults()),
        (Origin.COMPUTED, sources.computed),
        (Origin.USER, sources.user),
        (Origin.FORCED, sources.forced),
    ):
        result |= {name: (value, origin) for name, value in values.items()}
    texts = {name: value for name, (value, _) in result.items()}
    declared = sources.settings.declared
    for name, item in declared.items():
        if item.required and not texts.get(name):
            about = f": {item.description}" if item.description else ""
            raise UsageError(f"the value {name} is required{about}", hint=f"--set {name}=VALUE")
    kinds = {name: item.type for name, item in declared.items()}
    return Values(
        all=texts,
        typed={n: typed.parse(n, kinds.get(n, ValueType.STRING), t) for n, t in texts.items()},
        user=dict(sources.user),
        origins={name: origin for name, (_, origin) in result.items()},
        secrets=sources.settings.secrets,
    )
