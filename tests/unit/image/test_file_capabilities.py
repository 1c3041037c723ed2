# SPDX-License-Identifier: LGPL-2.1-or-later
"""What Linux takes for file capabilities, and how it tells them again (capabilities(7))."""

import pytest

from atomic_sys.image.tar_header import InvalidLayer
from atomic_sys.model.layer import RegularFile
from tests.support.archives import END, header, pax, read

CAPABILITY = b"\1\0\0\2" + bytes(16)


@pytest.mark.parametrize(
    ("value", "read_back"),
    [
        (CAPABILITY, CAPABILITY),
        (b"", b""),
        (b"\0\0\0\3" + b"c" * 16 + bytes(4), b"\0\0\0\2" + b"c" * 16),  # root's: Linux tells it so
        (b"\1\0\0\3" + bytes(16) + b"\1\0\0\0", b"\1\0\0\3" + bytes(16) + b"\1\0\0\0"),
        (b"\1\0\0\2" + bytes(15), None),
        (b"\1\0\0\2" + bytes(20), None),
        (b"\1\0\0\1" + bytes(8), None),
        (b"\2\0\0\2" + bytes(16), None),
        (b"\0\1\0\2" + bytes(16), None),
        (b"\1", None),
    ],
)
def test_file_capabilities(value: bytes, read_back: bytes | None) -> None:
    data = pax({"SCHILY.xattr.security.capability": value}) + header() + END
    if read_back is None:
        with pytest.raises(InvalidLayer, match="impossible file capabilities"):
            read(data)
    else:
        ((entry, _),) = read(data)
        assert isinstance(entry, RegularFile)
        assert entry.metadata.xattrs == ((b"security.capability", read_back),)
