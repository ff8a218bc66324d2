"""INTAKE: the three facts that are kept of a photo's EXIF, read from a bounded payload before all of it is dropped.

A reader of its own, because a general one loads every tag: thousands of entries may all point at the same 64 KB, and each would
become a copy in the web process. Sources: CIPA DC-008 (EXIF 2.32), TIFF 6.0, XMP part 1 (tiff:Orientation).
"""

import re
import struct
from datetime import UTC, datetime
from typing import NamedTuple

EXIF_MAX_BYTES = 64 * 2**10  # bytes read of any EXIF or XMP payload; a JPEG segment holds no more
ENTRIES_MAX = 512  # entries read of one directory; cameras write under 100
TEXT_MAX_BYTES = 256  # bytes read of one text
DEVICE_MAX = 80  # characters kept of a device's name
MODEL, ORIENTATION, DATE_TIME, EXIF_IFD, DATE_TIME_ORIGINAL = 0x0110, 0x0112, 0x0132, 0x8769, 0x9003
WANTED = {MODEL, ORIENTATION, DATE_TIME, EXIF_IFD, DATE_TIME_ORIGINAL}
NUMBERS = {1: "B", 3: "H", 4: "I", 13: "I"}  # TIFF field types: BYTE, SHORT, LONG, IFD
ASCII = 2
XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')


class Facts(NamedTuple):
    """`orientation`: 1-8. `taken_hour`: EXIF names no zone, so it is kept as if UTC."""

    orientation: int
    taken_hour: datetime | None
    device_model: str


def facts(exif: bytes, xmp: bytes) -> Facts:
    """Read them from an EXIF payload and, where it names no orientation, an XMP packet. What cannot be read is left out."""
    tags = _tags(exif[:EXIF_MAX_BYTES])
    orientation = tags.get(ORIENTATION)
    if orientation is None and (found := XMP_ORIENTATION.search(xmp, 0, EXIF_MAX_BYTES)):
        orientation = int(found[1])
    return Facts(
        orientation=orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1,
        taken_hour=_hour(tags.get(DATE_TIME_ORIGINAL) or tags.get(DATE_TIME)),
        device_model="".join(c for c in str(tags.get(MODEL, "")) if c.isprintable()).strip()[:DEVICE_MAX],
    )


def _tags(payload: bytes) -> dict[int, int | str]:
    """The wanted tags of the first directory and of the EXIF directory it points at."""
    while payload.startswith(b"Exif\x00\x00"):
        payload = payload[6:]
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(payload[:4])
    if order is None or len(payload) < 8:
        return {}
    tags = _directory(payload, order, struct.unpack_from(f"{order}I", payload, 4)[0])
    inner = tags.pop(EXIF_IFD, None)
    if isinstance(inner, int):  # followed once and never from there, so that no chain of pointers can loop
        tags = {**_directory(payload, order, inner), **tags}
    return tags


def _directory(payload: bytes, order: str, at: int) -> dict[int, int | str]:
    """What can be read of the directory at `at`; an entry that points outside of the payload is left out."""
    tags: dict[int, int | str] = {}
    if at + 2 > len(payload):
        return tags
    count = min(struct.unpack_from(f"{order}H", payload, at)[0], ENTRIES_MAX, (len(payload) - at - 2) // 12)
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind, length = struct.unpack_from(f"{order}HHI", payload, entry)
        if tag not in WANTED:
            continue
        if kind in NUMBERS and length >= 1:
            tags[tag] = struct.unpack_from(f"{order}{NUMBERS[kind]}", payload, entry + 8)[0]
        elif kind == ASCII:
            start = entry + 8 if length <= 4 else struct.unpack_from(f"{order}I", payload, entry + 8)[0]
            text = payload[start : start + min(length, TEXT_MAX_BYTES)]
            tags[tag] = text.partition(b"\x00")[0].decode("latin-1")
    return tags


def _hour(text: int | str | None) -> datetime | None:
    try:
        return datetime.strptime(str(text)[:13], "%Y:%m:%d %H").replace(tzinfo=UTC)
    except ValueError:  # absent, blank, or a date that no calendar has: the hour is a nicety
        return None
