# SPDX-License-Identifier: LGPL-2.1-or-later
"""An installation that fails leaves nothing: rejected, or broken, or something is in its way."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from atomic_sys.errors import ExitCode
from tests.conformance.offline import (
    ACCEPT,
    CHECKOUTS,
    NAME,
    Atomic,
    seen,
    write_policy,
)
from tests.support import images, layers
from tests.support.fake_registry import FakeRegistry, Reply

pytestmark = pytest.mark.conformance


@pytest.fixture
def registry(root: Path) -> Iterator[FakeRegistry]:
    """A registry with the image `hello`."""
    content = images.members()
    image = images.make(content)
    with FakeRegistry() as registry:
        place = "/v2/team/hello"
        manifest = Reply(
            headers={"Content-Type": "application/vnd.oci.image.manifest.v1+json"},
            body=image.raw_manifest,
        )
        registry.replies = {
            "/v2/": Reply(body=b"{}"),
            f"{place}/manifests/latest": manifest,
            f"{place}/manifests/{image.digest}": manifest,
            f"{place}/blobs/{image.config_digest}": Reply(body=image.config),
            f"{place}/blobs/{image.layers[0]}": Reply(body=layers.archive(content)),
        }
        (root / "etc/containers/registries.conf").write_text(
            f'[[registry]]\nlocation = "{registry.host}"\ninsecure = true\n'
        )
        yield registry


def blobs(registry: FakeRegistry) -> list[str]:
    return [path for path, _ in registry.requests if "/blobs/" in path]


def test_a_rejected_image_is_not_even_fetched(
    root: Path, registry: FakeRegistry, atomic: Atomic
) -> None:
    before = seen(root)
    code, out, err = atomic("install", f"{registry.host}/team/hello")
    assert (code, out) == (ExitCode.REJECTED, "")
    assert "hello" in err
    assert [path for path, _ in registry.requests if "/manifests/" in path]
    assert blobs(registry) == []
    assert seen(root) == before
    assert atomic("images", "list", "-q") == (0, "", "")


def test_an_image_of_the_store_is_judged_again(
    root: Path, registry: FakeRegistry, atomic: Atomic
) -> None:
    write_policy(root, {"docker": {registry.host: [ACCEPT]}})
    reference = f"{registry.host}/team/hello"
    assert atomic("install", reference)[0] == 0
    assert len(blobs(registry)) == 2
    assert atomic("install", reference, "--name", "second")[0] != 0  # the same host files
    asked = len(registry.requests)
    assert atomic("uninstall", NAME)[0] == 0
    write_policy(root, {})
    before = seen(root)
    for source in (reference, f"ostree:{reference}"):
        assert atomic("install", source)[0] == ExitCode.REJECTED
    assert seen(root) == before
    assert len(registry.requests) == asked


def test_a_policy_that_is_named_counts(root: Path, hello: str, atomic: Atomic) -> None:
    own = root.parent / "own.json"
    own.write_text('{"default": [{"type": "reject"}]}')
    assert atomic(f"--policy={own}", "install", hello)[0] == ExitCode.REJECTED
    (root / "etc/containers/policy.json").unlink()
    before = seen(root)
    assert atomic("install", hello)[0] == ExitCode.REJECTED
    assert seen(root) == before


BROKEN = {
    "template": ({"service.template": b"[Unit\n"}, "service"),
    "config": ({"config.json.template": b"{"}, "config.json"),
    "value": ({"config.json.template": images.CONFIG.replace(b"$GREETING", b"$VAR")},
              "still contains an unreplaced value for: ''VAR''"),
    "host file": ({"hostfs/etc/hello.conf": b"$VAR"},
                  "still contains an unreplaced value for: ''VAR''"),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_image_leaves_nothing(what: str, root: Path, atomic: Atomic) -> None:
    changes, message = BROKEN[what]
    content = images.members(images.EXPORTS | changes)
    source = images.layout(root.parent / "hello", content)
    before = seen(root)
    code, _, err = atomic("install", f"oci:{source}")
    assert code not in (0, ExitCode.USAGE)
    assert message in err
    assert seen(root) == before


def _occupy_unit(root: Path) -> None:
    (root / f"etc/systemd/system/{NAME}.service").write_text("[Unit]\n")


def _occupy_tmpfiles(root: Path) -> None:
    (root / f"etc/tmpfiles.d/{NAME}.conf").write_text("")


def _occupy_link(root: Path) -> None:
    (root / CHECKOUTS / NAME).mkdir()


def _break_host_directory(root: Path) -> None:
    (root / "usr/local/bin").rmdir()
    (root / "usr/local/bin").write_text("a file")


def _no_runtime(root: Path) -> None:
    (root / "usr/bin/runc").unlink()


@pytest.mark.parametrize(
    "obstacle", [_occupy_unit, _occupy_tmpfiles, _occupy_link, _break_host_directory, _no_runtime]
)
def test_a_conflict_leaves_nothing(
    obstacle: Callable[[Path], None], root: Path, hello: str, atomic: Atomic
) -> None:
    obstacle(root)
    before = seen(root)
    code, _, err = atomic("install", hello)
    assert code == ExitCode.FAILED
    assert err.startswith("atomic: installing hello: ")
    assert seen(root) == before


def test_layers_that_do_not_fit_together_leave_nothing(root: Path, atomic: Atomic) -> None:
    first = images.make(images.members())
    source = root.parent / "hello"
    layers.write_layout(source, first, [b"not the layer"])
    before = seen(root)
    code, _, err = atomic("install", f"oci:{source}")
    assert code != 0
    assert "fetching layer" in err or str(first.layers[0]) in err
    assert seen(root) == before
    assert atomic("images", "list", "-q") == (0, "", "")
