# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic trust show`."""

import argparse
import sys

from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output, print_fields
from atomic_sys.errors import ExitCode, UsageError, printable
from atomic_sys.trust.lint_keys import Demand
from atomic_sys.trust.requirements import identity_json
from atomic_sys.verbs.trust_show import (
    Effective,
    Entry,
    effective,
    identity_of,
    show,
    show_raw,
    word,
)

_ROW = "{0:<35} {1:<6} {2:<29} {3}"  # the predecessor's


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("--raw", action="store_true", help="print the policy file as it is")
    add("-j", "--json", action="store_true", help="print JSON")
    add("--effective", metavar="IMAGE", help="what is asked of this image, and why just that")


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Print the policy."""
    if arguments.raw and (arguments.json or arguments.effective):
        raise UsageError("--raw goes with no other option")
    with open_host(options) as host:
        if arguments.raw:
            sys.stdout.flush()
            sys.stdout.buffer.write(show_raw(host))
        elif arguments.effective is not None:
            found = effective(arguments.effective, host)
            if arguments.json:
                Output(json=True).emit(found.as_json())
            else:
                _print_effective(found)
        elif arguments.json:
            Output(json=True).emit({entry.name: entry.as_json() for entry in show(host)})
        else:
            for entry in show(host):
                _print_entry(entry)
    return ExitCode.DONE


def _print_entry(entry: Entry) -> None:
    """A line for each requirement: all of them must be met."""
    for demand in entry.demands:
        owners = ",".join(dict.fromkeys(key.shown for key in demand.keys))
        row = _ROW.format(entry.name, word(demand), owners, entry.lookaside or "")
        print(printable(row).rstrip())


def _print_effective(found: Effective) -> None:
    selection, reference = found.selection, found.identity.reference
    place = "the policy's default"
    if selection.transport is not None:
        place = f"{selection.transport} {selection.scope or '(all of it)'}"
    rows = [
        ("Policy", selection.source),
        ("Reference", "none" if reference is None else str(reference)),
        ("Scope", place),
        ("Not there", ", ".join(scope or '""' for scope in found.tried)),
        ("Less specific", ", ".join(scope or '""' for scope in found.passed_over)),
    ]
    for demand in found.demands:
        rows += _demand_rows(demand)
    if found.places is not None:
        source = f" ({found.places.source})" if found.places.source else " (the built-in default)"
        rows += [
            ("Lookaside", f"{found.places.read}{source}"),
            ("Staging", found.places.staging or "none: it can only be read"),
            ("Attachments", "read" if found.places.attachments else "not read"),
        ]
    print_fields(found.image, rows)


def _demand_rows(demand: Demand) -> list[tuple[str, str]]:
    identity = identity_of(demand)
    rows = [("Requirement", demand.requirement.kind)]
    if identity is not None:
        said = " ".join(str(value) for value in identity_json(identity).values())
        rows.append(("Identity", said))
    return rows + [("Key", str(key)) for key in demand.keys]
