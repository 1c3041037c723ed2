# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who decides about a value, and what is refused."""

import pytest

from atomic_sys.errors import UsageError
from atomic_sys.model.strict_json import Json
from atomic_sys.render import typed
from atomic_sys.render.host_facts import CAPABILITIES, HostFacts, all_capabilities
from atomic_sys.render.settings import DeclaredValue, Settings
from atomic_sys.render.typed import ValueType
from atomic_sys.render.values import (
    Origin,
    UnknownNames,
    Values,
    ValueSources,
    parse_assignments,
    resolve,
)


def decide(
    user: dict[str, str] | None = None,
    defaults: dict[str, str] | None = None,
    declared: dict[str, DeclaredValue] | None = None,
    unknown: UnknownNames = UnknownNames.REFUSED,
) -> Values:
    return resolve(
        ValueSources(
            forced={"NAME": "etcd"},
            user=user or {},
            computed={"RUN_DIRECTORY": "/run", "STATE_DIRECTORY": "/var/lib"},
            settings=Settings(defaults=defaults or {}, declared=declared or {}),
            uuid="generated-uuid",
            known=frozenset({"NAME", "ETCD_NAME", "UUID"}),
            unknown=unknown,
        )
    )


@pytest.mark.parametrize(
    ("name", "user", "defaults", "expected", "origin"),
    [
        ("NAME", {}, {"NAME": "image"}, "etcd", Origin.FORCED),
        ("RUN_DIRECTORY", {}, {"RUN_DIRECTORY": "/dead"}, "/run", Origin.COMPUTED),
        ("RUN_DIRECTORY", {"RUN_DIRECTORY": "/r"}, {}, "/r", Origin.USER),
        ("ETCD_NAME", {}, {"ETCD_NAME": "d"}, "d", Origin.IMAGE),
        ("ETCD_NAME", {"ETCD_NAME": "u"}, {"ETCD_NAME": "d"}, "u", Origin.USER),
        ("UUID", {}, {}, "generated-uuid", Origin.GENERATED),
        ("UUID", {}, {"UUID": "image"}, "image", Origin.IMAGE),
        ("UUID", {"UUID": "u"}, {"UUID": "image"}, "u", Origin.USER),
    ],
)
def test_precedence(
    name: str, user: dict[str, str], defaults: dict[str, str], expected: str, origin: Origin
) -> None:
    values = decide(user, defaults)
    assert values.all[name] == expected
    assert values.origins[name] is origin
    assert values.user == user


def test_a_forced_value_cannot_be_set() -> None:
    with pytest.raises(UsageError, match="DESTDIR cannot be set"):
        decide({"DESTDIR": "/"})


def test_an_unknown_value_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="no value ETCD_NMAE") as caught:
        decide({"ETCD_NMAE": "x"})
    assert caught.value.hint == "did you mean ETCD_NAME?"
    with pytest.raises(UsageError) as caught:
        decide({"QQQQ": "x"})
    assert caught.value.hint is None


def test_where_the_image_has_no_config_any_name_is_an_environment_variable() -> None:
    values = decide({"POSTGRES_DB": "x"}, unknown=UnknownNames.ENVIRONMENT)
    assert values.unclassed == {"POSTGRES_DB": "x"}
    with pytest.raises(UsageError, match="not the name"):
        decide({"A-B": "x"}, unknown=UnknownNames.ENVIRONMENT)


@pytest.mark.parametrize("value", ["a\0b", "a\x1b[0m", "\udcff", "x" * (64 * 1024 + 1)])
def test_a_value_is_bounded_text(value: str) -> None:
    with pytest.raises(UsageError):
        decide({"ETCD_NAME": value})


def test_declared_values_have_types_and_may_be_required_and_secret() -> None:
    declared = {
        "PORT": DeclaredValue(type=ValueType.INTEGER, default="80"),
        "KEY": DeclaredValue(required=True, secret=True, description="the key"),
    }
    values = decide({"KEY": "k"}, declared=declared)
    assert values.all["PORT"] == "80"
    assert values.typed["PORT"] == 80
    assert values.secrets == {"KEY"}
    with pytest.raises(UsageError, match="KEY is required: the key"):
        decide(declared=declared)
    with pytest.raises(UsageError, match="invalid value for PORT"):
        decide({"KEY": "k", "PORT": "x"}, declared=declared)


