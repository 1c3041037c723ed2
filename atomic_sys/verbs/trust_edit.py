# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic trust add`, `delete`, `default` and `reset`: change the policy, and lose nothing of it.

The file is locked, read, changed in one place, parsed again, and replaced by rename(2). Addresses
of signatures go to files of our own in registries.d; what somebody else wrote there is not touched.
"""

import base64
import contextlib
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from atomic_sys import log
from atomic_sys.errors import AtomicSysError, UsageError, doing
from atomic_sys.fs.atomic import write_file
from atomic_sys.fs.directory import open_root
from atomic_sys.fs.lock import LockKind, locked
from atomic_sys.fs.process import Command
from atomic_sys.host import Host
from atomic_sys.model.strict_json import Json
from atomic_sys.trust import edit
from atomic_sys.trust.files import KEY_LIMIT, read_regular
from atomic_sys.trust.keys import KeyInfo, describe_keys
from atomic_sys.trust.policy import POLICY_LIMIT
from atomic_sys.trust.registries_d import OWN_MARK, own_file, own_file_name

TRANSPORTS = {"web": "docker", "local": "dir", "atomic": "atomic"}
_GPG_ID = re.compile(r"(?:0x)?[0-9A-Fa-f]{8,40}|[^/\s]+@[^/\s]+")
_LOCK = ".policy.json.lock"


class RequirementType(Enum):
    """What can be asked for."""

    SIGNED_BY = "signedBy"
    SIGSTORE_SIGNED = "sigstoreSigned"
    ACCEPT = "insecureAcceptAnything"
    REJECT = "reject"


class Several(Enum):
    """What several keys mean together."""

    ALL = "all"
    ANY = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """A scope to add; `keys` are embedded, `key_files` are named by their paths."""

    scope: str
    transport: str
    type: RequirementType
    keys: Sequence[str] = ()
    key_files: Sequence[str] = ()
    several: Several = Several.ALL
    lookaside: str | None = None


def add(addition: Addition, host: Host, confirm: Callable[[str, Sequence[str]], bool]) -> bool:
    """Add the scope, or replace what it has; whether that was done.

    `confirm` is asked, with the lines to show, before keys from elsewhere are believed and before
    an existing scope is replaced. Raises UsageError, AtomicSysError.
    """
    if addition.lookaside is not None and addition.transport != "docker":
        raise UsageError(f"Sigstore cannot be defined for sigstoretype '{addition.transport}'")
    requirements = _requirements(addition, host, confirm)
    if requirements is None:
        return False
    with _opened(host) as opened:
        text = opened.read()
        known = edit.parsed(text, opened.path).transports.get(addition.transport, {})
        question = f"Trust policy already defined for {addition.transport}:{addition.scope}"
        if addition.scope in known and not confirm("Do you want to overwrite?", (question,)):
            return False
        changed = edit.put_scope(
            text, addition.transport, addition.scope, requirements, opened.path
        )
        if addition.lookaside is not None:
            _write_lookaside(host, addition.scope, addition.lookaside)
        opened.write(changed)
    return True


def delete(transport: str, scope: str, host: Host, *, keep_lookaside: bool) -> None:
    """Remove the scope, and our entry in registries.d. Raises NotFound, AtomicSysError."""
    with _opened(host) as opened:
        changed = edit.remove_scope(opened.read(), transport, scope, opened.path)
        opened.write(changed)
        if transport == "docker" and not keep_lookaside:
            _write_lookaside(host, scope, None)


def set_default(type_: RequirementType, host: Host) -> None:
    """Set what holds for images that no scope is for. Raises AtomicSysError."""
    with _opened(host) as opened:
        opened.write(edit.set_default(opened.read(), [{"type": type_.value}], opened.path))


def reset(host: Host) -> None:
    """Trust nobody any more: an empty policy, and no files in registries.d but default.yaml."""
    with _opened(host) as opened:
        opened.write(edit.EMPTY_POLICY)
    directory = _registries_d(host)
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(directory):
            if name.endswith(".yaml") and name != "default.yaml":
                os.unlink(os.path.join(directory, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """The policy file, locked."""

    path: str
    directory: int
    name: str

    def read(self) -> str:
        """Its text; where there is none, a policy that trusts nobody."""
        try:
            content, _ = read_regular(self.path, POLICY_LIMIT)
        except FileNotFoundError:
            return edit.EMPTY_POLICY
        edit.parsed(content.decode("utf-8", "replace"), self.path)
        return content.decode("utf-8")

    def write(self, text: str) -> None:
        """Replace it; who may read it stays."""
        mode = 0o644
        with contextlib.suppress(FileNotFoundError):
            mode = stat.S_IMODE(os.stat(self.name, dir_fd=self.directory).st_mode)
        write_file(self.directory, self.name, text.encode(), mode)


@contextlib.contextmanager
def _opened(host: Host) -> Iterator[_Opened]:
    path = os.path.realpath(policy_path(host))
    parent, _, name = path.rpartition("/")
    os.makedirs(parent or "/", exist_ok=True)
    fd = open_root(parent or "/")
    try:
        timeout = host.options.lock_timeout
        with (
            doing(f"changing {path}"),
            locked(fd, _LOCK, LockKind.EXCLUSIVE, timeout=timeout, what="the policy"),
        ):
            yield _Opened(path=path, directory=fd, name=name)
    finally:
        os.close(fd)


def policy_path(host: Host) -> str:
    """The policy that is in force, else where the system's would be."""
    named = host.options.policy or host.paths.policy
    if named is not None:
        return named
    candidates = [host.paths.inside(path) for path in host.paths.policy_candidates]
    return next((path for path in candidates if os.path.exists(path)), candidates[0])


