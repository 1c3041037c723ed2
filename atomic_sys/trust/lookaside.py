# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the signatures of an image are stored: registries.d, and the addresses that follow from it.

Source: containers-registries.d(5). The names `sigstore` and `sigstore-staging` are the former ones
of `lookaside` and `lookaside-staging`. Keys that mean nothing here are skipped, as all readers do.
"""

from collections.abc import Iterable, Iterator, Mapping

from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen
from atomic_sys.model import strict_yaml
from atomic_sys.model.digest import Digest
from atomic_sys.model.reference import DockerReference
from atomic_sys.model.strict_yaml import InvalidYaml, as_mapping
from atomic_sys.trust.scopes import ImageIdentity

DOCUMENT_LIMIT = strict_yaml.DOCUMENT_LIMIT
DEFAULT_LOOKASIDE = "file:///var/lib/containers/sigstore"
OWN_LOOKASIDE = ".local/share/containers/sigstore"  # below the home of a user who is not root
_SCHEMES = ("file:///", "http://", "https://")


class InvalidLookaside(AtomicSysError):
    """A file of registries.d that cannot be used."""


@frozen
class Section:
    """What one file says about one namespace; None where it says nothing."""

    source: str
    lookaside: str | None
    staging: str | None
    use_sigstore_attachments: bool | None


@frozen
class LookasideConfig:
    """All files of registries.d together; `builtin` is the store where they name none."""

    builtin: str = DEFAULT_LOOKASIDE
    default: Section | None = None
    docker: Mapping[str, Section]


def parse(documents: Iterable[tuple[str, bytes]]) -> LookasideConfig:
    """Read the files, each as name and content, into one configuration.

    Raises InvalidLookaside for a file that is no such document, and for a namespace, or the
    default, that two files speak about; the error names both.
    """
    try:
        return _parse(documents)
    except InvalidYaml as error:
        raise InvalidLookaside(str(error)) from None


def _parse(documents: Iterable[tuple[str, bytes]]) -> LookasideConfig:
    default: Section | None = None
    docker: dict[str, Section] = {}
    for name, document in documents:
        top = as_mapping(strict_yaml.loads(document, name), name)
        if top.get("default-docker") is not None:
            section = _section(top["default-docker"], name, "default-docker")
            if default is not None:
                raise InvalidLookaside(f"default-docker is in both {default.source} and {name}")
            default = section
        for namespace, value in as_mapping(top.get("docker"), f"{name}: docker").items():
            if namespace in docker:
                raise InvalidLookaside(
                    f"docker: {namespace} is in both {docker[namespace].source} and {name}"
                )
            docker[namespace] = _section(value, name, f"docker: {namespace}")
    return LookasideConfig(default=default, docker=docker)


def lookaside_base(config: LookasideConfig, identity: ImageIdentity) -> str | None:
    """The address below which the signatures of this image are; None if it is in no registry.

    The most specific namespace that names one wins, then the default, then the built-in one. The
    identity is that of the place the image comes from: of the mirror, where there is one.
    Raises InvalidLookaside for an address that is not file:///, http:// or https://.
    """
    if identity.transport != "docker":
        return None
    for section in sections(config, identity):
        if section.lookaside:
            return check_address(section.lookaside, section.source)
    return config.builtin


def staging_base(config: LookasideConfig, identity: ImageIdentity) -> str:
    """The address below which new signatures of this image are written.

    As lookaside_base, but a section's `lookaside-staging` goes before its `lookaside`. Raises
    InvalidLookaside, also for an address that is not a file's.
    """
    for section in sections(config, identity):
        if address := section.staging or section.lookaside:
            check_address(address, section.source)
            if not address.startswith("file:///"):
                scheme = address.partition(":")[0]
                raise InvalidLookaside(
                    f"Writing to {scheme} is not supported. Use a supported scheme ['file'] "
                    f"instead.: {section.source} says {address}",
                    hint="add lookaside-staging: file:///DIRECTORY, or give --directory",
                )
            return address
    return config.builtin


def uses_attachments(config: LookasideConfig, identity: ImageIdentity) -> bool:
    """Whether sigstore attachments of this image are read and written; not unless it is said."""
    for section in sections(config, identity):
        if section.use_sigstore_attachments is not None:
            return section.use_sigstore_attachments
    return False


def sections(config: LookasideConfig, identity: ImageIdentity) -> Iterator[Section]:
    """What is said about this image, the most specific first."""
    for scope in identity.scopes:
        if scope in config.docker:
            yield config.docker[scope]
    if config.default is not None:
        yield config.default


def signature_address(base: str, reference: DockerReference, digest: Digest, number: int) -> str:
    """`BASE/PATH@ALGORITHM=HEX/signature-NUMBER`; numbers count from 1."""
    path = f"{reference.path}@{digest.algorithm}={digest.hex}"
    return f"{base.rstrip('/')}/{path}/signature-{number}"


def check_address(base: str, source: str) -> str:
    """The address of a lookaside store that `source` names. Raises InvalidLookaside."""
    unfit = not base.isprintable() or any(character in base for character in " ?#")
    if unfit or not base.startswith(_SCHEMES):
        raise InvalidLookaside(
            f"{source}: the lookaside {base[:255]!r} is not usable",
            hint="write file:///DIRECTORY or https://HOST/PATH",
        )
    return base


def _section(value: object, source: str, what: str) -> Section:
    fields = as_mapping(value, f"{source}: {what}")

    def address(*keys: str) -> str | None:
        for key in keys:
            text = fields.get(key)
            if text is not None and not isinstance(text, str):
                raise InvalidLookaside(f"{source}: {what}: {key} is not a string")
            if text:
                return text
        return None

    use = fields.get("use-sigstore-attachments")
    if use is not None and not isinstance(use, bool):
        raise InvalidLookaside(f"{source}: {what}: use-sigstore-attachments is not a boolean")
    return Section(
        source=source,
        lookaside=address("lookaside", "sigstore"),
        staging=address("lookaside-staging", "sigstore-staging"),
        use_sigstore_attachments=use,
    )
