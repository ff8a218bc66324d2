"""INTAKE against 1,000 mutated photos: a refusal or a clean photo, never anything else; the same ones in every run."""

import io
import random
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from collector import decoding
from collector.decoding import DoesNotDecode
from collector.strip import Stripped, strip
from config.errors import Problem
from tests.drawing import SECRET, exif, jpeg, picture, png, webp

FILES, BATCHES = 1000, 10  # in batches, so that a failure names a small part and the others still run
SIZE = (96, 72)
DEATHS = ("CPU time", "crashed", "ended twice", " within ")  # reasons after which a fresh decoder is the rule


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, exif=exif(6), **options)  # type: ignore[arg-type]
    return file.getvalue()


SOURCES = [
    jpeg(1, size=SIZE, orientation=6),
    jpeg(2, size=SIZE, orientation=3, progressive=True),
    encoded(picture(3, SIZE).convert("CMYK"), "JPEG", comment=SECRET),
    encoded(picture(4, SIZE).convert("L"), "JPEG", restart_marker_rows=2),
    png(5, size=SIZE),
    png(6, size=SIZE, alpha=True),
    encoded(picture(7, SIZE).quantize(16), "PNG", transparency=3),
    encoded(Image.linear_gradient("L").resize(SIZE).convert("I;16"), "PNG"),
    webp(8, size=SIZE),
    webp(9, size=SIZE, alpha=True),
    webp(10, size=SIZE, lossless=True),
]


def pieces(data: bytes) -> list[bytes]:
    """The segments of a JPEG or the chunks of a PNG or WebP; joined they are the file again."""
    at, found = {b"\xff\xd8": 2, b"\x89P": 8, b"RI": 12}[data[:2]], []
    found.append(data[:at])
    while at < len(data):
        if data[:2] == b"\x89P":
            end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        elif data[:2] == b"RI":
            length = int.from_bytes(data[at + 4 : at + 8], "little")
            end = at + 8 + length + length % 2
        elif data[at + 1] == 0xDA:
            end = len(data)
        else:
            end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        found.append(data[at:end])
        at = end
    return found


def consistent(data: bytes) -> bytes:
    """With right checksums and container length, so that damage gets past the first look."""
    if data[:4] == b"RIFF":
        return data[:4] + (len(data) - 8).to_bytes(4, "little") + data[8:]
    if data[:2] != b"\x89P":
        return data
    fixed, at = bytearray(data), 8
    while at + 12 <= len(fixed):
        end = at + 12 + int.from_bytes(fixed[at : at + 4], "big")
        if end > len(fixed):
            break
        fixed[end - 4 : end] = zlib.crc32(fixed[at + 4 : end - 4]).to_bytes(4, "big")
        at = end
    return bytes(fixed)


def flip(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 2, 8, 40))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def truncate(rng: random.Random, data: bytes) -> bytes:
    cut = data[: rng.randrange(len(data))]
    return cut + rng.choice((b"", b"\xff\xd9", bytes(40), b"\x00\x00\x00\x00IEND\xaeB`\x82"))


def shuffle(rng: random.Random, data: bytes) -> bytes:
    parts = pieces(data)
    one, other = rng.randrange(1, len(parts)), rng.randrange(1, len(parts))
    change = rng.choice(("swap", "double", "drop", "many"))
    if change == "swap":
        parts[one], parts[other] = parts[other], parts[one]
    elif change == "double":
        parts.insert(other, parts[one])
    elif change == "drop":
        del parts[one]
    else:
        parts[other:other] = [parts[one]] * rng.randrange(2, 300)
    return b"".join(parts)


def relength(rng: random.Random, data: bytes) -> bytes:
    parts = pieces(data)
    chosen = rng.randrange(1, len(parts))
    at, size, order = {b"\xff\xd8": (2, 2, "big"), b"\x89P": (0, 4, "big"), b"RI": (4, 4, "little")}[data[:2]]
    part = bytearray(parts[chosen])
    old = int.from_bytes(part[at : at + size], order)  # type: ignore[arg-type]
    new = rng.choice((0, 1, old - 1, old + 1, old + 7, old * 2, 2 ** (8 * size) - 1, rng.randrange(2 ** (8 * size))))
    part[at : at + size] = max(0, new % 2 ** (8 * size)).to_bytes(size, order)  # type: ignore[arg-type]
    parts[chosen] = bytes(part)
    return b"".join(parts)


def splice(rng: random.Random, data: bytes) -> bytes:
    """The head of one file on the tail of another, both cut at the borders of segments or the second within its picture."""
    mine, others = pieces(data), pieces(rng.choice(SOURCES))
    if rng.random() < 0.5:
        return b"".join(mine[: rng.randrange(1, len(mine) + 1)] + others[rng.randrange(len(others)) :])
    picture_data = max(others, key=len)
    return data[: rng.randrange(len(data))] + picture_data[rng.randrange(14, len(picture_data)) :]


def resize(rng: random.Random, data: bytes) -> bytes:
    """Other dimensions in the header than the picture has."""
    sides = [rng.choice((0, 1, 31, 32, 96, 97, 300, 4000, 7000, 16_383, 65_535)) for _ in range(2)]
    changed = bytearray(data)
    if data[:2] == b"\x89P":
        changed[16:24] = struct.pack(">II", *(side * rng.choice((1, 1, 65_536)) % 2**32 for side in sides))
    elif data[:2] == b"\xff\xd8":
        at = next(at for at in range(len(data)) if data[at] == 0xFF and data[at + 1] in (0xC0, 0xC2))
        changed[at + 5 : at + 9] = struct.pack(">HH", *sides)
    else:
        at = data.index(b"VP8", 12)
        changed[at + 8 : at + 18] = bytes(a ^ rng.randrange(256) for a in data[at + 8 : at + 18])
    return bytes(changed)


