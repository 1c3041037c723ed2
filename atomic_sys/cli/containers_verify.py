# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic containers verify`."""

import argparse
from collections.abc import Sequence

from atomic_sys import log
from atomic_sys.cli.arguments import add_lock_timeout, add_source_credentials
from atomic_sys.cli.checking import counting
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.cli.progress import reporting
from atomic_sys.engine.verify import Finding
from atomic_sys.errors import ExitCode, UsageError, printable
from atomic_sys.verbs.containers_verify import Verified, verify_containers
from atomic_sys.verbs.uninstall import find_all


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("names", metavar="NAME", nargs="*", help="the containers")
    add("-a", "--all", action="store_true", help="all containers")
    add("--repair", action="store_true", help="put back what differs")
    add("--json", action="store_true", help="print the result as JSON")
    add_source_credentials(parser)
    add_lock_timeout(parser)
    parser.epilog = "exit status: 0 all is as it was installed, 4 no such container, 5 damaged"


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Verify, and name every file that differs."""
    if bool(arguments.names) == arguments.all:
        raise UsageError("You must select --all or provide a list of containers to verify.")
    output = Output(json=arguments.json)
    with (
        open_host(
            options,
            lock_timeout=arguments.lock_timeout,
            source_credentials=arguments.src_creds,
        ) as host,
        reporting(output) as report,
        counting() as advance,
    ):
        chosen = None if arguments.all else find_all(arguments.names, host)
        answers = verify_containers(chosen, host, report, advance, repair=arguments.repair)
    if output.json:
        output.emit([_as_json(answer) for answer in answers])
    else:
        for answer in answers:
            _print(answer, output)
    return ExitCode.DAMAGED if any(answer.left for answer in answers) else ExitCode.DONE


def _as_json(answer: Verified) -> dict[str, object]:
    return {
        "name": str(answer.name),
        "differences": _findings(answer.found),
        "repaired": _findings([one for one in answer.found if one not in answer.left]),
        "left": _findings(answer.left),
        "recorded": answer.recorded,
    }


def _findings(findings: Sequence[Finding]) -> list[dict[str, str]]:
    return [{"path": one.path, "what": one.what} for one in findings]


def _print(answer: Verified, output: Output) -> None:
    for one in answer.left:
        print(f"{answer.name}: {one.what}: {printable(one.path)}")
    for one in answer.found:
        if one not in answer.left:
            output.say(f"{answer.name}: restored {one.path}")
    if not answer.recorded and not answer.left:
        log.note(f"{answer.name}: config.json and unit were not recorded: update it to have them")
    if not answer.found:
        output.say(f"{answer.name}: as it was installed")
