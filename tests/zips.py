"""Zips for tests of imports."""

import io
import struct
import zipfile
from collections.abc import Iterable


def zipped(files: dict[str, bytes] | Iterable[tuple[str, bytes]]) -> bytes:
    """A deflated zip of `files`, in their order."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items() if isinstance(files, dict) else files:
            archive.writestr(name, data)
    return out.getvalue()


def many(count: int) -> bytes:
    """A zip that lists `count` members, all of them one empty file; its end says (count & 0xFFFF), as old tools write it."""
    name = b"a/1.jpg"
    header = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 0x21, 0, 0, 0, len(name), 0) + name
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0x21, 0, 0, 0, len(name), 0, 0, 0, 0, 0, 0) + name
    listing = entry * count
    few = count & 0xFFFF
    return header + listing + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, few, few, len(listing), len(header), 0)
