# SPDX-License-Identifier: LGPL-2.1-or-later
"""The `info` file: nothing is lost on the way through, and the predecessor's is read."""

import json

import pytest

from atomic_sys.model.hooks import Hook
from atomic_sys.model.record import Record
from atomic_sys.model.strict_json import InvalidJson

FULL = Record(
    image="docker://example.com/etcd:3",
    revision="1" * 64,
    commit="2" * 64,
    created=1700000000,
    values={"NAME": "etcd", "A": "$x\n"},
    user_values={"A": "$x\n"},
    has_service=False,
    host_files={"/etc/a": "3" * 64, "/etc/l": "0"},
    host_directories=("/srv", "/srv/x"),
    host_file_templates=("/etc/a",),
    renamed_files={"/a": "/b"},
    use_links=False,
    remote="/elsewhere",
    runtime="/usr/bin/crun",
    source="docker://example.com/etcd:3",
    signers=("F" * 40,),
    verdict={"accepted": True, "requirements": [1, None]},
    state=("/var/lib/etcd",),
    hooks={Hook.UNINSTALL: ("/bin/sh", "-c", "leave")},
    checksums={"config.json": "4" * 64},
    unknown={"future": {"a": [1]}},
)
# As `atomic install` 1.22 wrote it.
PREDECESSOR = b"""{"image": "etcd", "revision": "d1", "ostree-commit": "c1",
"created": 1500000000.5, "values": {"NAME": "etcd", "RUN_DIRECTORY": "/run"},
"has-container-service": true,
"installed-files": ["/usr/local/bin/etcdctl", "/usr/local/x"],
"installed-files-checksum": {"/usr/local/bin/etcdctl": "ab"}, "installed-files-template": null,
"rename-installed-files": null, "rpm-installed": null, "system-package": "no", "remote": null,
"use-links": true, "runtime": "/bin/runc"}"""


def test_a_record_survives_the_round_trip() -> None:
    again = Record.from_json(FULL.to_json(), "info")
    assert again == FULL
    assert again.to_json() == FULL.to_json()


def test_the_predecessors_record_is_read() -> None:
    record = Record.from_json(PREDECESSOR, "info")
    assert (record.image, record.revision, record.commit) == ("etcd", "d1", "c1")
    assert record.created == 1500000000
    # One without a checksum counts as changed.
    assert record.host_files == {"/usr/local/bin/etcdctl": "ab", "/usr/local/x": ""}
    assert record.user_values == {}
    assert (record.has_service, record.runtime, record.signers) == (True, "/bin/runc", ())
    assert record.verdict is None
    assert (record.state, record.hooks, record.checksums) == ((), {}, {})
    written = json.loads(record.to_json())
    read = json.loads(PREDECESSOR)
    assert set(read) <= set(written)
    assert written["rpm-installed"] is None
    assert written["installed-files"] == read["installed-files"]
    assert Record.from_json(record.to_json(), "info").from_predecessor


def test_unknown_keys_are_kept_and_known_ones_are_not_overruled() -> None:
    record = Record.from_json(b'{"image": "a", "zz": [1, {"b": null}]}', "info")
    assert record.unknown == {"zz": [1, {"b": None}]}
    assert json.loads(record.to_json())["zz"] == [1, {"b": None}]


def test_host_files_come_with_their_directories() -> None:
    record = FULL.with_host_files({"/x": "1"}, ("/d",))
    assert (record.host_files, record.host_directories) == ({"/x": "1"}, ("/d",))
    assert record.image == FULL.image


@pytest.mark.parametrize(
    "change",
    [
        {"image": 1}, {"values": []}, {"values": {"A": 1}}, {"created": True}, {"created": "1"},
        {"created": -1}, {"created": 1e300}, {"runtime": 1}, {"signers": [1]}, {"remote": 5},
        {"installed-files": ["relative"]}, {"installed-files": ["/a/../../etc/passwd"]},
        {"installed-files-checksum": {"../x": "0"}},
        {"installed-directories": ["../x"]}, {"installed-directories": ["/a/../b"]},
        {"state": "x"}, {"hooks": {"never": ["a"]}}, {"checksums": {"config.json": 1}},
        {"checksums": {"../x": "0"}},
    ],
)  # fmt: skip
def test_what_no_record_can_say_is_refused(change: dict[str, object]) -> None:
    document = json.dumps(json.loads(FULL.to_json()) | change).encode()
    with pytest.raises(InvalidJson):
        Record.from_json(document, "info")
