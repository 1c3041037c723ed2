# SPDX-License-Identifier: LGPL-2.1-or-later
"""The keys that `atomic trust add` is given: files, addresses, and ids of the user's own keyring.

A key is looked at before it gets into a policy: one that nobody could verify with is refused.
"""

import os
from dataclasses import replace
from enum import Enum

from atomic_sys.errors import AtomicSysError, UsageError
from atomic_sys.frozen import frozen
from atomic_sys.host import Host
from atomic_sys.trust import openpgp_keys
from atomic_sys.trust.files import KEY_LIMIT, read_key_file
from atomic_sys.trust.key_facts import KeyFact, facts
from atomic_sys.trust.new_requirements import Kind, NewKey, Require
from atomic_sys.trust.requirements import (
    KeyData,
    KeyType,
    MatchExact,
    SignedBy,
    SigstoreSigned,
)


@frozen
class KeyOptions:
    """As on the command line: `keys` are files, addresses or ids, `files` stay where they are."""

    keys: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    gnupghome: str | None = None


class Home(Enum):
    """Where a key will be: in a file that is there, in the policy, or in a file of its own."""

    FILE = "file"
    POLICY = "policy"
    SAVED = "saved"


@frozen
class GivenKey:
    """A key, where it is from, and for Home.SAVED the directory and the name of its file.

    `fetched` says that it came over a network, so that somebody has to say that it is the right
    one.
    """

    source: str
    key: NewKey
    home: Home
    facts: tuple[KeyFact, ...] = ()
    fetched: bool = False
    save_in: tuple[str, str] | None = None


def collect(kind: Kind, options: KeyOptions, require: Require, host: Host) -> tuple[GivenKey, ...]:
    """All keys, read and looked at. Raises UsageError, AtomicSysError."""
    if not kind.has_keys:
        if options.keys or options.files:
            raise UsageError(f"{kind.value} has no keys")
        return ()
    if not options.keys and not options.files:
        raise UsageError(
            f"At least one public key must be defined for type {kind.value!r}",
            hint="--pubkeysfile FILE, or --pubkeys FILE, URL or KEYID",
        )
    found = [_file(path, host) for path in options.files]
    found += [_key(text, kind, options, host) for text in options.keys]
    found = [replace(key, facts=_facts(key, kind)) for key in found]
    if require is Require.ANY:
        found = _alike(found, kind)
    return tuple(_placed(key, kind, host) if key.home is Home.SAVED else key for key in found)


def _alike(keys: list[GivenKey], kind: Kind) -> list[GivenKey]:
    """One requirement has one place for its keys: all in files, or all in the policy."""
    if any(key.home is not Home.POLICY for key in keys):
        inline = Home.POLICY
        return [replace(key, home=Home.SAVED) if key.home is inline else key for key in keys]
    return [_binary(key) for key in keys] if kind is Kind.SIGNED_BY else keys


def _file(path: str, host: Host) -> GivenKey:
    try:
        content = read_key_file(path)
    except OSError as error:
        raise AtomicSysError(
            f"The public key file {path} was not found. This file must exist to proceed."
            f" ({error.strerror})"
        ) from None
    key = NewKey(content=content, path=_path_for_policy(path, host))
    return GivenKey(source=path, key=key, home=Home.FILE)


def _path_for_policy(path: str, host: Host) -> str:
    """The path as the policy must name it: of another root's own policy, from inside that root.

    Raises UsageError for a file that cannot be named like that.
    """
    root = os.path.realpath(host.options.root)
    if root == "/" or _is_named(host):
        return os.path.abspath(path)
    inside = os.path.realpath(path).removeprefix(f"{root}/")
    if os.path.isabs(inside):
        raise UsageError(f"{path}: the policy below {root} can only name files below it")
    return f"/{inside}"


def _is_named(host: Host) -> bool:
    """Whether the policy is a file of this machine that somebody named; so are its keys then."""
    return bool(host.options.policy or host.paths.policy)


def _key(text: str, kind: Kind, options: KeyOptions, host: Host) -> GivenKey:
    if "://" in text:
        return _fetch(text, host)
    if os.path.exists(text):
        try:
            content = read_key_file(text)
        except OSError as error:
            raise AtomicSysError(f"cannot read the key file {text}: {error.strerror}") from None
        return GivenKey(source=text, key=_inline(content), home=Home.POLICY)
    if kind is Kind.SIGSTORE_SIGNED:
        raise AtomicSysError(
            f"The public key file {text} was not found. This file must exist to proceed."
        )
    content = openpgp_keys.export(text, host.gnupg_home(options.gnupghome))
    return GivenKey(source=text, key=_inline(content), home=Home.SAVED)


def _fetch(url: str, host: Host) -> GivenKey:
    if not url.startswith(("https://", "http://")):
        raise UsageError(f"{url}: keys are fetched by https only")
    content = host.http.get_document(url, KEY_LIMIT)
    if content is None:
        raise AtomicSysError(f"{url}: there is no such key (404)")
    return GivenKey(source=url, key=_inline(content), home=Home.SAVED, fetched=True)


def _inline(content: bytes) -> NewKey:
    return NewKey(content=content, path=None)


def _facts(key: GivenKey, kind: Kind) -> tuple[KeyFact, ...]:
    """What is in the key. Raises AtomicSysError where there is no key at all."""
    data = KeyData(key.key.content)
    if kind is Kind.SIGNED_BY:
        found = facts(
            SignedBy(key_type=KeyType.GPG_KEYS, keys=data, identity=MatchExact()),
            read_key_file,
            openpgp_keys.list_keys,
        )
    else:
        requirement = SigstoreSigned(trusted=data, rekor_keys=None, identity=MatchExact(), raw={})
        found = facts(requirement, read_key_file, openpgp_keys.list_keys)
    for fact in found:
        if fact.fingerprint is None:
            raise AtomicSysError(f"{key.source}: {str(fact.flaw).replace('keyData', 'it')}")
    return tuple(replace(fact, source=key.source) for fact in found)


def _binary(key: GivenKey) -> GivenKey:
    """A key in the policy together with others cannot be armored."""
    return replace(key, key=_inline(openpgp_keys.minimal(key.key.content)))


def _placed(key: GivenKey, kind: Kind, host: Host) -> GivenKey:
    """The key in a file named by its fingerprint, which the policy will name."""
    suffix = "gpg" if kind is Kind.SIGNED_BY else "pub"
    name = f"{str(key.facts[0].fingerprint).removeprefix('sha256:')}.{suffix}"
    directory = host.paths.image_keys
    here = host.paths.inside(directory)
    path = os.path.join(here if _is_named(host) else directory, name)
    return replace(key, key=NewKey(content=key.key.content, path=path), save_in=(here, name))
