# SPDX-License-Identifier: LGPL-2.1-or-later
"""A real registry: Debian's docker-registry on a loopback port, by plain HTTP or by HTTPS."""

import contextlib
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from tests.support.token_server import ISSUER, SERVICE, TokenServer

_CONFIG = """\
version: 0.1
log: {{level: info, formatter: text, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {directory}/blobs}}
  delete: {{enabled: true}}
http: {{addr: "127.0.0.1:0"{tls}}}
{auth}"""
_TLS = ", tls: {{certificate: {certificate}, key: {certificate}}}"
_GUARDED = """\
auth:
  token: {{realm: "{realm}", service: "{service}", issuer: "{issuer}", rootcertbundle: "{bundle}"}}
"""
_BASIC = "auth: {{htpasswd: {{realm: test, path: {directory}/htpasswd}}}}\n"
# bcrypt, the only kind that it takes, of the user and the password below
_HTPASSWD = "tester:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n"
LOGIN = "tester:secret"
_LISTENING = re.compile(rb"listening on (127\.0\.0\.1:[0-9]+)")


class Door(Enum):
    """Who may enter."""

    OPEN = "everybody"
    BASIC = "LOGIN"


@contextlib.contextmanager
def docker_registry(
    directory: Path,
    door: Door | TokenServer = Door.OPEN,
    *,
    certificate: Path | None = None,
) -> Iterator[str]:
    """Run a registry that keeps its blobs in the directory; gives `HOST:PORT`.

    With a certificate (and its key, in one file) it speaks HTTPS; a token server says who may do
    what.
    """
    config = directory / "registry.yml"
    match door:
        case Door.OPEN:
            auth = ""
        case Door.BASIC:
            auth = _BASIC.format(directory=directory)
        case TokenServer():
            auth = _GUARDED.format(
                realm=door.realm, service=SERVICE, issuer=ISSUER, bundle=door.bundle
            )
    tls = "" if certificate is None else _TLS.format(certificate=certificate)
    config.write_text(_CONFIG.format(directory=directory, auth=auth, tls=tls))
    (directory / "htpasswd").write_text(_HTPASSWD)
    log: list[bytes] = []
    with subprocess.Popen(
        ["docker-registry", "serve", os.fspath(config)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"},
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                log.append(line)
                if found := _LISTENING.search(line):
                    break
            else:
                raise RuntimeError(b"".join(log).decode(errors="replace"))
            # Its log must be read on, or it would stop when the pipe is full.
            reader = threading.Thread(target=log.extend, args=(process.stdout,), daemon=True)
            reader.start()
            yield found[1].decode()
        finally:
            process.terminate()
            process.wait(timeout=30)
        reader.join(timeout=30)
