# SPDX-License-Identifier: LGPL-2.1-or-later
"""Everything that a deployment needs as text, from an image, a host and a user's wishes. Pure.

The engine calls `render()` before it changes anything, so that a bad template or a wrong value
never takes a running service down.
"""

from collections.abc import Callable, Mapping
from dataclasses import field

from atomic_sys.frozen import frozen
from atomic_sys.model.image_config import ImageConfig
from atomic_sys.model.names import ContainerName
from atomic_sys.model.strict_json import Json
from atomic_sys.render import config, defaults, escape, hostfiles, tmpfiles, typed, unit, values
from atomic_sys.render.config import Config, Root
from atomic_sys.render.defaults import Payload, Placement, Service
from atomic_sys.render.escape import Target
from atomic_sys.render.exports import Exports
from atomic_sys.render.host_facts import HostFacts
from atomic_sys.render.hostfiles import HostEntry, HostFiles
from atomic_sys.render.limits import TemplateError
from atomic_sys.render.runtime_commands import Runtime, RuntimeFeature
from atomic_sys.render.settings import Settings
from atomic_sys.render.template import Syntax, Template, substitute
from atomic_sys.render.tmpfiles import OwnedDirectory
from atomic_sys.render.users import FindUser, find_user
from atomic_sys.render.values import UnknownNames, Values, ValueSources


@frozen
class Image:
    """An image as its store knows it; the paths of `in_image` are absolute, inside it."""

    name: str
    digest: str  # of the manifest, in hex
    config: ImageConfig
    exports: Exports
    host_entries: tuple[HostEntry, ...] = ()
    in_image: Callable[[str], bool] = field(default=lambda _path: False)
    find_user: FindUser = field(default_factory=lambda: find_user("", ""))


@frozen
class Host:
    """The host; `exists` answers for absolute paths below its root."""

    facts: HostFacts
    runtime: str
    features: RuntimeFeature
    exists: Callable[[str], bool]


@frozen
class DefaultTemplates:
    """The texts of templates/config.json.j2 and templates/service.j2."""

    config: str
    service: str


@frozen
class RenderRequest:
    """One deployment. `destination` is its directory as the host will see it.

    `user_values` are those of --set, now and before; `uuid` is the saved one or a new one;
    `remote_rootfs` is the predecessor's --rootfs.
    """

    name: ContainerName
    destination: str
    image: Image
    host: Host
    templates: DefaultTemplates
    uuid: str
    user_values: Mapping[str, str] = field(default_factory=dict)
    remote_rootfs: str | None = None
    files: Root = Root.SHARED


@frozen
class Rendered:
    """The files of a deployment; `unit` is None for an image that only has host files."""

    config: bytes
    unit: str | None
    tmpfiles: str | None
    values: Values
    host_files: HostFiles
    settings: Settings
    state: tuple[str, ...]


def render(request: RenderRequest) -> Rendered:
    """Render and check everything.

    Raises UsageError for a value that cannot be, TemplateError, InvalidConfig or InvalidHostFile.
    """
    settings = request.image.exports.settings
    decided = resolve_values(request)
    runtime_config = _config(request, decided)
    volumes = _volumes(request, decided)
    return Rendered(
        config=runtime_config.document,
        unit=_unit(request, decided) if settings.has_service else None,
        tmpfiles=_tmpfiles(request, decided, runtime_config.bind_sources, volumes),
        values=decided,
        host_files=hostfiles.plan(request.image.host_entries, settings, decided.all),
        settings=settings,
        state=_state(settings, decided, volumes),
    )


def known_names(exports: Exports) -> frozenset[str]:
    """The variables that an image knows: what its templates use and its manifest.json says."""
    names = frozenset[str]().union(*(template.variables() for template in exports.templates))
    return names | exports.settings.names


def resolve_values(request: RenderRequest) -> Values:
    """The values of a deployment, the runtime's commands among them. Raises UsageError."""
    exports, host, facts = request.image.exports, request.host, request.host.facts
    name = request.name.value
    computed = facts.computed_values(name, host.runtime, request.user_values)
    chosen = computed | dict(request.user_values)
    runtime = Runtime(
        path=chosen["RUNTIME"],
        features=host.features,
        container=name,
        pid_file=chosen["PIDFILE"],
    )
    forced = {
        "DESTDIR": request.destination,
        "NAME": name,
        "HOST_UID": str(facts.uid),
        "HOST_GID": str(facts.gid),
        "IMAGE_NAME": request.image.name,
        "IMAGE_ID": request.image.digest,
    }
    return values.resolve(
        ValueSources(
            forced=forced | runtime.values(runtime.supervision(exports.service)),
            user=request.user_values,
            computed=computed,
            settings=exports.settings,
            uuid=request.uuid,
            known=known_names(exports),
            unknown=UnknownNames.ENVIRONMENT if exports.config is None else UnknownNames.REFUSED,
        )
    )


