"""FINE-TUNE → EXPORT: which way is taken on, and when the incumbent stays."""

import numpy as np
import pytest

from training.choose import Tried, choose, paired


def right(share: float, count: int = 200, seed: int = 1) -> np.ndarray:
    """`share` of `count` photos right, in an order of its own."""
    return np.random.default_rng(seed).permutation(np.arange(count) < share * count)


def each(count: int = 200) -> np.ndarray:
    return np.arange(count)


def test_the_usual_way_is_taken_unless_another_beats_it_by_more_than_one_standard_error():
    usual = right(0.70)
    better, little = usual.copy(), usual.copy()
    better[np.flatnonzero(~usual)[:20]] = True
    little[np.flatnonzero(~usual)[:1]] = True
    choice = choose([Tried("head", better, 10.0), Tried("top", usual, 300.0)], None, each())
    assert choice.name == "head"
    assert choice.reasons[0] == "head: 80.0% of 200 validation photos, 10 s."
    assert choice.reasons[-1] == "head beats top by more than one standard error (+10.0% ± 2.1%)."
    assert choose([Tried("head", little, 10.0), Tried("top", usual, 300.0)], None, each()).name == "top"


def test_validation_photos_that_everything_gets_right_do_not_make_the_cheaper_way_win():
    easy = right(0.985)
    choice = choose([Tried("head", easy, 6.0), Tried("top", easy.copy(), 594.0)], None, each())
    assert choice.name == "top"
    assert "head does not beat top" in choice.reasons[-1]


def test_of_two_ways_that_beat_the_usual_one_the_better_is_taken():
    usual = right(0.5)
    good, best = usual.copy(), usual.copy()
    good[np.flatnonzero(~usual)[:20]] = True
    best[np.flatnonzero(~usual)[:40]] = True
    assert choose([Tried("a", best, 1.0), Tried("b", good, 1.0), Tried("usual", usual, 1.0)], None, each()).name == "a"


def test_the_incumbent_stays_unless_it_is_beaten_by_more_than_one_standard_error():
    before = right(0.80)
    better, little = before.copy(), before.copy()
    better[np.flatnonzero(~before)[:20]] = True
    little[np.flatnonzero(~before)[:1]] = True
    assert choose([Tried("top", better, 1.0)], before, each()).name == "top"
    kept = choose([Tried("top", little, 1.0)], before, each())
    assert kept.name is None
    assert kept.reasons[-1].endswith("so the incumbent stays.")
    assert choose([Tried("top", before, 1.0)], before, each()).name is None


def test_near_duplicates_count_as_one_draw():
    before, after = right(0.5), right(0.5).copy()
    after[:20] = True
    gain, alone = paired(before, after, each())
    grouped_gain, together = paired(before, after, np.maximum(each(), 19))
    assert gain == grouped_gain == pytest.approx(float((after.astype(int) - before.astype(int)).mean()))
    assert together > 1.5 * alone
    assert paired(before, after, np.zeros(200))[1] == 1.0  # one group tells nothing


def test_the_standard_error_is_what_repeated_draws_show():
    rng = np.random.default_rng(3)
    gains, errors = [], []
    for _ in range(400):
        before, after = rng.random(300) < 0.8, rng.random(300) < 0.85
        gain, error = paired(before, after, each(300))
        gains.append(gain)
        errors.append(error)
    assert np.mean(errors) == pytest.approx(np.std(gains), rel=0.1)
