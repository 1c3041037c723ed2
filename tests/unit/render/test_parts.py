# SPDX-License-Identifier: LGPL-2.1-or-later
"""The smaller parts: runtime commands, config checks, units, tmpfiles, users and host files."""

import json

import pytest

from atomic_sys.errors import UsageError
from atomic_sys.model.strict_json import Json
from atomic_sys.render import config, hostfiles, tmpfiles, unit
from atomic_sys.render.config import InvalidConfig
from atomic_sys.render.escape import Target
from atomic_sys.render.hostfiles import EntryKind, HostEntry, HostFile, InvalidHostFile
from atomic_sys.render.limits import TemplateError, UnreplacedValue
from atomic_sys.render.runtime_commands import Runtime, RuntimeFeature, Supervision
from atomic_sys.render.settings import Settings
from atomic_sys.render.template import Syntax, Template
from atomic_sys.render.tmpfiles import OwnedDirectory
from atomic_sys.render.unit import Ordering
from atomic_sys.render.users import UnknownUser, User, find_user

ALL = RuntimeFeature.SYSTEMD_CGROUP | RuntimeFeature.PID_FILE


def runtime(features: RuntimeFeature = ALL, path: str = "/usr/bin/runc") -> Runtime:
    return Runtime(path=path, features=features, container="etcd", pid_file="/run/etcd.pid")


def unit_template(text: str, syntax: Syntax = Syntax.LEGACY) -> Template:
    return Template(name="service", text=text, syntax=syntax, target=Target.UNIT)


@pytest.mark.parametrize(
    ("text", "syntax", "features", "expected"),
    [
        ("$EXEC_STOPPOST $PIDFILE", Syntax.LEGACY, ALL, Supervision.PIDFILE),
        ("${EXEC_STOPPOST} $PIDFILE", Syntax.LEGACY, ALL, Supervision.FOREGROUND),
        ("$EXEC_STOPPOST ${PIDFILE}", Syntax.LEGACY, ALL, Supervision.FOREGROUND),
        ("$EXEC_STOPPOST $PIDFILE", Syntax.LEGACY, RuntimeFeature.NONE, Supervision.FOREGROUND),
        ("{{ EXEC_STOPPOST }}{{ PIDFILE }}", Syntax.JINJA, ALL, Supervision.PIDFILE),
        ("{{ EXEC_START }}{{ PIDFILE }}", Syntax.JINJA, ALL, Supervision.FOREGROUND),
    ],
)
def test_the_unit_template_chooses_who_supervises(
    text: str, syntax: Syntax, features: RuntimeFeature, expected: Supervision
) -> None:
    assert runtime(features).supervision(unit_template(text, syntax)) is expected


def test_without_a_template_the_runtime_stays() -> None:
    assert runtime().supervision(None) is Supervision.FOREGROUND


def test_commands_in_the_foreground() -> None:
    assert runtime().values(Supervision.FOREGROUND) == {
        "EXEC_START": "/usr/bin/runc --systemd-cgroup run 'etcd'",
        "EXEC_STOP": "/usr/bin/runc --systemd-cgroup kill 'etcd'",
        "EXEC_STARTPRE": "",
        "EXEC_STOPPOST": "",
    }


def test_commands_with_a_pid_file() -> None:
    assert runtime().values(Supervision.PIDFILE) == {
        "EXEC_START": "/usr/bin/runc --systemd-cgroup run -d --pid-file /run/etcd.pid 'etcd'",
        "EXEC_STOP": "",
        "EXEC_STARTPRE": "",
        "EXEC_STOPPOST": "/usr/bin/runc delete 'etcd'",
    }


def test_commands_of_a_runtime_that_can_do_little_and_has_a_strange_path() -> None:
    values = runtime(RuntimeFeature.NONE, "/opt/my runc$%").values(Supervision.FOREGROUND)
    assert values["EXEC_START"] == "\"/opt/my runc$$%%\" run 'etcd'"


GOOD: dict[str, object] = {"root": {"path": "rootfs", "readonly": True}}