def test_assignments() -> None:
    assert parse_assignments(["A=1", "B=a=b", "A=", "C=x"]) == {"A": "", "B": "a=b", "C": "x"}


@pytest.mark.parametrize("text", ["A", "=x", "A B=x", "1A=x", ""])
def test_what_is_no_assignment(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_assignments([text])
    assert str(caught.value) == f"Invalid value '{text}'.  Expected form NAME=VALUE"


BIND: Json = {
    "type": "bind",
    "source": "/a",
    "destination": "/b",
    "options": ["rbind", "ro"],
}


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (ValueType.STRING, " x ", " x "),
        (ValueType.INTEGER, "-7", -7),
        (ValueType.BOOLEAN, "Yes", True),
        (ValueType.BOOLEAN, "off", False),
        (ValueType.PATH, "/a//b/./c/", "/a/b/c"),
        (ValueType.PATH, "//a", "/a"),
        (ValueType.LIST, "", []),
        (ValueType.LIST, "a, b,,c", ["a", "b", "c"]),
        (ValueType.LIST, '["a,b"]', ["a,b"]),
        (ValueType.MOUNTS, "", []),
        (ValueType.MOUNTS, "/a:/b:ro", [BIND]),
        (ValueType.MOUNTS, ',{"destination":"/x"},{"destination":"/y"}',
         [{"destination": "/x"}, {"destination": "/y"}]),
        (ValueType.MOUNTS, '[{"destination":"/x"}]', [{"destination": "/x"}]),
    ],
)  # fmt: skip
def test_typed_values(kind: ValueType, text: str, expected: Json) -> None:
    assert typed.parse("V", kind, text) == expected


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (ValueType.INTEGER, ""),
        (ValueType.INTEGER, "1.0"),
        (ValueType.INTEGER, "9" * 30),
        (ValueType.INTEGER, "٣"),
        (ValueType.BOOLEAN, "maybe"),
        (ValueType.PATH, "a"),
        (ValueType.PATH, "/a/../b"),
        (ValueType.PATH, "/a\nb"),
        (ValueType.LIST, "[1]"),
        (ValueType.LIST, "[" + "[" * 100_000),
        (ValueType.MOUNTS, "/a"),
        (ValueType.MOUNTS, "a:/b"),
        (ValueType.MOUNTS, '{"destination":"x"}'),
        (ValueType.MOUNTS, "[1]"),
        (ValueType.MOUNTS, '{"destination":"/x"}],"hooks":[{"destination":"/x"}'),
    ],
)
def test_what_is_not_of_its_type(kind: ValueType, text: str) -> None:
    with pytest.raises(UsageError, match="invalid value for V"):
        typed.parse("V", kind, text)


def test_the_values_of_a_host_and_of_a_user() -> None:
    host = HostFacts(capabilities=0b11).computed_values("etcd", "/usr/bin/runc", {})
    assert host["PIDFILE"] == "/run/container-etcd.pid"
    assert host["ALL_PROCESS_CAPABILITIES"] == '"CAP_CHOWN",\n"CAP_DAC_OVERRIDE"'
    user = HostFacts(uid=1000, gid=1000, home="/home/u").computed_values("etcd", "runc", {})
    assert user["RUN_DIRECTORY"] == "/run/user/1000"
    assert user["STATE_DIRECTORY"] == "/home/u/.data"
    assert user["CONF_DIRECTORY"] == "/home/u/.config"


def test_the_pid_file_goes_where_the_user_wants_run_time_data() -> None:
    values = HostFacts().computed_values("etcd", "runc", {"RUN_DIRECTORY": "/r"})
    assert values["PIDFILE"] == "/r/container-etcd.pid"


def test_capabilities_that_are_newer_than_the_table_are_left_out() -> None:
    assert all_capabilities((1 << 64) - 1).count("CAP_") == len(CAPABILITIES) == 41
