"""INTAKE: a JPEG segment by segment. Source: ITU-T T.81 annex B; JFIF 1.02; Adobe's APP14 (technical note 5116)."""

from dataclasses import dataclass, field

import numpy as np

from collector.errors import NotAWholeImage
from collector.exif import EXIF_MAX_BYTES
from collector.walked import Walked, count

DQT, DHT, DRI, SOS, EOI, APP0, APP1, APP14 = 0xDB, 0xC4, 0xDD, 0xDA, 0xD9, 0xE0, 0xE1, 0xEE
FRAMES = {*range(0xC0, 0xD0)} - {DHT, 0xC8, 0xCC}  # SOF0-15; C8 is reserved, CC conditions arithmetic coding
TAKEN_FRAMES = {0xC0, 0xC1, 0xC2}  # baseline, extended and progressive Huffman: what cameras write and every decoder reads
MULTI_SCAN_MOST = 100  # scans; encoders write about 10, and each one makes a decoder pass over the whole picture
BLOCK_BYTES = 128  # bytes of an 8×8 block of coefficients in a decoder's memory
BLOCK = 256 * 2**10  # bytes looked at together: they fit a core's cache
EXIF, XMP = b"Exif\x00\x00", b"http://ns.adobe.com/xap/1.0/\x00"
# Rebuilt rather than copied, so that no thumbnail or text hides in them; JFIF and Adobe tell how colours are coded.
JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
ADOBE = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"


@dataclass
class _Found:
    """What has been seen so far; `sampling`: horizontal and vertical factor of each component."""

    kept: list[bytes | memoryview] = field(
        default_factory=lambda: [b"\xff\xd8"]
    )  # views: the picture is copied once, at the end
    exif: bytes = b""
    xmp: bytes = b""
    width: int = 0
    height: int = 0
    sampling: tuple[tuple[int, int], ...] = ()
    scans: int = 0
    held: bool = False  # whether a decoder must hold all coefficients until the last scan


def walk_jpeg(data: bytes) -> Walked:
    """Up to and with the first end-of-image marker; raises NotAWholeImage."""
    found, at, segments = _Found(), 2, 0
    while True:
        segments = count(segments)
        at = data.find(b"\xff", at)  # bytes between segments mean nothing; decoders skip them
        while 0 <= at < len(data) - 1 and data[at + 1] == 0xFF:  # fill bytes
            at += 1
        if not 0 <= at < len(data) - 1:
            raise NotAWholeImage("The JPEG ends before its end-of-image marker. Send it again.")
        marker = data[at + 1]
        if marker == EOI:
            return _whole(found)
        if marker in (0x00, 0x01, 0xD8) or 0xD0 <= marker <= 0xD7:  # stand alone, mean nothing here
            at += 2
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if end < at + 4 or end > len(data):
            raise NotAWholeImage("A JPEG segment is longer than the file. Send it again.")
        at = _segment(data, at, end, marker, found)


def _whole(found: _Found) -> Walked:
    if not found.scans:
        raise NotAWholeImage("The JPEG has no picture in it.")
    data = b"".join((*found.kept, b"\xff\xd9"))
    held = _coefficient_bytes(found) if found.held else 0
    return Walked(data, found.width, found.height, found.exif, found.xmp, held)


def _segment(data: bytes, at: int, end: int, marker: int, found: _Found) -> int:
    """Look at the segment at `at`, keep it or not; returns where the next one begins."""
    body = data[at + 4 : end]
    if marker == SOS:
        return _scan(data, at, end, found)
    if marker in FRAMES:
        _frame(marker, body, found)
    elif marker not in (DQT, DHT, DRI):
        _application(marker, body, found)
        return end
    elif not _exact(marker, body):
        raise NotAWholeImage("A table of the JPEG is not as long as it says. Send it again.")
    found.kept.append(data[at:end])
    return end