@pytest.mark.parametrize(
    "body",
    [
        {},
        GOOD,
        {**GOOD, "ociVersion": "0.4.0", "platform": {"os": "linux"}, "hooks": {},
         "linux": {"capabilities": ["CAP_KILL"], "seccomp": {"defaultAction": ""}},
         "mounts": [{"type": "bind", "source": "/a", "options": ["mode=755"]}]},
        {**GOOD, "mounts": None},
    ],
)  # fmt: skip
def test_a_config_that_is_accepted_is_kept_byte_for_byte(body: dict[str, object]) -> None:
    document = json.dumps(body, indent=3).encode()
    assert config.check(document, "/d/config.json").document == document


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"{", "Invalid json in configuration file: /d/config.json."),
        (b"[]", "Invalid json in configuration file: /d/config.json."),
        (b'{"root":{},"root":{}}', "Invalid json in configuration file: /d/config.json."),
        (b'{"x":1}', "Invalid configuration file.  Only readonly images are supported"),
        (b'{"root":[]}', "Invalid configuration file.  Only readonly images are supported"),
        (
            b'{"root":{"path":"rootfs","readonly":"true"}}',
            "Invalid configuration file.  Only readonly images are supported",
        ),
        (
            b'{"root":{"path":"/","readonly":true}}',
            "Invalid configuration file.  Path must be 'rootfs'",
        ),
        (
            b'{"root":{"path":"rootfs","readonly":true},"mounts":[1]}',
            "Invalid json in configuration file: /d/config.json.",
        ),
    ],
)
def test_a_config_that_is_refused(document: bytes, message: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        config.check(document, "/d/config.json")
    assert str(caught.value) == message


def test_bind_sources() -> None:
    mounts: Json = [
        {"type": "bind", "source": "/a/./b//"},
        {"type": "none", "source": "/c", "options": ["rbind"]},
        {"type": "tmpfs", "source": "/tmp"},
        {"type": "bind", "source": "relative"},
        {"type": "bind", "source": "/a/b"},
        {"type": "bind", "source": 7},
    ]
    document = json.dumps({"root": {"path": "rootfs", "readonly": True}, "mounts": mounts})
    assert config.check(document.encode(), "c").bind_sources == ("/a/b", "/c")


@pytest.mark.parametrize("body", [{}, {"root": {"path": "rootfs", "readonly": True}, "x": 1}])
def test_a_remote_root(body: dict[str, Json]) -> None:
    changed = config.with_root(config.check(json.dumps(body).encode(), "c"), "/remote/rootfs")
    root = {"path": "/remote/rootfs", "readonly": True}
    assert json.loads(changed.document) == body | {"root": root}


def test_a_unit_is_a_service() -> None:
    good = "[Unit]\n[Service]\nExecStart=/bin/a\n"
    assert unit.check(good, "u") == good
    for bad in ("", "[Unit]\n", "#[Service]\n", good + "A=\x01", good + "A=b\rC=d", good + "\0"):
        with pytest.raises(TemplateError):
            unit.check(bad, "u")
    with pytest.raises(TemplateError, match="u:4: a line of more"):
        unit.check(good + "x" * 70000, "u")


def test_ordering_makes_a_drop_in() -> None:
    assert Ordering().drop_in() is None
    ordering = Ordering(after=("etcd", "a.target"), before=("b.service",), wants=("c",))
    assert ordering.drop_in() == (
        "[Unit]\nAfter=etcd.service\nAfter=a.target\nBefore=b.service\nWants=c.service\n"
    )


@pytest.mark.parametrize("name", ["", "a b", "a\nExecStart=x", "a/b", "%i", "x" * 300])
def test_ordering_refuses_what_is_no_unit(name: str) -> None:
    with pytest.raises(UsageError):
        Ordering(requires=(name,)).drop_in()


def test_directories_are_made_for_what_the_host_lacks() -> None:
    sources = ("/etc", "/var/lib/a b", "/dev/log", "/sys/x", "/run/100%")
    text = tmpfiles.missing_directories(sources, lambda path: path == "/etc", 5, 6)
    assert text == 'd "/var/lib/a b" 0700 5 6 - -\nd /run/100%% 0700 5 6 - -\n'
    assert tmpfiles.missing_directories(("/etc",), lambda _: True, 0, 0) is None
    with pytest.raises(TemplateError):
        tmpfiles.missing_directories(("/a\nb",), lambda _: False, 0, 0)


def test_the_owner_of_a_volume_counts_only_at_first() -> None:
    directories = [OwnedDirectory(path="/var/lib/pg", uid=999, gid=998)]
    assert tmpfiles.owned_directories(directories) == "d /var/lib/pg :0700 :999 :998 - -\n"


def test_what_a_tmpfiles_text_creates() -> None:
    text = '# c\n\nd /run/etcd - - -\nd+ "/a b" -\nz /no\nr! /no\nD /x%%y/\nd /%i\nd \'open\nd\n'
    assert tmpfiles.created_paths(text) == {"/run/etcd", "/a b", "/x%y"}


USERS = "root:x:0:0:r:/root:/bin/sh\npg:x:999:998::/var/lib/pg:/bin/sh\nbad:x:zz:1::/:/\n# c:::::"
GROUPS = "root:x:0:\nssl:x:50:pg,other\npg:x:998:pg\nnone:x:y:pg\n"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("", User(uid=0, gid=0, home="/root")),
        ("pg", User(uid=999, gid=998, groups=(50,), home="/var/lib/pg")),
        ("999", User(uid=999, gid=998, groups=(50,), home="/var/lib/pg")),
        ("pg:ssl", User(uid=999, gid=50, home="/var/lib/pg")),
        ("pg:7", User(uid=999, gid=7, home="/var/lib/pg")),
        ("1234", User(uid=1234, gid=0)),
        ("1234:5", User(uid=1234, gid=5)),
        (":5", User(uid=0, gid=5, home="/root")),
    ],
)
def test_users(spec: str, expected: User) -> None:
    assert find_user(USERS, GROUPS)(spec) == expected


