# SPDX-License-Identifier: LGPL-2.1-or-later
"""`atomic run IMAGE`, and `install` of an image that is labelled `atomic.run=once`.

The image runs once, from a directory that goes when it has ended, also when we are told to end.
No name is taken, no unit made, no host file installed. An image that may write to its root gets
copies of its files, since those of a checkout are the store's own.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from functools import partial
from typing import TypeAlias

from atomic_sys.engine import live
from atomic_sys.engine.interrupts import held
from atomic_sys.engine.journal import Journal
from atomic_sys.engine.observe import exists_in, is_free
from atomic_sys.engine.operations import (
    CreateTmpfiles,
    RemoveEmptyDirectory,
    RemoveTmpfiles,
    RemoveTree,
)
from atomic_sys.engine.plan import made_by_tmpfiles
from atomic_sys.engine.prepare import Deployment, prepare
from atomic_sys.engine.pull import Pulled
from atomic_sys.engine.report import Report
from atomic_sys.engine.steps import UndoLog, perform, unwind
from atomic_sys.errors import AtomicSysError, Busy, doing
from atomic_sys.frozen import frozen
from atomic_sys.fs.atomic import write_file
from atomic_sys.fs.directory import make_directories, opened, remove_tree
from atomic_sys.fs.lock import directory_locked
from atomic_sys.fs.process import Command, run_attached
from atomic_sys.host import Host
from atomic_sys.model import image_config
from atomic_sys.model.names import ContainerName
from atomic_sys.render import config
from atomic_sys.render.config import ROOTFS, Config, Root
from atomic_sys.render.render import Rendered
from atomic_sys.store.checkout import Content
from atomic_sys.verbs.services import make_sources
from atomic_sys.verbs.support import make_tools, make_view

DIRECTORY = ".storage/run"  # below the checkouts
_TMPFILES = "tmpfiles.conf"
_After: TypeAlias = RemoveTmpfiles | RemoveTree | RemoveEmptyDirectory
_LABEL, _ONCE = "atomic.run", "once"


@frozen
class RunOnce:
    """What is asked for. Without a command it is the image's own; `terminal`: give it ours.

    Without a name, nothing stays of the one that is made up.
    """

    name: ContainerName | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    runtime: str | None = None
    command: Sequence[str] = ()
    terminal: bool = False

    @property
    def called(self) -> ContainerName:
        """The name, or one that is made up, as the predecessor did."""
        return self.name or ContainerName.parse(f"run-once-{os.getpid()}")


def wants_to_run_once(pulled: Pulled, host: Host) -> bool:
    """Whether the image's label says so. Raises InvalidJson, NotFound, Damaged."""
    labels = image_config.parse(host.store.config(pulled.image)).labels
    return labels.get(_LABEL) == _ONCE


def run_once(request: RunOnce, pulled: Pulled, host: Host, report: Report) -> int:
    """Run the image to its end; returns the exit status of what ran.

    Raises AtomicSysError when it cannot be run.
    """
    if host.options.root != "/":
        raise AtomicSysError("an image runs on the running system only", hint="leave out --root")
    image = pulled.image.name
    with doing(f"running {image}"), held() as hold, _bundle(host) as (path, fd):
        with hold.let_through():
            rendered = _render(request, pulled, path, host)
            own = _command(request, rendered, f"{host.paths.inside(path)}/{ROOTFS}")
            report.say(f"Extracting to {path}")
            content = Content.COPIES if config.is_writable(own) else Content.LINKS_OR_COPIES
            host.store.check_out(host.store.tree(pulled.image), fd, ROOTFS, content)
            write_file(fd, "config.json", own.document, 0o600)
            write_file(fd, _TMPFILES, (rendered.tmpfiles or "").encode(), 0o600)
        before, after = _around(request, rendered, path, host)
        tools = make_tools(host, report, Journal(host.root, host.paths.checkouts, request.called))
        try:
            for operation in before:
                perform(operation, tools, UndoLog())
            make_sources(own)
            hold.check()
            return _run(rendered.values.all["RUNTIME"], request.called, host.paths.inside(path))
        finally:
            unwind(after, tools)


def _render(request: RunOnce, pulled: Pulled, path: str, host: Host) -> Rendered:
    deployment = Deployment(
        name=request.called, directory=path, user_values=request.values, files=Root.OWN
    )
    view = make_view(host, request.runtime or host.paths.runtime)
    return prepare(deployment, pulled.image, host.store.tree(pulled.image), host.store, view)


def _command(request: RunOnce, rendered: Rendered, rootfs: str) -> Config:
    checked = config.check(rendered.config, "config.json", Root.OWN)
    return config.with_command(checked, rootfs, request.command, terminal=request.terminal)


def _around(
    request: RunOnce, rendered: Rendered, path: str, host: Host
) -> tuple[tuple[CreateTmpfiles, ...], tuple[_After, ...]]:
    """What is done on the host before it runs, and afterwards."""
    if rendered.tmpfiles is None:
        return (), ()
    lines = f"{path}/{_TMPFILES}"
    made = made_by_tmpfiles(rendered.tmpfiles, partial(is_free, host.root))
    after: list[_After] = [RemoveTmpfiles(path=lines)]
    for directory in reversed(made):
        above, _, name = directory.rpartition("/")
        if request.name is None and name == request.called.value:
            after.append(RemoveTree(directory=above, name=name))
        else:
            after.append(RemoveEmptyDirectory(path=directory))
    return (CreateTmpfiles(path=lines),), tuple(after)


def _run(runtime: str, name: ContainerName, bundle: str) -> int:
    """Let the runtime run the bundle on our terminal; nothing of it runs on."""
    identity = f"{name}-run-{os.getpid()}"
    try:
        return run_attached([runtime, "run", "--bundle", bundle, identity])
    finally:
        Command(argv=[runtime, "delete", "--force", identity]).run()


@contextlib.contextmanager
def _runs(host: Host) -> Iterator[int]:
    """The directory of all bundles."""
    os.close(make_directories(host.root, host.paths.checkouts))
    fd = make_directories(host.root, f"{host.paths.checkouts}/{DIRECTORY}", 0o700)
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def _bundle(host: Host) -> Iterator[tuple[str, int]]:
    """A directory, as seen from inside the root and as a descriptor, for the length of the block.

    Its lock tells others that somebody needs it.
    """
    identity, timeout = secrets.token_hex(6), host.options.lock_timeout
    with _runs(host) as runs, contextlib.ExitStack() as stack:
        with directory_locked(runs, timeout=timeout, what="the list of runs"):
            os.mkdir(identity, 0o700, dir_fd=runs)
            stack.callback(remove_tree, runs, identity)
            fd = stack.enter_context(opened(runs, identity))
            stack.enter_context(directory_locked(fd, timeout=timeout, what=identity))
        yield f"{host.paths.checkouts}/{DIRECTORY}/{identity}", fd


def clean_runs(host: Host) -> None:
    """Remove the bundles of processes that died, once nothing runs there. Raises Busy, OSError."""
    above, _, name = f"{host.paths.checkouts}/{DIRECTORY}".rpartition("/")
    if not exists_in(host.root, above, name):
        return
    timeout = host.options.lock_timeout
    with _runs(host) as runs, directory_locked(runs, timeout=timeout, what="the list of runs"):
        left = os.listdir(runs)
        roots = live.mounted_roots() if left else frozenset()
        for identity in left:
            if not live.in_use(identity, roots):
                with (
                    contextlib.suppress(Busy),
                    opened(runs, identity) as fd,
                    directory_locked(fd, timeout=0, what=identity),
                ):
                    remove_tree(runs, identity)
