# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic trust check`."""

import argparse

from atomic_sys.cli.arguments import add_source_credentials
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.errors import ExitCode, printable
from atomic_sys.trust.verdict import Verdict
from atomic_sys.verbs.trust_check import check


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("image", metavar="IMAGE", help="of a registry, dir:DIR, oci:DIR, ostree:NAME, ...")
    add("--as", metavar="REF", dest="alias", help="judge it as if it had this name")
    add("--json", action="store_true", help="print the verdict as JSON")
    add_source_credentials(parser)
    parser.epilog = "exit status: 0 accepted, 6 rejected, 1 it could not be judged"


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Print the verdict; the exit code tells it too."""
    with open_host(options, source_credentials=arguments.src_creds) as host:
        verdict = check(arguments.image, arguments.alias, host)
    if arguments.json:
        Output(json=True).emit(verdict.as_json(arguments.image))
    else:
        _print(verdict, arguments.image)
    return ExitCode.DONE if verdict.accepted else ExitCode.REJECTED


def _print(verdict: Verdict, image: str) -> None:
    outcome = "accepted" if verdict.accepted else "rejected"
    print(printable(f"{image} is {outcome} by {verdict.source}, {verdict.place}"))
    print(printable(f"  {verdict.reference or '(no name)'} {verdict.digest}"))
    for requirement in verdict.requirements:
        print(printable(f"  {requirement}"))
        for key in requirement.keys:
            print(printable(f"    trusted key {key}"))
        for signature in requirement.signatures:
            who = f" by {signature.user} ({signature.signer})" if signature.signer else ""
            what = f" for {signature.identity}" if signature.identity else ""
            said = "accepted" if signature.accepted else f"rejected: {signature.reason}"
            print(printable(f"    {signature.source}{who}{what}: {said}"))
