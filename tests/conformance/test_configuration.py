# SPDX-License-Identifier: LGPL-2.1-or-later
"""/etc/atomic.conf and the whole command: where things are, and by which way images come."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from atomic_sys.__main__ import run
from tests.support import images
from tests.support.proxy import Proxy

pytestmark = pytest.mark.conformance
VARIABLES = ("ATOMIC_CONF", "ATOMIC_OSTREE_REPO", "ATOMIC_OSTREE_CHECKOUT_PATH", "RUNC_PATH")
PROXIES = ("http_proxy", "https_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """One without what the file may choose; the proxies of the file go into it."""
    before = dict(os.environ)
    for name in (*VARIABLES, *PROXIES, *map(str.upper, PROXIES)):
        os.environ.pop(name, None)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "etc/containers").mkdir(parents=True)
    policy = '{"default": [{"type": "insecureAcceptAnything"}]}'
    (root / "etc/containers/policy.json").write_text(policy)
    return root


def atomic(root: Path, *words: str) -> int:
    return run(["--root", str(root), *words])


def test_where_things_are(root: Path, tmp_path: Path) -> None:
    (root / "etc/atomic.conf").write_text(
        "ostree_repository: /srv/repo\ncheckout_path: /srv/containers\n"
    )
    assert atomic(root, "pull", f"oci:{images.layout(tmp_path / 'hello')}") == 0
    assert (root / "srv/repo/config").is_file()
    assert (root / "srv/containers").is_dir()
    assert not (root / "var").exists()


def test_the_environment_goes_before_the_file(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "etc/atomic.conf").write_text("ostree_repository: /srv/repo\n")
    monkeypatch.setenv("ATOMIC_OSTREE_REPO", "/other/repo")
    assert atomic(root, "pull", f"oci:{images.layout(tmp_path / 'hello')}") == 0
    assert (root / "other/repo/config").is_file()
    assert not (root / "srv").exists()


def test_the_proxy_of_the_file(root: Path) -> None:
    with Proxy(refuses=True) as proxy:
        (root / "etc/atomic.conf").write_text(f"https_proxy: http://{proxy.host}\n")
        assert atomic(root, "inspect", "docker://registry.example.com/a:1") == 1
        assert {target for _, target in proxy.targets} == {"registry.example.com:443"}


def test_the_proxy_of_the_environment_goes_before_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Proxy(refuses=True) as file, Proxy(refuses=True) as environment:
        (root / "etc/atomic.conf").write_text(f"https_proxy: http://{file.host}\n")
        monkeypatch.setenv("HTTPS_PROXY", f"http://{environment.host}")
        assert atomic(root, "inspect", "docker://registry.example.com/a:1") == 1
        assert (file.requests, bool(environment.requests)) == ([], True)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("checkout_path: here\n", "checkout_path: expected an absolute path, found 'here'"),
        ("runtime: [\n", "invalid YAML"),
    ],
)
def test_a_mistake_stops_every_command(
    root: Path, capsys: pytest.CaptureFixture[str], content: str, reason: str
) -> None:
    (root / "etc/atomic.conf").write_text(content)
    assert atomic(root, "images", "list") == 1
    error = capsys.readouterr().err
    assert error.startswith(f"atomic: {root}/etc/atomic.conf: ")
    assert reason in error
    assert error.count("\n") == 1


def test_another_file(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "etc/atomic.conf").write_text("invalid")
    (root / "mine.conf").write_text("ostree_repository: /mine\n")
    monkeypatch.setenv("ATOMIC_CONF", "/mine.conf")
    assert atomic(root, "pull", f"oci:{images.layout(tmp_path / 'hello')}") == 0
    assert (root / "mine/config").is_file()
    monkeypatch.setenv("ATOMIC_CONF", os.devnull)
    assert atomic(root, "images", "list", "--quiet") == 0
    (root / "a-directory").mkdir()
    monkeypatch.setenv("ATOMIC_CONF", "/a-directory")
    assert atomic(root, "images", "list") == 1
    assert "cannot read" in capsys.readouterr().err
