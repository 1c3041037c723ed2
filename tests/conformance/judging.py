# SPDX-License-Identifier: LGPL-2.1-or-later
"""One image and one policy before two judges: skopeo and us."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from atomic_sys.errors import AtomicSysError
from atomic_sys.model.digest import Digest
from atomic_sys.trust.files import load_policy, read_key_file
from atomic_sys.trust.gpg import GpgVerifier
from atomic_sys.trust.judge import ImageUnderJudgement, judge
from atomic_sys.trust.policy import InvalidPolicy
from atomic_sys.trust.scopes import path_identity, select
from atomic_sys.trust.signatures import read_directory_signatures
from tests.support.gpg import MANIFEST

INSTALLED = ("skopeo",)
_OUTCOMES = {
    "Source image rejected": "rejected",
    "reading signatures": "rejected",
    "loading trust policy": "invalid",
    "11" * 32: "accepted",  # the configuration blob, which no image here has
}


def unsigned(directory: Path) -> Path:
    """A `dir:` image of MANIFEST, which nothing is known of but its manifest."""
    directory.mkdir()
    (directory / "manifest.json").write_bytes(MANIFEST)
    (directory / "version").write_text("Directory Transport Version: 1.1\n")
    return directory


def signed(directory: Path, signatures: Sequence[bytes]) -> Path:
    """The same with these signatures."""
    unsigned(directory)
    for number, signature in enumerate(signatures, start=1):
        (directory / f"signature-{number}").write_bytes(signature)
    return directory


def skopeo(policy: Path, image: Path, scratch: Path, program: Sequence[str] = INSTALLED) -> str:
    """`accepted`, `rejected`, or `invalid` for a policy that cannot be read."""
    argv = [*program, f"--policy={policy}", "copy", f"dir:{image}", f"dir:{scratch}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    for text, outcome in _OUTCOMES.items():
        if text in done.stderr:
            return outcome
    raise AssertionError(done.stderr)


def ours(policy: Path, image: Path) -> str:
    """The same of us."""
    try:
        selection = select(load_policy([str(policy)]).policy, path_identity("dir", str(image)))
        digest = Digest.of((image / "manifest.json").read_bytes())
        under_judgement = ImageUnderJudgement(
            identity=path_identity("dir", str(image)),
            manifest_digest=digest,
            signatures=read_directory_signatures(str(image), digest),
        )
    except InvalidPolicy:
        return "invalid"
    except AtomicSysError:
        return "rejected"
    verdict = judge(selection, under_judgement, read_key_file, GpgVerifier())
    return "accepted" if verdict.accepted else "rejected"