def odd_exif(rng: random.Random, data: bytes) -> bytes:
    """Directories that are random, loop, or count to billions; in front, where the format wants its EXIF."""
    order = rng.choice("<>")
    entries = [
        (
            rng.choice((0x0110, 0x0112, 0x0132, 0x8769, 0x8825, 0x9003)),
            rng.randrange(16),
            rng.choice((0, 1, 2**32 - 1)),
            rng.choice((8, 0, 26, 2**32 - 1)),
        )
        for _ in range(rng.choice((0, 1, 5, 4000)))
    ]
    body = struct.pack(f"{order}H", min(65_535, len(entries) * rng.choice((1, 1, 16))))
    body += b"".join(struct.pack(f"{order}HHII", *entry) for entry in entries)
    payload = (b"II*\x00\x08\x00\x00\x00" if order == "<" else b"MM\x00*\x00\x00\x00\x08") + body + SECRET.encode()
    parts = pieces(data)
    if data[:2] == b"\x89P":
        parts.insert(2, struct.pack(">I", len(payload)) + b"eXIf" + payload + bytes(4))
    elif data[:2] == b"\xff\xd8":
        parts.insert(1, b"\xff\xe1" + struct.pack(">H", len(payload) + 8) + b"Exif\x00\x00" + payload)
    else:
        parts.append(b"EXIF" + len(payload).to_bytes(4, "little") + payload + bytes(len(payload) % 2))
    return b"".join(parts)


def bomb(rng: random.Random, data: bytes) -> bytes:
    """A PNG whose picture inflates to far more, or far less, than its header says."""
    width, height = rng.choice(((32, 32), (96, 72), (7000, 7000), (40_000, 1200), (2**31, 40)))
    kind, depth = rng.choice(((2, 8), (6, 16), (0, 1), (3, 8)))
    squeezed = zlib.compress(bytes(rng.choice((10, 10_000, 20_000_000))), 1)
    made = b"\x89PNG\r\n\x1a\n" + struct.pack(
        ">I4sIIBBBBBI", 13, b"IHDR", width, height, depth, kind, 0, 0, rng.randrange(2), 0
    )
    if kind == 3:
        made += struct.pack(">I4s3xI", 3, b"PLTE", 0)
    made += struct.pack(">I", len(squeezed)) + b"IDAT" + squeezed + bytes(4)
    text = b"Raw profile type exif\x00\x00" + zlib.compress(bytes(5_000_000))
    made += struct.pack(">I", len(text)) + b"zTXt" + text + bytes(4)
    return consistent(made + struct.pack(">I4sI", 0, b"IEND", 0))


def insert(rng: random.Random, data: bytes) -> bytes:
    """Text between segments and behind the end; noise anywhere."""
    if rng.random() < 0.5:
        parts = pieces(data)
        parts.insert(rng.randrange(1, len(parts) + 1), SECRET.encode() * rng.randrange(1, 50))
        return b"".join(parts)
    at = rng.randrange(len(data))
    return data[:at] + rng.randbytes(rng.choice((1, 2, 30, 3000))) + data[at:]


MUTATORS: list[Callable[[random.Random, bytes], bytes]] = [
    flip,
    truncate,
    shuffle,
    relength,
    splice,
    resize,
    odd_exif,
    bomb,
    insert,
]


def mutant(number: int) -> bytes:
    rng = random.Random(number)
    data = MUTATORS[number % len(MUTATORS)](rng, SOURCES[number // len(MUTATORS) % len(SOURCES)])
    return consistent(data) if rng.random() < 0.7 else data


def clean_and_upright(stripped: Stripped, derived: decoding.Derived) -> None:
    for data in (stripped.data, derived.view, derived.thumbnail):
        assert SECRET.encode() not in data and b"Phone 7" not in data
        with warnings.catch_warnings(), Image.open(io.BytesIO(data)) as image:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image.load()
            assert not image.getexif()
    width, height = Image.open(io.BytesIO(derived.view)).size
    larger = max(1, max(stripped.width, stripped.height) // 1000)
    assert (width, height) == (-(-stripped.width // larger), -(-stripped.height // larger)) or larger > 1


def judge(data: bytes) -> str:
    """What became of one file; AssertionError where that is none of the allowed ends."""
    try:
        stripped = strip(data)
    except Problem as problem:
        assert 400 <= problem.status < 500
        return "refused"
    assert SECRET.encode() not in stripped.data
    before = decoding._decoder and decoding._decoder.process.pid
    try:
        derived = decoding.derive(stripped.data, stripped.orientation)
    except DoesNotDecode as problem:
        if not any(death in str(problem) for death in DEATHS):
            assert before in (None, decoding._decoder and decoding._decoder.process.pid), "the decoder was replaced"
        return "broken"
    assert before in (None, decoding._decoder and decoding._decoder.process.pid), "the decoder was replaced"
    clean_and_upright(stripped, derived)
    return "kept"


@pytest.mark.parametrize("batch", range(BATCHES))
def test_a_mutated_photo_is_refused_broken_or_clean_and_upright(batch: int, tmp_path: Path, settings: Any) -> None:
    settings.DECODER_PHOTOS = FILES  # a fresh decoder would be the rule sooner
    ends: Counter[str] = Counter()
    for number in range(batch, FILES, BATCHES):
        data = mutant(number)
        try:
            ends[judge(data)] += 1
        except Exception as error:  # whatever it was, the file is needed to look at it
            (tmp_path / "failing").write_bytes(data)
            pytest.fail(f"mutant({number}), {len(data)} bytes in {tmp_path / 'failing'}: {error!r}")
    assert ends["refused"] >= 10 and ends["kept"] >= 10, ends  # otherwise the mutators test nothing any more
