"""The demo's photos: varied, repeatable, with metadata that intake must take away."""

import io
import random

import imagehash
import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from demo.currency import DENOMINATIONS, draw


@pytest.fixture(scope="module")
def drawings() -> list[bytes]:
    rng = random.Random(7)
    return [draw(DENOMINATIONS[i % len(DENOMINATIONS)], rng) for i in range(90)]


def test_a_drawing_is_a_whole_jpeg_of_phone_shape(drawings: list[bytes]):
    for data in drawings:
        image = Image.open(io.BytesIO(data))
        image.load()
        assert image.format == "JPEG"
        assert sorted(image.size) == [480, 640]


def test_the_same_generator_draws_the_same_photo():
    assert draw("10-talu", random.Random(3)) == draw("10-talu", random.Random(3))
    assert draw("10-talu", random.Random(3)) != draw("10-talu", random.Random(4))


def test_metadata_is_there_to_be_stripped_and_orientation_varies(drawings: list[bytes]):
    tags = [Image.open(io.BytesIO(data)).getexif() for data in drawings]
    assert {exif[ExifTags.Base.Orientation] for exif in tags} == {1, 3, 6, 8}
    assert all(ExifTags.GPS.GPSLatitude in exif.get_ifd(ExifTags.IFD.GPSInfo) for exif in tags)
    assert all(ExifTags.Base.DateTimeOriginal in exif.get_ifd(ExifTags.IFD.Exif) for exif in tags)


def test_every_orientation_tag_leads_back_to_a_scene_that_lies_as_it_was_drawn(drawings: list[bytes]):
    for data in drawings:
        assert ImageOps.exif_transpose(Image.open(io.BytesIO(data))).size == (640, 480)


def test_no_two_drawings_look_like_near_duplicates(drawings: list[bytes]):
    upright = [ImageOps.exif_transpose(Image.open(io.BytesIO(data))) for data in drawings]
    hashes = np.array([imagehash.phash(image).hash.ravel() for image in upright])
    apart = (hashes[:, None] != hashes[None]).sum(axis=2)[np.triu_indices(len(hashes), 1)]
    assert apart.min() > 6


def test_light_and_ground_vary(drawings: list[bytes]):
    means = [np.asarray(Image.open(io.BytesIO(data)).convert("L").resize((8, 8))).mean() for data in drawings]
    assert np.std(means) > 20
