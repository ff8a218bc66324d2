"""FINE-TUNE, long before: pictures by formula, from which the starter backbone learns."""

import random

import numpy as np
import pytest

from training import drawn


def test_the_same_generator_draws_the_same_picture_and_another_one_another():
    first, again, other = (drawn.picture(7, 64, random.Random(seed)) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).mean() > 0.5


@pytest.mark.parametrize("size", [32, 64, 96])
def test_a_picture_is_rgb_of_the_size_that_was_asked_for(size: int):
    picture = drawn.picture(3, size, random.Random(1))
    assert (picture.shape, picture.dtype) == ((size, size, 3), np.uint8)


def test_no_two_things_look_the_same():
    faces = {drawn.thing(number).tobytes() for number in range(60)}
    assert len(faces) == 60


def test_a_thing_stays_what_it_is_however_often_it_is_drawn():
    before = drawn.thing(5).tobytes()
    drawn.thing.cache_clear()
    assert drawn.thing(5).tobytes() == before


def test_pictures_are_neither_blank_nor_nearly_black():
    rng = random.Random(3)
    for number in range(200):
        picture = drawn.picture(number, 64, rng)
        assert picture.std() > 4, number
        assert picture.max() > 40, number


@pytest.mark.parametrize("pattern", drawn.PATTERNS, ids=lambda pattern: pattern.__name__)
def test_a_pattern_fills_its_square_with_levels_from_0_to_1(pattern):
    for seed in range(10):
        level = pattern(random.Random(seed))
        assert level.shape == (drawn.FACE, drawn.FACE)
        assert 0 <= level.min() <= level.max() <= 1, seed
        assert np.isfinite(level).all(), seed
