"""Photos as phones send them, drawn from a seed, and any number of variants of each that differ in their pixels.

A variant changes four middle-frequency steps of a quantisation table. It costs nothing, stays a valid JPEG whose pixels differ
a little, and keeps the length. Metadata would not do: this project stores by the digest of what is left without metadata.
"""

import io
import itertools
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image, ImageDraw

SMALL, LARGE = "20 KB", "12 MP"
SHAPES = {SMALL: (640, 480), LARGE: (4000, 3000)}  # pixels
GRAIN = {SMALL: 2.0, LARGE: 6.9}  # standard deviation of the sensor noise, in steps of 255: sets the size in bytes
QUALITY = {SMALL: 60, LARGE: 82}
MAKER_NOTE_BYTES = {SMALL: 2_400, LARGE: 24_000}  # a phone's maker notes and thumbnail together
STEPS = 200  # values a varied table entry may take, from LEAST_STEP on: four of them tell 1.6 billion variants apart
LEAST_STEP = 20
VARIED_FROM = 20  # zigzag index of the first of the four: the picture stays what it was, and the pixels are others


@dataclass(frozen=True)
class Drawn:
    """One JPEG in three pieces: all before the varied table entries, and all after them."""

    before: bytes
    after: bytes

    def variant(self, number: int) -> tuple[bytes, bytes, bytes]:
        """The pieces of variant `number`; joined, they are the photo."""
        digits = bytes(LEAST_STEP + number // STEPS**place % STEPS for place in range(4))
        return self.before, digits, self.after

    def __len__(self) -> int:
        return len(self.before) + 4 + len(self.after)


class Supply:
    """Hands out photos of one size, never the same bytes twice; any thread may ask."""

    def __init__(self, photos: Sequence[Drawn]) -> None:
        self.photos = photos
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def take(self) -> tuple[int, tuple[bytes, bytes, bytes]]:
        """The photo's number and its pieces."""
        with self._lock:
            number = next(self._numbers)
        return number, self.photos[number % len(self.photos)].variant(number)

    def skip(self, count: int) -> None:
        """Leave `count` numbers out: another process handed them out."""
        with self._lock:
            self._numbers = itertools.count(next(self._numbers) + count)


def draw(size: str, count: int, seed: int) -> list[Drawn]:
    """`count` different photos of a size (SMALL or LARGE): soft light, shapes, grain; EXIF, GPS and maker notes."""
    rng = np.random.default_rng(seed)
    scene = _scene(rng, size)
    return [_split(_jpeg(rng, scene, size)) for _ in range(count)]


def _scene(rng: np.random.Generator, size: str) -> Image.Image:
    """Half as wide and high again as a photo: each photo is a window of it, which costs a tenth of drawing one."""
    width, height = (side * 3 // 2 for side in SHAPES[size])
    coarse = Image.fromarray(rng.integers(30, 226, (9, 12, 3), dtype=np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    draw_on = ImageDraw.Draw(coarse)
    for _ in range(60):
        x, y, w, h = (int(rng.integers(side)) for side in (width, height, width // 6, height // 6))
        draw_on.ellipse((x, y, x + w, y + h), fill=tuple(int(value) for value in rng.integers(256, size=3)))
    # One tile of grain repeated: a normal number per pixel would take seconds.
    tile = rng.normal(0, GRAIN[size], (256, 256, 1)).round().astype(np.int16)
    grain = np.tile(tile, (-(-height // 256), -(-width // 256), 1))[:height, :width]
    return Image.fromarray((np.asarray(coarse, dtype=np.int16) + grain).clip(0, 255).astype(np.uint8))


def _jpeg(rng: np.random.Generator, scene: Image.Image, size: str) -> bytes:
    """A random window, mirrored or not, with the colours changed about."""
    width, height = SHAPES[size]
    x, y = int(rng.integers(width // 2)), int(rng.integers(height // 2))
    window = scene.crop((x, y, x + width, y + height))
    if rng.integers(2):
        window = window.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    bands = window.split()
    window = Image.merge("RGB", [bands[band] for band in rng.permutation(3)])
    maker_note = MAKER_NOTE_BYTES[size]
    file = io.BytesIO()
    window.save(file, "JPEG", quality=QUALITY[size], exif=_exif(rng, maker_note))
    return file.getvalue()


def _exif(rng: np.random.Generator, maker_note: int) -> Image.Exif:
    tags = Image.Exif()
    tags[ExifTags.Base.Make], tags[ExifTags.Base.Model] = "Bench", "Phone 7"
    details = tags.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.DateTimeOriginal] = "2026:11:20 14:37:05"
    details[ExifTags.Base.MakerNote] = rng.bytes(maker_note)
    place = tags.get_ifd(ExifTags.IFD.GPSInfo)
    place[ExifTags.GPS.GPSLatitudeRef], place[ExifTags.GPS.GPSLongitudeRef] = "N", "E"
    place[ExifTags.GPS.GPSLatitude], place[ExifTags.GPS.GPSLongitude] = (47.0, 22.0, 11.5), (8.0, 32.0, 30.25)
    return tags


def _split(jpeg: bytes) -> Drawn:
    """Cut at the varied entries of the first quantisation table (luma; ITU-T T.81 B.2.4.1: 8-bit, zigzag order)."""
    at = 2
    while jpeg[at + 1] != 0xDB:
        at += 2 + int(struct.unpack_from(">H", jpeg, at + 2)[0])
    cut = at + 5 + VARIED_FROM  # marker 2, length 2, precision and identifier 1
    return Drawn(jpeg[:cut], jpeg[cut + 4 :])
