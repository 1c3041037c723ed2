# SPDX-License-Identifier: LGPL-2.1-or-later
"""certs.d: the authorities and client certificates of one registry.

Source: containers-certs.d(5). The first directory that has the exact `HOST[:PORT]` is used alone.
"""

import os
from collections.abc import Iterable

from atomic_sys.frozen import frozen
from atomic_sys.image.http_response import NetworkError
from atomic_sys.log import debug

_HUB = {"registry-1.docker.io": "docker.io"}


@frozen
class Certificates:
    """Paths of PEM files: authorities beside the system's, and (certificate, key) of a client."""

    authorities: tuple[str, ...] = ()
    clients: tuple[tuple[str, str], ...] = ()


def find(directories: Iterable[str], host: str) -> Certificates:
    """What the directories have for `HOST[:PORT]`.

    Raises NetworkError for one that cannot be read, or a certificate without its key.
    """
    name = _HUB.get(host, host)
    if name in ("", ".", "..") or "/" in name:
        return Certificates()
    for directory in directories:
        path = os.path.join(directory, name)
        try:
            names = sorted(os.listdir(path))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError as error:
            if os.geteuid() == 0:
                raise NetworkError(f"cannot read {path}: {error.strerror}") from error
            debug(f"no permission to read {path}")
            continue
        except OSError as error:
            raise NetworkError(f"cannot read {path}: {error.strerror}") from error
        return _of_names(path, names)
    return Certificates()


def _of_names(path: str, names: list[str]) -> Certificates:
    keys = {name.removesuffix(".key") for name in names if name.endswith(".key")}
    certificates = {name.removesuffix(".cert") for name in names if name.endswith(".cert")}
    for lonely in sorted(keys ^ certificates):
        has, lacks = (".key", ".cert") if lonely in keys else (".cert", ".key")
        hint = "certificates of authorities end in .crt" if has == ".cert" else None
        raise NetworkError(f"{path}: {lonely}{has} without {lonely}{lacks}", hint=hint)
    stems = [os.path.join(path, name) for name in sorted(certificates)]
    return Certificates(
        authorities=tuple(os.path.join(path, name) for name in names if name.endswith(".crt")),
        clients=tuple((f"{stem}.cert", f"{stem}.key") for stem in stems),
    )
