# SPDX-License-Identifier: LGPL-2.1-or-later
"""The templates of the example images: complete by default, right with other values."""

import json
from typing import Any

import pytest

from atomic_sys.errors import UsageError
from images.recipes import MOUNT_POINTS, RECIPES
from tests.unit.images.rendering import SOURCES, rendered

SYSTEM_CONTAINERS = ("etcd", "flannel", "docker", "hello-world")


def config_of(image: str, **values: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(rendered(image, values).config)
    return loaded


def environment(config: dict[str, Any]) -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in config["process"]["env"])


@pytest.mark.parametrize("image", SYSTEM_CONTAINERS)
def test_defaults_are_complete(image: str) -> None:
    result = rendered(image)
    config = json.loads(result.config)
    assert config["root"] == {"path": "rootfs", "readonly": True}
    assert config["process"]["terminal"] is False
    assert result.unit is not None and result.tmpfiles is not None
    assert "ExecStart=/usr/sbin/runc --systemd-cgroup run " in result.unit
    # runc's leftovers of a crash must not block the next start
    assert f"ExecStartPre=-/usr/sbin/runc delete --force '{image}'" in result.unit
    assert f"ExecStopPost=-/usr/sbin/runc delete --force '{image}'" in result.unit


@pytest.mark.parametrize("image", SYSTEM_CONTAINERS)
def test_every_mount_has_its_place_in_the_image(image: str) -> None:
    """A read-only root has no room for what a runtime would have to create."""
    # what lies below another mount is made there, not in the image
    shipped = {f"/{name}" for name in (*MOUNT_POINTS, *RECIPES[image].directories)}
    shipped |= {"/etc/hosts", "/etc/resolv.conf", "/var/lib", "/sys", "/run"}
    places = [mount["destination"] for mount in config_of(image)["mounts"]]
    for place in places:
        below_another = any(place.startswith(f"{other}/") for other in places)
        assert place in shipped or below_another, place


@pytest.mark.parametrize("image", ["etcd", "flannel", "docker"])
def test_bind_sources_in_run_are_made_by_tmpfiles(image: str) -> None:
    result = rendered(image)
    made = {line.split()[1] for line in (result.tmpfiles or "").splitlines() if line[:1] in "df"}
    sources = [mount["source"] for mount in json.loads(result.config)["mounts"]]
    assert {source for source in sources if source.startswith("/run/")} <= made


@pytest.mark.parametrize("image", ["etcd", "flannel", "docker"])
def test_additional_mounts_are_spliced(image: str) -> None:
    mount = {"type": "bind", "source": "/srv", "destination": "/srv", "options": ["bind"]}
    config = config_of(image, ADDTL_MOUNTS=f",{json.dumps(mount)}")
    assert config["mounts"][-1] == mount


@pytest.mark.parametrize("image", ["etcd", "flannel", "hello-world"])
def test_small_services_have_small_privileges(image: str) -> None:
    process = config_of(image)["process"]
    allowed = {"CAP_NET_ADMIN", "CAP_NET_RAW"} if image == "flannel" else set()
    assert {cap for caps in process["capabilities"].values() for cap in caps} == allowed
    assert process["noNewPrivileges"] is True


@pytest.mark.parametrize("image", ["etcd", "flannel", "docker"])
def test_active_means_ready(image: str) -> None:
    unit = rendered(image).unit or ""
    assert "Type=notify\nNotifyAccess=all\n" in unit


def test_boot_order() -> None:
    unit = rendered("flannel", {"AFTER": "a.service", "REQUIRED_BY": "b.service"}).unit or ""
    assert "After=network.target a.service\nRequires=a.service\nBefore=b.service\n" in unit
    assert "RequiredBy=b.service\n" in unit


def test_host_files_follow_the_names() -> None:
    drop_in = rendered("flannel", {"REQUIRED_BY": "moby.service"}, name="net").host_files.files
    assert [file.destination for file in drop_in] == ["/etc/systemd/system/moby.service.d/net.conf"]
    tool = rendered("etcd", name="second").host_files.files
    assert [file.destination for file in tool] == ["/usr/local/bin/secondctl"]


def test_two_etcds_share_nothing() -> None:
    one, two = (
        {
            mount["source"]
            for mount in json.loads(rendered("etcd", name=name).config)["mounts"]
            if mount["type"] == "bind"
        }
        for name in ("one", "two")
    )
    assert one and not one & two


def test_values_of_hello_world_are_escaped() -> None:
    receiver = 'a "friend" \\ 100%'
    config = config_of("hello-world", RECEIVER=receiver, PORT="8082")
    assert environment(config)["RECEIVER"] == receiver
    assert environment(config)["PORT"] == "8082"


def test_hello_world_wants_a_number_as_port() -> None:
    with pytest.raises(UsageError):
        config_of("hello-world", PORT="http")


def test_etcd_exports_every_variable_of_its_manifest() -> None:
    manifest = json.loads((SOURCES / "etcd/exports/manifest.json").read_text())
    variables = {name for name in manifest["defaultValues"] if name.startswith("ETCD_")}
    assert variables < environment(config_of("etcd")).keys()


def test_every_image_has_sources_or_packages_only() -> None:
    for name in SYSTEM_CONTAINERS:
        assert RECIPES[name].labels["atomic.type"] == "system"
    assert not (SOURCES / "busybox" / "exports").exists()
    assert "atomic.type" not in RECIPES["busybox"].labels
