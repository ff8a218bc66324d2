"""FINE-TUNE → EXPORT: what files claim is about as often right, and no answer changes by it."""

import numpy as np
import pytest

from training.confidence import LEAST, cooled, temperature


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
