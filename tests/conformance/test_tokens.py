# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real docker-registry behind TLS and a token server; skopeo has the same auth.json."""

import io
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from atomic_sys.__main__ import run as atomic
from atomic_sys.image.auth import Access, AccessDenied
from atomic_sys.image.auth_file import parse_option
from atomic_sys.image.auth_store import save
from atomic_sys.image.certificates import Certificates
from atomic_sys.image.credentials import CredentialLookup
from atomic_sys.image.http import Http, Request
from atomic_sys.image.registries_conf import Registries
from atomic_sys.image.registry import RegistryOrigin
from atomic_sys.image.registry_client import RegistryClient
from atomic_sys.image.resolve import resolve
from atomic_sys.image.tls import Tls
from atomic_sys.model.platform import Platform
from atomic_sys.model.reference import ImageName
from atomic_sys.model.source import RegistrySource
from tests.support import images, layers
from tests.support.fake_registry import make_certificate
from tests.support.registry import docker_registry
from tests.support.token_server import PASSWORD, REFRESH_TOKEN, USER, Asked, TokenServer

pytestmark = pytest.mark.conformance
HERE = Platform(os="linux", architecture="amd64")
LOGIN = f"{USER}:{PASSWORD}"
LEEWAY = 60  # seconds after the end of a token in which docker-registry takes it all the same


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The registry, who guards it, and two images in it: public/hello and private/hello."""

    host: str
    tokens: TokenServer
    http: Http
    authority: Path
    content: list[bytes]  # manifest, config and layers as skopeo gets them

    def origin(self, name: str, credentials: CredentialLookup | None = None) -> RegistryOrigin:
        source = RegistrySource(name=ImageName.parse(f"{self.host}/{name}"))
        return RegistryOrigin(self.http, source, Registries(), credentials)

    def accepts(self, token: str, path: str) -> bool:
        """Whether the registry still takes the token for `/v2/PATH`."""
        headers = {"Authorization": f"Bearer {token}"}
        request = Request(url=f"https://{self.host}/v2/{path}", headers=headers)
        with self.http.send(request) as response:
            return response.status == 200

    def asked(self) -> list[Asked]:
        """What was asked of the token server since the last time."""
        taken = list(self.tokens.asked)
        self.tokens.asked.clear()
        return taken


def skopeo(*argv: str | Path) -> bytes:
    done = subprocess.run(["skopeo", *argv], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def read_directory(directory: Path) -> list[bytes]:
    """The image that skopeo wrote as `dir:`."""
    manifest = (directory / "manifest.json").read_bytes()
    body = json.loads(manifest)
    digests = [blob["digest"] for blob in (body["config"], *body["layers"])]
    return [manifest, *((directory / d.partition(":")[2]).read_bytes() for d in digests)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("tokens")
    certificate = make_certificate(directory / "both.pem")
    authority = directory / "certs"
    authority.mkdir()
    crt = authority / "ca.crt"
    crt.write_bytes(certificate.with_suffix(".crt").read_bytes())
    layout = images.layout(directory / "hello", [*images.members(), layers.file("a", b"a" * 99)])
    with (
        TokenServer(directory, certificate) as tokens,
        docker_registry(directory, tokens, certificate=certificate) as host,
        Http(lambda _: Certificates(authorities=(str(crt),))) as http,
    ):
        for name in ("public/hello:1", "private/hello:1"):
            skopeo("copy", "-q", f"--dest-cert-dir={authority}", f"--dest-creds={LOGIN}",
                   f"oci:{layout}", f"docker://{host}/{name}")  # fmt: skip
        skopeo("copy", "-q", f"--src-cert-dir={authority}", f"--src-creds={LOGIN}",
               f"docker://{host}/private/hello:1", f"dir:{directory}/taken")  # fmt: skip
        tokens.asked.clear()
        yield World(host=host, tokens=tokens, http=http, authority=authority,
                    content=read_directory(directory / "taken"))  # fmt: skip


def everything(origin: RegistryOrigin) -> list[bytes]:
    """All bytes of the image."""
    image = resolve(origin, HERE)
    blobs = (image.manifest.config, *image.manifest.layers)
    return [image.raw.raw, *(b"".join(origin.blob(blob)) for blob in blobs)]


def given(text: str) -> CredentialLookup:
    return CredentialLookup({}, given=parse_option(text))


def test_everybody_pulls_what_is_public_with_one_token(world: World) -> None:
    assert everything(world.origin("public/hello:1")) == world.content
    (asked,) = world.asked()
    assert (asked.method, asked.user) == ("GET", None)
    assert asked.scopes == ("repository:public/hello:pull",)


def test_nobody_pulls_what_is_not(world: World) -> None:
    with pytest.raises(AccessDenied) as caught:
        everything(world.origin("private/hello:1"))
    assert caught.value.hint == f"atomic login {world.host}"


def test_a_password_opens_it(world: World) -> None:
    world.asked()
    assert everything(world.origin("private/hello:1", given(LOGIN))) == world.content
    assert {asked.user for asked in world.asked()} == {USER}
    with pytest.raises(AccessDenied, match="does not accept the credentials of tester"):
        everything(world.origin("private/hello:1", given(f"{USER}:wrong")))


def test_an_identity_token_is_posted(world: World, tmp_path: Path) -> None:
    file = tmp_path / "auth.json"
    file.write_text(json.dumps({"auths": {world.host: {"identitytoken": REFRESH_TOKEN,
                                                       "auth": "dGVzdGVyOg=="}}}))  # fmt: skip
    world.asked()
    origin = world.origin("private/hello:1", CredentialLookup({}, named=str(file)))
    assert everything(origin) == world.content
    assert {asked.method for asked in world.asked()} == {"POST"}


def test_our_file_lets_skopeo_in(world: World, tmp_path: Path) -> None:
    file = tmp_path / "auth.json"
    save(str(file), f"{world.host}/private", parse_option(LOGIN), timeout=5)
    raw = skopeo("inspect", "--raw", f"--cert-dir={world.authority}", f"--authfile={file}",
                       f"docker://{world.host}/private/hello:1")  # fmt: skip
    assert raw == world.content[0]


def test_a_token_that_is_over_already_is_asked_for_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registry refuses a token whose time is up, whatever we believe of it."""
    monkeypatch.setattr(world.tokens, "life", -120)
    world.asked()
    with pytest.raises(AccessDenied):
        everything(world.origin("private/hello:1", given(LOGIN)))
    assert len(world.asked()) == 1


