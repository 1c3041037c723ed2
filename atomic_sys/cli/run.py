# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic run`."""

import argparse
import sys

from atomic_sys.cli.arguments import (
    add_display,
    add_source_credentials,
    add_storage,
    check_storage,
)
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.cli.progress import reporting
from atomic_sys.errors import ExitCode, UsageError, printable
from atomic_sys.host import Host
from atomic_sys.model.names import ContainerName
from atomic_sys.render.values import parse_assignments
from atomic_sys.verbs import running, services
from atomic_sys.verbs.run_once import RunOnce, run_once
from atomic_sys.verbs.services import Execution


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("-d", "--detach", action="store_true", help="do not wait for the command")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="set a value of an image")
    add("--runtime", metavar="PATH", help="OCI runtime for an image, instead of /usr/bin/runc")
    add_display(parser)
    add_storage(parser)
    add_source_credentials(parser)
    add("name", metavar="NAME|IMAGE", nargs="?", help="the container, or an image to be run once")
    add("command", metavar="COMMAND", nargs=argparse.REMAINDER, help="what to run in it")
    parser.epilog = (
        "Without a command, start the container's service, or run what an image runs that is"
        " labelled atomic.run=once. The exit status is the command's."
    )


def run(arguments: argparse.Namespace, options: GlobalOptions) -> int:
    """Start it, run the command in it, or run the image."""
    check_storage(arguments)
    if arguments.name is None:
        raise UsageError(
            "the name of a container, or an image, is required",
            hint="atomic containers list --all shows what is installed",
        )
    with open_host(options, source_credentials=arguments.src_creds) as host:
        name = running.container_or_image(arguments.name, host)
        if name is None and not arguments.command:
            name = running.container_of_image(arguments.name, host)
        if arguments.display:
            print(printable(_shown(name, arguments, host)))
            return ExitCode.DONE
        if name is None:
            return _image(arguments, host)
        if arguments.set or arguments.runtime:
            raise UsageError(
                f"--set and --runtime are for images, and {name} is an installed container",
                hint=f"atomic containers update --set NAME=VALUE {name} sets its values",
            )
        return _container(name, arguments, host)


def _shown(name: ContainerName | None, arguments: argparse.Namespace, host: Host) -> str:
    command = " ".join(arguments.command)
    if name is None:
        return f"run {command or 'its command'} in the image {arguments.name}, and remove it"
    unit = services.unit_of(name, host)
    return f"run {command} in {name}" if command else f"systemctl start {unit}"


def _container(name: ContainerName, arguments: argparse.Namespace, host: Host) -> int:
    if not arguments.command:
        if arguments.detach:
            raise UsageError("--detach needs a command")
        services.start(name, host)
        return ExitCode.DONE
    terminal = sys.stdin.isatty() and not arguments.detach
    execution = Execution(command=arguments.command, terminal=terminal, detach=arguments.detach)
    return services.run(name, execution, host)


def _image(arguments: argparse.Namespace, host: Host) -> int:
    if arguments.detach:
        raise UsageError("Cannot use --detach with not running containers")
    request = RunOnce(
        values=parse_assignments(arguments.set),
        runtime=arguments.runtime,
        command=arguments.command,
        terminal=sys.stdin.isatty() and sys.stdout.isatty(),
    )
    with reporting(Output(json=True)) as report:  # stdout is that of the image
        has_command = bool(arguments.command)
        pulled = running.image_to_run(arguments.name, host, report, has_command=has_command)
    return run_once(request, pulled, host, report)
