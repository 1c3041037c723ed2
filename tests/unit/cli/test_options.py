# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the verbs make of their options, before anything is opened."""

import os
from pathlib import Path

import pytest

from atomic_sys.__main__ import run
from atomic_sys.cli import containers_delete, images_delete, install
from atomic_sys.errors import ExitCode, UsageError
from atomic_sys.host import Host
from atomic_sys.verbs.install import Install, InstallResult


class Stop(UsageError):
    """Ends a verb where the test has seen enough."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Install]:
    """What `atomic install` asks for; nothing is installed."""
    requests: list[Install] = []

    def note(request: Install, _host: Host, _report: object) -> InstallResult:
        requests.append(request)
        raise Stop("seen")

    monkeypatch.setattr(install, "install", note)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return requests


@pytest.mark.parametrize(
    "line",
    [
        "--name web --set A=1 --set B=x=y etcd",
        "etcd --name=web --set=A=1 --set=B=x=y",
        "--set A=1 etcd --set B=x=y -n web",
        "-nweb --storage ostree etcd --set A=1 --set=B=x=y --system-package=no",
    ],
)
def test_options_may_stand_anywhere(line: str, asked: list[Install]) -> None:
    assert run(["install", *line.split()]) == ExitCode.USAGE
    (request,) = asked
    assert (request.image, request.name) == ("etcd", "web")
    assert request.values == {"A": "1", "B": "x=y"}
    assert (request.enable, request.start, request.dry_run) == (True, False, False)


def test_all_options_of_an_installation(asked: list[Install]) -> None:
    line = (
        "etcd --now --no-enable --display --runtime /usr/bin/crun --after a --after b.target"
        " --before c --requires d --wants e --lock-timeout 3"
    )
    run(["install", *line.split()])
    (request,) = asked
    assert (request.start, request.enable, request.dry_run) == (True, False, True)
    assert request.runtime == "/usr/bin/crun"
    assert request.rootfs is None
    drop_in = (
        "[Unit]\nAfter=a.service\nAfter=b.target\nBefore=c.service\nRequires=d.service\n"
        "Wants=e.service\n"
    )
    assert request.ordering.drop_in() == drop_in


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--user", "--user is not supported yet"),
        ("--user --system", "--system and --user exclude each other"),
        ("--rootfs=", "--rootfs: the path is empty"),
        ("--storage docker", "The storage backend 'docker' is not available."),
        ("--system-package maybe", "Invalid --system-package mode.  Accepted values: 'auto', "),
        ("--system-package=build", "--system-package=build: no packages are built"),
        ("--set A", "A"),
        ("--lock-timeout -1", "invalid seconds value"),
        ("--lock-timeout inf", "--lock-timeout"),
        ("another", "another"),
    ],
)
def test_what_install_cannot_do_is_usage(
    options: str, message: str, asked: list[Install], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["install", "etcd", *options.split()]) == ExitCode.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert not asked


def test_only_root_installs(
    asked: list[Install], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert run(["install", "etcd"]) == ExitCode.USAGE
    assert capsys.readouterr().err == "atomic: Only root can use --system\n"
    assert not asked


def test_values_come_from_a_file_and_set_wins(asked: list[Install], tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_text("A: text\nB: 0755\nC: yes\nD: 1.10\nE: ''\nF:\nG: 2026-99-99\nH: 12:30\n")
    run(["install", "etcd", "--values", str(path), "--set", "A=other"])
    assert asked[0].values == {
        "A": "other", "B": "0755", "C": "yes", "D": "1.10", "E": "", "F": "", "G": "2026-99-99",
        "H": "12:30",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [1, 2]", "'a' is not a name with one value"),
        (b"a: {b: c}", "'a' is not a name with one value"),
        (b"- a", "is not a mapping of names to values"),
        (b"", "is not a mapping of names to values"),
        (b"a: [", "invalid YAML"),
        (b"a: !!python/object/apply:os.system [true]", "'a' is not a name with one value"),
        (b"\xff\xfe\xff", "invalid YAML"),
        (b"a: " + b"[" * 100_000, "invalid YAML"),
        (b"a: &x [*x]", "invalid YAML"),
        (b"? [a, b]\n: c", "invalid YAML"),
        (b"a: " + b"x" * (1 << 20), "1048576"),
    ],
    ids=range(11),
)
def test_bad_files_of_values(
    content: bytes, message: str, asked: list[Install], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = tmp_path / "values.yaml"
    path.write_bytes(content)
    assert run(["install", "etcd", "--values", str(path)]) in (ExitCode.USAGE, ExitCode.FAILED)
    err = capsys.readouterr().err
    assert message in err
    assert err.startswith("atomic: ")
    assert not asked


def test_a_file_of_values_that_is_not_there(
    asked: list[Install], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["install", "etcd", "--values", "/none/at/all"]) == ExitCode.FAILED
    assert capsys.readouterr().err == "atomic: /none/at/all: No such file or directory\n"
    assert not asked


@pytest.mark.parametrize("verb", ["containers list", "images list"])
@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("nonsense=1", "The filter nonsense is not valid.  Please choose from ["),
        ("name", "The filter name is not formatted correctly.  It should be VAR=VALUE"),
        ("=x", "The filter =x is not formatted correctly."),
    ],
)
def test_bad_filters(
    verb: str, wanted: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*verb.split(), "--filter", wanted]) == ExitCode.USAGE
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["containers", "images"])
@pytest.mark.parametrize(
    "line", ["", "--all", "x --all", "--all --storage=docker", "--storage docker x"]
)
def test_deletions_that_say_too_little_or_too_much(
    verb: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Nobody:
        def isatty(self) -> bool:
            return False

    monkeypatch.setattr("sys.stdin", Nobody())
    for module in (containers_delete, images_delete):
        monkeypatch.setattr(module, "open_host", _not_reached)
    assert run([verb, "delete", *line.split()]) == ExitCode.USAGE


def _not_reached(*_: object, **__: object) -> None:
    pytest.fail("it was opened")


@pytest.mark.parametrize(
    ("typed", "path"),
    [("/srv/x", "/srv/x"), ("//srv/./x/", "/srv/x"), ("x", f"{os.getcwd()}/x")],
)
def test_the_directory_of_rootfs(typed: str, path: str, asked: list[Install]) -> None:
    run(["install", "--rootfs", typed, "etcd"])
    assert asked[0].rootfs == path


def test_a_directory_in_another_root_is_absolute(
    asked: list[Install], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--root", str(tmp_path), "install", "--rootfs=x", "etcd"]) == ExitCode.USAGE
    assert "--rootfs x: not an absolute path" in capsys.readouterr().err
    assert asked == []
