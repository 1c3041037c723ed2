# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic containers status`."""

import argparse
import time

from atomic_sys.cli.containers_list import as_json
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.errors import ExitCode, printable
from atomic_sys.model.names import ContainerName
from atomic_sys.verbs.containers import Status, status


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("name", metavar="NAME", help="the container")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.epilog = "exit status: 0 active, 3 not active, 4 no such container"


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Print the state; the exit code tells it too, as that of `systemctl status`."""
    with open_host(options) as host:
        found = status(ContainerName.parse(arguments.name), host)
        if arguments.json:
            extra = {
                "sub_state": found.unit.sub,
                "main_pid": found.details.main_pid,
                "since": _since(found),
                "deployments": list(found.deployments),
                "drift": list(found.drift),
                "verdict": _verdict(found),
            }
            Output(json=True).emit(
                as_json(found.container, enabled=found.enabled == "enabled") | extra
            )
        else:
            _print(found)
    return ExitCode.DONE if found.container.running else ExitCode.NOT_ACTIVE


def _since(found: Status) -> str:
    microseconds = found.details.since_realtime_us
    if not microseconds:
        return ""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(microseconds / 1_000_000))


def _verdict(found: Status) -> object:
    record = found.container.installed.record
    return None if record is None else record.verdict


def _print(found: Status) -> None:
    container, record = found.container, found.container.installed.record
    name = container.installed.name
    since = f" since {_since(found)}" if _since(found) else ""
    rows = [
        ("Unit", f"{name.unit} ({found.enabled or 'not there'})"),
        ("State", f"{container.state} ({found.unit.active}, {found.unit.sub}){since}"),
        ("Image", container.image),
        ("Digest", "" if record is None else f"sha256:{record.revision}"),
        ("Signed by", "" if record is None else ", ".join(record.signers) or "nobody"),
        ("Deployment", container.installed.deployment),
        ("Files", "" if record is None else record.remote or ""),
        ("Deployments", ", ".join(f"{name}.{number}" for number in found.deployments)),
        ("Command", container.command),
        ("Main PID", str(found.details.main_pid or "")),
        ("Drift", ", ".join(found.drift) or "none"),
    ]
    if container.installed.problem is not None:
        rows.append(("Problem", container.installed.problem))
    print(name)
    for title, value in rows:
        if value:
            print(f"{title:>12}: {printable(value)}")
