# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where an image is written: the transports of `source`, in the same spelling.

Only `oci:PATH[:TAG]` is read differently: a destination need not exist yet, so it is a layout in
any case, and what is behind the last colon is the tag where it can be one.
"""

from collections.abc import Callable, Iterable

from atomic_sys.errors import AtomicSysError, UsageError
from atomic_sys.model.manifest import OCI_INDEX, OCI_MANIFEST
from atomic_sys.model.reference import is_tag
from atomic_sys.model.source import LayoutArchiveSource, LayoutSource, Source, parse_source


class UnfitFormat(AtomicSysError):
    """A manifest that the destination has no place for, unless it were made another one."""


def parse_target(text: str, *, is_directory: Callable[[str], bool]) -> Source:
    """Read a destination, `is_directory` for `oci:` only. Raises UsageError."""
    transport, colon, rest = text.partition(":")
    if transport != "oci" or not colon or not text.isprintable():
        return parse_source(text, is_directory=is_directory)
    path, colon, tag = rest.rpartition(":")
    if is_directory(rest) or not colon or not is_tag(tag):
        path, tag = rest, ""
    if not path:
        raise UsageError(f"{text!r}: it is oci:PATH[:TAG]")
    return LayoutSource(path=path, tag=tag or None)


def check_format(target: Source, media_types: Iterable[str]) -> None:
    """Whether the destination takes manifests of these types as they are: nothing is converted.

    Raises UnfitFormat: readers of a layout, skopeo among them, look for OCI's types only.
    """
    if not isinstance(target, LayoutSource | LayoutArchiveSource):
        return
    for media_type in media_types:
        if media_type not in (OCI_MANIFEST, OCI_INDEX):
            raise UnfitFormat(
                f"{target}: a layout holds OCI manifests, and this is {media_type};"
                " it would need another digest, and nothing is converted",
                hint="dir:DIRECTORY and registries take it as it is",
            )
