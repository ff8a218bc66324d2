"""SNAPSHOT → FINE-TUNE: the photos of a night in one piece, put into the order of what they are for."""

from dataclasses import replace

import numpy as np
import pytest

from training.seen import Seen, parted


def seen(count: int) -> Seen:
    rows = np.arange(count)
    ids, groups = [f"photo {row}" for row in rows], [f"group {row}" for row in rows]
    pixels = np.repeat(rows, 12).reshape(count, 2, 2, 3).astype(np.uint8)
    return Seen(ids, groups, rows.astype(np.int64), pixels, features=pixels[:, 0, 0].astype(np.float16))


@pytest.mark.parametrize("seed", range(5))
def test_photos_that_are_set_aside_come_last_with_all_that_is_known_of_each_and_nothing_is_held_twice(seed):
    aside = np.random.default_rng(seed).random(20) < seed / 4
    everything = seen(20)
    train, validation = parted(everything, aside)
    assert sorted(validation.ids) == sorted(f"photo {row}" for row in np.flatnonzero(aside))
    for part in (train, validation):
        for row, photo in enumerate(part.ids):
            number = int(photo.split()[1])
            assert (part.groups[row], part.truth[row]) == (f"group {number}", number)
            assert (part.pixels[row] == number).all()
            assert (part.features[row] == number).all()
        assert len(part.centre) == len(part.activations) == len(part.sources) == 0
    assert everything.ids == train.ids + validation.ids
    assert np.shares_memory(train.pixels, everything.pixels) or not len(train)


def test_pictures_that_views_are_cut_from_stay_with_their_photos_where_they_are_what_phones_feed():
    plain = seen(20)
    everything = replace(plain, sources=plain.pixels, groups=plain.ids)  # as a night from pixels has them, of one size
    for part in parted(everything, np.arange(20) < 5):
        numbers = [int(photo.split()[1]) for photo in part.ids]
        assert part.truth.tolist() == part.pixels[:, 0, 0, 0].tolist() == part.sources[:, 0, 0, 0].tolist() == numbers
        assert part.groups == part.ids
