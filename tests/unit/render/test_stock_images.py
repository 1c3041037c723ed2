# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whole deployments of images that bring nothing below /exports."""

import json
from dataclasses import replace

import pytest

from atomic_sys.model.image_config import ImageConfig
from atomic_sys.render.host_facts import HostFacts
from atomic_sys.render.limits import TemplateError
from atomic_sys.render.render import render
from atomic_sys.render.runtime_commands import RuntimeFeature
from atomic_sys.render.users import User, find_user
from tests.unit.render.rendering import SHELL, config_of, unit_of
from tests.unit.render.shapes import (
    PLAIN_CONFIG,
    UNIT,
    request,
    with_image,
)

# Images without /exports


def test_a_stock_image_keeps_its_payload_in_the_cgroup_of_its_unit() -> None:
    wanted = request({}, "web", image_config=SHELL)
    rendered = render(wanted)
    config = json.loads(rendered.config)
    assert config["linux"]["cgroupsPath"] == "/system.slice/web.service/container"
    assert config["root"] == {"path": "rootfs", "readonly": True}
    assert config["process"]["noNewPrivileges"] is True
    assert config["process"]["args"] == ["/bin/sh"]
    assert {"type": "network"} not in config["linux"]["namespaces"]
    unit = rendered.unit
    assert unit is not None
    for line in (
        "ExecStartPre=-/usr/bin/runc delete --force web",
        "ExecStopPost=-/usr/bin/runc delete --force web",
        "KillMode=mixed",
        "SuccessExitStatus=143",
        "Restart=on-failure",
        "RequiresMountsFor=/var/lib/containers/atomic/web.0",
        "Delegate=yes",
        "Type=exec",
        "WantedBy=multi-user.target",
    ):
        assert f"\n{line}\n" in unit
    assert "--systemd-cgroup" not in unit
    assert 'exec /usr/bin/runc run web"' in unit
    assert "echo $$$$ >" in unit


def test_a_runtime_that_can_leave_cgroups_alone_does() -> None:
    wanted = request({}, "web", image_config=SHELL, features=RuntimeFeature.CGROUP_MANAGER)
    assert "ExecStart=/usr/bin/runc --cgroup-manager=disabled run web\n" in unit_of(wanted)
    assert "cgroupsPath" not in config_of(wanted)["linux"]


def test_an_image_with_a_unit_of_its_own_gets_a_config_that_fits_it() -> None:
    wanted = request({"service.template": UNIT}, "web", image_config=SHELL)
    assert "cgroupsPath" not in config_of(wanted)["linux"]


def test_an_image_that_says_nothing_runs_what_the_predecessor_ran() -> None:
    assert config_of(request({}))["process"]["args"] == ["run.sh"]


def test_what_the_image_config_says() -> None:
    image = ImageConfig(
        diff_ids=(),
        environment=("PATH=/opt", "A=image", "B=image"),
        entrypoint=("/entry", "x"),
        command=("serve",),
        user="pg",
        working_directory="/srv",
        stop_signal="SIGINT",
        volumes=("/var/lib/pg/data", "/b"),
    )
    wanted = request({}, "pg", {"A": "user", "STATE_DIRECTORY": "/state"}, image)
    users = "pg:x:999:998::/var/lib/pg:/bin/sh"
    wanted = with_image(
        wanted, find_user=find_user(users, "ssl:x:50:pg"), in_image=lambda p: p == "/var/log"
    )
    rendered = render(wanted)
    config = json.loads(rendered.config)
    process = config["process"]
    assert process["args"] == ["/entry", "x", "serve"]
    assert process["env"] == ["PATH=/opt", "A=user", "B=image", "HOME=/var/lib/pg"]
    assert process["cwd"] == "/srv"
    assert process["user"] == {"uid": 999, "gid": 998, "additionalGids": [50]}
    assert process["capabilities"]["ambient"] == ["CAP_NET_BIND_SERVICE"]
    assert process["capabilities"]["bounding"] == ["CAP_NET_BIND_SERVICE"]
    binds = {m["destination"]: m["source"] for m in config["mounts"] if m["type"] == "bind"}
    assert binds["/var/lib/pg/data"] == "/state/pg/var/lib/pg/data"
    assert binds["/b"] == "/state/pg/b"
    scratch = [m["destination"] for m in config["mounts"] if "tmpcopyup" in m.get("options", ())]
    assert scratch == ["/run", "/tmp", "/var/log"]
    assert rendered.tmpfiles == (
        "d /state/pg/b :0700 :999 :998 - -\nd /state/pg/var/lib/pg/data :0700 :999 :998 - -\n"
    )
    assert rendered.state == ("/state/pg/b", "/state/pg/var/lib/pg/data")
    assert rendered.unit is not None
    assert "KillSignal=SIGINT\nSuccessExitStatus=130 143\n" in rendered.unit
    assert "RequiresMountsFor=/state/pg/b\n" in rendered.unit


