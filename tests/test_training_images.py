"""SNAPSHOT → FINE-TUNE: photos as the network and a phone see them."""

import io

import numpy as np
import pytest
from PIL import ExifTags, Image

from training.errors import UnreadablePhoto
from training.images import INPUT_SPEC, load_examples, prepare


def encoded(image: Image.Image, form: str = "PNG", **settings) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **settings)
    return out.getvalue()


def quiet(step: str, done: int, total: int) -> None:
    """Nobody watches."""


def test_a_photo_becomes_a_centred_square_of_bytes():
    image = Image.new("RGB", (200, 100), (255, 0, 0))
    image.paste((0, 0, 255), (50, 0, 150, 100))  # the middle square is blue
    pixels = prepare(encoded(image), 32)
    assert pixels.shape == (32, 32, 3)
    assert pixels.dtype == np.uint8
    assert (pixels[:, 2:-2] == (0, 0, 255)).all()


def test_fine_stripes_are_averaged_and_not_sampled():
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    pixels = prepare(encoded(Image.fromarray(stripes)), 32)
    assert abs(pixels[4:-4, 4:-4].astype(int) - 127).max() <= 4


def test_a_photo_is_turned_upright_first():
    image = Image.new("RGB", (60, 60), (255, 0, 0))
    image.paste((0, 255, 0), (0, 0, 60, 30))  # green above
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 3  # stored upside down
    pixels = prepare(encoded(image, exif=exif), 20)
    assert (pixels[2] == (255, 0, 0)).all()
    assert (pixels[-3] == (0, 255, 0)).all()


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_other_colour_modes_become_rgb(mode: str):
    form = "JPEG" if mode == "CMYK" else "PNG"
    assert prepare(encoded(Image.new(mode, (40, 30)), form), 16).shape == (16, 16, 3)


def test_a_thin_photo_still_fills_the_square():
    assert prepare(encoded(Image.new("RGB", (999, 7))), 33).shape == (33, 33, 3)


@pytest.mark.parametrize("data", [b"", b"no image", encoded(Image.new("RGB", (64, 64)), "JPEG")[:300]])
def test_what_is_no_whole_image_is_refused(data: bytes):
    with pytest.raises(UnreadablePhoto):
        prepare(data, 32)


def test_examples_keep_the_order_of_the_rows():
    files = {f"views/{i}": encoded(Image.new("RGB", (20, 20), (i, i, i))) for i in range(150)}
    rows = [(f"id-{i}", f"views/{i}", i % 7) for i in range(150)]
    seen: list[tuple[int, int]] = []
    examples = load_examples(
        rows, read=files.__getitem__, size=8, progress=lambda step, done, total: seen.append((done, total))
    )
    assert examples.ids == [row[0] for row in rows]
    assert examples.truth.tolist() == [row[2] for row in rows]
    assert examples.truth.dtype == np.int64
    assert examples.images[:, 0, 0, 0].tolist() == list(range(150))
    assert seen[-1] == (150, 150)


def test_a_broken_photo_is_named():
    with pytest.raises(UnreadablePhoto) as caught:
        load_examples([("the-id", "views/x", 0)], read=lambda key: b"broken", size=8, progress=quiet)
    assert caught.value.facts == {"photo": "the-id"}


def test_no_rows_are_no_examples():
    assert len(load_examples([], read=lambda key: b"", size=8, progress=quiet)) == 0


def test_the_manifest_says_what_prepare_does():
    spec = INPUT_SPEC(96)
    assert (spec["width"], spec["height"], spec["dtype"], spec["range"]) == (96, 96, "uint8", [0, 255])
