# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic install`."""

import argparse
import os

from atomic_sys import log
from atomic_sys.cli.arguments import (
    add_lock_timeout,
    add_rootfs,
    add_source_credentials,
    add_storage,
    check_storage,
    rootfs,
)
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.cli.plan_output import print_plan
from atomic_sys.cli.progress import PlainReport, reporting
from atomic_sys.engine.pull import Pulled
from atomic_sys.errors import ExitCode, UsageError
from atomic_sys.host import Host
from atomic_sys.model.stream import read_limited
from atomic_sys.render.unit import Ordering
from atomic_sys.render.values import parse_assignments
from atomic_sys.verbs.install import Install, InstallResult, install
from atomic_sys.verbs.run_once import RunOnce, run_once

_VALUES_LIMIT = 1 << 20  # bytes of a file of values
_PACKAGE_MODES = ("auto", "build", "no", "yes")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add(
        "image",
        metavar="IMAGE",
        help="NAME[:TAG][@DIGEST], docker://..., oci:DIR[:TAG], ostree:NAME",
    )
    add("--system", action="store_true", help="install a system container (the default)")
    add("--user", action="store_true", help=argparse.SUPPRESS)
    add_storage(parser)
    add_source_credentials(parser)
    add("-n", "--name", help="name of the container and its unit (default: of the image)")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="set a value of the image")
    add("--values", metavar="FILE", help="YAML file with values; --set wins")
    add("--runtime", metavar="PATH", help="OCI runtime instead of /usr/bin/runc")
    add_rootfs(parser)
    add("--system-package", metavar="MODE", default="auto", help=argparse.SUPPRESS)
    add("--now", action="store_true", help="start it too, and wait until it is active")
    add("--no-enable", action="store_true", help="do not start it at boot")
    for option in ("after", "before", "requires", "wants"):
        add(
            f"--{option}",
            action="append",
            default=[],
            metavar="UNIT",
            help=f"add {option.capitalize()}=UNIT to its unit, by a drop-in",
        )
    add(
        "--dry-run",
        "--display",
        action="store_true",
        help="pull the image, then only show the steps and the files that would be written",
    )
    add("--json", action="store_true", help="print the result as JSON")
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> int:
    """Install and say what was done."""
    _check(arguments)
    request = Install(
        image=arguments.image,
        name=arguments.name,
        values=_values(arguments),
        runtime=arguments.runtime,
        rootfs=rootfs(arguments, options),
        enable=not arguments.no_enable,
        start=arguments.now,
        dry_run=arguments.dry_run,
        ordering=Ordering(
            after=tuple(arguments.after),
            before=tuple(arguments.before),
            requires=tuple(arguments.requires),
            wants=tuple(arguments.wants),
        ),
    )
    output = Output(json=arguments.json)
    with open_host(
        options, lock_timeout=arguments.lock_timeout, source_credentials=arguments.src_creds
    ) as host:
        with reporting(output) as report:
            result = install(request, host, report)
        if result.once and result.pulled is not None:
            return _once(result, result.pulled, request, host)
    _print(result, request, output)
    return ExitCode.DONE


def _once(result: InstallResult, pulled: Pulled, request: Install, host: Host) -> int:
    """Run the image: its exit status is ours, and its output is all there is."""
    if request.dry_run:
        print(f"run {pulled.image.name} once, as {result.name}, and remove it")
        return ExitCode.DONE
    once = RunOnce(name=result.name, values=request.values, runtime=request.runtime)
    return run_once(once, pulled, host, PlainReport(Output()))


def _check(arguments: argparse.Namespace) -> None:
    check_storage(arguments)
    if arguments.system and arguments.user:
        raise UsageError("--system and --user exclude each other")
    if arguments.user:
        raise UsageError("--user is not supported yet", hint="install it with --system, as root")
    if os.geteuid() != 0:
        raise UsageError("Only root can use --system")
    if arguments.system_package not in _PACKAGE_MODES:
        modes = ", ".join(f"'{mode}'" for mode in _PACKAGE_MODES)
        raise UsageError(f"Invalid --system-package mode.  Accepted values: {modes}")
    if arguments.system_package in ("yes", "build"):
        raise UsageError(
            f"--system-package={arguments.system_package}: no packages are built",
            hint="host files are tracked without one: use --system-package=no",
        )


def _values(arguments: argparse.Namespace) -> dict[str, str]:
    values = {} if arguments.values is None else _values_file(arguments.values)
    return values | parse_assignments(arguments.set)


def _values_file(path: str) -> dict[str, str]:
    import yaml  # here because only this option needs it

    with open(path, "rb") as stream:
        document = read_limited(stream, _VALUES_LIMIT, path)
    try:
        # Every scalar is the text that stands there, as with --set: 1.10 is not 1.1, 0755 not 493.
        body = yaml.load(document, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: invalid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(body, dict):
        raise UsageError(f"{path} is not a mapping of names to values")
    for name, value in body.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise UsageError(f"{path}: {name!r} is not a name with one value", hint="quote it")
    return body


def _print(result: InstallResult, request: Install, output: Output) -> None:
    if output.json:
        output.emit({
            "name": result.name.value,
            "image": result.image,
            "digest": result.digest,
            "signers": list(result.signers),
            "deployment": result.deployment,
            "changed": result.plan is not None and not request.dry_run,
            "plan": [operation.describe() for operation in result.plan or ()],
        })
    elif result.plan is None:
        output.say(f"{result.name} already present")
    elif request.dry_run:
        print_plan(result.plan)
    elif request.start:
        log.note(f"{result.name} is installed and active")
    else:
        log.note(f"{result.name} is installed; start it with: systemctl start {result.name}")
