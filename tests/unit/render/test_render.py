# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whole deployments: the shapes of images that exist, and images that bring nothing."""

import json
from dataclasses import replace

import pytest

from atomic_sys.errors import UsageError
from atomic_sys.render.config import InvalidConfig
from atomic_sys.render.hostfiles import EntryKind, HostEntry
from atomic_sys.render.limits import TemplateError, UnreplacedValue
from atomic_sys.render.render import known_names, render
from tests.unit.render.rendering import config_of, unit_of
from tests.unit.render.shapes import (
    DOCKER,
    ETCD,
    FLANNEL,
    HELLO,
    NET_SNMP,
    PLAIN_CONFIG,
    UNIT,
    request,
    with_image,
)


def test_etcd() -> None:
    wanted = with_image(
        request(ETCD, "etcd-a"),
        host_entries=(HostEntry(("usr", "local", "bin", "etcdctl"), EntryKind.FILE),),
    )
    rendered = render(wanted)
    config = json.loads(rendered.config)
    assert [mount["source"] for mount in config["mounts"]] == [
        "/var/lib/etcd/etcd-a.etcd",
        "/etc/etcd-a",
    ]
    assert rendered.unit is not None
    assert "ExecStart=/usr/bin/runc --systemd-cgroup run 'etcd-a'\n" in rendered.unit
    assert (
        rendered.tmpfiles == "d /var/lib/etcd/etcd-a.etcd 0700 0 0 - -\nd /run/etcd-a - - - - -\n"
    )
    assert [file.destination for file in rendered.host_files.files] == ["/usr/local/bin/etcd-actl"]
    assert rendered.values.user == {}


def test_the_raw_splice_of_additional_mounts() -> None:
    splice = ',{"type":"bind","source":"/a","destination":"/a"}'
    config = config_of(request(ETCD, user_values={"ADDTL_MOUNTS": splice}))
    assert config["mounts"][-1] == {"type": "bind", "source": "/a", "destination": "/a"}


def test_a_splice_that_breaks_the_config_is_refused() -> None:
    with pytest.raises(InvalidConfig, match="Invalid json in configuration file"):
        render(request(ETCD, user_values={"ADDTL_MOUNTS": ',{"type":'}))
    writable = '], "root": {"path": "rootfs", "readonly": false}, "x": ['
    with pytest.raises(InvalidConfig):
        render(request(ETCD, user_values={"ADDTL_MOUNTS": writable}))


def test_flannel() -> None:
    text = unit_of(request(FLANNEL, "flannel"))
    assert "After=etcd.service\nBefore=docker.service\n" in text
    assert text.endswith("RequiredBy=docker.service\n\n[Service]\nSuccessExitStatus=143\n")
    assert "ExecStopPost=/bin/rm /etc/systemd/system/docker.service.d/flannel.conf" in text


def test_docker_has_all_capabilities_and_no_tmpfiles_for_what_is_there() -> None:
    rendered = render(request(DOCKER, "docker"))
    config = json.loads(rendered.config)
    assert config["process"]["capabilities"]["bounding"] == ["CAP_CHOWN", "CAP_DAC_OVERRIDE"]
    assert rendered.tmpfiles is None


def test_an_empty_tmpfiles_template_means_none_although_a_source_is_missing() -> None:
    assert render(request(NET_SNMP)).tmpfiles is None
    without = {name: text for name, text in NET_SNMP.items() if name != "tmpfiles.template"}
    assert render(request(without)).tmpfiles == "d /nowhere/snmp 0700 0 0 - -\n"


def test_an_old_config_and_a_value_that_the_user_must_give() -> None:
    with pytest.raises(UnreplacedValue, match="unreplaced value for: ''RECEIVER''"):
        render(request(HELLO))
    config = config_of(request(HELLO, user_values={"RECEIVER": "you"}))
    assert config["process"]["env"] == ["RECEIVER=you", "PORT=8081"]
    with pytest.raises(UsageError) as caught:
        render(request(HELLO, user_values={"RECIEVER": "you"}))
    assert caught.value.hint == "did you mean RECEIVER?"


