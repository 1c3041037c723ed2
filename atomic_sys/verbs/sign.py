# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic sign IMAGE...` and `atomic trust generate-key`."""

import contextlib
import os
from collections.abc import Iterator

from atomic_sys import __version__
from atomic_sys.engine import sign as engine
from atomic_sys.engine.pull import ImageAt
from atomic_sys.engine.registry_signatures import RegistrySignatures
from atomic_sys.engine.sign import Signing
from atomic_sys.engine.signature_places import SignaturePlaces
from atomic_sys.errors import AtomicSysError, UsageError, doing
from atomic_sys.frozen import frozen
from atomic_sys.fs.atomic import create_file
from atomic_sys.fs.directory import open_root
from atomic_sys.host import Host
from atomic_sys.image.registry import RegistryOrigin
from atomic_sys.image.registry_destination import RegistryWriter
from atomic_sys.model.reference import DockerReference, ImageName
from atomic_sys.model.source import RegistrySource
from atomic_sys.trust.files import read_regular
from atomic_sys.trust.gpg_signer import GpgSigner
from atomic_sys.trust.signing_key import SigstoreSigner, generate, load
from atomic_sys.verbs.support import locate, parse_image

_KEY_LIMIT = 1 << 20  # bytes
_PASSPHRASE_LIMIT = 4096  # bytes


@frozen
class Sign:
    """What to sign, and how; see docs/man/atomic.1."""

    images: tuple[str, ...]
    key_ids: tuple[str, ...] = ()
    key_files: tuple[str, ...] = ()
    passphrase: bytes | None = None
    gnupghome: str | None = None
    directory: str | None = None
    name: str | None = None
    every_instance: bool = False


def sign(request: Sign, host: Host) -> Iterator[str]:
    """Sign the images; yields where each signature was written. Raises AtomicSysError."""
    key_ids = _key_ids(request, host)
    directory = request.directory
    if directory is not None and not os.path.isdir(directory):
        raise AtomicSysError(f"The path {directory} does not exist")
    simple = tuple(_gpg_signer(key_id, request, host) for key_id in key_ids)
    sigstore = tuple(_sigstore_signer(path, request) for path in request.key_files)
    for image in request.images:
        with doing(f"signing {image}"):
            at = locate(host, parse_image(image))
            name = _name(request.name) or at.identity.reference
            if name is None:
                raise UsageError(f"{image} has no name to sign", hint="give it by --sign-identity")
            places = SignaturePlaces(
                at=at,
                name=name,
                directory=None if directory is None else os.path.abspath(directory),
                registry=_registry(at, host),
            )
            places.check(simple=bool(simple), sigstore=bool(sigstore))
            signing = Signing(
                simple=simple,
                sigstore=sigstore,
                name=name,
                every_instance=request.every_instance,
                creator=f"atomic {__version__}",
            )
            yield from engine.sign(at.origin, host.platform, signing, places)


def _registry(at: ImageAt, host: Host) -> RegistrySignatures | None:
    """Where the registry that the image comes from, if it is one, has signatures."""
    reference = at.place.reference
    if reference is None or not isinstance(at.origin, RegistryOrigin):
        return None
    target = RegistrySource(
        name=ImageName.parse(str(reference)), plain_http=at.source.startswith("http:")
    )
    writer = RegistryWriter(host.http, target, host.registries, host.credentials)
    return RegistrySignatures(writer, host.lookaside, host.http.get_document)


def _key_ids(request: Sign, host: Host) -> tuple[str, ...]:
    """The keys of gpg that sign: the default one where no key is named. Raises UsageError."""
    if request.key_ids or request.key_files:
        return request.key_ids
    default = host.configuration.default_signer
    if default is None:
        raise UsageError(
            "No default identity (default_signer) was defined in /etc/atomic.conf and no --sign-by"
            " identity was provided.  You must provide an identity"
        )
    return (default,)


def _name(text: str | None) -> DockerReference | None:
    if text is None:
        return None
    name = DockerReference.parse(text)
    if name.tag is None and name.digest is None:
        raise UsageError(f"the identity {text} has neither a tag nor a digest")
    return name


def _gpg_signer(key_id: str, request: Sign, host: Host) -> GpgSigner:
    passphrase = request.passphrase
    try:
        text = None if passphrase is None else passphrase.decode()
    except UnicodeDecodeError:
        raise AtomicSysError("the passphrase is not UTF-8") from None
    return GpgSigner.find(key_id, host.gnupg_home(request.gnupghome), text, host.verifier)


def _sigstore_signer(path: str, request: Sign) -> SigstoreSigner:
    return load(_read(path, _KEY_LIMIT), request.passphrase or b"", path)


def read_passphrase(path: str) -> bytes:
    """The first line of the file. Raises AtomicSysError."""
    return _read(path, _PASSPHRASE_LIMIT).partition(b"\n")[0].removesuffix(b"\r")


def _read(path: str, limit: int) -> bytes:
    try:
        return read_regular(path, limit)[0]
    except OSError as error:
        raise AtomicSysError(f"cannot read {path}: {error.strerror}") from error


def generate_key(prefix: str, passphrase: bytes) -> tuple[str, str]:
    """Write a new pair to PREFIX.private and PREFIX.pub; returns both paths.

    Nothing is replaced. Raises AtomicSysError.
    """
    directory, _, name = os.path.abspath(prefix).rpartition("/")
    private, public = f"{name}.private", f"{name}.pub"
    if not name:
        raise UsageError(f"{prefix!r} is no prefix of file names")
    try:
        dfd = open_root(directory or "/")
    except OSError as error:
        raise AtomicSysError(f"cannot write to {directory}: {error.strerror}") from error
    try:
        _refuse_existing(dfd, directory, private, public)
        pair = generate(passphrase)
        create_file(dfd, private, pair.private, mode=0o600)
        try:
            create_file(dfd, public, pair.public)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(private, dir_fd=dfd)
            raise
    except FileExistsError as error:
        raise AtomicSysError(f"{directory}/{error.filename2} exists already") from error
    except OSError as error:
        raise AtomicSysError(f"cannot write to {directory}: {error.strerror}") from error
    finally:
        os.close(dfd)
    return f"{directory}/{private}", f"{directory}/{public}"


def _refuse_existing(dfd: int, directory: str, *names: str) -> None:
    """Raise AtomicSysError for a name that is taken, before anything is made."""
    for name in names:
        if os.access(name, os.F_OK, dir_fd=dfd, follow_symlinks=False):
            raise AtomicSysError(
                f"{directory}/{name} exists already", hint="name another --output-prefix"
            )
