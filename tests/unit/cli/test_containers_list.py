# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic containers list`: what it shows of broken containers, and what it does not load."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from atomic_sys.__main__ import run
from atomic_sys.errors import ExitCode
from tests.unit.engine.hosts import deploy, make_root

# Of the libraries and rooms that other verbs need, and of the standard library what takes long.
HEAVY = {
    "cryptography", "gi", "gnupg", "hashlib", "jinja2", "pydbus", "random", "requests", "rich",
    "secrets", "shutil", "yaml", "zstandard",
    *(f"atomic_sys.{room}" for room in ("image", "render", "store", "trust")),
}  # fmt: skip
LOADED = """
import sys
before = set(sys.modules)
from atomic_sys.__main__ import run
code = run(sys.argv[1:])
print(*sorted(sys.modules.keys() - before), file=sys.stderr)
sys.exit(code)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = make_root(tmp_path)
    for name in ("etcd", "flannel"):
        deployment = deploy(root, name)
        (deployment / "config.json").write_text(
            json.dumps({"process": {"args": [f"/usr/bin/{name}", "--verbose"]}})
        )
    return root


def listed(root: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, object]]:
    assert run(["--root", str(root), "containers", "list", "--all", "--json"]) == ExitCode.DONE
    return {row["name"]: row for row in json.loads(capsys.readouterr().out)}


def test_it_loads_no_more_than_it_needs(root: Path) -> None:
    argv = [sys.executable, "-c", LOADED, "--root", str(root), "containers", "list", "--all"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert "flannel" in done.stdout
    loaded = set(done.stderr.split())
    assert "atomic_sys.verbs.containers" in loaded
    assert loaded & HEAVY == set()


def test_one_that_is_broken_hides_no_other(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deployments = root / "var/lib/containers/atomic"
    (deployments / "etcd.0/info").write_text("{")
    (deployments / "flannel.0/config.json").unlink()
    (deployments / "flannel.0/config.json").mkdir()
    rows = listed(root, capsys)
    assert "invalid JSON" in str(rows["etcd"]["problem"])
    assert rows["etcd"]["command"] == "/usr/bin/etcd --verbose"
    assert (rows["flannel"]["problem"], rows["flannel"]["command"]) == (None, "")


def test_help_is_as_wide_as_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    widths = {}
    for columns in ("40", "120", "0", "wide"):
        monkeypatch.setenv("COLUMNS", columns)
        with pytest.raises(SystemExit):
            run(["containers", "list", "--help"])
        widths[columns] = max(map(len, capsys.readouterr().out.splitlines()))
    assert widths["40"] < widths["wide"] <= 78 < widths["120"] <= 118
    assert widths["0"] == widths["wide"]
