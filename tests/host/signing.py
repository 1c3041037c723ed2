# SPDX-License-Identifier: LGPL-2.1-or-later
"""A vendor for tests: a real OpenPGP key, simple signatures, and a host that trusts them alone.

Promised: the key lives in a directory of its own, never in the user's keyring, and its agent ends
with it; signatures are what containers-signature(5) describes, made by gpg; the host gets a
policy.json that rejects everything but what this vendor signed, a lookaside
(containers-registries.d(5)) and a registries.conf for a registry without TLS.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.host.host import Host
from tests.host.process import ENVIRONMENT, HostError, run
from tests.host.registry import Registry, Security
from tests.support.gpg import new_home

LOOKASIDE = "/var/lib/test-lookaside"
KEY = "/etc/pki/containers/vendor.gpg"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """Who signs: `home` is the key's GNUPGHOME, `fingerprint` that of its primary key."""

    name: str
    home: Path
    fingerprint: str

    def sign(self, reference: str, digest: str) -> bytes:
        """A simple signature that says `digest` is `reference` (containers-signature(5))."""
        return self.sign_payload({
            "critical": {
                "type": "atomic container signature",
                "image": {"docker-manifest-digest": digest},
                "identity": {"docker-reference": reference},
            },
            "optional": {"creator": "atomic-sys tests"},
        })

    def sign_payload(self, payload: object) -> bytes:
        """An OpenPGP signed message of `payload` as JSON, whatever it says."""
        signed = self.home / "signed"
        signed.unlink(missing_ok=True)
        self._gpg(
            ["--local-user", self.fingerprint, "--output", signed, "--sign"],
            input=json.dumps(payload),
        )
        return signed.read_bytes()

    def public_key(self) -> str:
        """The public key, in ASCII armour."""
        return self._gpg(["--armor", "--export", self.fingerprint])

    def _gpg(self, words: list[str | Path], input: str | None = None) -> str:  # noqa: A002 - as run
        argv = ["gpg", "--batch", "--quiet", "--no-tty", *words]
        environment = ENVIRONMENT | {"GNUPGHOME": str(self.home)}
        return run(argv, input=input, environment=environment).stdout


@contextmanager
def vendor(name: str = "Vendor <vendor@example.com>") -> Iterator[Vendor]:
    """A vendor with a fresh key without a passphrase; the key is gone afterwards."""
    with new_home() as home:
        environment = ENVIRONMENT | {"GNUPGHOME": str(home)}
        run(
            ["gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", name,
             "ed25519", "sign", "1d"],
            environment=environment,
        )  # fmt: skip
        listed = run(["gpg", "--batch", "--with-colons", "--list-keys"], environment=environment)
        prints = [line.split(":")[9] for line in listed.stdout.splitlines() if line[:4] == "fpr:"]
        if len(prints) != 1:
            raise HostError(f"expected one key of {name}, found {prints}")
        yield Vendor(name=name, home=home, fingerprint=prints[0])


def publish(host: Host, repository: str, digest: str, signature: bytes) -> None:
    """Puts a signature into the host's lookaside as the next one of REPOSITORY@digest.

    `repository` is the path without the registry (trust: lookaside addresses leave it out).
    """
    algorithm, _, digits = digest.partition(":")
    directory = host.path(f"{LOOKASIDE}/{repository}@{algorithm}={digits}")
    directory.mkdir(parents=True, exist_ok=True)
    number = 1 + sum(1 for _ in directory.glob("signature-*"))
    (directory / f"signature-{number}").write_bytes(signature)


def trust_only(host: Host, registry: Registry, signer: Vendor) -> None:
    """Makes the host reject every image but those of `registry` that `signer` signed."""
    host.write(KEY, signer.public_key())
    rule = {"type": "signedBy", "keyType": "GPGKeys", "keyPath": KEY}
    policy = {
        "default": [{"type": "reject"}],
        "transports": {"docker": {registry.location: [rule]}},
    }
    host.write("/etc/containers/policy.json", json.dumps(policy, indent=2) + "\n")
    lookaside = f"docker:\n  {registry.location}:\n    lookaside: file://{LOOKASIDE}\n"
    host.write(f"/etc/containers/registries.d/{registry.name}.yaml", lookaside)
    insecure = "true" if registry.security is Security.PLAIN else "false"
    host.write(
        "/etc/containers/registries.conf",
        f'[[registry]]\nlocation = "{registry.location}"\ninsecure = {insecure}\n',
    )
