# SPDX-License-Identifier: LGPL-2.1-or-later
"""The composition root: opens what the program works with, from its paths. No logic.

Everything is made when it is first asked for, since most verbs need little of it.
"""

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Self

from atomic_sys.errors import AtomicSysError
from atomic_sys.frozen import frozen
from atomic_sys.fs.directory import make_directories, open_in_root, open_root
from atomic_sys.model.configuration import Configuration
from atomic_sys.model.configuration import parse as parse_configuration
from atomic_sys.model.names import ContainerName
from atomic_sys.model.strict_yaml import DOCUMENT_LIMIT
from atomic_sys.paths import ATOMIC_CONF, SHARED_REPOSITORY, Paths

if TYPE_CHECKING:  # the rooms are entered where they are needed: each takes 10 to 50 ms
    from atomic_sys.image.auth_file import Password
    from atomic_sys.image.certificates import Certificates
    from atomic_sys.image.credentials import Candidate, CredentialLookup
    from atomic_sys.image.http import Http
    from atomic_sys.image.registries_conf import Registries
    from atomic_sys.model.platform import Platform
    from atomic_sys.store.store import Store
    from atomic_sys.systemd.manager import Manager, UnitState
    from atomic_sys.trust.files import LoadedPolicy
    from atomic_sys.trust.gpg import GpgVerifier
    from atomic_sys.trust.lookaside import LookasideConfig

DEFAULT_LOCK_TIMEOUT = 60.0  # seconds


@frozen
class HostOptions:
    """What a command line and the environment say about the host.

    Files that the user names are files of this machine; the defaults are those below `root`.
    """

    root: str = "/"
    policy: str | None = None
    require_signed: bool = False
    registries_conf: str | None = None
    registries_d: str | None = None
    authfile: str | None = None
    source_credentials: "Password | None" = None
    destination_credentials: "Password | None" = None
    lock_timeout: float = DEFAULT_LOCK_TIMEOUT
    override_os: str | None = None
    override_arch: str | None = None
    override_variant: str | None = None


