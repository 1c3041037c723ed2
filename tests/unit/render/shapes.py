# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images of the shapes that exist, and the request to render one of them."""

from dataclasses import replace
from pathlib import Path

from atomic_sys.model.image_config import ImageConfig
from atomic_sys.model.names import ContainerName
from atomic_sys.render.exports import Exports
from atomic_sys.render.host_facts import HostFacts
from atomic_sys.render.render import DefaultTemplates, Host, Image, RenderRequest
from atomic_sys.render.runtime_commands import RuntimeFeature

TEMPLATES = Path(__file__).parents[3] / "templates"
ROOT = '"root": {"path": "rootfs", "readonly": true}'
PLAIN_CONFIG = ("{" + ROOT + "}").encode()
UNIT = b"""[Unit]
Description=$NAME
After=network.target

[Service]
ExecStart=$EXEC_START
ExecStop=$EXEC_STOP
Restart=on-failure
WorkingDirectory=$DESTDIR
RuntimeDirectory=${NAME}

[Install]
WantedBy=multi-user.target
"""

ETCD = {
    "config.json.template": b"""{
    "ociVersion": "1.0.0",
    "process": {"env": ["ETCD_NAME=$ETCD_NAME"], "capabilities": {"bounding": ["CAP_KILL"]}},
    "root": {"path": "rootfs", "readonly": true},
    "mounts": [
        {"type": "bind", "source": "${STATE_DIRECTORY}/etcd/${NAME}.etcd",
         "destination": "/var/lib/etcd", "options": ["rbind", "rw", "mode=755"]},
        {"type": "bind", "source": "$CONF_DIRECTORY/$NAME", "destination": "/etc/etcd"}
        $ADDTL_MOUNTS
    ]
}
""",
    "service.template": UNIT,
    "tmpfiles.template": b"d ${STATE_DIRECTORY}/etcd/${NAME}.etcd 0700 $HOST_UID $HOST_GID - -\n"
    b"d ${RUN_DIRECTORY}/${NAME} - - - - -\n",
    "manifest.json": b"""{"version": "1.0",
    "defaultValues": {"ETCD_NAME": "default", "ADDTL_MOUNTS": "", "CONF_DIRECTORY": "/dead"},
    "renameFiles": {"/usr/local/bin/etcdctl": "/usr/local/bin/${NAME}ctl"}}""",
}
FLANNEL = {
    "config.json.template": b'{"hostname": "flannel", %s}' % ROOT.encode(),
    "service.template": UNIT.replace(
        b"[Service]",
        b"After=$AFTER\nBefore=docker.service\n\n[Service]\nType=notify\nNotifyAccess=all\n"
        b"ExecStopPost=/bin/rm /etc/systemd/system/docker.service.d/$NAME.conf",
    )
    + b"RequiredBy=$REQUIRED_BY\n",
    "tmpfiles.template": b"D ${RUN_DIRECTORY}/${NAME} - - - - -\n"
    b"r /etc/systemd/system/docker.service.d/$NAME.conf - - - - -\n",
    "manifest.json": b'{"defaultValues":'
    b' {"AFTER": "etcd.service", "REQUIRED_BY": "docker.service"}}',
}
DOCKER = {
    "config.json.template": b"""{
    "process": {"capabilities": {"bounding": [
        ${ALL_PROCESS_CAPABILITIES}
    ]}, "noNewPrivileges": false},
    "linux": {"rootfsPropagation": "rslave"},
    "mounts": [{"type": "bind", "source": "${RUN_DIRECTORY}", "destination": "/run"}$ADDTL_MOUNTS],
    "root": {"path": "rootfs", "readonly": true}
}""",
    "service.template": UNIT.replace(
        b"ExecStart=",
        b"ExecStartPre=/bin/sh $DESTDIR/rootfs/set_mounts.sh\n"
        b"ExecStartPre=/bin/bash -c 'export -p > /run/docker-bash-env'\nLimitCORE=infinity\n"
        b"ExecStart=",
    ),
    "manifest.json": b'{"defaultValues": {"ADDTL_MOUNTS": ""}}',
}
NET_SNMP = {
    "config.json.template": b'{"mounts": [{"type": "bind", "source": "/nowhere/snmp"}], %s}'
    % ROOT.encode(),
    "service.template": UNIT,
    "tmpfiles.template": b"",
    "manifest.json": b'{"version": "1.0"}',
}
HELLO = {
    "config.json.template": b"""{
    "ociVersion": "0.4.0",
    "platform": {"os": "linux", "arch": "amd64"},
    "process": {"args": ["run.sh"], "env": ["RECEIVER=$RECEIVER", "PORT=$PORT"]},
    "root": {"path": "rootfs", "readonly": true},
    "hooks": {},
    "linux": {"capabilities": ["CAP_KILL"], "seccomp": {"defaultAction": ""}}
}""",
    "service.template": UNIT,
    "manifest.json": b'{"defaultValues": {"PORT": "8081"}}',
}


def request(
    files: dict[str, bytes],
    name: str = "etcd",
    user_values: dict[str, str] | None = None,
    image_config: ImageConfig | None = None,
    features: RuntimeFeature = RuntimeFeature.SYSTEMD_CGROUP | RuntimeFeature.PID_FILE,
) -> RenderRequest:
    """A deployment of an image with these files in /exports, on a host that lacks /nowhere."""
    return RenderRequest(
        name=ContainerName.parse(name),
        destination=f"/var/lib/containers/atomic/{name}.0",
        image=Image(
            name=f"example/{name}",
            digest="0" * 64,
            config=image_config or ImageConfig(diff_ids=()),
            exports=Exports.parse(files, f"example/{name}"),
        ),
        host=Host(
            facts=HostFacts(capabilities=0b11),
            runtime="/usr/bin/runc",
            features=features,
            exists=lambda path: not path.startswith("/nowhere"),
        ),
        templates=DefaultTemplates(
            config=(TEMPLATES / "config.json.j2").read_text(),
            service=(TEMPLATES / "service.j2").read_text(),
        ),
        uuid="11111111-2222-4333-8444-555555555555",
        user_values=user_values or {},
    )


def with_image(wanted: RenderRequest, **changes: object) -> RenderRequest:
    """The request with other properties of its image."""
    return replace(wanted, image=replace(wanted.image, **changes))  # type: ignore[arg-type]  # kwargs
