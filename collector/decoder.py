"""INTAKE, the child process that decodes: one stranger's photo in, view, thumbnail and hash out, under limits of its own.

Started by `collector.decoding` as a plain file: it knows no settings, no database and no secrets. It takes its limits as
arguments and reads photos from its standard input until that ends. By then everything it needs is loaded, so the limits leave
it no file to open, none to write and no process to start.
Requests and answers: the structs below, each followed by as many bytes as it says.
"""

import io
import math
import os
import resource
import signal
import struct
import sys
import warnings
from contextlib import suppress
from operator import mul
from pathlib import Path
from typing import BinaryIO, NamedTuple

from PIL import Image

REQUEST = struct.Struct(">QB")  # bytes of the photo, its EXIF orientation
ANSWER = struct.Struct(">?IIQ")  # whether it decoded; bytes of the view (or of the reason why not), of the thumbnail; the hash
READY = b"R"  # said once, when the limits stand
REASON_MAX = 120  # bytes of a reason
# Twelve-megapixel phones shoot 4000 to 4096 pixels wide: a quarter of that is what the JPEG decoder gives for free.
VIEW_LEAST = 1000  # pixels, longer side: no picture is reduced below it
VIEW_SIDE = 1024  # pixels, longer side, at most
THUMBNAIL_SIDE = 320  # pixels, longer side
VIEW_QUALITY, THUMBNAIL_QUALITY = 88, 80  # JPEG; above 88 the night's accuracy does not change
BAND_PIXELS = 2**20  # pixels converted at a time: a whole 50-MP picture twice in memory would not fit the limit
FORMATS = ("JPEG", "PNG", "WEBP")
UPRIGHT = {  # EXIF orientation → what makes the picture upright (CIPA DC-008, table 8)
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
HASH_SIDE, HASH_LOWEST = 32, 8  # pixels the hash looks at, per side; DCT coefficients it keeps, per axis
# The first rows of a 32-point DCT-II in whole numbers: sums are exact, so a flat picture has the same hash on every machine.
COSINES = [[round(math.cos(math.pi * u * (2 * x + 1) / 64) * 2**20) for x in range(HASH_SIDE)] for u in range(HASH_LOWEST)]
# The rows abreast, column by column, in one large number each: one multiplication instead of HASH_LOWEST. A field of 64 bits
# holds every sum (less than 2^58); HALVES, added at the end, makes all of them positive.
FIELDS = struct.Struct(f"<{HASH_LOWEST}Q")
ABREAST = [sum(row[x] << 64 * u for u, row in enumerate(COSINES)) for x in range(HASH_SIDE)]
HALVES = sum(1 << 64 * u + 63 for u in range(HASH_LOWEST))


class Limits(NamedTuple):
    """`memory`: bytes of address space above the idle process. `cpu`, `wall`: seconds per photo. `pixels`: of a picture."""

    memory: int
    cpu: int
    wall: int
    pixels: int


def main(arguments: list[str]) -> None:
    """Serve until the standard input ends."""
    limits = Limits(*map(int, arguments))
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # a service that is told to stop finishes the photo in hand, and then so do we
        signal.signal(number, signal.SIG_IGN)
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    _load_everything()
    _confine(limits)
    answers.write(READY)
    answers.flush()
    while head := requests.read(REQUEST.size):
        length, orientation = REQUEST.unpack(head)
        # What outlasts these dies by SIGPROF or SIGALRM; the second also where nobody is left to kill us.
        signal.setitimer(signal.ITIMER_PROF, limits.cpu)
        signal.setitimer(signal.ITIMER_REAL, limits.wall)
        _answer(requests.read(length), orientation, answers)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _answer(data: bytes, orientation: int, answers: BinaryIO) -> None:
    try:
        view, thumbnail, phash = derive(data, orientation)
    except MemoryError:
        view, thumbnail, phash = b"it needs more memory than a photo may take", None, 0
    except Exception as error:  # whatever a decoder raises on a stranger's bytes says: this is no photo that can be shown
        view, thumbnail, phash = f"{type(error).__name__}: {error}".encode("ascii", "replace")[:REASON_MAX], None, 0
    head = ANSWER.pack(thumbnail is not None, len(view), len(thumbnail or b""), phash)
    answers.write(b"".join([head, view, thumbnail or b""]))  # at once: each write would wake the worker on its own
    answers.flush()


def derive(data: bytes, orientation: int) -> tuple[bytes, bytes, int]:
    """View and thumbnail (JPEG bytes, upright, without metadata) and the 64-bit hash, from one decode of the whole picture.

    A JPEG is decoded at the coarsest scale that still gives the view. Raises whatever Pillow raises on what is no picture.
    """
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        coarsest = max(1, max(image.size) // VIEW_LEAST)
        drafted = image.draft(None, (max(1, image.width // coarsest), max(1, image.height // coarsest)))
        if drafted:  # a JPEG. Its bytes are all here: in one piece they are neither copied nor is the decoder interrupted
            image.decodermaxblock = len(data)
        image.load()
        picture = _reduced(image)
    picture.thumbnail((VIEW_SIDE, VIEW_SIDE), Image.Resampling.BILINEAR)
    if orientation in UPRIGHT:
        picture = picture.transpose(UPRIGHT[orientation])
    view = _jpeg(picture, VIEW_QUALITY)
    # reducing_gap 1: averages of whole pixels first, a resize of the little that is left: half the time.
    picture.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BILINEAR, reducing_gap=1.0)
    return view, _jpeg(picture, THUMBNAIL_QUALITY), perceptual_hash(picture)


def perceptual_hash(upright: Image.Image) -> int:
    """pHash: 64 bits, which of the lowest 8×8 DCT coefficients of the 32×32 grey picture lie above their median.

    Equal to imagehash.phash (a test compares them) without loading SciPy into this process. Give it a small picture.
    """
    grey = upright.convert("L").resize((HASH_SIDE, HASH_SIDE), Image.Resampling.LANCZOS).tobytes()
    rows = [sum(map(mul, grey[at : at + HASH_SIDE], ABREAST)) for at in range(0, len(grey), HASH_SIDE)]
    sums = [sum(map(mul, rows, cosine)) + HALVES for cosine in COSINES]  # one for each vertical frequency
    lowest = [value for across in sums for value in FIELDS.unpack(across.to_bytes(FIELDS.size, "little"))]
    twice_median = sum(sorted(lowest)[len(lowest) // 2 - 1 : len(lowest) // 2 + 1])
    return int("".join(["1" if 2 * value > twice_median else "0" for value in lowest]), 2)


def _reduced(image: Image.Image) -> Image.Image:
    """RGB with the longer side at 1000 to 1999 pixels where it was larger; what is transparent becomes white, as on a page.

    Band by band, so that beside the decoded picture only a small one is in memory.
    """
    factor = max(1, max(image.size) // VIEW_LEAST)
    if factor == 1 and image.mode == "RGB" and not image.has_transparency_data:
        return image.copy() if image.readonly else image
    width, height = image.size
    small = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    rows = max(1, BAND_PIXELS // width // factor) * factor
    for top in range(0, height, rows):
        band = _opaque(image.crop((0, top, width, min(top + rows, height))))
        small.paste(band.reduce(factor), (0, top // factor))
    return small


def _opaque(band: Image.Image) -> Image.Image:
    if band.mode.startswith("I;16"):  # Pillow's own conversion would make everything above 255 white; the high byte is the grey
        high = band.tobytes()[0 if band.mode.endswith("B") else 1 :: 2]
        return Image.frombytes("L", band.size, high).convert("RGB")
    if not band.has_transparency_data:
        return band.convert("RGB")
    key = band.info.get("transparency")
    if isinstance(key, int | tuple) and max(key if isinstance(key, tuple) else (key,)) > 255:
        del band.info["transparency"]  # a colour of 16 bits, while the pixels have been read as 8
        return band.convert("RGB")
    white = Image.new("RGB", band.size, "white")
    white.paste(band.convert("RGBA"), mask=band.convert("RGBA"))
    return white


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    picture.info.clear()  # Pillow would write a comment or a profile that it read from the original
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


def _load_everything() -> None:
    """Pillow loads its parts when they are first used; under the limits it could not open their files any more."""
    Image.preinit()
    Image.init()
    for name in FORMATS:
        file = io.BytesIO()
        Image.new("RGBA" if name != "JPEG" else "RGB", (8, 8)).save(file, name)
        derive(file.getvalue(), 6)
    with suppress(OSError):  # also an error's way is walked once
        derive(b"", 1)


def _confine(limits: Limits) -> None:
    Image.MAX_IMAGE_PIXELS = limits.pixels
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 2)  # a hostile file must not fill the log; until here a failed start says why
    os.close(silent)
    _limit("RLIMIT_AS", _address_space() + limits.memory)  # so that a MemoryError comes, not the kernel's killer
    _limit("RLIMIT_FSIZE", 0)
    _limit("RLIMIT_CORE", 0)
    _limit("RLIMIT_NOFILE", 3)  # standard input, output, error
    _limit("RLIMIT_NPROC", 0)


def _limit(name: str, value: int) -> None:
    try:
        resource.setrlimit(getattr(resource, name), (value, value))
    except (AttributeError, ValueError, OSError):
        if sys.platform == "linux":  # elsewhere, on a developer's machine, not every limit exists
            raise


def _address_space() -> int:
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[0]) * resource.getpagesize() if statm.exists() else 0


if __name__ == "__main__":
    main(sys.argv[1:])
