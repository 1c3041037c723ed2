# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whose password is sent to a registry: the look-up in files and credential helpers.

The order is that of containers-auth.json(5), FILES: the first file that has something for the
repository is used. A file that the user names stands alone. Nothing is read before it is needed.
"""

import os
import stat
from collections.abc import Mapping

from atomic_sys.frozen import frozen
from atomic_sys.fs.process import Command
from atomic_sys.image import auth_file
from atomic_sys.image.auth_file import (
    DOCKER_HUB_KEY,
    AuthFile,
    Credentials,
    InvalidCredentials,
    Layout,
    Password,
)
from atomic_sys.log import debug, warn
from atomic_sys.model.stream import TooLarge, read_limited

LIMIT = 1 << 20  # bytes of a file, or of a helper's answer
_HELPER_PREFIX = "docker-credential-"
_NOT_FOUND = b"credentials not found"  # the words are the helper protocol


@frozen
class Candidate:
    """A file where credentials may be, and how it is arranged."""

    path: str
    layout: Layout = Layout.AUTHS


def candidates(
    environment: Mapping[str, str], uid: int, named: str | None
) -> tuple[Candidate, ...]:
    """The files in the order in which they are read; the first one is where a login goes."""
    named = named or environment.get("REGISTRY_AUTH_FILE")
    if named:
        return (Candidate(path=named),)
    runtime = environment.get("XDG_RUNTIME_DIR")
    first = f"{runtime}/containers" if runtime else f"/run/containers/{uid}"
    home = environment.get("HOME") or "/root"
    configuration = environment.get("XDG_CONFIG_HOME") or f"{home}/.config"
    docker = environment.get("DOCKER_CONFIG") or f"{home}/.docker"
    return (
        Candidate(path=f"{first}/auth.json"),
        Candidate(path=f"{configuration}/containers/auth.json"),
        Candidate(path=f"{docker}/config.json"),
        Candidate(path=f"{home}/.dockercfg", layout=Layout.LEGACY),
    )


class CredentialLookup:
    """The credentials of this user. `given` ones are for whatever image the user asked for."""

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        named: str | None = None,
        given: Password | None = None,
    ) -> None:
        self.given = given
        self._candidates = candidates(environment, os.getuid(), named)
        self._must_exist = bool(named or environment.get("REGISTRY_AUTH_FILE"))
        self._files: list[tuple[str, AuthFile]] | None = None

    def find(self, repository: str) -> Credentials | None:
        """The credentials for `HOST[:PORT][/PATH]`, given ones apart.

        Raises InvalidCredentials, InvalidJson or TooLarge for a file or helper that is broken,
        CommandFailed for a helper that does not run.
        """
        if self._files is None:
            self._files = [(c.path, read(c, must_exist=self._must_exist)) for c in self._candidates]
        host = repository.partition("/")[0]
        for path, file in self._files:
            found = None
            if host in file.helpers:
                found = ask_helper(file.helpers[host], host)
            found = found or file.find(repository)
            if found is None and file.default_helper:
                found = ask_helper(file.default_helper, host)
            if found is not None:
                debug(f"credentials for {repository} from {path}")
                return found
        return None


def read(candidate: Candidate, *, must_exist: bool) -> AuthFile:
    """One file; one that need not exist is empty where it does not.

    Warns of one that others can read. Raises as CredentialLookup.find() does.
    """
    path = candidate.path
    try:
        with open(path, "rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            document = read_limited(stream, LIMIT, path)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        if missing and not must_exist:
            return AuthFile()
        raise InvalidCredentials(f"cannot read {path}: {error.strerror}") from error
    file = auth_file.parse(document, path, candidate.layout)
    if file.entries and stat.S_ISREG(mode) and mode & (stat.S_IROTH | stat.S_IWOTH):
        warn(f"{path} holds passwords and is open to every user of this machine: chmod 600 {path}")
    return file


def ask_helper(name: str, host: str) -> Credentials | None:
    """What the credential helper has for the host.

    Raises CommandFailed when it does not run, InvalidJson or TooLarge for a broken answer.
    """
    program = f"{_HELPER_PREFIX}{auth_file.helper_name(name)}"
    for server in (host, DOCKER_HUB_KEY) if host == "docker.io" else (host,):
        done = Command(argv=(program, "get"), stdin=server.encode()).run()
        if len(done.stdout) > LIMIT:
            raise TooLarge(f"the answer of {program} is larger than the limit of {LIMIT} bytes")
        if done.returncode == 0:
            return auth_file.from_helper(done.stdout, program)
        if _NOT_FOUND not in done.stdout + done.stderr:
            done.fail()
    return None
