# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic sign`."""

import argparse

from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Output
from atomic_sys.errors import ExitCode
from atomic_sys.verbs.sign import Sign, read_passphrase, sign


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("images", nargs="+", metavar="IMAGE", help="NAME[:TAG][@DIGEST] or dir:DIR")
    add("--sign-by", action="append", default=[], metavar="KEYID", help="a key of gpg; repeatable")
    add(
        "--sign-by-sigstore-private-key",
        action="append",
        default=[],
        metavar="FILE",
        help="a key of sigstore; repeatable",
    )
    add("--sign-passphrase-file", metavar="FILE", help="its first line opens the keys")
    add("--sign-identity", metavar="REF", help="the name to sign, instead of the image's own")
    add("-d", "--directory", metavar="DIR", help="write simple signatures below DIR")
    add("-g", "--gnupghome", metavar="DIR", help="the home of gpg with the secret keys")
    add("-a", "--all", action="store_true", help="sign every instance of an index")
    add("--json", action="store_true", help="print what was written as JSON")


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Sign, and say where each signature is."""
    output = Output(json=arguments.json)
    file = arguments.sign_passphrase_file
    request = Sign(
        images=tuple(arguments.images),
        key_ids=tuple(arguments.sign_by),
        key_files=tuple(arguments.sign_by_sigstore_private_key),
        passphrase=read_passphrase(file) if file else None,
        gnupghome=arguments.gnupghome,
        directory=arguments.directory,
        name=arguments.sign_identity,
        every_instance=arguments.all,
    )
    created = []
    with open_host(options) as host:
        for path in sign(request, host):
            output.say(f"Created: {path}")
            created.append(path)
    if output.json:
        output.emit({"created": created})
    return ExitCode.DONE
