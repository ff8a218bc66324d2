"""INTAKE: what a photo's bytes are, and the same pixels without metadata. Nothing is decoded and nothing re-encoded here.

Each format is walked segment by segment; only the segments a decoder needs are kept, so EXIF, GPS, XMP, IPTC, ICC profiles,
comments, thumbnails, maker notes, second images and trailing bytes are gone whatever they are called.
Sources: ITU-T T.81 annex B (JPEG), PNG third edition (W3C), WebP container specification (Google).
"""

import io
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings
from PIL import ExifTags, Image

from collector.errors import NotAnAllowedFormat, NotAWholeImage, PhotoTooLarge

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_KEPT = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
WEBP_KEPT = {b"VP8 ", b"VP8L", b"ALPH"}
JPEG_KEPT = {0xDB, 0xC4, 0xCC, 0xDD, *range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)}
JPEG_FRAMES = JPEG_KEPT - {0xDB, 0xC4, 0xCC, 0xDD}  # SOF0-15: size and components
# In entropy-coded data 0xFF is followed by 0 (stuffing) or a restart marker; anything else ends the scan.
JPEG_SCAN_END = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
# Rebuilt rather than copied, so that no thumbnail or text hides in them; JFIF and Adobe tell how colours are coded.
JPEG_JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
JPEG_ADOBE = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"


@dataclass(frozen=True)
class Stripped:
    """`data`: the photo without metadata. `width`, `height`: pixels, upright. `orientation`: EXIF's 1-8."""

    data: bytes
    content_type: str
    width: int
    height: int
    orientation: int
    taken_hour: datetime | None
    device_model: str


def strip(data: bytes) -> Stripped:
    """Check the header, read the few facts that are kept in the row, drop everything else.

    Raises NotAnAllowedFormat, NotAWholeImage, PhotoTooLarge (pixels).
    """
    name, walk = format_of(data)
    width, height, exif = _header(data, name)
    orientation = exif.get(ExifTags.Base.Orientation, 1)
    if orientation not in range(1, 9):
        orientation = 1
    if orientation >= 5:  # turned by 90°: upright, the sides change places
        width, height = height, width
    return Stripped(
        data=walk(data),
        content_type=f"image/{name.lower()}",
        width=width,
        height=height,
        orientation=int(orientation),
        taken_hour=_taken_hour(exif),
        device_model=_device_model(exif),
    )


