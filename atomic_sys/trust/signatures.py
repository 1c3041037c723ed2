# SPDX-License-Identifier: LGPL-2.1-or-later
"""All stored signatures of an image, or an error: never fewer than there are.

Signatures are numbered from 1 without a gap; the first number that is missing ends the list. Any
other failure is an error, since a server in trouble is no proof that there are no signatures.
"""

import os
import urllib.parse
from collections.abc import Callable

from atomic_sys.errors import AtomicSysError
from atomic_sys.model.digest import Digest
from atomic_sys.model.reference import DockerReference
from atomic_sys.trust.files import read_regular
from atomic_sys.trust.framing import SignatureBlob, unframe
from atomic_sys.trust.lookaside import LookasideConfig, lookaside_base, signature_address
from atomic_sys.trust.scopes import ImageIdentity

SIGNATURE_LIMIT = 4 << 20  # bytes
MAX_SIGNATURES = 128
Get = Callable[[str, int], bytes | None]


def read_signatures(
    identity: ImageIdentity, manifest_digest: Digest, config: LookasideConfig, get: Get
) -> tuple[SignatureBlob, ...]:
    """The signatures in the lookaside store of the registry that the image comes from.

    `get(address, limit)` fetches at most `limit` bytes by http or https, and returns None only
    where the server says that there is no such thing (404). An image that is in no registry has
    none. Raises AtomicSysError when one cannot be read, and for more than MAX_SIGNATURES.
    """
    base = lookaside_base(config, identity)
    reference = identity.reference
    if base is None or reference is None:
        return ()
    return signatures_at(base, reference, manifest_digest, get)


def signatures_at(
    base: str, reference: DockerReference, manifest_digest: Digest, get: Get
) -> tuple[SignatureBlob, ...]:
    """The signatures in the lookaside store at this address. Raises AtomicSysError, as above."""

    def read(number: int) -> tuple[str, bytes | None]:
        address = signature_address(base, reference, manifest_digest, number)
        if address.startswith("file://"):
            path = urllib.parse.unquote(address.removeprefix("file://"))
            return address, _read_file(path)
        return address, get(address, SIGNATURE_LIMIT)

    return _numbered(read)


def read_directory_signatures(directory: str, manifest_digest: Digest) -> tuple[SignatureBlob, ...]:
    """The signatures beside the manifest of a `dir:` image, `signature-1` and so on.

    Those of an instance of its index are `HEX.signature-1` and so on. Raises AtomicSysError, as
    read_signatures.
    """
    instance = os.path.join(directory, f"{manifest_digest.hex}.manifest.json")
    prefix = f"{manifest_digest.hex}." if os.path.lexists(instance) else ""

    def read(number: int) -> tuple[str, bytes | None]:
        path = os.path.join(directory, f"{prefix}signature-{number}")
        return path, _read_file(path)

    return _numbered(read)


def _numbered(read: Callable[[int], tuple[str, bytes | None]]) -> tuple[SignatureBlob, ...]:
    found: list[SignatureBlob] = []
    while True:
        source, stored = read(len(found) + 1)
        if stored is None:
            return tuple(found)
        if len(found) == MAX_SIGNATURES:
            raise AtomicSysError(f"more than {MAX_SIGNATURES} signatures, up to {source}")
        found.append(unframe(stored, source))


def _read_file(path: str) -> bytes | None:
    try:
        return read_regular(path, SIGNATURE_LIMIT)[0]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise AtomicSysError(f"cannot read the signature {path}: {error.strerror}") from error