def test_a_token_that_ends_during_a_pull_is_renewed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.tokens, "life", 5 - LEEWAY)
    world.asked()
    origin = world.origin("private/hello:1", given(LOGIN))
    image = resolve(origin, HERE)
    assert len(world.asked()) == 1
    old = world.tokens.given[-1]
    monkeypatch.setattr(world.tokens, "life", 300)
    while world.accepts(old, "private/hello/tags/list"):
        time.sleep(0.2)
    blobs = (image.manifest.config, *image.manifest.layers)
    found = [b"".join(origin.blob(blob)) for blob in blobs]
    assert [image.raw.raw, *found] == world.content
    assert len(world.asked()) == 1, "one new token for all that is left"


def test_a_scope_that_is_missing_is_asked_for(world: World) -> None:
    """A token that was got for nothing in particular; the registry says what it lacks."""
    access = Access(world.http, lambda: parse_option(LOGIN), scope=None)
    client = RegistryClient(world.http, access, domain=world.host, tls=Tls.VERIFIED)
    client.check_access()
    world.asked()
    with client.get("private/hello/tags/list") as response:
        assert response.status == 200
    assert [asked.scopes for asked in world.asked()] == [("repository:private/hello:pull",)]


@pytest.fixture
def certificates(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose certs.d trusts the registry."""
    directory = tmp_path / ".config/containers/certs.d" / world.host
    directory.mkdir(parents=True)
    (directory / "ca.crt").write_bytes((world.authority / "ca.crt").read_bytes())
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    return directory


@pytest.mark.parametrize(("password", "code"), [(PASSWORD, 0), ("wrong", 1)])
def test_login(
    world: World,
    certificates: Path,
    tmp_path: Path,
    feed: Callable[[str], None],
    password: str,
    code: int,
) -> None:
    feed(f"{password}\n")
    file = tmp_path / "auth.json"
    words = ["login", "--authfile", str(file), "-u", USER, "--password-stdin", world.host]
    assert atomic(words) == code
    assert file.exists() == (code == 0)


@pytest.fixture
def feed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def replace(text: str) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    return replace


def test_list_tags_of_what_is_private(
    world: World, certificates: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "auth.json"
    save(str(file), world.host, parse_option(LOGIN), timeout=5)
    words = ["list-tags", f"{world.host}/private/hello"]
    assert atomic(["--authfile", str(file), *words]) == 0
    assert json.loads(capsys.readouterr().out)["Tags"] == ["1"]
    assert atomic(["--authfile", "/dev/null", *words]) == 1
    assert "atomic login" in capsys.readouterr().err
