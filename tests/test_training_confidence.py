"""FINE-TUNE → EXPORT: what files claim is about as often right, and no answer changes by it."""

import numpy as np
import pytest

from training.confidence import LEAST, cooled, not_sure_below, temperature


def answered(photos: int, labels: int, seed: int, *, sharper: float) -> tuple[np.ndarray, np.ndarray]:
    """(logits, truth) of a network whose probabilities are honest once its logits are divided by `sharper`."""
    rng = np.random.default_rng(seed)
    honest = rng.normal(0, 2, (photos, labels))
    powers = np.exp(honest)
    shares = (powers / powers.sum(axis=1, keepdims=True)).cumsum(axis=1)
    truth = (rng.random((photos, 1)) > shares).sum(axis=1).clip(max=labels - 1)
    return honest * sharper, truth


@pytest.mark.parametrize("sharper", [0.4, 1.0, 3.0])
def test_it_finds_by_how_much_logits_are_too_flat_or_too_sharp(sharper):
    logits, truth = answered(4000, 10, 1, sharper=sharper)
    assert temperature(logits, truth) == pytest.approx(sharper, rel=0.08)


def test_photos_that_are_all_recognised_do_not_make_it_sure_of_everything():
    logits = np.eye(5)[np.arange(60) % 5] * 3.0
    found = temperature(logits, np.arange(60) % 5)
    powers = np.exp(logits / found)
    assert (powers / powers.sum(axis=1, keepdims=True)).max(axis=1) == pytest.approx(np.full(60, 61 / 62), abs=1e-3)


def test_too_few_photos_change_nothing():
    logits, truth = answered(LEAST, 10, 1, sharper=3.0)
    assert temperature(logits[1:], truth[1:]) == 1.0
    assert temperature(logits, truth) > 1.5
    assert temperature(np.empty((0, 10)), np.empty(0, np.int64)) == 1.0


def test_a_cooled_head_gives_the_logits_divided():
    rng = np.random.default_rng(2)
    kernel, bias, features = (rng.normal(size=size).astype(np.float32) for size in ((8, 3), (3,), (5, 8)))
    colder, lower = cooled([kernel, bias], 0.5)
    np.testing.assert_allclose(features @ colder + lower, (features @ kernel + bias) * 2, rtol=1e-5)
    assert colder.dtype == np.float32


# ---- when to say “not sure” --------------------------------------------------------------------------------------
def scored(scores: list[float], right: list[bool], label: int = 0, labels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """(probabilities, truth) of photos that are all answered `label` with these scores."""
    probabilities = np.full((len(scores), labels), 0.0)
    probabilities[:, label] = scores
    return probabilities, np.where(right, label, (label + 1) % labels)


def test_a_threshold_is_the_lowest_score_from_which_answers_are_right_often_enough():
    scores, right = [0.3] * 40 + [0.6] * 60, [False] * 40 + [True] * 60
    below = not_sure_below(*scored(scores, right), precision=0.9)
    assert 0.3 < below[0] <= 0.6
    assert all(0 < each <= 0.6 for each in below)  # labels without photos have what is usual


def test_a_label_with_few_photos_has_nearly_the_threshold_of_all_and_one_with_many_its_own():
    def mixed(wrong: int) -> list[float]:
        usual, truth = scored([0.8] * 200, [True] * 200)
        own, own_truth = scored([0.7] * wrong, [False] * wrong, label=1)
        return not_sure_below(np.concatenate([usual, own]), np.concatenate([truth, own_truth]), precision=0.9)

    assert mixed(2)[1] == mixed(2)[0] == 0.0
    assert mixed(20)[1] > 0.7 and mixed(20)[0] == 0.0


def test_too_few_photos_choose_no_threshold():
    assert not_sure_below(*scored([0.9] * (LEAST - 1), [False] * (LEAST - 1)), precision=0.9) == [0.5] * 3


def test_no_label_is_silenced_for_ever():
    assert max(not_sure_below(*scored([0.9] * 50, [False] * 50), precision=0.9)) <= 1.0
