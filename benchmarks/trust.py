# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a verdict costs: a decision without signatures, and one signature beside gpg itself.

Each figure is the median of many runs in one process: `python -m benchmarks.trust`.
"""

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from atomic_sys.model.digest import Digest
from atomic_sys.model.reference import DockerReference
from atomic_sys.trust.files import load_policy, read_key_file
from atomic_sys.trust.framing import SignatureBlob, SimpleSignature
from atomic_sys.trust.gpg import GpgVerifier
from atomic_sys.trust.judge import ImageUnderJudgement, judge
from atomic_sys.trust.payload import PayloadType, build
from atomic_sys.trust.scopes import docker_identity, select
from atomic_sys.trust.signing_key import generate, load

NAME = "registry.example.com/system/etcd:3.4"
DIGEST = Digest.of(b"manifest")
SCOPES = 200  # a policy larger than most
DECISION_BAR = 5.0  # ms


def milliseconds(work: Callable[[], object], runs: int) -> float:
    """The median time of one run, after one that does not count."""
    work()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def gpg(home: str, *arguments: str, stdin: bytes = b"") -> bytes:
    """What gpg answers with a home of its own."""
    argv = ["gpg", f"--homedir={home}", "--batch", "--quiet", "--no-options", *arguments]
    return subprocess.run(argv, input=stdin, capture_output=True, check=True).stdout


def decide(policy: Path, *signatures: SignatureBlob) -> bool:
    """Read the policy and judge by it, as `pull` does."""
    identity = docker_identity(DockerReference.parse(NAME))
    selection = select(load_policy([str(policy)]).policy, identity)
    image = ImageUnderJudgement(identity=identity, manifest_digest=DIGEST, signatures=signatures)
    return judge(selection, image, read_key_file, GpgVerifier()).accepted


def write_policy(path: Path, requirement: dict[str, str]) -> Path:
    """A policy of many scopes, the requirement being for our image."""
    scopes = {f"r{number}.example.com/a/b": [{"type": "reject"}] for number in range(SCOPES)}
    scopes["registry.example.com"] = [requirement]
    document = {"default": [{"type": "reject"}], "transports": {"docker": scopes}}
    path.write_text(json.dumps(document))
    return path


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory(prefix="gpg-") as home:
        top = Path(home)
        user = "a@example.com"
        gpg(home, "--passphrase=", "--quick-gen-key", user, "ed25519", "sign", "0")
        (top / "key.gpg").write_bytes(gpg(home, "--export", user))
        content = build(PayloadType.SIMPLE, DIGEST, NAME, "benchmark")
        message = gpg(home, "--sign", stdin=content)
        pair = generate(b"")
        (top / "key.pub").write_bytes(pair.public)
        attached = load(pair.private, b"", "key").sign(
            build(PayloadType.SIGSTORE, DIGEST, NAME, "benchmark")
        )
        subprocess.run(["gpgconf", f"--homedir={home}", "--kill", "all"], check=True)
        with tempfile.TemporaryDirectory(prefix="gpg-") as other:
            gpg(other, "--import", str(top / "key.gpg"))
            with GpgVerifier().keyring(((top / "key.gpg").read_bytes(),)) as keyring:
                # In turn, so that a load that comes and goes hits both.
                pairs = [
                    (
                        milliseconds(lambda: gpg(other, "--decrypt", stdin=message), 1),
                        milliseconds(lambda: keyring.verify(message), 1),
                    )
                    for _ in range(30)
                ]
            alone, ours = (statistics.median(column) for column in zip(*pairs, strict=True))

        opened = write_policy(top / "open.json", {"type": "insecureAcceptAnything"})
        by_gpg = write_policy(
            top / "gpg.json",
            {"type": "signedBy", "keyType": "GPGKeys", "keyPath": f"{top}/key.gpg"},
        )
        by_key = write_policy(
            top / "key.json", {"type": "sigstoreSigned", "keyPath": f"{top}/key.pub"}
        )
        simple = SimpleSignature(source="s", message=message)
        # A verdict that rejects is quick, and would be no measure of anything.
        for policy, signatures in ((opened, ()), (by_gpg, (simple,)), (by_key, (attached,))):
            if not decide(policy, *signatures):
                raise SystemExit(f"{policy.name} does not accept what it should")
        rows = (
            (f"decision, no signatures, {SCOPES} scopes", milliseconds(lambda: decide(opened), 50)),
            (
                "decision, one sigstore signature",
                milliseconds(lambda: decide(by_key, attached), 50),
            ),
            ("decision, one simple signature", milliseconds(lambda: decide(by_gpg, simple), 20)),
            ("one verification by gpg alone", alone),
            ("one verification by us", ours),
        )
    for what, figure in rows:
        print(f"{what:<44}{figure:8.2f} ms")
    print(f"{'bar for a decision without signatures':<44}{DECISION_BAR:8.2f} ms")
    print(f"{'ours to gpg alone':<44}{ours / alone:8.2f}")
    print(f"{'load of the machine':<44}{os.getloadavg()[0]:8.2f}")


if __name__ == "__main__":
    main()
