"""INTAKE: a PNG chunk by chunk. Source: Portable Network Graphics, third edition (W3C), clauses 5 and 11."""

import struct
import zlib
from contextlib import suppress

from collector.errors import NotAWholeImage
from collector.exif import EXIF_MAX_BYTES
from collector.walked import Walked, count

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
DEPTHS = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}  # allowed bits of each colour type
GREY, COLOUR, PALETTE = 0, 2, 3
RAW_PROFILES = (b"Raw profile type exif", b"Raw profile type APP1")
XMP_KEYWORD = b"XML:com.adobe.xmp"


def walk_png(data: bytes) -> Walked:
    """Header, palette, transparency and picture up to IEND, each with a right CRC; raises NotAWholeImage."""
    width, height, colour = _header(data)
    view = memoryview(data)  # the picture is copied once, at the end
    kept: list[bytes | memoryview] = [view[:33]]
    at, picture, palette, chunks = 33, False, 0, 0
    exif = xmp = b""
    while at + 12 <= len(data):
        chunks = count(chunks)
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            break
        if kind == b"IEND":
            if not picture or (colour == PALETTE and not palette):
                break
            kept.append(chunk(b"IEND", b""))
            return Walked(b"".join(kept), width, height, exif, xmp)
        if kind == b"IHDR":
            raise NotAWholeImage("The PNG has two headers. Send it again.")
        if kind in (b"IDAT", b"PLTE", b"tRNS"):
            if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
                raise NotAWholeImage(f"The checksum of a PNG chunk ({kind.decode()}) is wrong. Send it again.")
            if kind == b"IDAT":
                picture = True
                kept.append(view[at:end])
            elif kind == b"PLTE" and colour == PALETTE and not palette and not picture:
                palette = _palette(length)
                kept.append(view[at:end])
            elif kind == b"tRNS" and not picture:
                kept.append(_transparency(data[at + 8 : end - 4], colour, palette))
        elif kind == b"eXIf":
            exif = exif or data[at + 8 : end - 4][:EXIF_MAX_BYTES]
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            head = data[at + 8 : at + 8 + 40].partition(b"\x00")[0]
            if head in RAW_PROFILES:
                exif = exif or _raw_profile(kind, data[at + 9 + len(head) : end - 4])
            elif head == XMP_KEYWORD:
                xmp = xmp or data[at + 8 : end - 4][:EXIF_MAX_BYTES]
        at = end
    raise NotAWholeImage("The PNG ends before its last chunk. Send it again.")


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _header(data: bytes) -> tuple[int, int, int]:
    """Width and height in pixels, colour type."""
    if len(data) < 33 or data[8:16] != b"\x00\x00\x00\x0dIHDR":
        raise NotAWholeImage("The PNG does not begin with its header.")
    if zlib.crc32(data[12:29]) != int.from_bytes(data[29:33], "big"):
        raise NotAWholeImage("The checksum of a PNG chunk (IHDR) is wrong. Send it again.")
    width, height, depth, colour, compression, filtering, interlace = struct.unpack_from(">IIBBBBB", data, 16)
    if not (width and height) or depth not in DEPTHS.get(colour, ()) or compression or filtering or interlace > 1:
        raise NotAWholeImage("The PNG's header has impossible values.")
    return width, height, colour


def _palette(length: int) -> int:
    if length % 3 or not 3 <= length <= 768:
        raise NotAWholeImage("The PNG's palette has the wrong length.")
    return length // 3


def _transparency(body: bytes, colour: int, palette: int) -> bytes:
    """The chunk cut to what its colour type can use; nothing where it means nothing."""
    most = {GREY: 2, COLOUR: 6, PALETTE: palette}.get(colour, 0)
    least = 1 if colour == PALETTE else most
    return chunk(b"tRNS", body[:most]) if most and len(body) >= least else b""


def _raw_profile(kind: bytes, body: bytes) -> bytes:
    """EXIF as lines of hexadecimal digits behind a name and a length, as it was written before the eXIf chunk existed."""
    if kind == b"zTXt":
        with suppress(zlib.error):
            body = zlib.decompressobj().decompress(body[1:], 3 * EXIF_MAX_BYTES)
    lines = body[: 3 * EXIF_MAX_BYTES].lstrip(b"\n").split(b"\n", 2)
    try:
        return bytes.fromhex(lines[2].decode("ascii")) if len(lines) == 3 else b""
    except ValueError:  # cut off or no such text: then there is no EXIF
        return b""
