"""INTAKE: metadata goes, pixels stay, and what is not a whole photo is refused."""

import io
import struct
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from collector.errors import NotAnAllowedFormat, NotAWholeImage, PhotoTooLarge
from collector.png import PNG_SIGNATURE, chunk
from collector.strip import strip
from config.errors import Problem
from tests.drawing import SECRET, exif, jpeg, png, webp

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


def png_of(*chunks: tuple[bytes, bytes]) -> bytes:
    return PNG_SIGNATURE + b"".join(chunk(kind, body) for kind, body in chunks)


def chunks_of(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 8
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


@whole_photos
def test_no_image_library_opens_a_file_in_the_web_process(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's getexif() decodes a whole PNG if no EXIF stands before its picture."""
    expected = strip(data)

    def opened(*args: object, **kwargs: object) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr(Image, "open", opened)
    monkeypatch.setattr(Image.Exif, "load", opened)
    assert strip(data) == expected
    assert expected.device_model == "Phone 7" and expected.taken_hour


def turned_exif() -> bytes:
    return exif(6).tobytes().removeprefix(b"Exif\x00\x00")


def test_the_orientation_is_found_wherever_a_png_keeps_it() -> None:
    plain = chunks_of(strip(png(1)).data)
    digits = turned_exif().hex().encode()
    profile = b"\nexif\n%8d\n%s\n" % (len(turned_exif()), digits)
    xmp = b'XML:com.adobe.xmp\x00\x00\x00\x00\x00<rdf:Description tiff:Orientation="6"/>'
    for extra in (
        (b"eXIf", turned_exif()),
        (b"tEXt", b"Raw profile type exif\x00" + profile),
        (b"zTXt", b"Raw profile type exif\x00\x00" + zlib.compress(profile)),
        (b"iTXt", xmp),
    ):
        for at in (1, len(plain) - 1):  # before and behind the picture
            stripped = strip(png_of(*plain[:at], extra, *plain[at:]))
            assert (stripped.orientation, stripped.width, stripped.height) == (6, 240, 320), (extra[0], at)
            assert stripped.data == png_of(*plain)


def test_exif_that_leads_in_circles_or_counts_to_billions_is_read_in_no_time() -> None:
    plain = strip(jpeg(1)).data
    loop = b"II*\x00\x08\x00\x00\x00" + struct.pack("<HHHIII", 1, 0x8769, 4, 1, 8, 8)
    huge = b"MM\x00*\x00\x00\x00\x08" + struct.pack(">HHHII", 0xFFFF, 0x0110, 2, 0xFFFFFFFF, 0) * 5000
    far = b"II*\x00\xff\xff\xff\xff"
    for payload in (loop, huge[:65_000], far, b"II*\x00", b"", b"Exif\x00\x00" * 100):
        stripped = strip(plain[:2] + segment(0xE1, b"Exif\x00\x00" + payload) + plain[2:])
        assert stripped.data == plain and stripped.orientation == 1


def test_text_cannot_hide_between_or_behind_what_is_kept() -> None:
    hidden = SECRET.encode()
    plain = strip(jpeg(1)).data
    table = plain.index(b"\xff\xdb")
    assert strip(plain[:table] + hidden + plain[table:]).data == plain
    length = int.from_bytes(plain[table + 2 : table + 4], "big")
    longer = segment(0xDB, plain[table + 4 : table + 2 + length] + hidden)
    with pytest.raises(NotAWholeImage, match="table"):
        strip(plain[:table] + longer + plain[table + 2 + length :])
    assert strip(plain[:2] + segment(0xE0, b"JFXX\x00\x10" + hidden) + plain[2:]).data == plain

    header, *picture, end = chunks_of(strip(png(1)).data)
    kept = png_of(header, *picture, end)
    apng = [(b"acTL", bytes(8)), (b"fcTL", bytes(26)), (b"fdAT", hidden)]
    for extra in (*apng, (b"PLTE", bytes(3)), (b"tRNS", hidden[:6] + hidden), (b"prVt", hidden)):
        stripped = strip(png_of(header, extra, *picture, end)).data
        assert hidden not in stripped
        assert stripped == kept or extra[0] == b"tRNS"
    assert strip(png_of(header, *picture, (b"IEND", hidden))).data == kept

    riff = strip(webp(6, alpha=True)).data
    canvas = riff.index(b"VP8X")
    marked = riff[: canvas + 9] + b"XYZ" + riff[canvas + 12 :]  # reserved bytes
    assert strip(marked).data == riff


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda body: b"\x0c" + body[1:], "12-bit"),
        (lambda body: body[:1] + b"\x00\x00" + body[3:], "no size"),  # as before a DNL segment
        (lambda body: body[:1] + b"\x00\x10" + body[3:], "at least"),
        (lambda body: body[:-1], "wrong length"),
        (lambda body: body[:7] + b"\x05" + body[8:], "sampling"),
        (lambda body: body[:5] + b"\x02" + body[6:-3], "number of colours"),
    ],
)
def test_a_frame_header_that_cannot_be_decoded_is_refused_early(change: Callable[[bytes], bytes], why: str) -> None:
    plain = strip(jpeg(1)).data
    at = plain.index(b"\xff\xc0")
    with pytest.raises(NotAWholeImage, match=why):
        strip(plain[:at] + segment(0xC0, change(plain[at + 4 : at + 19])) + plain[at + 19 :])


@pytest.mark.parametrize("marker", [0xC3, 0xC5, 0xC9, 0xCA, 0xCF])
def test_lossless_hierarchical_and_arithmetic_coding_is_refused(marker: int) -> None:
    plain = strip(jpeg(1)).data
    at = plain.index(b"\xff\xc0")
    with pytest.raises(NotAWholeImage, match="not arithmetic"):
        strip(plain[: at + 1] + bytes([marker]) + plain[at + 2 :])


def test_two_frame_headers_and_endless_scans_are_refused() -> None:
    plain = strip(jpeg(1)).data
    at, scan = plain.index(b"\xff\xc0"), plain.index(b"\xff\xda")
    with pytest.raises(NotAWholeImage, match="two frame headers"):
        strip(plain[:at] + plain[at : at + 19] + plain[at:])
    with pytest.raises(NotAWholeImage, match="more than 100 scans"):
        strip(plain[:scan] + plain[scan : scan + 30] * 101 + plain[scan:])
    with pytest.raises(NotAWholeImage, match="segments"):
        strip(plain[:2] + segment(0xDD, b"\x00\x00") * 20_000 + plain[2:])


def test_a_webp_whose_canvas_is_not_its_picture_is_refused() -> None:
    data = bytearray(strip(webp(6, alpha=True)).data)
    data[data.index(b"VP8X") + 12] ^= 1
    with pytest.raises(NotAWholeImage, match="canvas"):
        strip(bytes(data))


def test_what_would_need_too_much_memory_to_decode_is_refused(settings: Any) -> None:
    settings.WEBP_MAX_PIXELS = 320 * 240 - 1
    with pytest.raises(PhotoTooLarge, match="of a WEBP"):
        strip(webp(1))
    strip(png(1))
    # 640×480 at 4:2:0 are 40×30 MCUs of 6 blocks of 128 bytes
    settings.JPEG_HELD_MAX_BYTES = 40 * 30 * 6 * 128
    strip(jpeg(1, progressive=True))
    settings.JPEG_HELD_MAX_BYTES -= 1
    strip(jpeg(1))
    with pytest.raises(PhotoTooLarge, match="baseline"):
        strip(jpeg(1, progressive=True))