def _frame(marker: int, body: bytes, found: _Found) -> None:
    if marker not in TAKEN_FRAMES or body[:1] != b"\x08":
        raise NotAWholeImage(
            "Of JPEG, 8-bit baseline and progressive pictures are taken, not arithmetic, lossless or 12-bit coding.",
            sof=marker - 0xC0,
        )
    if found.sampling:
        raise NotAWholeImage("The JPEG has two frame headers. Send it again.")
    components = body[5] if len(body) > 5 else 0
    if components not in (1, 3, 4) or len(body) != 6 + 3 * components:
        raise NotAWholeImage("The JPEG's frame header has the wrong length or number of colours.")
    found.height, found.width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    found.sampling = tuple((factor >> 4, factor & 15) for factor in body[7::3])
    if not (found.width and found.height):  # a height of 0 announces a DNL segment, which common decoders do not read
        raise NotAWholeImage("The JPEG's frame header gives no size.")
    if not all(1 <= factor <= 4 for pair in found.sampling for factor in pair):
        raise NotAWholeImage("The JPEG's frame header has impossible sampling factors.")
    found.held = marker == 0xC2


def _scan(data: bytes, at: int, end: int, found: _Found) -> int:
    if not found.sampling:
        raise NotAWholeImage("The JPEG's picture data comes before its frame header.")
    components = data[at + 4] if end > at + 4 else 0
    if not 1 <= components <= len(found.sampling) or end - at != 8 + 2 * components:
        raise NotAWholeImage("The header of a JPEG scan has the wrong length.")
    stop = _scan_end(data, end)
    if stop is None:
        raise NotAWholeImage("The JPEG ends within its picture data. Send it again.")
    found.scans += 1
    found.held = found.held or components < len(found.sampling)
    if found.scans > MULTI_SCAN_MOST:
        raise NotAWholeImage(f"The JPEG has more than {MULTI_SCAN_MOST} scans. Save it as a baseline JPEG.")
    found.kept.append(memoryview(data)[at:stop])
    return stop


def _scan_end(data: bytes, at: int) -> int | None:
    """Where entropy-coded data ends: at the first 0xFF that neither 0 (stuffing) nor a restart marker nor a fill byte follows.

    By numpy, block by block: a regular expression takes four times as long, and a photo is nearly all entropy-coded data.
    """
    while at < len(data) - 1:
        block = np.frombuffer(data, np.uint8, count=min(BLOCK + 1, len(data) - at), offset=at)
        marked = (block[:-1] == 0xFF) & (block[1:] != 0)
        if marked.any():
            for place in np.flatnonzero(marked).tolist():
                follows = data[at + place + 1]
                if follows != 0xFF and not 0xD0 <= follows <= 0xD7:
                    return at + int(place)
        at += BLOCK
    return None


def _application(marker: int, body: bytes, found: _Found) -> None:
    """Dropped, but for how colours are coded (libjpeg's own rule of when these two count) and the facts for the row."""
    if marker == APP0 and body.startswith(b"JFIF\x00") and len(body) >= 14:
        if JFIF not in found.kept:
            found.kept.append(JFIF)
    elif marker == APP14 and body.startswith(b"Adobe") and len(body) >= 12:
        found.kept.append(ADOBE + body[11:12])
    elif marker == APP1 and body.startswith(EXIF) and len(found.exif) < EXIF_MAX_BYTES:
        found.exif += body[len(EXIF) :]  # EXIF that is too long for one segment goes on in the next
    elif marker == APP1 and body.startswith(XMP) and not found.xmp:
        found.xmp = body[len(XMP) :]


def _exact(marker: int, body: bytes) -> bool:
    """Whether the tables in a DQT or DHT segment fill it to the byte, so that nothing hides behind them."""
    if marker == DRI:
        return len(body) == 2
    at = 0
    while at < len(body):
        if marker == DQT:
            at += 129 if body[at] >> 4 else 65  # 16- or 8-bit
        else:
            at += 17 + sum(body[at + 1 : at + 17])
    return at == len(body)


def _coefficient_bytes(found: _Found) -> int:
    """Bytes of all coefficients: 64 of 2 bytes for each block of each component, in whole MCUs."""
    widest, tallest = max(h for h, _ in found.sampling), max(v for _, v in found.sampling)
    columns, rows = -(-found.width // (8 * widest)), -(-found.height // (8 * tallest))
    return columns * rows * sum(h * v for h, v in found.sampling) * BLOCK_BYTES