def format_of(data: bytes) -> tuple[str, Callable[[bytes], bytes]]:
    """By content; what a header or a file name says counts for nothing."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG", strip_jpeg
    if data.startswith(PNG_SIGNATURE):
        return "PNG", strip_png
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP", strip_webp
    raise NotAnAllowedFormat("The bytes are neither JPEG, PNG nor WebP. HEIC: let the phone convert it to JPEG.")


def _header(data: bytes, name: str) -> tuple[int, int, Image.Exif]:
    """Size as coded and EXIF; Pillow reads headers only, no pixel is decoded."""
    try:
        with Image.open(io.BytesIO(data), formats=(name,)) as image:
            width, height = image.size
            exif = _exif(image)
    except Image.DecompressionBombError:
        raise PhotoTooLarge(_too_many_pixels(), most=settings.PHOTO_MAX_PIXELS) from None
    except Exception as error:  # Pillow's parsers raise a dozen types on hostile headers; each means the same to the sender
        raise NotAWholeImage(f"The {name} header cannot be read: {type(error).__name__}.") from None
    if width * height > settings.PHOTO_MAX_PIXELS:
        raise PhotoTooLarge(_too_many_pixels(), width=width, height=height, most=settings.PHOTO_MAX_PIXELS)
    if min(width, height) < settings.PHOTO_MIN_SIDE:
        raise NotAWholeImage(f"Each side needs at least {settings.PHOTO_MIN_SIDE} pixels.", width=width, height=height)
    return width, height, exif


def _too_many_pixels() -> str:
    return f"At most {settings.PHOTO_MAX_PIXELS / 1e6:g} megapixels are taken: scale the photo down before sending it."


def _exif(image: Image.Image) -> Image.Exif:
    try:
        return image.getexif()
    except Exception:  # broken EXIF is no reason to refuse a photo whose EXIF is dropped anyway
        return Image.Exif()


def _taken_hour(exif: Image.Exif) -> datetime | None:
    """DateTimeOriginal to the hour. EXIF names no zone; it is kept as if UTC."""
    try:
        raw = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime)
        return datetime.strptime(str(raw)[:13], "%Y:%m:%d %H").replace(tzinfo=UTC)
    except Exception:  # hostile or odd EXIF: the hour is a nicety
        return None


def _device_model(exif: Image.Exif) -> str:
    model = exif.get(ExifTags.Base.Model)
    return "".join(c for c in model if c.isprintable()).strip()[:80] if isinstance(model, str) else ""


def strip_jpeg(data: bytes) -> bytes:
    """Up to and with the first end-of-image marker; raises NotAWholeImage where there is none."""
    kept, at, frame, scan = [b"\xff\xd8"], 2, False, False
    while True:
        at = data.find(b"\xff", at)  # bytes between segments mean nothing; decoders skip them
        while 0 <= at < len(data) - 1 and data[at + 1] == 0xFF:  # fill bytes
            at += 1
        if not 0 <= at < len(data) - 1:
            raise NotAWholeImage("The JPEG ends before its end-of-image marker. Send it again.")
        marker = data[at + 1]
        if marker == 0xD9:
            if not (frame and scan):
                raise NotAWholeImage("The JPEG has no picture in it.")
            return b"".join((*kept, b"\xff\xd9"))
        if marker in (0x00, 0x01, 0xD8) or 0xD0 <= marker <= 0xD7:  # stand alone, mean nothing here
            at += 2
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if end < at + 4 or end > len(data):
            raise NotAWholeImage("A JPEG segment is longer than the file. Send it again.")
        if marker == 0xDA:
            found = JPEG_SCAN_END.search(data, end)
            if found is None:
                raise NotAWholeImage("The JPEG ends within its picture data. Send it again.")
            end, scan = found.start(), True
            kept.append(data[at:end])
        elif marker in JPEG_KEPT:
            frame = frame or marker in JPEG_FRAMES
            kept.append(data[at:end])
        elif marker == 0xE0 and data[at + 4 : at + 9] == b"JFIF\x00":
            kept.append(JPEG_JFIF)
        elif marker == 0xEE and data[at + 4 : at + 9] == b"Adobe" and end - at >= 16:
            kept.append(JPEG_ADOBE + data[at + 15 : at + 16])  # the last byte: colour transform
        at = end


def strip_png(data: bytes) -> bytes:
    """Critical chunks and transparency, each with a right CRC, up to IEND; raises NotAWholeImage."""
    kept, at = [PNG_SIGNATURE], len(PNG_SIGNATURE)
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            break
        if kind in PNG_KEPT:
            if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
                raise NotAWholeImage(f"The checksum of a PNG chunk ({kind.decode()}) is wrong. Send it again.")
            kept.append(data[at:end])
        if kind == b"IEND":
            if not any(chunk[4:8] == b"IDAT" for chunk in kept[1:]):
                break
            return b"".join(kept)
        at = end
    raise NotAWholeImage("The PNG ends before its last chunk. Send it again.")


def strip_webp(data: bytes) -> bytes:
    """The picture and its transparency in a new RIFF container; raises NotAWholeImage, NotAnAllowedFormat (animations)."""
    whole = 8 + int.from_bytes(data[4:8], "little")
    if whole > len(data):
        raise NotAWholeImage("The WebP is shorter than it says. Send it again.")
    kept, at, picture = [], 12, False
    while at + 8 <= whole:
        kind, length = struct.unpack_from("<4sI", data, at)
        end = at + 8 + length + length % 2  # chunks are padded to even length
        if end > whole:
            raise NotAWholeImage("A WebP chunk is longer than the file. Send it again.")
        if kind in (b"ANIM", b"ANMF"):
            raise NotAnAllowedFormat("Animated WebP is no photo.")
        if kind == b"VP8X":
            if length != 10:
                raise NotAWholeImage("The WebP's extended header has the wrong length.")
            kept.append(data[at : at + 8] + bytes([data[at + 8] & 0x10, 0, 0, 0]) + data[at + 12 : end])  # 0x10: transparency
        elif kind in WEBP_KEPT:
            picture = picture or kind != b"ALPH"
            kept.append(data[at:end])
        at = end
    if not picture:
        raise NotAWholeImage("The WebP has no picture in it.")
    body = b"WEBP" + b"".join(kept)
    return b"RIFF" + len(body).to_bytes(4, "little") + body
