"""GATE: size, time and sameness of the very file."""

import numpy as np
import pytest

from tests import colours
from training import fitness
from training.fitness import budgets, same_answers

TIERS = {"low": (3_000_000, 30), "high": (9_000_000, 30)}


def test_a_file_must_fit_every_tier_and_the_table_says_which_it_does_not():
    assert [check.passed for check in budgets(size=2_800_000, latency_ms=14.0, tiers=TIERS)] == [True, True]
    small, large = budgets(size=3_000_001, latency_ms=14.0, tiers=TIERS)
    assert (small.passed, large.passed) == (False, True)
    assert "low phones" in small.sentence and small.value == "3.00 MB, 14.0 ms"
    assert [check.passed for check in budgets(size=1, latency_ms=30.1, tiers=TIERS)] == [False, False]


@pytest.mark.training
def test_a_file_that_answers_the_same_every_time_passes():
    assert same_answers(colours.exported()["int8"], colours.photos(2)[0]).passed


def test_a_file_that_answers_by_chance_does_not(monkeypatch):
    rng = np.random.default_rng(1)
    monkeypatch.setattr(fitness, "classify", lambda file, images: rng.random((len(images), 3)))
    check = same_answers(b"", np.zeros((4, 8, 8, 3), np.uint8))
    assert not check.passed and check.value == "4"
