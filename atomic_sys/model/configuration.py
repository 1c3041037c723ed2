# SPDX-License-Identifier: LGPL-2.1-or-later
"""/etc/atomic.conf: what the host's administrator has chosen. Pure: what is read here is text.

The file is the predecessor's, so its settings that mean nothing here are no mistake; one that
nobody knows is named in a warning, since it may be a slip of the pen. The environment and options
of a command go before it.
"""

from collections.abc import Mapping
from dataclasses import field

from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen
from atomic_sys.log import warn
from atomic_sys.model import limits, strict_yaml
from atomic_sys.model.limits import DEFAULT_LIMITS, LayerLimits, LimitSetting
from atomic_sys.model.strict_yaml import as_mapping

MOST_DEPLOYMENTS = 100
_HOOK_TIMEOUT = LimitSetting("hook_timeout", 1, 7 * 24 * 3600)
_PROXIES = ("http_proxy", "https_proxy", "no_proxy")
_OTHERS = frozenset({  # the predecessor's
    "default_docker",
    "default_scanner",
    "default_storage",
    "discover_sigstores",
    "registries_binary",
    "sigstore_metadata_image",
})  # fmt: skip


class InvalidConfiguration(AtomicSysError):
    """A setting that cannot be used."""


@frozen
class Configuration:
    """The settings; None where the file has none.

    `proxies` are environment variables by name. `deployments` is how many of a container are kept,
    the current one included; `hook_timeout` is in seconds.
    """

    repository: str | None = None
    checkouts: str | None = None
    runtime: str | None = None
    registries_d: str | None = None
    default_signer: str | None = None
    gnupg_homedir: str | None = None
    proxies: Mapping[str, str] = field(default_factory=dict)
    deployments: int = 2
    hook_timeout: int = 300
    limits: LayerLimits = DEFAULT_LIMITS


def parse(document: bytes, path: str) -> Configuration:
    """The settings of the file, whose path is named in errors.

    Raises InvalidYaml, and InvalidConfiguration for a value that cannot be used.
    """
    if _is_empty(document):  # as it comes with the package
        return Configuration()
    fields = _Fields(as_mapping(strict_yaml.loads(document, path), path), path)
    configuration = Configuration(
        repository=fields.path("ostree_repository"),
        checkouts=fields.path("checkout_path"),
        runtime=fields.path("runtime"),
        registries_d=fields.path("registry_confdir"),
        default_signer=fields.text("default_signer"),
        gnupg_homedir=fields.path("gnupg_homedir"),
        proxies={name: value for name in _PROXIES if (value := fields.text(name)) is not None},
        deployments=fields.number("deployments", Configuration().deployments, MOST_DEPLOYMENTS),
        hook_timeout=fields.limit(_HOOK_TIMEOUT, Configuration().hook_timeout),
        limits=LayerLimits(
            entries=fields.limit(limits.ENTRIES, DEFAULT_LIMITS.entries),
            depth=fields.limit(limits.DEPTH, DEFAULT_LIMITS.depth),
            header=fields.limit(limits.HEADER, DEFAULT_LIMITS.header),
            unpacked=fields.limit(limits.UNPACKED, DEFAULT_LIMITS.unpacked),
        ),
    )
    for name in fields.unknown():
        warn(f"{path}: the unknown setting {name!r} is ignored")
    return configuration


def _is_empty(document: bytes) -> bool:
    """Whether there are only comments, so that nothing has to be loaded that reads YAML."""
    return all(
        not line or line.startswith(b"#") for line in map(bytes.strip, document.split(b"\n"))
    )


class _Fields:
    """The settings by their names, each with the type that it must have."""

    def __init__(self, fields: Mapping[str, object], source: str) -> None:
        self._fields = fields
        self._source = source
        self._asked: set[str] = set()

    def text(self, name: str) -> str | None:
        value = self._get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str) or not value.isprintable():
            raise self._wrong(name, "expected one line of text")
        return value

    def path(self, name: str) -> str | None:
        value = self.text(name)
        if value is not None and not value.startswith("/"):
            raise self._wrong(name, "expected an absolute path")
        return value

    def number(self, name: str, default: int, most: int) -> int:
        """A whole number that is not below the default. Raises InvalidConfiguration."""
        return self.limit(LimitSetting(name, default, most), default)

    def limit(self, setting: LimitSetting, default: int) -> int:
        """A whole number in the setting's range. Raises InvalidConfiguration."""
        name, least, most = setting
        value = self._get(name)
        if value is None:
            return default
        if type(value) is not int or not least <= value <= most:
            raise self._wrong(name, f"expected a whole number from {least} to {most}")
        return value

    def unknown(self) -> list[str]:
        return sorted(self._fields.keys() - self._asked - _OTHERS)

    def _get(self, name: str) -> object:
        self._asked.add(name)
        return self._fields.get(name)

    def _wrong(self, name: str, expected: str) -> InvalidConfiguration:
        found = str(self._fields[name])[:80]
        return InvalidConfiguration(f"{self._source}: {name}: {expected}, found {found!r}")
