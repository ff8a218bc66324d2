"""GATE: what passes, what does not, and what the table says about it."""

import json
from typing import Any

import numpy as np
import pytest

from training.gate import Verdict, judge, paired_loss

LABELS = [f"label-{i}" for i in range(5)]
IO = {
    "input": {"shape": [1, 224, 224, 3], "dtype": "uint8"},
    "output": {"shape": [1, 5], "dtype": "uint8"},
}


def answers(truth: np.ndarray, wrong: int, *, start: int = 0) -> np.ndarray:
    """Probabilities that are right but for `wrong` photos from number `start` on."""
    said = truth.copy()
    said[start : start + wrong] = (said[start : start + wrong] + 1) % len(LABELS)
    return np.eye(len(LABELS), dtype=np.float32)[said] * 0.8 + 0.04


def judged(
    n: int = 200, float_wrong: int = 20, int8_wrong: int = 20, incumbent_wrong: int | None = None, **other: Any
) -> Verdict:
    truth = np.arange(n) % len(LABELS)
    given: dict[str, Any] = {
        "float_probabilities": answers(truth, float_wrong),
        "int8_probabilities": answers(truth, int8_wrong),
        "incumbent_probabilities": None if incumbent_wrong is None else answers(truth, incumbent_wrong),
        "truth": truth,
        "labels": LABELS,
        "io": IO,
    }
    return judge(**(given | other))


def failures(verdict: Verdict) -> list[str]:
    return [check.name for check in verdict.checks if not check.passed]


def test_a_good_model_passes_and_its_table_is_json():
    verdict = judged()
    assert verdict.passed
    assert failures(verdict) == []
    assert json.loads(json.dumps(verdict.as_json()))["passed"] is True
    assert len(verdict.as_text().splitlines()) == len(verdict.checks)
    assert verdict.reason() == "Every check passed."


@pytest.mark.parametrize(
    "io",
    [
        IO | {"input": {"shape": [1, 224, 224, 3], "dtype": "float32"}},
        IO | {"output": {"shape": [1, 5], "dtype": "int8"}},
        IO | {"output": {"shape": [1, 6], "dtype": "uint8"}},
    ],
)
def test_a_file_that_phones_cannot_feed_or_read_is_refused(io: dict[str, Any]):
    assert failures(judged(io=io)) == ["input and output"]


def test_too_few_held_out_photos_judge_nothing():
    assert "held-out photos" in failures(judged(n=29, float_wrong=0, int8_wrong=0))
    assert judged(n=30, float_wrong=0, int8_wrong=0).passed


def test_no_photos_at_all_are_a_refusal_and_not_a_crash():
    nothing = np.zeros((0, 5), np.float32)
    verdict = judged(n=0, float_probabilities=nothing, int8_probabilities=nothing, incumbent_probabilities=nothing)
    assert not verdict.passed


def test_an_answer_that_is_no_number_is_refused():
    broken = answers(np.arange(200) % 5, 20)
    broken[7, 2] = np.nan
    assert "answers that are no numbers" in failures(judged(int8_probabilities=broken))


def test_a_collapsed_model_is_refused():
    same = np.tile(np.array([0.3, 0.2, 0.2, 0.2, 0.1], np.float32), (200, 1))
    assert {"labels it answers", "mean recall of a label"} <= set(failures(judged(int8_probabilities=same)))


def test_always_saying_the_commonest_label_is_no_skill_however_accurate_it_looks():
    truth = np.array([0] * 180 + [1] * 20)
    said = np.zeros(200, int)
    said[0] = 1  # uses two labels, but 89.5 % accuracy is luck of the draw
    lucky = np.eye(5, dtype=np.float32)[said]
    assert failures(judged(truth=truth, float_probabilities=lucky, int8_probabilities=lucky)) == ["mean recall of a label"]


def test_guessing_is_refused():
    guesses = np.random.default_rng(5).random((200, 5)).astype(np.float32)
    assert "mean recall of a label" in failures(judged(float_probabilities=guesses, int8_probabilities=guesses))


def test_quantization_may_flip_labels_as_long_as_it_loses_nothing():
    truth = np.arange(200) % 5
    assert judged(int8_probabilities=answers(truth, 20, start=100)).passed  # 20 others are wrong now


def test_quantization_that_costs_clearly_more_than_a_point_is_refused():
    assert failures(judged(int8_wrong=40)) == ["loss by quantization"]


def test_one_photo_lost_by_quantization_is_noise():
    assert judged(int8_wrong=22).passed


def test_a_model_that_is_clearly_worse_than_the_incumbent_is_refused():
    verdict = judged(float_wrong=40, int8_wrong=40, incumbent_wrong=20)
    assert failures(verdict) == ["loss against the incumbent"]
    assert "Worse than what phones have" in verdict.reason()


def test_a_model_that_is_as_good_as_the_incumbent_or_better_passes():
    assert judged(incumbent_wrong=20).passed
    assert judged(incumbent_wrong=60).passed
    assert judged(incumbent_wrong=19).passed


def test_an_incumbent_that_knows_fewer_labels_is_compared_on_the_same_photos():
    truth = np.arange(200) % 5
    assert judged(incumbent_probabilities=answers(truth, 0)[:, :4]).passed


def test_the_interval_of_a_loss_holds_the_loss_and_narrows_with_more_photos():
    before = np.ones(100, bool)
    after = before.copy()
    after[:5] = False
    loss, low, high = paired_loss(before, after)
    assert loss == pytest.approx(0.05)
    assert low < 0.05 < high
    _, many_low, many_high = paired_loss(np.tile(before, 10), np.tile(after, 10))
    assert many_high - many_low < (high - low) / 2


def test_no_difference_still_has_an_interval():
    right = np.ones(50, bool)
    loss, low, high = paired_loss(right, right)
    assert loss == 0
    assert low < 0 < high


def test_the_interval_covers_the_true_loss_about_95_times_in_100():
    rng = np.random.default_rng(6)
    covered = 0
    for _ in range(2000):
        draw = rng.random(120)
        before, after = draw > 0.10, (draw > 0.15) | (draw < 0.02)  # loses 5 of 100, wins 2: a loss of 3 points
        _, low, high = paired_loss(before, after)
        covered += low <= 0.03 <= high
    assert 0.93 <= covered / 2000 <= 0.99
