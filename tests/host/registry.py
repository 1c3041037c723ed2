# SPDX-License-Identifier: LGPL-2.1-or-later
"""A real registry inside a test host: Debian's docker-registry on 127.0.0.1, a unit of the host.

Promised: the unit is active only when the registry answers; its storage is the host's disk and it
is enabled, so it is there after a reboot; `push` keeps the manifest's bytes, and fails when
the registry serves any others. With TLS it shows a certificate of an authority made for this
registry alone, which the host's system store trusts.
"""

import enum
import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.host.host import Host
from tests.host.process import HostError, run

UNIT = """\
[Unit]
Description=Registry of the test
After=network.target
[Service]
ExecStart=/usr/bin/docker-registry serve /etc/{name}/config.yml
ExecStartPost=/usr/bin/python3 /etc/{name}/wait.py {port}
[Install]
WantedBy=multi-user.target
"""
# docker-registry does not tell systemd when it listens, so its unit asks it.
WAIT = """\
import socket, sys, time
end = time.monotonic() + 20
while socket.socket().connect_ex(("127.0.0.1", int(sys.argv[1]))):
    assert time.monotonic() < end, "the registry does not listen"
    time.sleep(0.02)
"""
CONFIG = {
    "version": 0.1,
    "log": {"level": "warn", "accesslog": {"disabled": True}},
}
CERTIFICATES = "/usr/local/share/ca-certificates"


class Security(enum.Enum):
    """How clients reach the registry."""

    PLAIN = "http"
    TLS = "https"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """A registry of `host` on `port` of 127.0.0.1."""

    host: Host
    port: int = 5000
    security: Security = Security.PLAIN

    @property
    def name(self) -> str:
        """The unit's name, without its suffix, and that of its directory below /etc."""
        return f"test-registry-{self.port}"

    @property
    def location(self) -> str:
        """What comes before the repository in a reference."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Installs, enables and starts the unit; returns when the registry answers.

        Nothing changes for one that runs.
        """
        storage = {"filesystem": {"rootdirectory": f"/var/lib/{self.name}"},
                   "delete": {"enabled": True}}  # fmt: skip
        http: dict[str, object] = {"addr": self.location}
        match self.security:
            case Security.TLS:
                http["tls"] = {
                    name: f"/etc/{self.name}/tls.{name}" for name in ("certificate", "key")
                }
                self._make_certificates()
            case Security.PLAIN:
                pass
        # JSON is YAML.
        config = json.dumps(CONFIG | {"storage": storage, "http": http})
        self.host.write(f"/etc/{self.name}/config.yml", config)
        self.host.write(f"/etc/{self.name}/wait.py", WAIT)
        unit = UNIT.format(name=self.name, port=self.port)
        self.host.write(f"/etc/systemd/system/{self.name}.service", unit)
        self.host.run(["systemctl", "daemon-reload"])
        self.host.run(["systemctl", "enable", "--now", "--quiet", self.name])

    def push(self, layout: Path, repository: str, *, tag: str = "latest") -> str:
        """Pushes `tag` of an OCI layout of this machine to REPOSITORY:tag; returns its digest.

        Raises HostError when skopeo fails, or when the registry then serves other bytes.
        """
        digest = layout_digest(layout, tag)
        target = f"{self.location}/{repository}:{tag}"
        self._skopeo(
            ["copy", "--all", "--preserve-digests", *self._trust("dest-"),
             f"oci:{layout}:{tag}", f"docker://{target}"]
        )  # fmt: skip
        served = self.digest(repository, tag=tag)
        if served != digest:
            raise HostError(f"{target} is {served}, not the {digest} that was pushed")
        return digest

    def digest(self, repository: str, *, tag: str = "latest") -> str:
        """The digest of the manifest that the registry serves for REPOSITORY:tag."""
        manifest = self.manifest(repository, tag=tag)
        return "sha256:" + hashlib.sha256(manifest.encode()).hexdigest()

    def manifest(self, repository: str, *, tag: str = "latest") -> str:
        """The manifest that the registry serves for REPOSITORY:tag, as it is."""
        reference = f"docker://{self.location}/{repository}:{tag}"
        return self._skopeo(["inspect", "--raw", *self._trust(""), reference])

    def pull(self, repository: str, layout: Path, *, tag: str = "latest") -> str:
        """Copies REPOSITORY:tag into an OCI layout of this machine; returns its digest there."""
        self._skopeo(
            ["copy", "--all", "--preserve-digests", *self._trust("src-"),
             f"docker://{self.location}/{repository}:{tag}", f"oci:{layout}:{tag}"]
        )  # fmt: skip
        return layout_digest(layout, tag)

    def _skopeo(self, words: list[str]) -> str:
        with tempfile.TemporaryDirectory(prefix="registries.d-") as empty:
            # This machine's own configuration is none of the test's business.
            argv = ["skopeo", "--insecure-policy", "--registries.d", empty, *words]
            return self.host.run_in_network(argv, timeout=300).stdout

    def _trust(self, which: str) -> list[str]:
        match self.security:
            case Security.PLAIN:
                return [f"--{which}tls-verify=false"]
            case Security.TLS:
                return [f"--{which}cert-dir={self.host.path(CERTIFICATES)}"]

    def _make_certificates(self) -> None:
        """An authority, whose key is forgotten, and a certificate by it for 127.0.0.1.

        Those of an earlier start stay: the registry may be running with them.
        """
        if self.host.path(f"/etc/{self.name}/tls.key").exists():
            return
        with tempfile.TemporaryDirectory(prefix="certificates-") as scratch:
            at = Path(scratch)
            key = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                   "-noenc", "-x509", "-days", "30"]  # fmt: skip
            run([*key, "-keyout", at / "ca.key", "-out", at / "ca.crt", "-subj", "/CN=Test CA"])
            run(
                [*key, "-keyout", at / "tls.key", "-out", at / "tls.certificate",
                 "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
                 "-addext", "basicConstraints=critical,CA:FALSE",
                 "-CA", at / "ca.crt", "-CAkey", at / "ca.key"]
            )  # fmt: skip
            for name in ("tls.key", "tls.certificate"):
                self.host.copy_in(at / name, f"/etc/{self.name}/{name}")
            self.host.copy_in(at / "ca.crt", f"{CERTIFICATES}/{self.name}.crt")
        self.host.run(["update-ca-certificates"])


def layout_digest(layout: Path, tag: str = "latest") -> str:
    """The digest that an OCI layout's index gives for `tag`; raises HostError if there is none."""
    index = json.loads((layout / "index.json").read_text())
    for descriptor in index["manifests"]:
        if descriptor.get("annotations", {}).get("org.opencontainers.image.ref.name") == tag:
            return str(descriptor["digest"])
    raise HostError(f"{layout} has no tag {tag}")