def test_a_pid_file_when_the_unit_asks_for_it() -> None:
    text = UNIT + b"[Service]\nExecStopPost=$EXEC_STOPPOST\nPIDFile=$PIDFILE\n"
    files = {"service.template": text, "config.json": PLAIN_CONFIG}
    unit = unit_of(request(files, user_values={"RUN_DIRECTORY": "/r"}))
    assert "run -d --pid-file /r/container-etcd.pid 'etcd'" in unit
    assert "ExecStop=\n" in unit
    assert "ExecStopPost=/usr/bin/runc delete 'etcd'\n" in unit


def test_a_config_without_variables_is_copied_untouched() -> None:
    document = PLAIN_CONFIG.replace(b"{", b'{"x": "$x", ', 1)
    assert render(request({"config.json": document})).config == document


def test_jinja_exports_cannot_be_injected_into() -> None:
    files = {
        "config.json.j2": b'{"root": {"path": "rootfs", "readonly": true},'
        b' "process": {"args": ["a", {{ ARG | tojson }}], "cwd": "/{{ ARG }}"}}',
        "service.j2": b"[Service]\nEnvironment=A={{ ARG | word }}\nExecStart={{ EXEC_START }}\n",
        "manifest.json": b'{"defaultValues": {"ARG": "x"}}',
    }
    evil = '"], "root": {"readonly": false}, "x": ["%n'
    rendered = render(request(files, user_values={"ARG": evil}))
    config = json.loads(rendered.config)
    assert config["root"] == {"path": "rootfs", "readonly": True}
    assert config["process"] == {"args": ["a", evil], "cwd": f"/{evil}"}
    assert rendered.unit is not None
    assert "%%n" in rendered.unit
    with pytest.raises(TemplateError, match=r"service\.j2:2: .*control character"):
        render(request(files, user_values={"ARG": "x\nExecStartPre=/bin/evil"}))


def test_an_image_for_host_files_only() -> None:
    files = {"manifest.json": b'{"noContainerService": true}', "config.json": PLAIN_CONFIG}
    rendered = render(request(files))
    assert (rendered.unit, rendered.tmpfiles) == (None, None)


def test_an_empty_unit_template_is_no_unit() -> None:
    with pytest.raises(TemplateError, match=r"no \[Service\] section"):
        render(request({"service.template": b"", "config.json": PLAIN_CONFIG}))


def test_a_remote_root() -> None:
    wanted = replace(request({"config.json": PLAIN_CONFIG}), remote_rootfs="/srv/x/rootfs")
    assert config_of(wanted)["root"] == {"path": "/srv/x/rootfs", "readonly": True}


@pytest.mark.parametrize(
    ("path", "written"),
    [("/srv/x", "/srv/x"), ("/srv/a b", '"/srv/a b"'), ("/srv/100%", "/srv/100%%")],
)
def test_the_unit_waits_for_a_remote_root(path: str, written: str) -> None:
    plain = request(ETCD)
    unit = render(replace(plain, remote_rootfs=path)).unit
    before = render(plain).unit
    assert before is not None
    assert unit == f"{before.rstrip()}\n\n[Unit]\nRequiresMountsFor={written}\n"


def test_a_remote_root_that_no_unit_can_name() -> None:
    with pytest.raises(TemplateError, match="control character"):
        render(replace(request(ETCD), remote_rootfs="/srv/a\n[Service]"))


def test_state_with_values_filled_in() -> None:
    files = {
        "manifest.json": b'{"state": ["$STATE_DIRECTORY/$NAME", "/srv/x"]}',
        "config.json": PLAIN_CONFIG,
    }
    assert render(request(files)).state == ("/var/lib/etcd", "/srv/x")


def test_the_names_that_an_image_knows() -> None:
    names = known_names(request(ETCD).image.exports)
    assert {"ETCD_NAME", "ADDTL_MOUNTS", "NAME", "DESTDIR", "EXEC_START"} <= names
