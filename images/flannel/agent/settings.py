# SPDX-License-Identifier: LGPL-2.1-or-later
"""The agent's settings, from its environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from images.flannel.agent.etcd import Tls
from images.flannel.agent.subnets import BadConfig

_SHORTEST_LEASE = 3  # seconds: renewed each third of it, which the poll interval must allow


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an operator may choose; an empty text means "find out" or "none"."""

    endpoints: tuple[str, ...]
    prefix: str
    network_config: str
    public_ip: str
    interface: str
    lease_seconds: int
    poll_seconds: float
    forward_rules: bool
    directory: Path
    tls: Tls


def settings_from(environment: Mapping[str, str]) -> Settings:
    """The settings of FLANNELD_* variables. Raises BadConfig for a number that is none."""

    def text(name: str, default: str = "") -> str:
        return environment.get(f"FLANNELD_{name}") or default

    endpoints = text("ETCD_ENDPOINTS", "http://127.0.0.1:2379").split(",")
    try:
        lease = int(text("LEASE_TTL", "86400"))
        poll = float(text("POLL_SECONDS", "5"))
    except ValueError as error:
        raise BadConfig(f"FLANNELD_LEASE_TTL or FLANNELD_POLL_SECONDS: {error}") from None
    if lease < _SHORTEST_LEASE or not 0 < poll <= lease / 3:
        raise BadConfig("FLANNELD_POLL_SECONDS must be above 0, and FLANNELD_LEASE_TTL thrice it")
    return Settings(
        endpoints=tuple(stripped for one in endpoints if (stripped := one.strip().rstrip("/"))),
        prefix=text("ETCD_PREFIX", "/atomic.io/network").rstrip("/"),
        network_config=text("NETWORK_CONFIG"),
        public_ip=text("PUBLIC_IP"),
        interface=text("IFACE"),
        lease_seconds=lease,
        poll_seconds=poll,
        forward_rules=text("FORWARD_RULES", "true").lower() in {"1", "true", "yes", "on"},
        directory=Path(text("RUN_DIRECTORY", "/run/flannel")),
        tls=Tls(
            ca=text("ETCD_CAFILE"), certificate=text("ETCD_CERTFILE"), key=text("ETCD_KEYFILE")
        ),
    )


def write_atomically(path: Path, text: str) -> None:
    """Write a file that a reader sees as it was or as it is, never in between."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text)
    os.replace(temporary, path)
