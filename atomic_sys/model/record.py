# SPDX-License-Identifier: LGPL-2.1-or-later
"""The `info` file of a deployment: the predecessor's keys, and ours beside them.

A record that the predecessor wrote is read; what we add is absent there and gets its default here.
Keys that nobody knows are kept, so that writing a record again loses nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import field, replace

from atomic_sys.frozen import frozen
from atomic_sys.model import hooks, strict_json
from atomic_sys.model.health import DataVersion, Health
from atomic_sys.model.hooks import Hook
from atomic_sys.model.strict_json import (
    InvalidJson,
    Json,
    as_integer,
    as_object,
    as_string,
    as_string_map,
    as_strings,
)

RECORD_NAME = "info"
RECORD_LIMIT = 4 << 20  # bytes
_YEAR_10000 = 253402300800  # seconds since the epoch; no calendar goes further


@frozen
class Record:
    """What was installed, from what, and with which values."""

    image: str  # as the user typed it
    revision: str  # hex of the manifest's digest: the image id
    commit: str  # of the root file system in the store
    created: int  # seconds since the epoch
    values: Mapping[str, str]  # all of them, forced and default ones too
    user_values: Mapping[str, str] = field(default_factory=dict)
    has_service: bool = True
    host_files: Mapping[str, str] = field(
        default_factory=dict
    )  # path -> sha256, "0" for no content
    host_directories: tuple[str, ...] = ()  # made for them or by tmpfiles.d, outermost first
    host_file_templates: tuple[str, ...] = ()
    renamed_files: Mapping[str, str] = field(default_factory=dict)
    use_links: bool = True
    remote: str | None = None  # a root file system elsewhere, by --rootfs
    runtime: str = ""
    source: str = ""  # where an update asks, with its transport
    signers: tuple[str, ...] = ()
    verdict: Json = None  # of the policy, at install time (contract section 5)
    health: Health | None = None
    data_version: DataVersion | None = None
    state: tuple[str, ...] = ()  # what the image declares to outlive the container
    hooks: Mapping[Hook, tuple[str, ...]] = field(default_factory=dict)
    checksums: Mapping[str, str] = field(default_factory=dict)  # sha256 of NAME.N/config.json, ...
    from_predecessor: bool = False  # its `values` do not say which of them the user chose
    unknown: Mapping[str, Json] = field(default_factory=dict)

    def with_host_files(
        self, checksums: Mapping[str, str], directories: tuple[str, ...]
    ) -> "Record":
        """The same record, with what was put onto the host."""
        return replace(self, host_files=dict(checksums), host_directories=directories)

    def to_json(self) -> bytes:
        """The file's content."""
        body: dict[str, Json] = dict(self.unknown)
        body |= {
            "image": self.image,
            "revision": self.revision,
            "ostree-commit": self.commit,
            "created": self.created,
            "values": dict(self.values),
            "has-container-service": self.has_service,
            "installed-files": list(self.host_files),
            "installed-files-checksum": dict(self.host_files),
            "installed-files-template": list(self.host_file_templates),
            "rename-installed-files": dict(self.renamed_files),
            "rpm-installed": None,
            "system-package": "no",
            "remote": self.remote,
            "use-links": self.use_links,
            "runtime": self.runtime,
            "user-values": dict(self.user_values),
            "installed-directories": list(self.host_directories),
            "source": self.source,
            "signers": list(self.signers),
            "verdict": self.verdict,
            "health": None if self.health is None else self.health.to_json(),
            "data-version": None if self.data_version is None else self.data_version.to_json(),
            "state": list(self.state),
            "hooks": hooks.to_json(self.hooks),
            "checksums": dict(self.checksums),
        }
        if self.from_predecessor:  # nor does it say so once it has been written again
            del body["user-values"]
        return json.dumps(body, indent=4).encode() + b"\n"

    @classmethod
    def from_json(cls, document: bytes, what: str) -> "Record":
        """Read a record; `what` names the file in the error. Raises InvalidJson."""
        body = as_object(strict_json.loads(document, what), what)
        remote, health, data = (body.get(key) for key in ("remote", "health", "data-version"))
        return cls(
            image=as_string(body.get("image"), f"{what}: image"),
            revision=_text(body, "revision", what),
            commit=_text(body, "ostree-commit", what),
            created=_created(body, what),
            values=as_string_map(body.get("values"), f"{what}: values"),
            user_values=as_string_map(body.get("user-values"), f"{what}: user-values"),
            has_service=body.get("has-container-service") is not False,
            host_files=_host_files(body, what),
            host_directories=_checked(
                as_strings(body.get("installed-directories"), f"{what}: directories"), what
            ),
            host_file_templates=as_strings(body.get("installed-files-template"), what),
            renamed_files=as_string_map(body.get("rename-installed-files"), what),
            use_links=body.get("use-links") is not False,
            remote=None if remote is None else as_string(remote, f"{what}: remote"),
            runtime=_text(body, "runtime", what),
            source=_text(body, "source", what),
            signers=as_strings(body.get("signers"), f"{what}: signers"),
            verdict=body.get("verdict"),
            health=None if health is None else Health.from_json(health, f"{what}: health"),
            data_version=None if data is None else DataVersion.from_json(data, what),
            state=as_strings(body.get("state"), f"{what}: state"),
            hooks=hooks.parse(body.get("hooks") or {}, f"{what}: hooks"),
            checksums=_checksums(body, what),
            from_predecessor="user-values" not in body,
            unknown={key: value for key, value in body.items() if key not in _KNOWN},
        )


_KNOWN = frozenset((
    "image",
    "revision",
    "ostree-commit",
    "created",
    "values",
    "user-values",
    "remote",
    "runtime",
    "has-container-service",
    "installed-files",
    "installed-files-checksum",
    "source",
    "signers",
    "installed-files-template",
    "rename-installed-files",
    "rpm-installed",
    "system-package",
    "use-links",
    "installed-directories",
    "verdict",
    "health",
    "data-version",
    "state",
    "hooks",
    "checksums",
))


def _text(body: Mapping[str, Json], key: str, what: str) -> str:
    value = body.get(key)
    return "" if value is None else as_string(value, f"{what}: {key}")


def _created(body: Mapping[str, Json], what: str) -> int:
    value = body.get("created", 0)
    seconds = value if isinstance(value, float) else as_integer(value, f"{what}: created")
    if not 0 <= seconds < _YEAR_10000:
        raise InvalidJson(f"{what}: created is no time")
    return int(seconds)


def _host_files(body: Mapping[str, Json], what: str) -> dict[str, str]:
    """Path -> checksum; a file that the predecessor recorded without one counts as changed."""
    checksums = as_string_map(body.get("installed-files-checksum"), f"{what}: checksums")
    paths = as_strings(body.get("installed-files"), f"{what}: installed-files")
    _checked((*paths, *checksums), what)
    return {path: checksums.get(path, "") for path in paths} | checksums


def _checksums(body: Mapping[str, Json], what: str) -> dict[str, str]:
    found = as_string_map(body.get("checksums"), f"{what}: checksums")
    for name in found:
        if name in ("", ".", "..") or "/" in name:
            raise InvalidJson(f"{what}: {name!r} is not the name of a file")
    return found


def _checked(paths: tuple[str, ...], what: str) -> tuple[str, ...]:
    for path in paths:
        if not path.startswith("/") or ".." in path.split("/"):
            raise InvalidJson(f"{what}: installed file {path!r} is no absolute path")
    return paths
