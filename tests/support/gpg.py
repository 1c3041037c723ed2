# SPDX-License-Identifier: LGPL-2.1-or-later
"""gpg as a user has it: secret keys of every kind, and the messages that they sign."""

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from atomic_sys.model.digest import Digest

MANIFEST = json.dumps({
    "schemaVersion": 2,
    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "config": {
        "mediaType": "application/vnd.docker.container.image.v1+json",
        "size": 2,
        "digest": "sha256:" + "11" * 32,
    },
    "layers": [],
}).encode()  # fmt: skip
NAME = "example.com/ns/repo:1"
LONG_AGO = "20200201T000000"


def payload(name: str = NAME, digest: str = str(Digest.of(MANIFEST)), **more: Any) -> bytes:
    critical = {
        "type": "atomic container signature",
        "image": {"docker-manifest-digest": digest},
        "identity": {"docker-reference": name},
    }
    return json.dumps({"critical": critical, "optional": {}} | more).encode()


@dataclass
class Gpg:
    """A user with secret keys, and the public keys and messages that they give away."""

    home: Path
    fingerprints: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        argv = ["gpg", f"--homedir={self.home}", "--batch", "--yes", "--quiet"]
        argv += ["--passphrase=", "--pinentry-mode=loopback", *arguments]
        done = subprocess.run(argv, input=stdin, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
        return done.stdout

    def make_key(self, name: str, *options: str, usage: str = "sign", expires: str = "0") -> str:
        user = f"{name.capitalize()} <{name}@example.com>"
        algorithm = "rsa2048" if name == "rsa" else "ed25519"
        self.run(*options, "--quick-gen-key", user, algorithm, usage, expires)
        lines = self.run("--with-colons", "--list-keys", user).decode().splitlines()
        self.fingerprints[name] = next(
            line.split(":")[9] for line in lines if line.startswith("fpr")
        )
        return self.fingerprints[name]

    def public(self, *names: str) -> bytes:
        return self.run("--export", *(self.fingerprints[name] for name in names))

    def sign(self, name: str, *options: str, content: bytes | None = None) -> bytes:
        signed = payload() if content is None else content
        user = self.fingerprints[name]
        return self.run("--local-user", user, *options, "--sign", stdin=signed)


@contextlib.contextmanager
def new_home() -> Iterator[Path]:
    """An empty home, whose agent ends with it.

    It is in /tmp wherever other temporary files are: the agent's socket lies in it, and the name of
    a socket has 108 bytes (unix(7)).
    """
    with tempfile.TemporaryDirectory(prefix="gpg-", dir="/tmp") as home:
        try:
            yield Path(home)
        finally:
            subprocess.run(["gpgconf", f"--homedir={home}", "--kill", "all"], check=True)


@contextlib.contextmanager
def users() -> Iterator[Gpg]:
    """Keys of every kind."""
    with new_home() as home:
        user = Gpg(home)
        for name in ("alice", "bob", "mallory", "rsa", "revoked"):
            user.make_key(name)
        veteran = "--faked-system-time=20200101T000000"
        user.make_key("old", veteran, expires="2021-01-01")
        user.make_key("veteran", veteran)
        team = user.make_key("team", usage="cert")
        user.run("--quick-add-key", team, "ed25519", "sign", "0")
        lapsed = user.make_key("lapsed", veteran, usage="cert")
        user.run(veteran, "--quick-add-key", lapsed, "ed25519", "sign", "2020-06-01")
        yield user


def revoke(gpg: Gpg) -> tuple[bytes, bytes]:
    """A good signature, and the key that was revoked afterwards."""
    message = gpg.sign("revoked")
    name = f"{gpg.fingerprints['revoked']}.rev"
    certificate = (gpg.home / "openpgp-revocs.d" / name).read_bytes()
    gpg.run("--import", stdin=certificate.replace(b":-----BEGIN", b"-----BEGIN"))
    return message, gpg.public("revoked")


def revoked_subkey(gpg: Gpg, name: str) -> bytes:
    """The public key with its first subkey revoked; the user goes on with it as it was."""
    with new_home() as home:
        other = Gpg(home, dict(gpg.fingerprints))
        other.run("--import", stdin=gpg.run("--export-secret-keys", gpg.fingerprints[name]))
        answers = b"key 1\nrevkey\ny\n0\n\ny\nsave\n"
        edit = ("--command-fd=0", "--no-tty", "--edit-key", gpg.fingerprints[name])
        other.run(*edit, stdin=answers)
        return other.public(name)
