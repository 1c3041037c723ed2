# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic update`: what a name is decides; and the verbs that an unknown one may have meant."""

import argparse
from pathlib import Path

import pytest

from atomic_sys.__main__ import run
from atomic_sys.cli import containers_update, images_update
from atomic_sys.errors import ExitCode
from tests.unit.engine.hosts import deploy, make_root


@pytest.fixture
def updated(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[str, ...]]]:
    """What was updated: which kind, and the names."""
    done: list[tuple[str, tuple[str, ...]]] = []

    def containers(arguments: argparse.Namespace, _options: object) -> ExitCode:
        done.append(("containers", tuple(arguments.names)))
        return ExitCode.DONE

    def images(arguments: argparse.Namespace, _options: object) -> ExitCode:
        done.append(("images", tuple(arguments.images)))
        return ExitCode.DONE

    monkeypatch.setattr(containers_update, "run", containers)
    monkeypatch.setattr(images_update, "run", images)
    return done


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = make_root(tmp_path)
    deploy(root, "etcd")
    deploy(root, "flannel")
    return root


Updated = list[tuple[str, tuple[str, ...]]]


@pytest.mark.parametrize(
    ("words", "kind", "names"),
    [
        (["etcd"], "containers", ("etcd",)),
        (["etcd", "flannel"], "containers", ("etcd", "flannel")),
        (["--set", "A=b", "etcd"], "containers", ("etcd",)),
        (["etc"], "images", ("etc",)),
        (["etcd:latest"], "images", ("etcd:latest",)),
        (["--force", "docker.io/library/etcd"], "images", ("docker.io/library/etcd",)),
        (["--all", "--storage=ostree"], "images", ()),
        ([], "images", ()),  # which says what is missing
    ],
)
def test_what_a_name_is_decides(
    words: list[str], kind: str, names: tuple[str, ...], root: Path, updated: Updated
) -> None:
    assert run(["--root", str(root), "update", *words]) == ExitCode.DONE
    assert updated == [(kind, names)]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["etcd", "busybox"], ExitCode.USAGE, "busybox is no container"),
        (["--rebase=x", "etc"], ExitCode.NOT_FOUND, "Unable to find the container etc"),
        (["--all", "--set=A=b"], ExitCode.USAGE, "--all updates images"),
        (["--all", "--dry-run"], ExitCode.USAGE, "--all updates images"),
    ],
)
def test_what_it_cannot_be(
    words: list[str],
    code: ExitCode,
    message: str,
    root: Path,
    updated: Updated,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["--root", str(root), "update", *words]) == code
    assert message in capsys.readouterr().err
    assert updated == []


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("unistall", "did you mean atomic uninstall or atomic install?"),
        ("imges", "did you mean atomic images?"),
        ("containers lits", "did you mean atomic containers list?"),
        ("containers updte", "did you mean atomic containers update?"),
        ("exec", "did you mean atomic containers exec?"),
        ("rollback", "did you mean atomic containers rollback?"),
        ("prune", "did you mean atomic images prune?"),
        ("containers install", "did you mean atomic install?"),
        ("zzz", "Try 'atomic --help' for more information."),
        ("trust zzz", "Try 'atomic trust --help' for more information."),
    ],
)
def test_an_unknown_verb(words: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words.split()) == ExitCode.USAGE
    out, err = capsys.readouterr()
    word = words.split()[-1]
    assert (out, err) == ("", f"atomic: unknown verb {word!r}\nhint: {meant}\n")
