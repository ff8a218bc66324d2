"""INTAKE: what a photo's bytes are, and the same pixels without metadata. Nothing is decoded and nothing re-encoded here.

Each format is walked segment by segment; only the segments a decoder needs are kept, and each is checked to be exactly as long
as its content, so EXIF, GPS, XMP, IPTC, ICC profiles, comments, thumbnails, maker notes, second images and trailing bytes are
gone whatever they are called. The walk itself finds the size and the EXIF payload: no image library opens a file here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from collector.errors import NotAnAllowedFormat, NotAWholeImage, PhotoTooLarge
from collector.exif import facts
from collector.jpeg import walk_jpeg
from collector.png import PNG_SIGNATURE, walk_png
from collector.walked import Walked
from collector.webp import walk_webp


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
    """Check the structure, read the few facts that are kept in the row, drop everything else.

    Raises NotAnAllowedFormat, NotAWholeImage, PhotoTooLarge (pixels, or memory that its decoding would need).
    """
    name, walk = format_of(data)
    walked = walk(data)
    _check_size(name, walked)
    kept = facts(walked.exif, walked.xmp)
    turned = kept.orientation >= 5  # by 90°: upright, the sides change places
    return Stripped(
        data=walked.data,
        content_type=f"image/{name.lower()}",
        width=walked.height if turned else walked.width,
        height=walked.width if turned else walked.height,
        orientation=kept.orientation,
        taken_hour=kept.taken_hour,
        device_model=kept.device_model,
    )


def format_of(data: bytes) -> tuple[str, Callable[[bytes], Walked]]:
    """By content; what a header or a file name says counts for nothing."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG", walk_jpeg
    if data.startswith(PNG_SIGNATURE):
        return "PNG", walk_png
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP", walk_webp
    raise NotAnAllowedFormat("The bytes are neither JPEG, PNG nor WebP. HEIC: let the phone convert it to JPEG.")


def _check_size(name: str, walked: Walked) -> None:
    width, height = walked.width, walked.height
    most = min(settings.PHOTO_MAX_PIXELS, settings.WEBP_MAX_PIXELS) if name == "WEBP" else settings.PHOTO_MAX_PIXELS
    if width * height > most:
        raise PhotoTooLarge(
            f"At most {most / 1e6:g} megapixels are taken of a {name}: scale the photo down before sending it.",
            width=width,
            height=height,
            most=most,
        )
    if min(width, height) < settings.PHOTO_MIN_SIDE:
        raise NotAWholeImage(f"Each side needs at least {settings.PHOTO_MIN_SIDE} pixels.", width=width, height=height)
    if walked.held_bytes > settings.JPEG_HELD_MAX_BYTES:
        raise PhotoTooLarge(
            "A progressive JPEG of this size needs too much memory to decode. Send it as a baseline JPEG.",
            width=width,
            height=height,
            held_bytes=walked.held_bytes,
            most=settings.JPEG_HELD_MAX_BYTES,
        )
