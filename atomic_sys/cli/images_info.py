# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic images info`."""

import argparse

from atomic_sys.cli.arguments import add_storage, check_storage
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.errors import ExitCode
from atomic_sys.verbs.image_details import Info, info

_WITH_DEFAULT = "Template variables with default value, but overridable with --set:"
_WITHOUT_DEFAULT = "Template variables that has no default value, and must be set with --set:"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("image", metavar="IMAGE", help="name, or the beginning of an id")
    add_storage(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Print the labels and the variables, in the predecessor's words."""
    check_storage(arguments)
    with open_host(options) as host:
        found = info(arguments.image, host)
    if arguments.json:
        Output(json=True).emit(_as_json(found))
        return ExitCode.DONE
    output = Output()
    output.say(f"Image Name: {found.item.image.name}")
    for label, value in found.labels.items():
        output.say(f"{label}: {value}")
    for heading, values in (
        (_WITH_DEFAULT, found.variables.with_default),
        (_WITHOUT_DEFAULT, found.variables.without_default),
    ):
        if values:
            output.say("")
            output.say(heading)
            for name, value in values.items():
                output.say(f"{name}: {value}")
    output.say("")
    output.say(f"Digest: {found.item.image.digest}")
    output.say(f"Signed by: {', '.join(found.item.signers) or 'nobody'}")
    return ExitCode.DONE


def _as_json(found: Info) -> dict[str, object]:
    image = found.item.image
    return {
        "image": str(image.name),
        "digest": str(image.digest),
        "source": image.source,
        "signers": list(found.item.signers),
        "labels": dict(found.labels),
        "variables_with_default": found.variables.with_default,
        "variables_without_default": list(found.variables.without_default),
    }
