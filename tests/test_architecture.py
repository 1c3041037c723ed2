# SPDX-License-Identifier: LGPL-2.1-or-later
"""The floors of the house: imports point down, pure rooms touch nothing, and there is no circle."""

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "atomic_sys"
FLOOR = {
    "errors": 0, "frozen": 0, "log": 1,
    "model": 2, "fs": 2,
    "paths": 3, "image": 3, "trust": 3, "store": 3, "render": 3, "systemd": 3,
    "host": 4, "engine": 4,
    "verbs": 5,
    "cli": 6,
    "__main__": 7,
}  # fmt: skip
EFFECTS = {
    "os", "socket", "subprocess", "ctypes", "tempfile", "shutil", "urllib", "http", "ssl",
    "requests",
}  # fmt: skip
PURE_ROOMS = {"model", "render"}
PURE_FILES = {
    "engine.declared",
    "engine.journal_format",
    "engine.kept_files",
    "engine.operations",
    "engine.rendered_files",
    "engine.report",
    "engine.state_rules",
    "engine.undo",
    "image.auth_file",
    "image.challenge",
    "image.short_names",
    "image.toml_fields",
    "image.warnings",
    "store.differences",
    "store.dirtree",
    "store.images",
    "store.layer_builder",
    "store.merge",
    "store.objects",
    "store.parts",
    "store.tree",
    "store.variant",
    "trust.attachments",
    "trust.certificates",
    "trust.docker_scopes",
    "trust.explain",
    "trust.fields",
    "trust.framing",
    "trust.gpg_status",
    "trust.identity",
    "trust.json_edit",
    "trust.judge",
    "trust.key_facts",
    "trust.key_sources",
    "trust.lint",
    "trust.lint_keys",
    "trust.lookaside",
    "trust.lookaside_edit",
    "trust.openpgp",
    "trust.payload",
    "trust.pem",
    "trust.policy",
    "trust.policy_edit",
    "trust.public_key",
    "trust.rekor",
    "trust.requirements",
    "trust.scopes",
    "trust.sigstore",
    "trust.sigstore_policy",
    "trust.subjects",
    "trust.verdict",
    "trust.verifier",
}
MAX_LINES = 300


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)


SOURCES = {module_name(p): p for p in sorted(PACKAGE.rglob("*.py")) if p.name != "__init__.py"}


def imports(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("name", SOURCES)
def test_imports_point_down(name: str) -> None:
    room = name.split(".")[1]
    for target in imports(SOURCES[name]):
        top, *rest = target.split(".")
        if top == "atomic_sys" and rest and rest[0] not in (room, "__version__"):
            assert FLOOR[rest[0]] < FLOOR[room], f"{name}: {room} may not import {target}"
        pure = room in PURE_ROOMS or name.removeprefix("atomic_sys.") in PURE_FILES
        assert not (pure and top in EFFECTS), f"{name} is pure, but imports {target}"


def test_no_circles() -> None:
    graph = {
        name: {m for t in imports(path) for m in (t, t.rpartition(".")[0]) if m in SOURCES}
        for name, path in SOURCES.items()
    }
    graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("name", SOURCES)
def test_modules_are_short(name: str) -> None:
    assert len(SOURCES[name].read_text().splitlines()) <= MAX_LINES


def test_package_markers_are_empty() -> None:
    for marker in PACKAGE.rglob("__init__.py"):
        if marker.parent != PACKAGE:
            assert marker.read_text() == "", marker
