# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of copies share: the command in a root of its own, skopeo, and a signing key."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atomic_sys.model.digest import Digest
from tests.support.places import call

ACCEPT = {"default": [{"type": "insecureAcceptAnything"}]}


def run(*argv: str | Path, stdin: bytes = b"") -> bytes:
    done = subprocess.run(argv, input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@dataclass(frozen=True)
class Root:
    """A root directory with a policy, in which the command works."""

    path: Path

    def __post_init__(self) -> None:
        (self.path / "etc/containers/registries.d").mkdir(parents=True)
        self.policy(ACCEPT)

    def policy(self, policy: dict[str, Any]) -> Path:
        path = self.path / "etc/containers/policy.json"
        path.write_text(json.dumps(policy))
        return path

    def insecure(self, host: str) -> None:
        text = f'[[registry]]\nlocation = "{host}"\ninsecure = true\n'
        (self.path / "etc/containers/registries.conf").write_text(text)

    def skopeo(self, source: str, target: str, *options: str) -> bool:
        """Whether skopeo accepts and copies it, by the same policy and the same registries.d."""
        etc = self.path / "etc/containers"
        done = subprocess.run(
            ["skopeo", f"--policy={etc}/policy.json", f"--registries.d={etc}/registries.d", "copy",
             "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false",
             *options, source, target],
            capture_output=True, check=False, text=True,
        )  # fmt: skip
        assert done.returncode == 0 or "Source image rejected" in done.stderr, done.stderr
        return done.returncode == 0

    def atomic(self, *argv: str | Path, status: int = 0) -> str:
        """Run it; gives what it said, stdout first.

        The policy is named, so that its keys are files of this machine, as skopeo takes them.
        """
        policy = self.path / "etc/containers/policy.json"
        code, out, talk = call([
            str(word) for word in ("--root", self.path, "--policy", policy, *argv)
        ])
        assert code == status, out + talk
        return out + talk


def content(directory: Path) -> dict[str, bytes]:
    """The files of a `dir:`; what skopeo writes into `version` is its own affair."""
    files = {path.name: path.read_bytes() for path in directory.iterdir()}
    assert files.pop("version").startswith(b"Directory Transport Version: 1.")
    return files


@dataclass(frozen=True)
class Signer:
    """A key, in a home of gpg."""

    home: Path

    def run(self, *argv: str, stdin: bytes = b"") -> bytes:
        options = (f"--homedir={self.home}", "--batch", "--quiet", "--no-tty")
        return run("gpg", *options, "--passphrase=", "--pinentry-mode=loopback", *argv, stdin=stdin)

    def make(self) -> None:
        self.run("--quick-gen-key", "Vendor <vendor@example.com>", "ed25519", "sign", "1d")
        (self.home / "key.gpg").write_bytes(self.run("--export"))

    def sign(self, name: str, digest: Digest, **optional: str) -> bytes:
        critical = {
            "type": "atomic container signature",
            "image": {"docker-manifest-digest": str(digest)},
            "identity": {"docker-reference": name},
        }
        payload = {"critical": critical, "optional": optional}
        return self.run("--sign", stdin=json.dumps(payload).encode())

    def policy(self, name: str) -> dict[str, Any]:
        """What is signed by this key under this name, from wherever it comes; all else is not."""
        requirement = {
            "type": "signedBy",
            "keyType": "GPGKeys",
            "keyPath": str(self.home / "key.gpg"),
            "signedIdentity": {"type": "exactReference", "dockerReference": name},
        }
        return {"default": [requirement]}
