# SPDX-License-Identifier: LGPL-2.1-or-later
"""Requirements for a scope of a policy, from what a command line says of keys and names. Pure."""

import base64
from collections.abc import Sequence
from enum import Enum

from atomic_sys.errors import UsageError
from atomic_sys.frozen import frozen
from atomic_sys.model.strict_json import Json

IDENTITIES = {  # the fields of each, in the order in which they are given
    "matchExact": (),
    "matchRepoDigestOrExact": (),
    "matchRepository": (),
    "exactReference": ("dockerReference",),
    "exactRepository": ("dockerRepository",),
    "remapIdentity": ("prefix", "signedPrefix"),
}


class Kind(Enum):
    """What can be asked for."""

    SIGNED_BY = "signedBy"
    SIGSTORE_SIGNED = "sigstoreSigned"
    ACCEPT = "insecureAcceptAnything"
    REJECT = "reject"

    @property
    def has_keys(self) -> bool:
        """Whether it names keys."""
        return self in (Kind.SIGNED_BY, Kind.SIGSTORE_SIGNED)


class Require(Enum):
    """Whether one of several keys is enough, or each one has to sign."""

    ANY = "any"
    ALL = "all"


@frozen
class NewKey:
    """A key for the policy: in the file `path`, or where that is None, in the policy itself."""

    content: bytes
    path: str | None


def identity(text: str) -> dict[str, Json]:
    """The object for `TYPE[=VALUE[=VALUE]]`, such as `remapIdentity=PREFIX=SIGNEDPREFIX`.

    The values are checked where the policy is parsed. Raises UsageError.
    """
    kind, *values = text.split("=")
    fields = IDENTITIES.get(kind)
    if fields is None:
        raise UsageError(
            f"{kind!r} is no type of identity", hint=f"it is one of {', '.join(IDENTITIES)}"
        )
    if len(values) != len(fields):
        wanted = "".join(f"={field.upper()}" for field in fields)
        raise UsageError(f"the identity is written as {kind}{wanted}")
    return {"type": kind, **dict(zip(fields, values, strict=True))}


def requirements(
    kind: Kind, keys: Sequence[NewKey], require: Require, signed: dict[str, Json] | None
) -> list[dict[str, Json]]:
    """The list for the scope; `signed` is the signedIdentity, None for the format's own default.

    With Require.ANY all keys are in files, or none is: one requirement has one place for keys.
    """
    if not kind.has_keys:
        return [{"type": kind.value}]
    groups = [keys] if require is Require.ANY else [[key] for key in keys]
    return [_requirement(kind, group, signed) for group in groups]


def _requirement(
    kind: Kind, keys: Sequence[NewKey], signed: dict[str, Json] | None
) -> dict[str, Json]:
    head: dict[str, Json] = {"type": kind.value}
    if kind is Kind.SIGNED_BY:
        head["keyType"] = "GPGKeys"
    identity = {} if signed is None else {"signedIdentity": signed}
    return {**head, **_source(kind, keys), **identity}


def _source(kind: Kind, keys: Sequence[NewKey]) -> dict[str, Json]:
    paths: list[Json] = [key.path for key in keys if key.path is not None]
    if paths:
        return {"keyPath": paths[0]} if len(paths) == 1 else {"keyPaths": paths}
    if kind is Kind.SIGNED_BY:  # OpenPGP keys can be put together
        return {"keyData": _base64(b"".join(key.content for key in keys))}
    datas: list[Json] = [_base64(key.content) for key in keys]
    return {"keyData": datas[0]} if len(datas) == 1 else {"keyDatas": datas}


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
