# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every directory and file name that the program knows, below one root.

Paths are as seen from inside the root; `inside()` makes one of them a path to open from here.
Sources: the predecessor's layout on disk; containers-policy.json(5), containers-registries.conf(5).
"""

import os
from collections.abc import Mapping
from typing import Self

from atomic_sys.frozen import frozen
from atomic_sys.model.configuration import Configuration

CHECKOUTS = "/var/lib/containers/atomic"
PREINSTALLED = "/usr/lib/containers/atomic"
SHARED_REPOSITORY = "/ostree/repo"
DEFAULT_RUNTIME = "/usr/bin/runc"
ATOMIC_CONF = "/etc/atomic.conf"


@frozen
class Paths:
    """Where things are on the host whose root directory is `root`."""

    root: str = "/"
    checkouts: str = CHECKOUTS
    preinstalled: str = PREINSTALLED
    repository: str | None = None  # None: /ostree/repo where it can be used, else .storage/ostree
    policy: str | None = None  # None: the first of policy_candidates that exists
    own_config: str | None = None  # the caller's, as seen from here; other roots have none
    registries_conf: str = "/etc/containers/registries.conf"
    registries_conf_d: str = "/etc/containers/registries.conf.d"
    short_name_aliases: str = "/var/cache/containers/short-name-aliases.conf"
    registries_d: str = "/etc/containers/registries.d"
    image_keys: str = "/etc/pki/containers"  # of those whose images are trusted
    certs_d: str = "/etc/containers/certs.d"
    docker_certs_d: str = "/etc/docker/certs.d"
    units: str = "/etc/systemd/system"
    vendor_units: str = "/usr/lib/systemd/system"
    tmpfiles: str = "/etc/tmpfiles.d"
    runtime: str = DEFAULT_RUNTIME

    @classmethod
    def for_host(
        cls, root: str, environment: Mapping[str, str], configuration: Configuration
    ) -> Self:
        """The paths below `root`, as the environment variables of the contract change them.

        Where the environment is silent, the configuration changes them.
        """
        changed = {
            field: chosen
            for field, chosen in (
                (
                    "checkouts",
                    environment.get("ATOMIC_OSTREE_CHECKOUT_PATH") or configuration.checkouts,
                ),
                ("repository", environment.get("ATOMIC_OSTREE_REPO") or configuration.repository),
                ("registries_conf", environment.get("CONTAINERS_REGISTRIES_CONF")),
                ("registries_d", configuration.registries_d),
                ("runtime", environment.get("RUNC_PATH") or configuration.runtime),
            )
            if chosen
        }
        policy = environment.get("CONTAINERS_POLICY_JSON") or environment.get("TRUST_POLICY")
        own = environment.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
        return cls(
            root=root,
            policy=policy or None,
            own_config=f"{own}/containers" if root == "/" else None,
            **changed,
        )

    @property
    def policy_candidates(self) -> tuple[str, ...]:
        """The policy files in the order in which they are looked for; the first one is used.

        The caller's own one comes before them.
        """
        if self.policy is not None:
            return (self.policy,)
        return ("/etc/containers/policy.json", "/usr/share/containers/policy.json")

    @property
    def written(self) -> tuple[str, ...]:
        """Where commands, runtimes and containers write: paths on all file systems concerned."""
        return (self.checkouts, self.units, self.tmpfiles, "/run", "/var/lib")

    def inside(self, path: str) -> str:
        """The path as it is seen from here, where the root may be a directory of this host."""
        return os.path.join(self.root, path.lstrip("/"))