@pytest.mark.parametrize("spec", ["bad", "nobody", "pg:nogroup", "99999999999", "4294967295", "-1"])
def test_users_that_are_not_there(spec: str) -> None:
    with pytest.raises(UnknownUser):
        find_user(USERS, GROUPS)(spec)


def entry(path: str, kind: EntryKind = EntryKind.FILE) -> HostEntry:
    return HostEntry(tuple(path.split("/")), kind)


def test_host_files_are_renamed_component_by_component() -> None:
    settings = Settings(
        rename_files={
            "/usr/local/bin/etcdctl": "/usr/local/bin/${NAME}ctl",
            "/etc/etcd": "$CONF_DIRECTORY/$NAME",
            "/etc/n1/etcd.conf": "/etc/n1/n1.conf",
        },
        installed_files_template=("/etc/n1/n1.conf", "/link"),
        use_links=False,
    )
    entries = [
        entry("usr/local/bin/etcdctl"),
        entry("etc/etcd/etcd.conf"),
        entry("link", EntryKind.SYMLINK),
        *(entry(d, EntryKind.DIRECTORY) for d in ("usr", "usr/local", "usr/local/bin")),
        *(entry(d, EntryKind.DIRECTORY) for d in ("etc", "etc/etcd", "etc/flanneld")),
    ]
    planned = hostfiles.plan(entries, settings, {"NAME": "n1", "CONF_DIRECTORY": "/etc"})
    assert planned.directories == ("/etc/flanneld",)
    assert not planned.use_links
    assert planned.files == (
        HostFile(
            source=("etc", "etcd", "etcd.conf"),
            destination="/etc/n1/n1.conf",
            kind=EntryKind.FILE,
            templated=True,
        ),
        HostFile(source=("link",), destination="/link", kind=EntryKind.SYMLINK, templated=False),
        HostFile(
            source=("usr", "local", "bin", "etcdctl"),
            destination="/usr/local/bin/n1ctl",
            kind=EntryKind.FILE,
            templated=False,
        ),
    )


@pytest.mark.parametrize("new", ["relative", "/a/../../etc/shadow", "/", "", "/a\nb"])
def test_host_files_stay_below_the_root(new: str) -> None:
    with pytest.raises(InvalidHostFile):
        hostfiles.plan([entry("a")], Settings(rename_files={"/a": new}), {})


def test_two_host_files_cannot_have_one_place() -> None:
    with pytest.raises(InvalidHostFile, match="both /a and /b go to /b"):
        hostfiles.plan([entry("a"), entry("b")], Settings(rename_files={"/a": "/b"}), {})


def test_a_rename_needs_its_values() -> None:
    with pytest.raises(UnreplacedValue):
        hostfiles.plan([], Settings(rename_files={"/a": "/$MISSING"}), {})


def test_a_host_file_is_rendered_in_the_legacy_syntax() -> None:
    assert hostfiles.render("/etc/x", b"n=$NAME $$HOME\n", {"NAME": "n1"}) == b"n=n1 $HOME\n"


@pytest.mark.parametrize(
    ("text", "added"),
    [
        ("[Service]\nExecStart=/bin/runc run 'x'\n", True),
        ("[Service]\nExecStart=/bin/runc run 'x'\nSuccessExitStatus=7\n", False),
        ("[Service]\nExecStart=/bin/runc run 'x'\n#SuccessExitStatus=7\n", True),
        ("[Service]\nExecStart=/usr/bin/python -u /usr/sbin/waagent\n", False),  # not a runtime
    ],
)
def test_a_stopped_payload_is_no_failure(text: str, *, added: bool) -> None:
    found = unit.with_good_end(text, "/bin/runc run 'x'")
    assert found == text + "\n[Service]\nSuccessExitStatus=143\n" * added
