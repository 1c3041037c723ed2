# SPDX-License-Identifier: LGPL-2.1-or-later
"""/etc/atomic.conf: settings, what is no setting, and the file as the predecessor shipped it."""

import sys

import pytest

from atomic_sys.errors import AtomicSysError
from atomic_sys.model.configuration import Configuration, parse
from atomic_sys.model.limits import LayerLimits

# By the documentation of the predecessor: everything is a comment but the scanner.
SHIPPED = b"""\
# Atomic CLI configuration file
#

# default scanner
# default_scanner: openscap

# ostree_repository: /ostree/repo
#http_proxy:
"""
FULL = b"""\
default_scanner: openscap
default_storage: ostree
ostree_repository: /srv/repo
checkout_path: /srv/containers
runtime: /usr/bin/crun
registry_confdir: /srv/registries.d
default_signer: release@example.com
gnupg_homedir: /root/keys
http_proxy: http://proxy.example.com:3128
no_proxy: localhost,.example.com
deployments: 5
hook_timeout: 3600
max_layer_entries: 10
max_path_depth: 20
max_header_bytes: 8192
max_layer_bytes: 2097152
"""


def test_everything() -> None:
    assert parse(FULL, "f") == Configuration(
        repository="/srv/repo",
        checkouts="/srv/containers",
        runtime="/usr/bin/crun",
        registries_d="/srv/registries.d",
        default_signer="release@example.com",
        gnupg_homedir="/root/keys",
        proxies={
            "http_proxy": "http://proxy.example.com:3128",
            "no_proxy": "localhost,.example.com",
        },
        deployments=5,
        hook_timeout=3600,
        limits=LayerLimits(entries=10, depth=20, header=8192, unpacked=2 << 20),
    )


@pytest.mark.parametrize("document", [b"", SHIPPED, b"  # indented\n\n", b"default_signer:\n"])
def test_nothing(document: bytes) -> None:
    assert parse(document, "f") == Configuration()


def test_comments_alone_load_no_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    parse(SHIPPED, "f")
    with pytest.raises(ImportError):
        parse(FULL, "f")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"deployments: 1", "f: deployments: expected a whole number from 2 to 100, found '1'"),
        (
            b"hook_timeout: 0",
            "hook_timeout: expected a whole number from 1 to 604800",
        ),
        (b"hook_timeout: 5m", "found '5m'"),
        (b"deployments: yes", "found 'True'"),
        (b"deployments: 2.5", "found '2.5'"),
        (b"checkout_path: here", "f: checkout_path: expected an absolute path, found 'here'"),
        (b"runtime: [/bin/runc]", "f: runtime: expected one line of text"),
        (b'default_signer: "a\\u001bb"', "f: default_signer: expected one line of text"),
        (b"max_path_depth: 257", "f: max_path_depth: expected a whole number from 1 to 256"),
        (b"max_layer_bytes: 1G", "f: max_layer_bytes: expected a whole number from 1048576 to"),
        (b"- a", "f is not a mapping"),
        (b"runtime: [", "f: invalid YAML"),
    ],
)
def test_refused(document: bytes, message: str) -> None:
    with pytest.raises(AtomicSysError) as caught:
        parse(document, "f")
    assert message in str(caught.value)


def test_a_slip_of_the_pen_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse(b"deployment: 5\ndefault_docker: docker\n", "f") == Configuration()
    assert capsys.readouterr().err == "warning: f: the unknown setting 'deployment' is ignored\n"
