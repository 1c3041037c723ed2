# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic trust show`, `check`, `audit` and `lint`, and what a rejected image says."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atomic_sys.__main__ import run
from atomic_sys.errors import ExitCode
from atomic_sys.model.digest import Digest
from atomic_sys.trust.framing import frame
from tests.support import images
from tests.support.gpg import MANIFEST
from tests.support.sigstore import attach, authority, new_key, payload, public_pem

KEY = new_key()
NAME = "a.example/ns/repo:1"
OPEN, REJECT = [{"type": "insecureAcceptAnything"}], [{"type": "reject"}]
REPOSITORY = {"type": "matchRepository"}
SIGNED = {"type": "sigstoreSigned", "keyPath": "/key.pub", "signedIdentity": REPOSITORY}
Atomic = Callable[..., tuple[str, str]]


@pytest.fixture
def atomic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Atomic:
    for name in ("CONTAINERS_POLICY_JSON", "TRUST_POLICY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "key.pub").write_bytes(public_pem(KEY))
    (tmp_path / "etc/containers/registries.d").mkdir(parents=True)

    def call(*argv: str, code: ExitCode = ExitCode.DONE) -> tuple[str, str]:
        capsys.readouterr()
        status = run(["--root", str(tmp_path), *argv])
        out, err = capsys.readouterr()
        assert status == code, err
        return out, err

    return call


def write(root: Path, default: list[Any], **transports: dict[str, list[Any]]) -> None:
    path = root / "etc/containers/policy.json"
    path.write_text(json.dumps({"default": default, "transports": transports}))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A `dir:` copy with a signature for NAME."""
    directory = tmp_path / "image"
    directory.mkdir()
    (directory / "manifest.json").write_bytes(MANIFEST)
    (directory / "version").write_text("Directory Transport Version: 1.1\n")
    signed = attach(payload(Digest.of(MANIFEST), NAME), KEY)
    (directory / "signature-1").write_bytes(frame(signed))
    return directory


def test_check_as(atomic: Atomic, tmp_path: Path, image: Path) -> None:
    write(tmp_path, REJECT, docker={"a.example/ns": [SIGNED]}, dir={"": REJECT})
    out, _ = atomic("trust", "check", "--as", NAME, "--json", f"dir:{image}")
    verdict = json.loads(out)
    ((requirement,), reason) = verdict.pop("requirements"), "signed by"
    assert verdict == {
        "image": f"dir:{image}",
        "reference": NAME,
        "digest": str(Digest.of(MANIFEST)),
        "accepted": True,
        "policy": f"{tmp_path}/etc/containers/policy.json",
        "transport": "docker",
        "scope": "a.example/ns",
    }
    assert requirement["reason"].startswith(reason)
    (signature,) = requirement["signatures"]
    assert (signature["source"], signature["identity"]) == (f"{image}/signature-1", NAME)
    assert [signature["signer"]] == requirement["keys"]
    assert [signature["user"]] == requirement["owners"] == ["/key.pub"]
    out, _ = atomic("trust", "check", "--as", f"docker://{NAME}", f"dir:{image}")
    assert "Verdict: accepted" in out
    assert f"Key: {signature['signer']}, in /key.pub" in out
    out, _ = atomic("trust", "check", "--as=b.example/x", f"dir:{image}", code=ExitCode.REJECTED)
    assert "the default of the transport dir" in out


def test_check_as_keeps_the_transport_that_the_policy_names(
    atomic: Atomic, tmp_path: Path, image: Path
) -> None:
    write(tmp_path, REJECT, dir={str(image): [SIGNED]})
    out, _ = atomic("trust", "check", "--json", "--as", NAME, f"dir:{image}")
    assert (json.loads(out)["transport"], json.loads(out)["reference"]) == ("dir", NAME)
    out, _ = atomic("trust", "check", f"dir:{image}", code=ExitCode.REJECTED)
    assert "which does not fit an image without a name" in out


def test_check_says_which_key_is_missing(atomic: Atomic, tmp_path: Path, image: Path) -> None:
    write(tmp_path, [SIGNED | {"keyPath": "/gone"}])
    out, _ = atomic("trust", "check", f"dir:{image}", code=ExitCode.REJECTED)
    assert "Key: /gone (cannot read the key file /gone: No such file or directory)" in out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["dir:/none"], ExitCode.FAILED),
        (["--as", NAME], ExitCode.USAGE),
        (["--as", "dir:/x", "dir:/x"], ExitCode.USAGE),
        (["ostree:none"], ExitCode.NOT_FOUND),
    ],
)
def test_what_cannot_be_judged(
    atomic: Atomic, tmp_path: Path, words: list[str], code: ExitCode
) -> None:
    write(tmp_path, OPEN)
    atomic("trust", "check", *words, code=code)


def test_layouts_have_the_signatures_of_their_name(atomic: Atomic, tmp_path: Path) -> None:
    """Sigstore's are looked up in the layout; simple ones where those of the name are stored."""
    layout = images.layout(tmp_path / "layout")
    write(tmp_path, REJECT, docker={"a.example": OPEN})
    (tmp_path / "etc/containers/registries.d/x.yaml").write_text(
        f"default-docker: {{lookaside: 'file://{tmp_path}/sigs'}}"
    )
    atomic("trust", "check", "--as", NAME, f"oci:{layout}:latest")
    atomic("trust", "check", f"oci:{layout}:latest", code=ExitCode.REJECTED)
    digest = json.loads((layout / "index.json").read_bytes())["manifests"][0]["digest"]
    store = tmp_path / "sigs/ns" / f"repo@sha256={digest.removeprefix('sha256:')}"
    store.mkdir(parents=True)
    (store / "signature-1").write_text("no signature")
    _, err = atomic("trust", "check", "--as", NAME, f"oci:{layout}:latest", code=ExitCode.FAILED)
    assert "is not a binary OpenPGP message" in err


def test_require_signed(atomic: Atomic, tmp_path: Path, image: Path) -> None:
    write(tmp_path, OPEN)
    atomic("trust", "check", f"dir:{image}")
    words = ("--require-signed", "trust", "check", f"dir:{image}")
    out, _ = atomic(*words, code=ExitCode.REJECTED)
    assert "--require-signed: rejected: the policy asks for no signature of this image" in out
    atomic("--require-signed", "pull", f"dir:{image}", code=ExitCode.REJECTED)
    write(tmp_path, [SIGNED | {"signedIdentity": {
        "type": "exactReference", "dockerReference": NAME
    }}])  # fmt: skip
    atomic(*words)


def test_a_rejection_fits_five_lines(atomic: Atomic, tmp_path: Path, image: Path) -> None:
    write(tmp_path, [SIGNED])
    _, err = atomic("install", f"dir:{image}", code=ExitCode.REJECTED)
    first, wanted, signature, hint = err.splitlines()
    assert first.startswith(f"atomic: installing image: dir:{image} is rejected by {tmp_path}")
    assert wanted.startswith("  sigstoreSigned wants a signature of /key.pub (sha256:")
    assert signature.startswith(f"  {image}/signature-1: signed as {NAME}, which does not fit")
    assert hint.startswith(f"hint: atomic trust check dir:{image} shows each signature")


def test_audit(atomic: Atomic, tmp_path: Path) -> None:
    layout = images.layout(tmp_path / "layout")
    write(tmp_path, OPEN)
    runtime = ("--runtime", "/bin/true")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/true").symlink_to("/bin/true")
    assert atomic("trust", "audit") == ("", "")
    atomic("install", *runtime, "--name", "one", f"oci:{layout}:latest")
    assert "one         accepted" in atomic("trust", "check")[0]
    write(tmp_path, REJECT)
    out, _ = atomic("trust", "audit", "--json", code=ExitCode.REJECTED)
    (found,) = json.loads(out)
    assert (found["container"], found["accepted"]) == ("one", False)
    assert found["reason"] == "reject: everything is rejected here"
    assert found["verdict"]["accepted"] is False
    write(tmp_path, REJECT, oci={str(layout): OPEN})
    atomic("trust", "audit")
    name = "layout:latest"
    atomic("images", "delete", "-f", name)
    out, _ = atomic("trust", "audit", code=ExitCode.FAILED)
    assert "one         unknown" in out
    assert "any more" in out


def test_audit_remembers_what_an_image_was(atomic: Atomic, tmp_path: Path) -> None:
    """The same image under another name: its own source decides, and not the other one's."""
    layout, other = images.layout(tmp_path / "layout"), images.layout(tmp_path / "other")
    write(tmp_path, OPEN)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/true").symlink_to("/bin/true")
    atomic("install", "--runtime", "/bin/true", "--name", "one", f"oci:{layout}:latest")
    atomic("pull", f"oci:{other}:latest")
    write(tmp_path, REJECT, oci={str(other): OPEN})
    atomic("trust", "audit", code=ExitCode.REJECTED)
    atomic("images", "delete", "-f", "layout:latest")
    atomic("trust", "audit", code=ExitCode.REJECTED)
    (tmp_path / "var/lib/containers/atomic/one.0/info").write_text("broken")
    out, _ = atomic("trust", "audit", code=ExitCode.FAILED)
    assert "one         unknown" in out


def test_show(atomic: Atomic, tmp_path: Path) -> None:
    both = [SIGNED, {"type": "reject"}]
    gone = {"type": "sigstoreSigned", "keyPaths": ["/key.pub", "/gone"]}
    base = {"type": "signedBaseLayer", "baseLayerIdentity": {"type": "matchExact"}}
    write(
        tmp_path, OPEN,
        docker={"a.example/ns": both, "b.example": [gone], "": [base]}, dir={"/x": OPEN},
    )  # fmt: skip
    out, _ = atomic("trust", "show")
    lines = [line.split() for line in out.splitlines()]
    assert out.splitlines()[0] == f"{'* (default)':<35} {'accept':<6}"
    words = {line[0]: line[1] for line in lines[1:]}
    assert words == {
        "a.example/ns": "reject", "b.example": "signed", "dir:/x": "accept", "docker:": "reject"
    }  # fmt: skip
    assert len([line for line in lines if line[0] == "a.example/ns"]) == 2
    shown = json.loads(atomic("trust", "show", "-j")[0])
    assert shown["* (default)"]["keys"] is None
    assert shown["a.example/ns"]["type"] == "reject"
    assert shown["a.example/ns"]["sigstore"] == "file:///var/lib/containers/sigstore"
    assert shown["b.example"]["keys"][1] == "/gone"
    assert shown["b.example"]["keys"][0].startswith("sha256:")
    assert (
        atomic("trust", "show", "--raw")[0] == (tmp_path / "etc/containers/policy.json").read_text()
    )
    atomic("trust", "show", "--raw", "--json", code=ExitCode.USAGE)


def test_show_effective(atomic: Atomic, tmp_path: Path) -> None:
    write(tmp_path, REJECT, docker={"a.example/ns": [SIGNED], "*.example": REJECT, "": OPEN})
    file = tmp_path / "etc/containers/registries.d/x.yaml"
    file.write_text("docker: {a.example: {lookaside: 'https://s', use-sigstore-attachments: true}}")
    out, _ = atomic("trust", "show", "--effective", NAME)
    assert "Scope: docker a.example/ns\n" in out
    assert f"Not there: {NAME}, a.example/ns/repo\n" in out
    assert 'Less specific: *.example, ""\n' in out
    assert "Identity: matchRepository\n" in out
    assert ", in /key.pub\n" in out
    assert f"Lookaside: https://s ({file})\n" in out
    assert "Staging: none: it can only be read\n" in out
    assert "Attachments: read\n" in out
    shown = json.loads(atomic("trust", "show", "--json", "--effective", NAME)[0])
    assert shown["not_in_policy"] == [NAME, "a.example/ns/repo"]
    assert shown["less_specific"] == ["*.example", ""]
    assert shown["requirements"][0]["identity"] == {"type": "matchRepository"}
    assert shown["signatures"] == {
        "lookaside": "https://s",
        "source": str(file),
        "staging": None,
        "use_sigstore_attachments": True,
    }
    out, _ = atomic("trust", "show", "--effective", "other.org/x")
    assert "Scope: docker (all of it)\n" in out
    assert "(the built-in default)\n" in out
    layout = images.layout(tmp_path / "layout")
    out, _ = atomic("trust", "show", "--effective", f"oci:{layout}:latest")
    assert "Scope: the policy's default\n" in out
    assert "Lookaside" not in out
    atomic("trust", "show", "--effective", "ostree:none", code=ExitCode.NOT_FOUND)


def test_show_certificates(atomic: Atomic, tmp_path: Path) -> None:
    made = authority("an authority")
    (tmp_path / "ca.pem").write_bytes(made.pem)
    pki = {"caRootsPath": "/ca.pem", "caIntermediatesPath": "/key.pub", "subjectEmail": "me@x"}
    fulcio = {"caPath": "/ca.pem", "oidcIssuer": "https://i", "subjectEmail": "you@x"}
    write(
        tmp_path,
        [
            {"type": "sigstoreSigned", "pki": pki},
            {"type": "sigstoreSigned", "fulcio": fulcio, "rekorPublicKeyPath": "/ca.pem"},
        ],
    )
    found = json.loads(atomic("trust", "show", "--json")[0])["* (default)"]["requirements"]
    first, second = (one["keys"] for one in found)
    assert [key["source"] for key in first] == ["/ca.pem", "/key.pub", "pki"]
    assert "an authority" in first[0]["owner"]
    assert first[0]["expires"] is not None
    assert "something else than certificates" in first[1]["flaw"]
    assert [key["owner"] for key in second][1:] == ["you@x", None]
    assert "not a public key" in second[2]["flaw"]


def test_lint(atomic: Atomic, tmp_path: Path) -> None:
    write(tmp_path, REJECT, docker={"a.example": [SIGNED]})
    out, _ = atomic("trust", "lint", code=ExitCode.FAILED)
    assert out.startswith("error: docker: a.example: sigstore signatures are never read")
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"default": OPEN}))
    (found,) = json.loads(atomic("trust", "lint", "--json", str(other), code=ExitCode.FAILED)[0])
    assert (found["rule"], found["severity"]) == ("open-default", "error")
    other.write_text(json.dumps({"default": REJECT, "transports": {"oci": {"": OPEN}}}))
    assert "warning: oci: all of the transport: " in atomic("trust", "lint", str(other))[0]
    other.write_text("{")
    (tmp_path / "etc/containers/registries.d/x.yaml").write_text("[")
    found = json.loads(atomic("trust", "lint", "--json", str(other), code=ExitCode.FAILED)[0])
    assert [one["rule"] for one in found] == ["invalid-registries.d", "invalid-policy"]
