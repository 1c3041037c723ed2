# SPDX-License-Identifier: LGPL-2.1-or-later
"""Host files from one deployment to another: by what is there, what was, and what is wanted."""

import hashlib

import pytest

from atomic_sys.engine import kept_files
from atomic_sys.engine.host_changes import HostLook, plan_host_changes
from atomic_sys.engine.host_files import HostFileConflict
from atomic_sys.engine.observe import Installed
from atomic_sys.engine.operations import InstallHostFile, RemoveFile, ReplaceFile
from atomic_sys.model.names import ContainerName
from atomic_sys.model.strict_json import InvalidJson
from tests.unit.engine.hosts import record


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


OLD, NEW, OWN = sha(b"old"), sha(b"new"), sha(b"own")
ITEM = InstallHostFile(path="/etc/a", content=b"new", mode=0o600)
REPLACED = ReplaceFile(path="/etc/a", content=b"new", mode=0o600, before=b"there")
BESIDE = ReplaceFile(path="/etc/a.atomic-new", content=b"new", mode=0o600, before=b"there")


@pytest.mark.parametrize(
    ("there", "recorded", "steps", "known"),
    [
        (None, None, (ITEM,), {"/etc/a": NEW}),
        (None, OLD, (ITEM,), {"/etc/a": NEW}),  # somebody removed it
        (OWN, None, (), {}),  # never ours
        (OLD, OLD, (REPLACED,), {"/etc/a": NEW}),
        (NEW, NEW, (), {"/etc/a": NEW}),
        (NEW, OLD, (), {"/etc/a": NEW}),  # somebody was faster
        (OWN, NEW, (), {"/etc/a": NEW}),  # the default is the same: nothing to tell
        (OWN, OLD, (BESIDE,), {"/etc/a": NEW, "/etc/a.atomic-new": NEW}),
    ],
)
def test_a_file(
    there: str | None, recorded: str | None, steps: tuple[object, ...], known: dict[str, str]
) -> None:
    old = record(host_files={} if recorded is None else {"/etc/a": recorded})
    look = HostLook(
        checksum=lambda path: there if path == "/etc/a" else None, read=lambda _path: b"there"
    )
    plan = plan_host_changes([ITEM], (), old, (), look)
    assert plan.operations == (
        steps if known or recorded is None else (*steps, RemoveFile(path="/etc/a", sha256=recorded))
    )
    assert plan.checksums == known
    assert plan.items == (ITEM,)


def test_links_directories_and_what_goes() -> None:
    link = InstallHostFile(path="/usr/b", target="a")
    old = record(
        host_files={"/usr/b": "0", "/etc/gone": OLD, "/etc/a.atomic-new": OLD},
        host_directories=("/srv/x",),
    )
    here = {"/usr/b": "0", "/usr": "0", "/srv": "0"}
    look = HostLook(checksum=here.get, read=lambda _path: b"")
    plan = plan_host_changes([link], ("/srv/y",), old, (), look)
    said = [step.describe() for step in plan.operations]
    assert said == ["replace /usr/b", "remove /etc/gone", "remove /etc/a.atomic-new",
                    "make the host directory /srv/y"]  # fmt: skip
    assert plan.directories == ("/srv/x", "/srv/y")


def test_a_file_of_another_container_is_an_error() -> None:
    other = Installed(
        name=ContainerName.parse("other"), deployment="/x", preinstalled=False,
        record=record(host_files={"/etc/a": "1"}),
    )  # fmt: skip
    look = HostLook(checksum=lambda _path: None, read=lambda _path: b"")
    with pytest.raises(HostFileConflict, match="belongs to the container other"):
        plan_host_changes([ITEM], (), record(), (other,), look)


def test_copies_are_what_they_were() -> None:
    link = InstallHostFile(path="/usr/b", target="a", mode=0o777)
    same = InstallHostFile(path="/etc/c", content=b"new")
    written = kept_files.keep((ITEM, link, same), "/d")
    copies = {step.name: step.content for step in written}
    assert len(copies) == 2  # equal files have one copy
    listed = copies.pop(kept_files.LIST_NAME)
    assert kept_files.kept(listed, copies.get, "it") == (ITEM, link, same)
    assert kept_files.keep((), "/d") == ()
    with pytest.raises(InvalidJson, match="the copy of /etc/a is missing or damaged"):
        kept_files.kept(listed, lambda _name: None, "it")
    with pytest.raises(InvalidJson, match="missing or damaged"):
        kept_files.kept(listed, lambda _name: b"other", "it")
