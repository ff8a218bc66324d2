"""INTAKE: a WebP chunk by chunk. Sources: WebP container specification (Google), RFC 9649; VP8 header: RFC 6386 section 9.1."""

import struct

from collector.errors import NotAnAllowedFormat, NotAWholeImage
from collector.exif import EXIF_MAX_BYTES
from collector.walked import Walked, count

ALPHA_FLAG = 0x10  # of the extended header: the picture has transparency


def walk_webp(data: bytes) -> Walked:
    """The picture and its transparency in a new RIFF container; raises NotAWholeImage, NotAnAllowedFormat (animations)."""
    chunks = _chunks(data)
    if {b"ANIM", b"ANMF"} & chunks.keys():
        raise NotAnAllowedFormat("Animated WebP is no photo.")
    kind = b"VP8 " if b"VP8 " in chunks else b"VP8L"
    if kind not in chunks or (b"VP8 " in chunks and b"VP8L" in chunks):
        raise NotAWholeImage("The WebP has no picture in it, or two.")
    picture = chunks[kind]
    width, height = _lossy_size(picture) if kind == b"VP8 " else _lossless_size(picture)
    kept = [_chunk(kind, picture)]
    if (extended := chunks.get(b"VP8X")) is not None:
        if len(extended) != 10:
            raise NotAWholeImage("The WebP's extended header has the wrong length.")
        if extended[4:10] != (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little"):
            raise NotAWholeImage("The WebP's canvas and its picture differ in size.")
        flags = extended[0] & ALPHA_FLAG
        if flags and kind == b"VP8 " and b"ALPH" in chunks:
            kept.insert(0, _chunk(b"ALPH", chunks[b"ALPH"]))
        kept.insert(0, _chunk(b"VP8X", bytes([flags, 0, 0, 0]) + extended[4:10]))
    body = b"WEBP" + b"".join(kept)
    exif, xmp = chunks.get(b"EXIF", b"")[:EXIF_MAX_BYTES], chunks.get(b"XMP ", b"")[:EXIF_MAX_BYTES]
    return Walked(b"RIFF" + len(body).to_bytes(4, "little") + body, width, height, exif, xmp)


def _chunks(data: bytes) -> dict[bytes, bytes]:
    """The first chunk of each kind that matters here."""
    whole = 8 + int.from_bytes(data[4:8], "little")
    if whole > len(data):
        raise NotAWholeImage("The WebP is shorter than it says. Send it again.")
    found: dict[bytes, bytes] = {}
    at, chunks = 12, 0
    while at + 8 <= whole:
        chunks = count(chunks)
        kind, length = struct.unpack_from("<4sI", data, at)
        end = at + 8 + length + length % 2  # chunks are padded to even length
        if end > whole:
            raise NotAWholeImage("A WebP chunk is longer than the file. Send it again.")
        if kind in (b"VP8X", b"ALPH", b"VP8 ", b"VP8L", b"EXIF", b"XMP ", b"ANIM", b"ANMF"):
            found.setdefault(kind, data[at + 8 : at + 8 + length])
        at = end
    return found


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + len(body).to_bytes(4, "little") + body + bytes(len(body) % 2)


def _lossy_size(picture: bytes) -> tuple[int, int]:
    """Width and height of a VP8 key frame, pixels."""
    if len(picture) < 10 or picture[0] & 1 or picture[3:6] != b"\x9d\x01\x2a":
        raise NotAWholeImage("The WebP's picture has no key frame.")
    if 10 + (int.from_bytes(picture[:3], "little") >> 5) > len(picture):  # the first partition, behind the frame header
        raise NotAWholeImage("The WebP ends within its picture data. Send it again.")
    width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", picture, 6))  # the upper 2 bits ask for scaling
    if not (width and height):
        raise NotAWholeImage("The WebP's picture has no size.")
    return width, height


def _lossless_size(picture: bytes) -> tuple[int, int]:
    """Width and height of a VP8L picture, pixels."""
    if len(picture) < 5 or picture[0] != 0x2F or picture[4] >> 5:  # signature, and a version that must be 0
        raise NotAWholeImage("The WebP's lossless picture has a broken header.")
    bits = int.from_bytes(picture[1:5], "little")
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
