# SPDX-License-Identifier: LGPL-2.1-or-later
"""The order of a plan's steps, and what an image's host files become."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from atomic_sys.engine.declared import RemoveState
from atomic_sys.engine.host_files import (
    HostFileConflict,
    HostFilePlan,
    missing_parents,
    plan_host_files,
)
from atomic_sys.engine.observe import Installed, NameState
from atomic_sys.engine.operations import InstallHostFile, MakeHostDirectory, Protect, Reload
from atomic_sys.engine.plan import Wanted, made_by_tmpfiles, plan_install, plan_uninstall
from atomic_sys.engine.prepare import Deployment, HostView, prepare
from atomic_sys.errors import AtomicSysError
from atomic_sys.model.names import ContainerName
from atomic_sys.paths import Paths
from atomic_sys.render.render import Rendered, render
from atomic_sys.store.repository import Mode, Repository
from atomic_sys.store.store import Store
from atomic_sys.store.view import Tree
from tests.support import images, layers
from tests.unit.engine.hosts import record
from tests.unit.render import shapes

PATHS = Paths()
ETCD = ContainerName.parse("etcd")
NOTHING = HostFilePlan(checksums={})


def free(*taken: str) -> Callable[[str], bool]:
    """Everything is free but these paths."""
    return lambda path: path not in taken


def wanted(rendered: Rendered, **changes: object) -> Wanted:
    plain: dict[str, object] = {
        "name": ETCD, "number": 0, "image": "etcd", "rendered": rendered,
        "host_files": NOTHING, "record": record(runtime="/usr/bin/runc"),
    }  # fmt: skip
    return Wanted(**(plain | changes))  # type: ignore[arg-type]  # keywords of a test


def test_an_installation_has_its_order() -> None:
    rendered = render(shapes.request(shapes.ETCD))
    host_files = HostFilePlan(
        checksums={}, operations=(InstallHostFile(path="/etc/a", content=b""),)
    )
    plan = plan_install(
        wanted(rendered, start=True, drop_in="[Unit]\n", host_files=host_files),
        PATHS,
        free("/var", "/var/lib", "/run"),
    )
    where = "/var/lib/containers/atomic"
    unit, tmpfiles = str(rendered.unit), str(rendered.tmpfiles)
    config, info = len(rendered.config), len(record(runtime="/usr/bin/runc").to_json())
    assert [step.describe() for step in plan] == [
        f"make the directory {where}/etcd.0",
        f"check out etcd to {where}/etcd.0/rootfs",
        f"write {where}/etcd.0/config.json ({config} bytes)",
        f"write {where}/etcd.0/etcd.service ({len(unit)} bytes)",
        f"write {where}/etcd.0/tmpfiles-etcd.conf ({len(tmpfiles)} bytes)",
        f"write {where}/etcd.0/info ({info} bytes)",
        f"sync the file system of {where}/etcd.0",
        "install the host file /etc/a",
        f"write /etc/systemd/system/etcd.service ({len(unit)} bytes)",
        f"write /etc/tmpfiles.d/etcd.conf ({len(tmpfiles)} bytes)",
        "write /etc/systemd/system/etcd.service.d/50-atomic-sys.conf (7 bytes)",
        f"point {where}/etcd to {where}/etcd.0",
        "enable etcd.service",
        "reload systemd",
        "create what /etc/tmpfiles.d/etcd.conf lists",
        f"protect {where}/etcd.0/rootfs by a read-only mount",
        "start etcd.service and wait until it is active",
    ]


def test_files_elsewhere_are_linked_to_and_not_checked_out() -> None:
    rendered = render(shapes.request(shapes.ETCD))
    plan = plan_install(wanted(rendered, rootfs="/srv/etcd"), PATHS, free())
    said = [step.describe() for step in plan]
    about = [line for line in said if "rootfs" in line or "/srv/etcd" in line]
    assert about == ["point /var/lib/containers/atomic/etcd.0/rootfs to /srv/etcd"]


def test_not_enabled_still_reloads_and_does_not_start() -> None:
    plan = plan_install(
        wanted(render(shapes.request(shapes.HELLO, user_values={"RECEIVER": "x"})), enable=False),
        PATHS, free(),
    )  # fmt: skip
    assert [type(step) for step in plan[-2:]] == [Reload, Protect]
    assert not any("enable" in step.describe() for step in plan)


def test_host_files_alone_need_no_unit() -> None:
    files = shapes.NET_SNMP | {"manifest.json": b'{"noContainerService": true}'}
    plan = plan_install(
        wanted(render(shapes.request(files)), start=True, drop_in="x"), PATHS, free()
    )
    said = "\n".join(step.describe() for step in plan)
    assert not any(word in said for word in ("check out", ".service", "reload", "start"))


def test_secret_values_are_for_root_alone() -> None:
    files = shapes.ETCD | {
        "manifest.json": b'{"values": {"ETCD_NAME": {"secret": true}},'
        b' "defaultValues": {"ETCD_NAME": "x", "ADDTL_MOUNTS": ""}}'
    }
    rendered = render(shapes.request(files))
    plan = plan_install(wanted(rendered), PATHS, free())
    modes = {getattr(step, "name", ""): getattr(step, "mode", None) for step in plan}
    assert (modes["config.json"], modes["info"]) == (0o600, 0o600)
    assert modes["etcd.service"] == 0o644


def installed(name: ContainerName = ETCD, **changes: object) -> Installed:
    return Installed(
        name=name, deployment=f"/x/{name}.0", preinstalled=False, record=record(**changes)
    )


def there(found: Installed, *deployments: int, files: bool = False) -> NameState:
    """What occupies the name: its deployments, and with `files` tmpfiles and a drop-in too."""
    return NameState(
        name=found.name,
        installed=found,
        deployments=deployments,
        taken=deployments,
        unit_exists=True,
        vendor_unit_exists=False,
        tmpfiles_exist=files,
        drop_in_exists=files,
    )


def test_an_uninstallation_has_its_order() -> None:
    found = installed(
        host_files={"/etc/a": "1", "/usr/b": "0"}, host_directories=("/srv/a", "/srv/a/b"),
        runtime="/usr/bin/crun",
    )  # fmt: skip
    purged = [RemoveState(base="/srv", path="a/b/data")]
    plan = plan_uninstall(found, there(found, 0, 1, files=True), PATHS, purged)
    assert [step.describe() for step in plan] == [
        "stop etcd.service",
        "disable etcd.service",
        "remove /etc/systemd/system/etcd.service",
        "remove /etc/systemd/system/etcd.service.d/50-atomic-sys.conf",
        "remove /etc/systemd/system/etcd.service.d if it is empty",
        "reload systemd",
        "remove what /etc/tmpfiles.d/etcd.conf lists for removal",
        "remove /etc/tmpfiles.d/etcd.conf",
        "remove the state /srv/a/b/data",
        "remove /etc/a",
        "remove /usr/b",
        "remove /srv/a/b if it is empty",
        "remove /srv/a if it is empty",
        "remove /var/lib/containers/atomic/etcd.0",
        "remove /var/lib/containers/atomic/etcd.1",
        "remove /var/lib/containers/atomic/.state/etcd.json",
        "remove /var/lib/containers/atomic/etcd",
    ]


def test_a_container_without_record_is_uninstalled_as_a_service() -> None:
    broken = Installed(name=ETCD, deployment="/x", preinstalled=False, record=None)
    plan = plan_uninstall(broken, there(broken), PATHS)
    assert [step.describe() for step in plan][:3] == [
        "stop etcd.service", "disable etcd.service", "remove /etc/systemd/system/etcd.service",
    ]  # fmt: skip
    no_service = installed(has_service=False)
    silent = plan_uninstall(no_service, there(no_service, 0), PATHS)
    said = "\n".join(step.describe() for step in silent)
    assert ".service" not in said
    assert "tmpfiles.d" not in said


@pytest.mark.parametrize(
    ("paths", "missing"),
    [
        ([], ()),
        (["/a/b/c"], ("/a", "/a/b")),
        (["/a/b/c/", "/a/d"], ("/a", "/a/b", "/a/b/c")),
        (["/there/x", "/there/y/z"], ("/there/y",)),
        (["/top"], ()),
    ],
)
def test_missing_parents(paths: list[str], missing: tuple[str, ...]) -> None:
    assert missing_parents(paths, free("/there")) == missing


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("d /run/x 0700 - - - -\n", ("/run/x",)),
        ("d /run/x/y\nf /run/x/y/z\n", ("/run/x", "/run/x/y", "/run/x/y/z")),
        ("r /run/x\nR /run/y\n# d /run/z\n", ()),
        ("D /run/[ab]*\nd /run/%m\n", ()),
        ("d /run\n", ()),
        ("d '/run/a b'\nd \"/run/open\n", ("/run/a b",)),
        ("d! /run/x/\n", ("/run/x",)),
    ],
)
def test_made_by_tmpfiles(text: str, made: tuple[str, ...]) -> None:
    assert made_by_tmpfiles(text, free("/run")) == made


HOST = [
    layers.directory("exports/hostfs/srv/empty", mode=0o750),
    layers.symlink("exports/hostfs/usr/local/bin/hi", "hello"),
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    here = os.open(tmp_path, os.O_RDONLY)
    opened = Store(Repository.create(here, "repo", Mode.BARE_USER), timeout=0)
    yield opened
    opened.close()
    os.close(here)


def prepared(
    store: Store, content: list[layers.Member], values: dict[str, str]
) -> tuple[Rendered, Tree]:
    """The image, put into the store, and what is rendered of it."""
    store.import_layer(layers.layer_import(content), layers.stream(content))
    image = store.put_image(images.make(content))
    request = shapes.request({})
    deployment = Deployment(name=ETCD, directory="/x/etcd.0", user_values=values)
    tree = store.tree(image)
    view = HostView(host=request.host, templates=request.templates)
    return prepare(deployment, image, tree, store, view), tree


def test_host_files_are_planned_with_their_content(store: Store) -> None:
    rendered, tree = prepared(store, [*images.members(), *HOST], {"GREETING": "hallo"})
    taken = free("/etc", "/usr", "/usr/local")
    plan = plan_host_files(rendered, tree, (), taken)
    files = {step.path: step for step in plan.operations if isinstance(step, InstallHostFile)}
    assert files["/etc/hello.conf"].content == b"greeting=hallo\n"
    assert files["/usr/local/bin/hi"].target == "hello"
    assert MakeHostDirectory(path="/srv/empty") in plan.operations
    assert plan.checksums == {
        "/etc/hello.conf": hashlib.sha256(b"greeting=hallo\n").hexdigest(),
        "/usr/local/bin/hello": hashlib.sha256(b"#!/bin/sh\necho host\n").hexdigest(),
        "/usr/local/bin/hi": "0",
    }
    assert plan.directories == ("/usr/local/bin", "/srv", "/srv/empty")


def test_a_file_that_is_there_stays_and_is_not_ours(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    rendered, tree = prepared(store, [*images.members(), *HOST], {})
    everything = {"/etc/hello.conf", "/usr/local/bin/hello", "/usr/local/bin/hi", "/srv/empty"}
    plan = plan_host_files(rendered, tree, (), free(*everything))
    assert (plan.operations, plan.checksums, plan.directories) == ((), {}, ())
    assert {item.path for item in plan.items} == everything - {"/srv/empty"}
    said = capsys.readouterr().err.splitlines()
    assert said == [f"warning: File {path} already exists" for path in sorted(everything)[:1]] + [
        "warning: File /usr/local/bin/hello already exists",
        "warning: File /usr/local/bin/hi already exists",
    ]


def test_a_file_of_another_container_is_an_error(store: Store) -> None:
    rendered, tree = prepared(store, images.members(), {})
    other = installed(ContainerName.parse("other"), host_files={"/etc/hello.conf": "1"})
    broken = Installed(name=ETCD, deployment="/x", preinstalled=False, record=None)
    with pytest.raises(HostFileConflict, match="belongs to the container other"):
        plan_host_files(rendered, tree, (broken, other), free())


def test_a_value_that_a_host_file_lacks_is_an_error(store: Store) -> None:
    files = images.EXPORTS | {"hostfs/etc/hello.conf": b"$NOBODY\n"}
    rendered, tree = prepared(store, images.members(files), {})
    with pytest.raises(AtomicSysError, match="still contains an unreplaced value for: ''NOBODY''"):
        plan_host_files(rendered, tree, (), free())