class Host:
    """One host, or the root directory of one. Close it, or use it as a context manager."""

    def __init__(self, options: HostOptions, environment: Mapping[str, str]) -> None:
        self.options = options
        self.environment = environment
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    @cached_property
    def configuration(self) -> Configuration:
        """atomic.conf; one that is not there chooses nothing. Raises AtomicSysError."""
        named = self.environment.get("ATOMIC_CONF") or ATOMIC_CONF
        if named == os.devnull:
            return Configuration()
        path = os.path.join(self.options.root, named.lstrip("/"))
        try:
            fd = open_in_root(self.root, named, os.O_RDONLY | os.O_NONBLOCK)
            with open(fd, "rb") as stream:
                document = stream.read(DOCUMENT_LIMIT + 1)  # one more is too much for who reads it
        except FileNotFoundError:
            return Configuration()
        except OSError as error:
            raise AtomicSysError(f"cannot read {path}: {error.strerror}") from error
        return parse_configuration(document, path)

    @cached_property
    def paths(self) -> Paths:
        """Every directory and file name."""
        return Paths.for_host(self.options.root, self.environment, self.configuration)

    @cached_property
    def root(self) -> int:
        """The descriptor of the root directory."""
        fd = open_root(self.options.root)
        self._closing.callback(os.close, fd)
        return fd

    @cached_property
    def store(self) -> "Store":
        """The store, made where there is none."""
        from atomic_sys.store.locate import choose_repository
        from atomic_sys.store.store import Store

        os.close(make_directories(self.root, self.paths.checkouts))
        configured = self.paths.repository
        path = choose_repository(
            configured=None if configured is None else self.paths.inside(configured),
            shared=self.paths.inside(SHARED_REPOSITORY),
            checkouts=self.paths.inside(self.paths.checkouts),
        )
        above, _, name = path.rpartition("/")
        os.makedirs(above, mode=0o700, exist_ok=True)
        parent = open_root(above)
        self._closing.callback(os.close, parent)
        store = Store.create(parent, name, timeout=self.options.lock_timeout)
        self._closing.callback(store.close)
        return store

    @cached_property
    def http(self) -> "Http":
        """The door to the network."""
        from atomic_sys.image.http import Http

        for name, value in self.configuration.proxies.items():
            if not (self.environment.get(name) or self.environment.get(name.upper())):
                os.environ[name] = value  # where requests looks, and so do credential helpers
        return self._closing.enter_context(Http(self._certificates))

    def _certificates(self, host: str) -> "Certificates":
        """The user's own, else those below the root."""
        from atomic_sys.image import certificates

        own = self.environment.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
        shared = (self.paths.certs_d, self.paths.docker_certs_d)
        directories = [f"{own}/containers/certs.d", *map(self.paths.inside, shared)]
        return certificates.find(directories, host)

    @property
    def credential_files(self) -> "tuple[Candidate, ...]":
        """Where this user's credentials may be; a login is written to the first one."""
        from atomic_sys.image import credentials

        return credentials.candidates(self.environment, os.getuid(), self.options.authfile)

    @cached_property
    def credentials(self) -> "CredentialLookup":
        """The credentials of whoever runs this, not those below the root."""
        return self._credentials(self.options.source_credentials)

    @cached_property
    def destination_credentials(self) -> "CredentialLookup":
        """The same for where an image is written."""
        return self._credentials(self.options.destination_credentials)

    def _credentials(self, given: "Password | None") -> "CredentialLookup":
        from atomic_sys.image.credentials import CredentialLookup

        return CredentialLookup(self.environment, named=self.options.authfile, given=given)

    @cached_property
    def registries(self) -> "Registries":
        """registries.conf with its drop-ins; a file that the user names stands alone."""
        from atomic_sys.image import registries_conf

        own = self.options.registries_conf
        path = own or self.paths.inside(self.paths.registries_conf)
        drop_ins = os.devnull if own else self.paths.inside(self.paths.registries_conf_d)
        return registries_conf.load(path, drop_ins, None if own else self._short_name_aliases)

    @property
    def _short_name_aliases(self) -> str:
        """Where podman keeps the aliases that were chosen: root's are the system's."""
        if os.geteuid() == 0:
            return self.paths.inside(self.paths.short_name_aliases)
        cache = self.environment.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        return f"{cache}/containers/short-name-aliases.conf"

    @cached_property
    def policy_paths(self) -> tuple[str, ...]:
        """Where the trust policy is looked for: in the file that is named, else in one of these."""
        named = self.options.policy or self.paths.policy
        if named is not None:
            return (named,)
        from atomic_sys.trust.files import own_file

        own = self.paths.own_config
        return (
            *own_file(own and f"{own}/policy.json"),
            *map(self.paths.inside, self.paths.policy_candidates),
        )

    @cached_property
    def policy(self) -> "LoadedPolicy":
        """Today's trust policy."""
        from atomic_sys.trust.files import load_policy

        return load_policy(self.policy_paths)

    @cached_property
    def registries_d(self) -> str:
        """The directory that says where signatures are."""
        from atomic_sys.trust.files import own_file

        named, own = self.options.registries_d, self.paths.own_config
        found = own_file(own and f"{own}/registries.d")
        return named or next(iter(found), self.paths.inside(self.paths.registries_d))

    @cached_property
    def lookaside(self) -> "LookasideConfig":
        """registries.d; where it names no store, root's is the system's."""
        from atomic_sys.trust.files import load_lookaside

        home = None if os.geteuid() == 0 else os.path.expanduser("~")
        return load_lookaside(self.registries_d, home)

    @property
    def read_key(self) -> Callable[[str], bytes]:
        """Reads a key file of the policy; for the root's own policy it is below the root."""
        from atomic_sys.trust.files import read_key_file

        if self.options.policy or self.paths.policy:
            return read_key_file
        return lambda path: read_key_file(self.paths.inside(path))

    @cached_property
    def verifier(self) -> "GpgVerifier":
        """gpg."""
        from atomic_sys.trust.gpg import GpgVerifier

        return GpgVerifier()

    def gnupg_home(self, named: str | None) -> str | None:
        """The home of gpg with the user's own keys: that which the user names, else atomic.conf.

        None is the one that gpg itself takes.
        """
        configured = self.configuration.gnupg_homedir
        return named or (None if configured is None else self.paths.inside(configured))

    @cached_property
    def manager(self) -> "Manager":
        """systemd: the running one when it is that of the root, else the root's files."""
        if self._is_online:
            from atomic_sys.systemd import dbus

            return dbus.connect()
        from atomic_sys.systemd.offline import OfflineManager

        return OfflineManager(self.options.root)

    @cached_property
    def _is_online(self) -> bool:
        from atomic_sys.systemd.booted import is_online

        return is_online(self.options.root, self.environment)

    def unit_states(self, units: Sequence[str]) -> "Mapping[str, UnitState]":
        """As Manager.states(), for who asks nothing else. Raises SystemdError."""
        if not self._is_online:
            return self.manager.states(units)
        from atomic_sys.systemd import query

        return query.states(units)

    def unit_file_states(self, units: Sequence[str]) -> Mapping[str, str | None]:
        """As Manager.unit_file_state(), of many units at once. Raises SystemdError."""
        if not self._is_online:
            return {unit: self.manager.unit_file_state(unit) for unit in units}
        from atomic_sys.systemd import query

        return query.file_states(units)

    @property
    def platform(self) -> "Platform":
        """What images are chosen for: what this machine runs, unless the user says otherwise."""
        from atomic_sys.model.platform import Platform

        return Platform.of_machine(os.uname().machine).overridden(
            os=self.options.override_os,
            architecture=self.options.override_arch,
            variant=self.options.override_variant,
        )

    def locked(self, name: ContainerName) -> contextlib.AbstractContextManager[None]:
        """Hold the lock of a container's name."""
        from atomic_sys.fs.lock import key_locked

        fd = make_directories(self.root, self.paths.checkouts)
        self._closing.callback(os.close, fd)
        timeout = self.options.lock_timeout
        return key_locked(fd, ".lock", name.value, timeout=timeout, what=f"the container {name}")
