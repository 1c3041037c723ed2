# SPDX-License-Identifier: LGPL-2.1-or-later
"""The trust verbs on a root with a signed image: what skopeo signs, we check; and the audit."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import images
from tests.support.gpg import Gpg, new_home

pytestmark = pytest.mark.conformance
FOREIGN = """{
   "default": [{"type": "reject"}],
   "transports": {
      "docker": {"a.example.com": [ {"type": "reject"} ]}
   }
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A root directory, and a home of gpg with the key of alice@example.com."""

    root: Path
    home: Path

    @property
    def policy(self) -> Path:
        return self.root / "etc/containers/policy.json"

    @property
    def registries_d(self) -> Path:
        return self.root / "etc/containers/registries.d"

    def run(self, argv: Sequence[str | Path], text: str | None = None) -> tuple[int, str, str]:
        done = subprocess.run(
            [*argv], capture_output=True, text=True, check=False, input=text or "",
            env=os.environ | {"GNUPGHOME": str(self.home)},
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    def atomic(self, *words: str | Path, code: int = 0) -> str:
        done = self.run([sys.executable, "-m", "atomic_sys", "--root", self.root, *words])
        assert done[0] == code, done
        return done[1] or done[2]

    def scopes(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.policy.read_text())["transports"]["docker"]
        return found

    def key_file(self) -> Path:
        path = self.root / "alice.gpg"
        path.write_text(self.run(["gpg", "--armor", "--export", "alice"])[1])
        return path


@pytest.fixture(scope="module")
def gpg_home() -> Iterator[Path]:
    with new_home() as home:
        Gpg(home).make_key("alice")
        yield home


@pytest.fixture
def site(tmp_path: Path, gpg_home: Path) -> Iterator[Site]:
    made = Site(root=tmp_path / "root", home=gpg_home)
    made.registries_d.mkdir(parents=True)
    made.policy.write_text(FOREIGN)
    yield made


def test_add_changes_one_place(site: Site) -> None:
    key = site.key_file()
    site.atomic("trust", "add", "-f", key, "-s", "https://sig.example.com/a", "b.example.com/q")
    added = site.scopes()["b.example.com/q"]
    assert added == [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/alice.gpg"}]
    before, _, after = FOREIGN.partition('"a.example.com": [ {"type": "reject"} ]')
    text = site.policy.read_text()
    assert text.startswith(before + '"a.example.com": [ {"type": "reject"} ], "b.example.com/q"')
    assert text.endswith(after)
    assert "https://sig.example.com/a" in (site.registries_d / "b.example.com-q.yaml").read_text()
    shown = site.atomic("trust", "show")
    assert "b.example.com/q                     signed alice@example.com" in shown
    assert "https://sig.example.com/a" in shown
    site.atomic("trust", "delete", "b.example.com/q")
    assert site.policy.read_text() == FOREIGN
    assert list(site.registries_d.iterdir()) == []


def test_keys_of_every_origin(site: Site) -> None:
    key = site.key_file()
    site.atomic("trust", "add", "-k", "alice@example.com", "b.example.com/ring")
    site.atomic("trust", "add", "-k", key, "b.example.com/file")
    site.atomic("trust", "add", "-f", key, "-f", key, "--require", "any", "b.example.com/any")
    site.atomic("trust", "add", "-f", key, "-k", key, "--require", "all", "b.example.com/all")
    site.atomic("trust", "add", "-t", "reject", "b.example.com/no")
    scopes = site.scopes()
    assert base64.b64decode(scopes["b.example.com/file"][0]["keyData"]) == key.read_bytes()
    assert scopes["b.example.com/any"] == [
        {"type": "signedBy", "keyType": "GPGKeys", "keyPaths": ["/alice.gpg", "/alice.gpg"]}
    ]
    assert [sorted(one) for one in scopes["b.example.com/all"]] == [
        ["keyPath", "keyType", "type"], ["keyData", "keyType", "type"]
    ]  # fmt: skip
    assert scopes["b.example.com/no"] == [{"type": "reject"}]
    answer = json.loads(site.atomic("trust", "show", "--json"))
    assert answer["b.example.com/ring"]["keys"] == ["alice@example.com"]
    assert answer["* (default)"]["keys"] is None


def test_a_host_without_a_policy_gets_one(site: Site) -> None:
    site.policy.unlink()
    site.atomic("trust", "show", code=6)
    site.atomic("trust", "add", "-t", "reject", "b.example.com")
    assert json.loads(site.policy.read_text())["default"] == [{"type": "reject"}]


def signed_directory(site: Site, reference: str) -> Path:
    """An image that skopeo wrote as `dir:`, signed by alice as this reference."""
    layout = images.layout(site.root / "layout")
    target = site.root / "image"
    code, _, error = site.run([
        "skopeo",
        "copy",
        "--insecure-policy",
        "-q",
        f"oci:{layout}",
        f"dir:{target}",
    ])
    assert code == 0, error
    _, shown, _ = site.run(["gpg", "--with-colons", "--fingerprint", "alice"])
    fingerprint = next(line.split(":")[9] for line in shown.splitlines() if line[:4] == "fpr:")
    code, _, error = site.run(
        ["skopeo", "standalone-sign", "-o", target / "signature-1", target / "manifest.json",
         reference, fingerprint],
    )  # fmt: skip
    assert code == 0, error
    return target


@pytest.mark.parametrize("name", ["b.example.com/q:1", "b.example.com/other:1"])
def test_check_agrees_with_skopeo(site: Site, name: str) -> None:
    image = signed_directory(site, "b.example.com/q:1")
    site.atomic("trust", "add", "-f", site.key_file(), "b.example.com")
    code = 0 if name == "b.example.com/q:1" else 6
    answer = json.loads(
        site.atomic("trust", "check", "--as", name, "--json", f"dir:{image}", code=code)
    )
    (requirement,) = answer["requirements"]
    (signature,) = requirement["signatures"]
    assert signature["accepted"] == answer["accepted"] == (code == 0)
    assert signature["identity"] == "b.example.com/q:1"
    text = site.atomic("trust", "check", "--as", name, f"dir:{image}", code=code)
    assert "alice@example.com" in text
    # skopeo judges a directory by its path, so the name goes into the policy
    exact = {"type": "exactReference", "dockerReference": name}
    (asked,) = site.scopes()["b.example.com"]
    policy = site.root / "skopeo.json"
    asked |= {"signedIdentity": exact, "keyPath": str(site.key_file())}
    policy.write_text(json.dumps({"default": [asked]}))
    judged, _, _ = site.run([
        "skopeo",
        "--policy",
        policy,
        "copy",
        "-q",
        f"dir:{image}",
        f"dir:{site.root}/out",
    ])
    assert (judged == 0) == (code == 0)


def test_check_needs_a_policy_and_an_image(site: Site) -> None:
    site.atomic("trust", "check", f"dir:{site.root}", code=1)
    site.policy.unlink()
    image = signed_directory(site, "b.example.com/q:1")
    assert "no trust policy" in site.atomic("trust", "check", f"dir:{image}", code=6)


def test_a_key_that_left_the_policy_is_seen_by_the_audit(site: Site) -> None:
    image = signed_directory(site, "b.example.com/q:1")
    for directory in ("usr/bin", "run", "usr/lib/systemd/system"):
        (site.root / directory).mkdir(parents=True, exist_ok=True)
    (site.root / "usr/bin/runc").symlink_to("/usr/sbin/runc")
    identity = {"type": "exactReference", "dockerReference": "b.example.com/q:1"}
    requirement = {"type": "signedBy", "keyType": "GPGKeys", "signedIdentity": identity,
                   "keyData": base64.b64encode(site.key_file().read_bytes()).decode()}  # fmt: skip
    policy = {"default": [{"type": "reject"}], "transports": {"dir": {"": [requirement]}}}
    site.policy.write_text(json.dumps(policy))
    site.atomic("install", "--system", "-n", "q", f"dir:{image}")
    assert "accepted" in site.atomic("trust", "audit")
    site.policy.write_text('{"default": [{"type": "reject"}]}')
    (one,) = json.loads(site.atomic("trust", "audit", "--json", code=6))
    assert (one["container"], one["accepted"]) == ("q", False)
    assert one["verdict"]["requirements"][0]["type"] == "reject"


def test_require_signed(site: Site) -> None:
    image = signed_directory(site, "b.example.com/q:1")
    site.policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    site.atomic("trust", "check", f"dir:{image}")
    said = site.atomic("--require-signed", "pull", f"dir:{image}", code=6)
    assert "asks for no signature" in said


def test_effective(site: Site) -> None:
    site.atomic("trust", "add", "-f", site.key_file(), "-s", "file:///srv/sigs", "b.example.com")
    text = site.atomic("trust", "show", "--effective", "b.example.com/q/r:1")
    for part in ("Scope: docker b.example.com", "b.example.com/q/r", "alice@example.com",
                 "file:///srv/sigs", "matchRepoDigestOrExact"):  # fmt: skip
        assert part in text
    answer = json.loads(site.atomic("trust", "show", "--json", "--effective", "other.org/x"))
    assert (answer["scope"], answer["requirements"][0]["type"]) == (None, "reject")
    assert site.atomic("trust", "show", "--raw") == site.policy.read_text()


def test_lint_exit_codes(site: Site) -> None:
    assert site.atomic("trust", "lint") == ""
    bad = site.root / "bad.json"
    bad.write_text(FOREIGN.replace("a.example.com", "nginx"))
    found = json.loads(site.atomic("trust", "lint", "--json", bad, code=1))
    assert any("docker.io/library/nginx" in one["message"] for one in found)
    bad.write_text("{")
    site.atomic("trust", "lint", bad, code=1)
