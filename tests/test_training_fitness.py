"""GATE: size, time and sameness of the very file."""

import numpy as np
import pytest

from tests import colours
from training import fitness
from training.fitness import budgets, same_answers

TIERS = {"low": (3_000_000, 30), "high": (9_000_000, 30)}


def both(size: int, latency_ms: float) -> dict[str, tuple[int, float]]:
    return dict.fromkeys(TIERS, (size, latency_ms))


def test_a_file_must_fit_every_tier_and_the_table_says_which_it_does_not():
    assert [check.passed for check in budgets(both(2_800_000, 14.0), tiers=TIERS)] == [True, True]
    small, large = budgets(both(3_000_001, 14.0), tiers=TIERS)
    assert (small.passed, large.passed) == (False, True)
    assert "low phones" in small.sentence and small.value == "3.00 MB, 14.0 ms"
    assert [check.passed for check in budgets(both(1, 30.1), tiers=TIERS)] == [False, False]


def test_each_tier_is_judged_by_the_file_that_its_phones_get():
    files = {"low": (2_800_000, 14.0), "high": (2_800_000, 31.0)}
    assert [check.passed for check in budgets(files, tiers=TIERS)] == [True, False]


@pytest.mark.training
def test_a_file_that_answers_the_same_every_time_passes():
    assert same_answers(colours.exported()["int8"], colours.photos(2)[0]).passed


def test_a_file_that_answers_by_chance_does_not(monkeypatch):
    rng = np.random.default_rng(1)
    monkeypatch.setattr(fitness, "classify", lambda file, images: rng.random((len(images), 3)))
    check = same_answers(b"", np.zeros((4, 8, 8, 3), np.uint8))
    assert not check.passed and check.value == "4"
