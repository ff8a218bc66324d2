"""GATE: what passes, what does not, and what the table says about it."""

import json
from typing import Any

import numpy as np
import pytest

from training import comparison
from training.gate import Check, Verdict, judge

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


# ---- against the incumbent, label by label -----------------------------------------------------------------------
def crowd(labels: int, each: int, seed: int, *, right: float = 0.87, differ: float = 0.08) -> tuple[np.ndarray, ...]:
    """(truth, before, after) of two equally good files: `differ` of the photos are right with only one of them."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(labels), each)
    draw = rng.random(len(truth))
    both = right - differ / 2
    return truth, draw < both + differ / 2, (draw < both) | ((draw >= both + differ / 2) & (draw < both + differ))


def said(truth: np.ndarray, right: np.ndarray, labels: int) -> np.ndarray:
    """Probabilities of a file that answers `right`, and the next label otherwise; it claims about its accuracy."""
    answer = np.where(right, truth, (truth + 1) % labels)
    sure = np.float32(right.mean())
    return np.where(np.eye(labels, dtype=bool)[answer], sure, (1 - sure) / (labels - 1)).astype(np.float32)


def compared(truth: np.ndarray, before: np.ndarray, after: np.ndarray, labels: int, **other: Any) -> Verdict:
    given = {
        "float_probabilities": said(truth, after, labels),
        "int8_probabilities": said(truth, after, labels),
        "incumbent_probabilities": said(truth, before, labels),
        "truth": truth,
        "labels": [f"label-{number}" for number in range(labels)],
        "io": IO | {"output": {"shape": [1, labels], "dtype": "uint8"}},
    }
    return judge(**(given | other))


def test_an_equal_candidate_is_refused_in_fewer_than_one_night_of_twenty(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(comparison, "DRAWS", 4000)
    monkeypatch.setattr(comparison, "CALIBRATION_DRAWS", 200)
    refused = []
    for labels, each, nights in ((81, 20, 20), (81, 4, 30), (5, 40, 50)):
        refused += [failures(compared(*crowd(labels, each, seed), labels)) for seed in range(nights)]
    assert sum(bool(names) for names in refused) <= 5, refused


def test_a_label_that_is_lost_is_named_among_81_though_the_whole_is_better():
    truth, before, after = crowd(81, 30, 1)
    after = after | (np.random.default_rng(1).random(len(truth)) < 0.02)
    after[np.flatnonzero((truth == 7) & before)[:15]] = False
    verdict = compared(truth, before, after, 81)
    assert failures(verdict) == ["worst label against the incumbent"]
    assert "label-7 (" in verdict.reason() and "of 30 photos)" in verdict.reason()


def test_the_table_says_how_few_labels_can_be_told():
    truth, before, after = crowd(81, 4, 2)
    row = next(check for check in compared(truth, before, after, 81).checks if check.name.startswith("worst label"))
    assert row.passed and "on 0 of 81 the two differ on the 6 photos or more" in row.sentence


def test_a_label_that_the_incumbent_does_not_know_cannot_fall():
    truth, before, after = crowd(5, 40, 3)
    before = before & (truth != 4)
    verdict = compared(truth, before, after, 5, incumbent_probabilities=said(truth, before, 5)[:, :4])
    assert verdict.passed, verdict.as_text()


# ---- confidence --------------------------------------------------------------------------------------------------
def test_a_file_that_is_always_certain_and_often_wrong_is_refused():
    truth = np.arange(200) % 5
    certain = np.eye(5, dtype=np.float32)[answers(truth, 60).argmax(axis=1)]
    assert failures(judged(float_probabilities=certain, int8_probabilities=certain)) == ["calibration error"]


def test_a_file_that_is_too_modest_is_not_refused_for_that():
    modest = answers(np.arange(200) % 5, 20) * 0.1 + 0.18
    assert judged(float_probabilities=modest, int8_probabilities=modest).passed


def test_a_file_whose_confidence_became_clearly_less_honest_is_refused():
    truth, before, after = crowd(5, 100, 4)
    claimed = np.eye(5)[said(truth, after, 5).argmax(axis=1)] * 0.65 + 0.07  # claims 72 %, is right on 87 %
    verdict = compared(truth, before, after, 5, int8_probabilities=claimed.astype(np.float32))
    assert failures(verdict) == ["calibration error against the incumbent"]


# ---- the training's own numbers, and checks made elsewhere -------------------------------------------------------
@pytest.mark.parametrize("history", [{"head": {"loss": [2.0, float("nan")]}}, {"loss": np.array([1.0, np.inf])}])
def test_a_training_whose_loss_was_no_number_is_refused(history: dict[str, Any]):
    assert failures(judged(history=history)) == ["losses that are no numbers"]


def test_finite_losses_pass_and_words_are_no_losses():
    assert judged(history={"loss": [2.0, 1.5], "accuracy": None, "why": "by validation", "cached": True}).passed


def test_further_checks_end_the_table_and_count():
    verdict = judged(further=[Check("planted patch", "50%", "25%", False, "A patch does it.")])
    assert failures(verdict) == ["planted patch"] and verdict.reason() == "A patch does it."
