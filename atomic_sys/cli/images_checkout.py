# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic images checkout`."""

import argparse

from atomic_sys import log
from atomic_sys.cli.arguments import add_lock_timeout, add_storage, check_storage
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.errors import ExitCode
from atomic_sys.store.checkout import Content
from atomic_sys.verbs.image_files import check_out_image


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("image", metavar="IMAGE", help="name, or the beginning of an id")
    add("directory", metavar="DIR", help="the directory to make; it must not exist")
    add("--copy", action="store_true", help="make files of their own, not hard links to the store")
    add_storage(parser)
    add("--json", action="store_true", help="print the result as JSON")
    add_lock_timeout(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Write the files, and say what sharing them with the store means."""
    check_storage(arguments)
    output = Output(json=arguments.json)
    content = Content.COPIES if arguments.copy else Content.LINKS_OR_COPIES
    with open_host(options, lock_timeout=arguments.lock_timeout) as host:
        name = check_out_image(
            arguments.image, arguments.directory, host, content=content, say=output.say
        )
    if output.json:
        output.emit({"image": name, "directory": arguments.directory})
    if content is not Content.COPIES:
        log.note(
            f"{arguments.directory} may share its files with the store:"
            " do not write to them, or use --copy"
        )
    return ExitCode.DONE