def _placement(request: RenderRequest) -> Placement:
    """Our own config and our own unit keep the payload in the unit's cgroup."""
    exports = request.image.exports
    if exports.config is not None or exports.service is not None or request.host.facts.is_user:
        return Placement.SCOPE
    if RuntimeFeature.CGROUP_MANAGER in request.host.features:
        return Placement.UNMANAGED
    return Placement.UNIT


def _payload(request: RenderRequest, decided: Values) -> Payload:
    image = request.image
    environment = {
        name: value
        for name, value in decided.unclassed.items()
        if name != defaults.ADDITIONAL_MOUNTS
    }
    return Payload(
        image=image.config,
        user=image.find_user(image.config.user),
        environment=environment,
        state_directory=f"{decided.all['STATE_DIRECTORY']}/{request.name}",
        in_image=image.in_image,
        on_host=request.host.exists,
        additional_mounts=decided.all.get(defaults.ADDITIONAL_MOUNTS, ""),
        placement=_placement(request),
        readiness=image.exports.settings.readiness,
    )


def _config(request: RenderRequest, decided: Values) -> Config:
    match request.image.exports.config:
        case bytes() as document:
            pass
        case Template() as template:
            document = template.render(decided.all, decided.typed).encode()
        case None:
            cgroup = defaults.cgroups_path(request.name.value, _placement(request))
            names: dict[str, Json] = {
                "process": defaults.process(_payload(request, decided), cgroup)
            }
            own = _own_template("config.json.j2", request.templates.config, Target.JSON)
            document = own.render(decided.all, dict(decided.typed) | names).encode()
    checked = config.check(document, f"{request.destination}/config.json", request.files)
    if request.remote_rootfs is None:
        return checked
    return config.with_root(checked, request.remote_rootfs)


def _volumes(request: RenderRequest, decided: Values) -> tuple[OwnedDirectory, ...]:
    """The host's directories for the exposed volumes, where it is us who mount them."""
    if request.image.exports.config is not None:
        return ()
    return tuple(directory for _, directory in _payload(request, decided).volumes())


def _unit(request: RenderRequest, decided: Values) -> str:
    text = _unit_text(request, decided)
    if request.remote_rootfs is None:
        return text
    # The file system may be a network's, or mounted when it is first needed: systemd.unit(5).
    needed = f"RequiresMountsFor={escape.field(request.remote_rootfs)}"
    return unit.check(f"{text.rstrip()}\n\n[Unit]\n{needed}\n", request.name.unit)


def _unit_text(request: RenderRequest, decided: Values) -> str:
    own = request.image.exports.service
    if own is not None:
        text = unit.check(own.render(decided.all, decided.typed), own.name)
        return unit.with_good_end(text, decided.all["EXEC_START"])
    service = Service(
        name=request.name.value,
        runtime=decided.all["RUNTIME"],
        placement=_placement(request),
        settings=request.image.exports.settings,
        stop_signal=request.image.config.stop_signal,
        state=tuple(directory.path for directory in _volumes(request, decided)),
        is_user=request.host.facts.is_user,
    )
    template = _own_template("service.j2", request.templates.service, Target.UNIT)
    names: dict[str, Json] = dict(decided.typed) | {"service": service.context()}
    return unit.check(template.render(decided.all, names), template.name)


def _tmpfiles(
    request: RenderRequest,
    decided: Values,
    sources: tuple[str, ...],
    volumes: tuple[OwnedDirectory, ...],
) -> str | None:
    """The image's own text (an empty one means none), or else what the bind mounts need."""
    own = request.image.exports.tmpfiles
    if own is not None:
        text = tmpfiles.check(own.render(decided.all, decided.typed), own.name)
        return text if text.strip() else None
    if not request.image.exports.settings.has_service:
        return None
    facts = request.host.facts
    kept = {directory.path for directory in volumes} | {defaults.NOTIFY_SOCKET}
    others = [path for path in sources if path not in kept]
    missing = tmpfiles.missing_directories(others, request.host.exists, facts.uid, facts.gid)
    return tmpfiles.owned_directories(volumes) + (missing or "") or None


def _state(
    settings: Settings, decided: Values, volumes: tuple[OwnedDirectory, ...]
) -> tuple[str, ...]:
    """The directories that hold what must outlive the container, as far as the image says so.

    Raises TemplateError for what is no path any more once its values are filled in.
    """
    declared = []
    for path in settings.state:
        try:
            declared.append(typed.checked_path(substitute("manifest.json", path, decided.all)))
        except ValueError as error:
            raise TemplateError(f"manifest.json: state: {error}") from None
    return tuple(dict.fromkeys(declared + [directory.path for directory in volumes]))


def _own_template(name: str, text: str, target: Target) -> Template:
    return Template(name=name, text=text, syntax=Syntax.JINJA, target=target)
