"""Conditions: what is measured moves the right way when a photo is deformed, and its name changes with it."""

import random
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from collector.erasure import withdraw
from collector.signals import photo_described
from tests.nights import accepted, claimed
from training import conditions
from training.conditions import MEASURES, NAMES
from training.errors import FencedOff
from training.measuring import measure
from training.models import Condition, Run

SIDE = 224


def textured(rng: random.Random) -> Image.Image:
    """A still life: patches of many sizes, as a shelf or a kitchen has them."""
    image = Image.new("RGB", (SIDE, SIDE), tuple(rng.randrange(60, 160) for _ in range(3)))
    draw = ImageDraw.Draw(image)
    for size in (90, 60, 40, 40, 25, 25, 25, 14, 14, 14, 14, 8, 8, 8, 8, 8, 8):
        x, y = rng.randrange(SIDE), rng.randrange(SIDE)
        shape = rng.choice((draw.ellipse, draw.rectangle))
        shape((x - size // 2, y - size // 2, x + size // 2, y + size // 2), fill=tuple(rng.randrange(256) for _ in range(3)))
    return image


def subject(rng: random.Random, side: int, ground: Image.Image) -> Image.Image:
    """A patterned disc of `side` pixels in the middle of the ground."""
    image, disc = ground.copy(), things(rng, 150, range(10, 40)).resize((side, side))
    mask = Image.new("L", (side, side), 0)
    ImageDraw.Draw(mask).ellipse((0, 0, side - 1, side - 1), fill=255)
    at = (image.width - side) // 2
    image.paste(disc, (at, at), mask)
    return image


def things(rng: random.Random, count: int, sizes: range) -> Image.Image:
    """Grey boxes of these sizes, pixels, everywhere."""
    image = textured(rng)
    draw = ImageDraw.Draw(image)
    for _ in range(count):
        x, y, size = rng.randrange(-10, SIDE), rng.randrange(-10, SIDE), rng.choice(sizes)
        draw.rectangle((x, y, x + size, y + size), fill=(rng.choice((20, 60, 200, 240)),) * 3)
    return image


def busy(seed: int) -> Image.Image:
    return things(random.Random(seed), 800, range(4, 12))


def filled(seed: int) -> Image.Image:
    return things(random.Random(seed), 150, range(10, 40))


def plain() -> Image.Image:
    ramp = np.linspace(110, 150, SIDE)[None, :, None] * np.ones((SIDE, 1, 3))
    return Image.fromarray(ramp.astype(np.uint8))


def dark(image: Image.Image) -> Image.Image:
    return image.point(lambda value: value * 0.25)


def bright(image: Image.Image) -> Image.Image:
    return image.point(lambda value: 255 - (255 - value) * 0.3)


def blurred(image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(4))


def column(name: str, images: list[Image.Image]) -> np.ndarray:
    return measure(np.stack([np.asarray(image) for image in images]))[:, MEASURES.index(name)]


def named(image: Image.Image) -> tuple[str, ...]:
    return conditions.names(measure(np.asarray(image)[None])[0])


CALM = textured(random.Random(99)).filter(ImageFilter.GaussianBlur(6))
STILL_LIVES = [subject(random.Random(seed), 120, plain()) for seed in range(8)]


# ---- measures ----------------------------------------------------------------------------------------------------
def test_brightness_is_the_mean_luma():
    pure = np.zeros((3, 32, 32, 3), np.uint8)
    pure[1], pure[2, ..., 1] = 255, 255
    assert measure(pure)[:, 0] == pytest.approx([0, 1, 0.587], abs=1e-5)


def test_darkening_and_brightening_move_brightness_and_not_sharpness():
    usual = column("brightness", STILL_LIVES)
    assert (column("brightness", list(map(dark, STILL_LIVES))) < usual * 0.3).all()
    assert (column("brightness", list(map(bright, STILL_LIVES))) > usual + 0.2).all()
    ratio = column("sharpness", list(map(dark, STILL_LIVES))) / column("sharpness", STILL_LIVES)
    assert ((ratio > 0.7) & (ratio < 1.25)).all()


def test_blur_takes_sharpness_away_more_with_every_pixel():
    columns = [column("sharpness", [i.filter(ImageFilter.GaussianBlur(r)) for i in STILL_LIVES]) for r in (0, 1, 2, 4)]
    assert all((more < less * 0.7).all() for less, more in pairwise(columns))


def test_clutter_is_what_lies_around_the_middle():
    around = [subject(random.Random(seed), 100, busy(seed)) for seed in range(8)]
    alone = [subject(random.Random(seed), 100, plain()) for seed in range(8)]
    assert (column("clutter", around) > column("clutter", alone) + 0.05).all()
    assert (column("clutter", alone) < 0.01).all()


@pytest.mark.parametrize("ground", [plain(), CALM])
def test_extent_shrinks_with_the_subject(ground: Image.Image):
    columns = [column("extent", [subject(random.Random(seed), side, ground) for seed in range(8)]) for side in (200, 110, 40)]
    medians = [float(np.median(values)) for values in columns]
    assert medians[0] > medians[1] > medians[2]


def test_a_plain_picture_and_other_sizes_are_measured_too():
    flat = np.full((1, 96, 96, 3), 90, np.uint8)
    assert np.isfinite(measure(flat)).all() and measure(flat)[0, 1] == 0
    assert measure(np.zeros((0, 96, 96, 3), np.uint8)).shape == (0, len(MEASURES))


# ---- names -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("name", "deform"), [("dark", dark), ("bright", bright), ("blurred", blurred)])
def test_a_deformed_photo_gets_the_name_and_the_photo_itself_does_not(name, deform):
    for image in STILL_LIVES:
        assert name not in named(image)
        assert name in named(deform(image))


def test_a_shrunken_subject_is_far_and_one_amid_things_cluttered():
    for seed in range(8):
        assert "far" in named(subject(random.Random(seed), 36, CALM))
        assert "far" not in named(subject(random.Random(seed), 120, CALM))
        assert "cluttered" in named(subject(random.Random(seed), 100, busy(seed)))
        assert "cluttered" not in named(subject(random.Random(seed), 120, CALM))


def test_a_subject_that_fills_the_picture_is_close_unless_everything_is_busy():
    for seed in range(8):
        assert "close" in named(filled(seed))
        assert "close" not in named(subject(random.Random(seed), 120, plain()))
        assert "close" not in named(busy(seed))


def test_every_name_has_one_bound():
    assert sorted([*conditions.BELOW, *conditions.ABOVE]) == sorted(NAMES)
    assert conditions.names([0.5, 1.0, 0.0, 0.3]) == ()


# ---- rows --------------------------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_rows_are_replaced_and_withdrawn_photos_left_out(recognizer, volunteer):
    kept, gone = accepted(recognizer, volunteer, "gold"), accepted(recognizer, volunteer, "gold")
    ids, run = [str(kept.pk), str(gone.pk)], claimed(recognizer)
    conditions.keep(run=run, photo_ids=ids, measures=np.array([[0.5, 1, 0, 0.3]] * 2))
    withdraw(photo_id=gone.pk, volunteer=volunteer)
    conditions.keep(run=run, photo_ids=ids, measures=np.array([[0.05, 1, 0, 0.3]] * 2))
    assert Condition.objects.get().brightness == 0.05
    assert conditions.named(recognizer=recognizer, photo_ids=[ids[1], ids[0], "unknown"]) == [(), ("dark",), ()]
    told = [facts["conditions"] for _, facts in photo_described.send(sender=None, photo=kept) if "conditions" in (facts or {})]
    assert told == [["dark"]]
    Run.objects.filter(pk=run.pk).update(fence=run.fence + 1)
    with pytest.raises(FencedOff):
        conditions.keep(run=run, photo_ids=ids, measures=np.zeros((2, 4)))
    assert Condition.objects.get().brightness == 0.05
