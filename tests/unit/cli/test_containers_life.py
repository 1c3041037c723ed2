# SPDX-License-Identifier: LGPL-2.1-or-later
"""What commands for containers say when there is nothing to do, or nothing that can be done."""

import json
from pathlib import Path

import pytest

from atomic_sys.__main__ import run
from atomic_sys.errors import ExitCode, UsageError
from atomic_sys.verbs.chosen_values import changed_values
from tests.unit.engine.hosts import deploy, make_root, record

CHECKOUTS = "/var/lib/containers/atomic"
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = make_root(tmp_path)
    deploy(root, "etcd", info=record(signers=("vendor",)).to_json())
    deploy(root, "flannel")
    return root


def atomic(root: Path, *words: str) -> int:
    return run(["--root", str(root), *words])


def test_what_is_there_already_is_told_with_its_digest(root: Path, capsys: Captured) -> None:
    assert atomic(root, "install", "--json", "etcd") == ExitCode.DONE
    said = json.loads(capsys.readouterr().out)
    assert (said["changed"], said["digest"]) == (False, "sha256:" + "1" * 64)
    assert said["signers"] == ["vendor"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), ""),
        (("--now",), "etcd.service will start at boot\n"),
        (("--now", "--dry-run"), ""),
    ],
)
def test_what_is_there_already_is_started(
    options: tuple[str, ...], said: str, root: Path, capsys: Captured
) -> None:
    assert atomic(root, "install", "etcd", *options) == ExitCode.DONE
    out, err = capsys.readouterr()
    assert out == "etcd already present\n"
    assert err == said


def test_the_json_of_an_update_has_what_came_of_each(root: Path, capsys: Captured) -> None:
    state = root / f"{CHECKOUTS[1:]}/.state"
    state.mkdir()
    (state / "etcd.json").write_text('{"held": true}')
    assert atomic(root, "containers", "update", "--json", "etcd", "flannel") == ExitCode.FAILED
    out, err = capsys.readouterr()
    (row,) = json.loads(out)
    assert (row["name"], row["status"], row["reason"]) == ("etcd", "Unknown", "etcd is held")
    assert (row["changed"], row["before"], row["after"]) == (False, "1" * 64, "1" * 64)
    assert "atomic: updating etcd: etcd is held\n" in err
    assert atomic(root, "containers", "update", "--json", "nope") == ExitCode.NOT_FOUND
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize("info", [None, b"{"])
@pytest.mark.parametrize("repair", [(), ("--repair",)])
def test_without_its_record_nothing_is_as_it_was_installed(
    info: bytes | None, repair: tuple[str, ...], root: Path, capsys: Captured
) -> None:
    path = root / f"{CHECKOUTS[1:]}/etcd.0/info"
    path.unlink()
    if info is not None:
        path.write_bytes(info)
    assert atomic(root, "containers", "verify", "etcd", *repair) == ExitCode.DAMAGED
    out, err = capsys.readouterr()
    assert out == f"etcd: changed or missing: {CHECKOUTS}/etcd.0/info\n"
    assert "update it" not in err
    (root / f"{CHECKOUTS[1:]}/flannel").unlink()  # its files were never checked out
    assert atomic(root, "fsck", *repair) == ExitCode.DAMAGED
    out, _ = capsys.readouterr()
    assert out.startswith(f"{CHECKOUTS}/etcd.0/info")
    assert "1 problem\n" in out


def test_a_damaged_state_says_what_is_lost_without_it(root: Path, capsys: Captured) -> None:
    state = root / f"{CHECKOUTS[1:]}/.state/etcd.json"
    state.parent.mkdir()
    state.write_text("{")
    assert atomic(root, "containers", "hold", "etcd") == ExitCode.FAILED
    hint = "hint: without that file etcd is not held, and no image has failed: remove it\n"
    assert capsys.readouterr().err.endswith(hint)
    state.unlink()
    assert atomic(root, "containers", "hold", "etcd") == ExitCode.DONE


def test_what_cannot_be_unset_is_told_with_what_can() -> None:
    with pytest.raises(UsageError, match="C was never set") as caught:
        changed_values({"B": "1", "A": "2"}, {}, ["C"])
    assert caught.value.hint == "set are A, B"
    with pytest.raises(UsageError) as caught:
        changed_values({}, {"C": "1"}, ["C"])
    assert caught.value.hint == "no value is set"
