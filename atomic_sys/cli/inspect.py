# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic inspect`."""

import argparse
import sys

from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.errors import ExitCode
from atomic_sys.model.oci_config import oci_config
from atomic_sys.verbs.inspect import inspect, inspect_config, inspect_raw


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add(
        "image", metavar="IMAGE", help="docker://..., oci:DIR[:TAG], dir:DIR, oci-archive:FILE, ..."
    )
    add("--raw", action="store_true", help="print the manifest, or with --config that, as it is")
    add("--config", action="store_true", help="print the image's configuration")
    add("-n", "--no-tags", action="store_true", help="do not list the tags of the repository")


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Print what was asked for; raw bytes exactly as they are, with no newline added."""
    output = Output(json=True)
    with open_host(options) as host:
        if arguments.config:
            config = inspect_config(arguments.image, host)
            if arguments.raw:
                _write(config)
            else:
                output.emit(oci_config(config))
        elif arguments.raw:
            _write(inspect_raw(arguments.image, host))
        else:
            output.emit(inspect(arguments.image, host, tags=not arguments.no_tags).as_json())
    return ExitCode.DONE


def _write(document: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(document)
    sys.stdout.buffer.flush()
