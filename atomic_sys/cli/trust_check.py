# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic trust check`."""

import argparse

from atomic_sys.cli.arguments import add_source_credentials
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output, print_fields
from atomic_sys.cli.trust_audit import run_audit
from atomic_sys.errors import ExitCode, UsageError
from atomic_sys.trust.verdict import RequirementVerdict, SignatureVerdict
from atomic_sys.verbs.trust_check import Checked, check


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("image", nargs="?", metavar="IMAGE", help="default: what every container was made from")
    add("--as", dest="as_name", metavar="NAME", help="judge it as this image of a registry")
    add("--json", action="store_true", help="print JSON")
    add_source_credentials(parser)
    parser.epilog = "exit status: 0 accepted, 6 rejected, 1 it could not be judged"


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Judge, and tell all of it."""
    if arguments.image is None:
        if arguments.as_name is not None:
            raise UsageError("--as needs an image")
        return run_audit(options, json=arguments.json, heading=True)
    with open_host(options, source_credentials=arguments.src_creds) as host:
        found = check(arguments.image, arguments.as_name, host)
    if arguments.json:
        Output(json=True).emit(found.verdict.as_json(found.image))
    else:
        _print(found)
    return ExitCode.DONE if found.verdict.accepted else ExitCode.REJECTED


def _print(found: Checked) -> None:
    verdict = found.verdict
    rows = [
        ("Verdict", _word(accepted=verdict.accepted)),
        ("Policy", f"{verdict.source} ({verdict.place})"),
        ("Reference", verdict.reference or "none"),
        ("Digest", str(verdict.digest)),
    ]
    keys = {key.fingerprint: str(key) for demand in found.demands for key in demand.keys}
    for requirement in verdict.requirements:
        rows.append(("Requirement", str(requirement)))
        rows += [("Key", keys.get(key.fingerprint, str(key))) for key in requirement.keys]
        rows += [("Signature", _signature(one)) for one in requirement.signatures]
        rows += _missing_keys(requirement, found)
    print_fields(found.image, rows)


def _missing_keys(requirement: RequirementVerdict, found: Checked) -> list[tuple[str, str]]:
    """Keys that are not there: then the requirement has none at all."""
    if requirement.keys:
        return []
    demands = [one for one in found.demands if one.requirement.kind == requirement.kind]
    return [("Key", str(key)) for one in demands for key in one.keys if key.fingerprint is None]


def _signature(one: SignatureVerdict) -> str:
    signer = "" if one.signer is None else f" by {one.user} ({one.signer})"
    name = "" if one.identity is None else f" as {one.identity}"
    reason = "" if one.reason is None else f": {one.reason}"
    return f"{one.source}{signer}{name}: {_word(accepted=one.accepted)}{reason}"


def _word(*, accepted: bool) -> str:
    return "accepted" if accepted else "rejected"
