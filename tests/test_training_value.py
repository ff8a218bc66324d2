"""EVALUATE, per photo: the recursion against the definition of the Shapley value."""

from itertools import combinations
from math import comb

import numpy as np
import pytest

from training import value
from training.value import knn_shapley


def game(members: tuple[int, ...], train: np.ndarray, truth: np.ndarray, held: np.ndarray, held_truth: np.ndarray, k: int):
    """What a set of training photos is worth: right neighbours among the k nearest, as a share of k, on average."""
    worth = 0.0
    for photo, label in zip(held, held_truth, strict=True):
        near = sorted(members, key=lambda i: -float(train[i] @ photo / np.linalg.norm(train[i]) / np.linalg.norm(photo)))
        worth += sum(truth[i] == label for i in near[:k]) / k
    return worth / len(held)


def by_definition(*data, k: int) -> np.ndarray:
    """Every photo's marginal worth, averaged over all sets of the others."""
    count = len(data[0])
    values = np.zeros(count)
    for i in range(count):
        others = [j for j in range(count) if j != i]
        for size in range(count):
            for members in combinations(others, size):
                gain = game((*members, i), *data, k) - game(members, *data, k)
                values[i] += gain / (count * comb(count - 1, size))
    return values


def photos(n: int, m: int, seed: int):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 4)), rng.integers(0, 3, n), rng.normal(size=(m, 4)), rng.integers(0, 3, m)


@pytest.mark.parametrize(("n", "k"), [(7, 1), (7, 3), (7, 5), (3, 5), (1, 2)])
def test_values_are_the_shapley_values(n: int, k: int):
    data = photos(n, 3, seed=n * 10 + k)
    np.testing.assert_allclose(knn_shapley(*data, k=k), by_definition(*data, k=k), atol=1e-9)


def test_values_sum_to_what_all_photos_are_worth():
    data = photos(200, 50, seed=1)
    assert knn_shapley(*data).sum() == pytest.approx(game(tuple(range(200)), *data, 5))


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch):
    data = photos(60, 40, seed=2)
    whole = knn_shapley(*data)
    monkeypatch.setattr(value, "CHUNK_BYTES", 8 * 60 * 7)  # seven validation photos at a time
    np.testing.assert_allclose(knn_shapley(*data), whole, atol=1e-12)


def test_a_wrongly_labelled_photo_is_worth_less_than_nothing():
    rng = np.random.default_rng(3)
    truth = np.arange(60) % 2
    centres = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    train = centres[truth] + rng.normal(0, 0.1, (60, 3))
    held_truth = np.arange(40) % 2
    held = centres[held_truth] + rng.normal(0, 0.1, (40, 3))
    given = truth.copy()
    given[10] = 1 - given[10]
    values = knn_shapley(train, given, held, held_truth)
    assert values[10] < 0
    assert values.argmin() == 10


def test_without_photos_there_is_no_value():
    empty = np.zeros((0, 4))
    none = np.zeros(0, int)
    assert knn_shapley(empty, none, np.ones((2, 4)), np.zeros(2, int)).shape == (0,)
    assert knn_shapley(np.ones((2, 4)), np.zeros(2, int), empty, none).tolist() == [0, 0]


def test_a_black_feature_vector_breaks_nothing():
    data = photos(5, 3, seed=4)
    data[0][0] = 0
    assert np.isfinite(knn_shapley(*data)).all()
