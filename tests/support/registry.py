# SPDX-License-Identifier: LGPL-2.1-or-later
"""A real registry: Debian's docker-registry on a loopback port."""

import contextlib
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

_CONFIG = """\
version: 0.1
log: {{level: info, formatter: text, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {directory}/blobs}}
  delete: {{enabled: true}}
http:
  addr: "127.0.0.1:0"
{tls}{auth}"""
_TLS = "  tls: {{certificate: {both}, key: {both}}}\n"
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
    directory: Path, door: Door = Door.OPEN, certificate: Path | None = None
) -> Iterator[str]:
    """Run a registry that keeps its blobs in the directory; gives `HOST:PORT`.

    It speaks https where there is a certificate, with its key in the same file.
    """
    config = directory / "registry.yml"
    auth = "" if door is Door.OPEN else _BASIC.format(directory=directory)
    tls = "" if certificate is None else _TLS.format(both=certificate)
    config.write_text(_CONFIG.format(directory=directory, tls=tls, auth=auth))
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
