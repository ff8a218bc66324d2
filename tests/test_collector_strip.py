"""INTAKE: metadata goes, pixels stay, and what is not a whole photo is refused."""

import io
import struct
import zlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from collector.errors import NotAnAllowedFormat, NotAWholeImage, PhotoTooLarge
from collector.png import PNG_SIGNATURE
from collector.strip import strip
from config.errors import Problem
from tests.drawing import SECRET, jpeg, png, webp

EVERY_KIND = {
    "jpeg": jpeg(1),
    "progressive jpeg": jpeg(2, progressive=True),
    "png": png(3),
    "png with alpha": png(4, alpha=True),
    "webp": webp(5),
    "webp with alpha": webp(6, alpha=True),
    "lossless webp": webp(7, lossless=True),
}
whole_photos = pytest.mark.parametrize("data", EVERY_KIND.values(), ids=EVERY_KIND.keys())


def pixels(data: bytes) -> tuple[str, bytes]:
    image = Image.open(io.BytesIO(data))
    return image.mode, image.tobytes()


@whole_photos
def test_no_metadata_survives_and_no_pixel_changes(data: bytes) -> None:
    assert SECRET.encode() in data
    stripped = strip(data)
    assert SECRET.encode() not in stripped.data
    assert b"Phone 7" not in stripped.data
    assert pixels(stripped.data) == pixels(data)
    assert not Image.open(io.BytesIO(stripped.data)).getexif()
    assert len(stripped.data) < len(data)


@whole_photos
def test_stripping_twice_changes_nothing_more(data: bytes) -> None:
    once = strip(data).data
    assert strip(once).data == once


@whole_photos
def test_bytes_after_the_picture_are_dropped(data: bytes) -> None:
    assert strip(data + b"<script>alert(1)</script>").data == strip(data).data


@whole_photos
def test_a_photo_cut_anywhere_is_refused(data: bytes) -> None:
    for share in (0.2, 0.5, 0.8, 0.95):
        with pytest.raises((NotAWholeImage, NotAnAllowedFormat)):
            strip(data[: int(len(data) * share)])
    with pytest.raises(NotAWholeImage):
        strip(data[:-1])


def test_the_few_facts_that_are_kept_are_read() -> None:
    stripped = strip(jpeg(1, size=(640, 480), orientation=6))
    assert (stripped.orientation, stripped.width, stripped.height) == (6, 480, 640)  # upright
    assert stripped.device_model == "Phone 7"
    assert stripped.taken_hour == datetime(2026, 11, 20, 14, tzinfo=UTC)  # minutes are not kept
    assert stripped.content_type == "image/jpeg"


def test_a_second_image_behind_the_first_is_dropped() -> None:
    first, second = Image.new("RGB", (64, 64), "red"), Image.new("RGB", (64, 64), "blue")
    file = io.BytesIO()
    first.save(file, "MPO", save_all=True, append_images=[second])
    stripped = strip(file.getvalue()).data
    assert Image.open(io.BytesIO(stripped)).format == "JPEG"
    assert stripped.count(b"\xff\xd8\xff") == 1


def test_colours_of_an_adobe_cmyk_jpeg_stay() -> None:
    file = io.BytesIO()
    Image.new("CMYK", (64, 64), (10, 200, 30, 40)).save(file, "JPEG", quality=95)
    assert pixels(strip(file.getvalue()).data) == pixels(file.getvalue())


def test_a_huge_png_header_is_refused_without_decoding() -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    with pytest.raises(PhotoTooLarge):
        strip(PNG_SIGNATURE + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""))
    with pytest.raises(NotAWholeImage):
        strip(PNG_SIGNATURE + header)


def test_a_wrong_checksum_in_a_png_is_refused() -> None:
    data = bytearray(png(1))
    at = data.index(b"IDAT")
    data[at + 10] ^= 1
    with pytest.raises(NotAWholeImage, match="checksum"):
        strip(bytes(data))


def test_what_is_no_photo_is_refused_by_content() -> None:
    gif = io.BytesIO()
    Image.new("RGB", (64, 64)).save(gif, "GIF")
    for data in (b"hello", b"<svg></svg>", gif.getvalue(), b"\x00\x00\x00\x18ftypheic" + bytes(64)):
        with pytest.raises(NotAnAllowedFormat):
            strip(data)


def test_an_animation_is_refused() -> None:
    file = io.BytesIO()
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:])
    with pytest.raises(NotAnAllowedFormat, match="Animated"):
        strip(file.getvalue())


def test_a_tiny_picture_is_refused() -> None:
    file = io.BytesIO()
    Image.new("RGB", (31, 400)).save(file, "JPEG")
    with pytest.raises(NotAWholeImage, match="at least"):
        strip(file.getvalue())


@given(st.sampled_from(sorted(EVERY_KIND)), st.data())
def test_any_damage_ends_in_a_photo_or_a_problem(kind: str, data: st.DataObject) -> None:
    """Flipped, removed and inserted bytes: never another exception, never metadata."""
    damaged = bytearray(EVERY_KIND[kind])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        action = data.draw(st.sampled_from(["flip", "cut", "insert"]))
        if action == "flip":
            damaged[at] ^= data.draw(st.integers(1, 255))
        elif action == "cut":
            del damaged[at : at + data.draw(st.integers(1, 40))]
        else:
            damaged[at:at] = data.draw(st.binary(min_size=1, max_size=12))
    try:
        strip(bytes(damaged))
    except Problem as problem:
        assert 400 <= problem.status < 500