def test_additional_mounts_of_a_stock_image() -> None:
    values = {"ADDTL_MOUNTS": "/etc/pg:/run/secrets:ro", "KEY": 'a"b\\'}
    config = config_of(request({}, "pg", values, SHELL))
    assert config["mounts"][-1]["source"] == "/etc/pg"
    assert 'KEY=a"b\\' in config["process"]["env"]
    assert not any(e.startswith("ADDTL_MOUNTS") for e in config["process"]["env"])


@pytest.mark.parametrize(
    ("stop_signal", "name", "success"),
    [
        ("", "SIGTERM", "143"),
        ("TERM", "SIGTERM", "143"),
        ("3", "SIGQUIT", "131 143"),
        ("SIGRTMIN+3", "SIGRTMIN+3", "143 165"),
        ("RTMIN+3", "SIGRTMIN+3", "143 165"),
    ],
)
def test_stop_signals(stop_signal: str, name: str, success: str) -> None:
    text = unit_of(request({}, image_config=replace(SHELL, stop_signal=stop_signal)))
    assert f"KillSignal={name}\nSuccessExitStatus={success}\n" in text


@pytest.mark.parametrize("stop_signal", ["SIGNONE", "0", "999", "TERM\nExecStart=x", "SIGTERM+x"])
def test_stop_signals_that_are_none(stop_signal: str) -> None:
    with pytest.raises(TemplateError, match="stop signal"):
        render(request({}, image_config=replace(SHELL, stop_signal=stop_signal)))


def test_readiness() -> None:
    health = b'"health": {"command": ["check", "it\'s $x"], "interval": 2}'
    command = {"manifest.json": b'{"readiness": "command", ' + health + b"}"}
    text = unit_of(request(command, "web", image_config=SHELL))
    assert "Type=exec\n" in text
    assert (
        'ExecStartPost=/bin/sh -c "until /usr/bin/runc exec web check '
        "'it'\\\"'\\\"'s $$x' >/dev/null 2>&1; do sleep 2; done\"\n"
    ) in text
    with pytest.raises(TemplateError, match="no health"):
        render(request({"manifest.json": b'{"readiness": "command"}'}, image_config=SHELL))


def test_a_payload_that_notifies_has_systemd_s_own_socket() -> None:
    notify = {"manifest.json": b'{"readiness": "notify"}'}
    wanted = request(notify, image_config=SHELL)
    nothing = replace(wanted, host=replace(wanted.host, exists=lambda _path: False))
    rendered = render(nothing)
    assert rendered.unit is not None
    assert "Type=notify\nNotifyAccess=all\n" in rendered.unit
    assert "UnsetEnvironment=NOTIFY_SOCKET\n" in rendered.unit
    config = json.loads(rendered.config)
    assert "NOTIFY_SOCKET=/run/systemd/notify" in config["process"]["env"]
    assert "/run/systemd/notify" in [mount["source"] for mount in config["mounts"]]
    assert rendered.tmpfiles is None, "the socket is systemd's"


def test_a_runtime_stands_between_systemd_and_a_payload_in_a_scope() -> None:
    notify = {"manifest.json": b'{"readiness": "notify"}', "config.json": PLAIN_CONFIG}
    text = unit_of(request(notify))
    assert "Type=notify\nNotifyAccess=all\n" in text
    assert "UnsetEnvironment" not in text


@pytest.mark.parametrize("volume", ["relative", "/a/../../etc", "/a\nb"])
def test_a_volume_cannot_lead_out_of_the_state_directory(volume: str) -> None:
    with pytest.raises(TemplateError, match="volume"):
        render(request({}, image_config=replace(SHELL, volumes=(volume,))))


def test_the_owner_of_a_stock_image_s_files_is_its_user() -> None:
    wanted = with_image(request({}), find_user=lambda _spec: User(uid=5, gid=6))
    assert config_of(wanted)["process"]["user"] == {"uid": 5, "gid": 6, "additionalGids": []}


def test_a_user_s_container_belongs_to_the_user_s_default_target() -> None:
    wanted = request({}, "web", image_config=SHELL)
    facts = HostFacts(uid=1000, gid=1000, home="/home/u")
    text = unit_of(replace(wanted, host=replace(wanted.host, facts=facts)))
    assert "WantedBy=default.target\n" in text
    assert "Delegate" not in text


def test_the_image_s_name_is_only_text_in_a_unit() -> None:
    wanted = with_image(request({}, image_config=SHELL), name="a\n[Service]\nExecStart=/evil")
    with pytest.raises(TemplateError, match="control character"):
        render(wanted)
