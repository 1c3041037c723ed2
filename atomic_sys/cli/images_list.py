# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of `atomic images list`."""

import argparse
import time

from atomic_sys.cli.arguments import add_list_options, check_filter_keys, parse_pairs
from atomic_sys.cli.opening import open_host
from atomic_sys.cli.options import GlobalOptions
from atomic_sys.cli.output import Column, Output, print_table
from atomic_sys.errors import ExitCode
from atomic_sys.store.sizes import Sizes
from atomic_sys.verbs.images import FILTERS, ListedImage, image_sizes, list_images

_UNITS = ("B", "kB", "MB", "GB", "TB")
_COLUMNS = (
    Column(title=" "),
    Column(title="REPOSITORY", width=45),
    Column(title="TAG", width=20),
    Column(title="IMAGE ID", width=12),
    Column(title="CREATED", width=16),
    Column(title="VIRTUAL SIZE", width=12),
    Column(title="TYPE", width=10),
    Column(title="SHARED", width=10),
    Column(title="UNIQUE", width=10),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_list_options(parser)


def run(arguments: argparse.Namespace, options: GlobalOptions) -> ExitCode:
    """Print the list; `>` marks an image that a container uses."""
    filters = parse_pairs(arguments.filters, "filter")
    check_filter_keys(filters, FILTERS)
    with open_host(options) as host:
        every = list_images(host)
        sizes = {} if arguments.quiet else image_sizes(every, host)
    chosen = [
        image
        for image in every
        if all(value.lower() in _value(image, key).lower() for key, value in filters)
    ]
    if arguments.quiet:
        for item in chosen:
            identity = item.image.digest.hex
            print(identity if arguments.no_trunc else identity[:12])
    elif arguments.json:
        Output(json=True).emit([_as_json(item, sizes.get(item.image.digest)) for item in chosen])
    else:
        rows = [_row(item, sizes.get(item.image.digest)) for item in chosen]
        print_table(
            _COLUMNS, rows, heading=not arguments.noheading, truncate=not arguments.no_trunc
        )
    return ExitCode.DONE


def _value(item: ListedImage, key: str) -> str:
    """What a filter of this key looks at."""
    match key:
        case "repo" | "repository":
            return item.image.name.repository
        case "tag":
            return item.image.name.tag
        case "id":
            return item.image.digest.hex
        case "image":
            return str(item.image.name)
        case "created":
            return _created(item)
        case "size":
            return _size(item)
        case "is_dangling":
            return "false"
        case _:
            return "ostree"


def _created(item: ListedImage) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(item.image.created))


def _size(item: ListedImage) -> str:
    """The compressed layers; empty where it is not known."""
    return "" if item.image.size is None else _text(item.image.size)


def _text(size: int) -> str:
    """Bytes in decimal units: `4.31 MB`."""
    value, unit = float(size), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.2f} {_UNITS[unit]}" if unit else f"{value:.0f} B"


def _row(item: ListedImage, sizes: Sizes | None) -> tuple[str, ...]:
    name = item.image.name
    return (
        ">" if item.users else " ",
        name.repository,
        name.tag,
        item.image.digest.hex,
        _created(item),
        _size(item),
        "ostree",
        "" if sizes is None else _text(sizes.shared),
        "" if sizes is None else _text(sizes.unique),
    )


def _as_json(item: ListedImage, sizes: Sizes | None) -> dict[str, object]:
    """The predecessor's keys, and ours."""
    image = item.image
    return {
        "repo": image.name.repository,
        "tag": image.name.tag,
        "is_dangling": False,
        "used": bool(item.users),
        "vulnerable": False,
        "id": image.digest.hex,
        "type": "image",
        "created": _created(item),
        "virtual_size": _size(item),
        "shared_size": None if sizes is None else sizes.shared,
        "unique_size": None if sizes is None else sizes.unique,
        "backend": "ostree",
        "vuln_info": {},
        "digest": str(image.digest),
        "signers": list(item.signers),
        "layers": [str(layer) for layer in image.layers],
        "source": image.source,
        "containers": list(item.users),
    }