def _requirements(
    addition: Addition, host: Host, confirm: Callable[[str, Sequence[str]], bool]
) -> list[Json] | None:
    """What goes into the policy, or None when somebody does not believe a key."""
    kind = addition.type.value
    if addition.type in (RequirementType.ACCEPT, RequirementType.REJECT):
        if addition.keys or addition.key_files:
            raise UsageError(f"keys mean nothing for the type '{kind}'")
        return [{"type": kind}]
    if not addition.keys and not addition.key_files:
        raise UsageError(f"At least one public key must be defined for type '{kind}'")
    paths = [_key_path(path, host) for path in addition.key_files]
    contents: list[bytes] = []
    for key in addition.keys:
        content, is_remote = _key_content(key, host)
        shown = _shown(content, key, addition.type)
        for line in shown:
            log.note(line)
        if is_remote and not confirm("Do you trust this key?", shown):
            return None
        contents.append(content)
    for path in addition.key_files:
        _shown(read_regular(path, KEY_LIMIT)[0], path, addition.type)
    base: dict[str, Json] = {"type": kind}
    if addition.type is RequirementType.SIGNED_BY:
        base["keyType"] = "GPGKeys"
    return _together(base, paths, [base64.b64encode(data).decode() for data in contents], addition)


def _together(
    base: dict[str, Json], paths: list[str], datas: list[str], addition: Addition
) -> list[Json]:
    if addition.several is Several.ALL or len(paths) + len(datas) == 1:
        each: list[Json] = [base | {"keyPath": path} for path in paths]
        return [*each, *(base | {"keyData": data} for data in datas)]
    if paths and not datas:
        return [base | {"keyPaths": list[Json](paths)}]
    if datas and not paths and addition.type is RequirementType.SIGSTORE_SIGNED:
        return [base | {"keyDatas": list[Json](datas)}]
    raise UsageError(
        "--require any needs key files", hint="give all of the keys by --pubkeysfile FILE"
    )


def _shown(content: bytes, key: str, type_: RequirementType) -> list[str]:
    """What a person should see of the key. Raises UsageError for one that is of no use."""
    if type_ is RequirementType.SIGSTORE_SIGNED:
        if b"-----BEGIN PUBLIC KEY-----" not in content:
            raise UsageError(f"{key}: no public key in PEM form")
        return [f"{key}: a public key for sigstore signatures"]
    try:
        keys: tuple[KeyInfo, ...] = describe_keys(content)
    except AtomicSysError as error:
        raise UsageError(f"{key}: {error}") from None
    return [one.describe() for one in keys]


def _key_path(path: str, host: Host) -> str:
    """The path that the policy will name: as it is seen from inside the root whose policy it is.

    Raises UsageError.
    """
    if not os.path.isfile(path):
        raise UsageError(
            f"The public key file {path} was not found. This file must exist to proceed."
        )
    root = os.path.realpath(host.options.root)
    real = os.path.abspath(path)
    if root == "/" or host.options.policy or host.paths.policy:
        return real
    if os.path.commonpath((root, os.path.realpath(path))) != root:
        raise UsageError(f"{path}: the policy below {root} can only name files below it")
    return f"/{os.path.relpath(os.path.realpath(path), root)}"


def _key_content(key: str, host: Host) -> tuple[bytes, bool]:
    """The key from a file, from the web or from the user's keyring; whether it is from the web."""
    if key.startswith(("http://", "https://")):
        content = host.http.get_document(key, KEY_LIMIT)
        if content is None:
            raise UsageError(f"{key}: there is no key")
        if key.startswith("http://"):
            log.warn(f"{key} was fetched without encryption, and may have been changed")
        return content, True
    if os.path.isfile(key):
        return read_regular(key, KEY_LIMIT)[0], False
    if _GPG_ID.fullmatch(key):
        home = os.environ.get("GNUPGHOME")
        environment = {} if home is None else {"GNUPGHOME": home}
        export = ["gpg", "--batch", "--export", "--", key]
        done = Command(argv=export, environment=environment).check()
        if done.stdout:
            return done.stdout, False
    raise UsageError(f"{key}: no file, no address, and no key of your keyring")


def _registries_d(host: Host) -> str:
    return host.options.registries_d or host.paths.inside(host.paths.registries_d)


def _write_lookaside(host: Host, scope: str, address: str | None) -> None:
    """Set our entry for the scope, or remove it.

    Raises AtomicSysError where somebody else's file speaks of the scope.
    """
    section = host.lookaside.docker.get(scope)
    directory, name = _registries_d(host), own_file_name(scope)
    path = os.path.join(directory, name)
    if address is None and (section is None or section.source != path):
        return
    if section is not None and section.source != path:
        raise AtomicSysError(
            f"{section.source} says already where the signatures of {scope} are",
            hint="change it there",
        )
    try:
        before = read_regular(path, POLICY_LIMIT)[0]
    except FileNotFoundError:
        before = OWN_MARK
    if not before.startswith(OWN_MARK):
        raise AtomicSysError(f"{path} was written by somebody else", hint="change it there")
    content = own_file(before, scope, address)
    os.makedirs(directory, exist_ok=True)
    if content is None:
        os.unlink(path)
        return
    fd = open_root(directory)
    try:
        write_file(fd, name, content)
    finally:
        os.close(fd)
