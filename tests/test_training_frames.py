"""EXPORT → PHONE: answers that stay still on video. The simulated phone does what the tuning thought it would."""

import numpy as np
import pytest

from clients.frames import Confidence, Frames
from tests import colours
from training import frames


def flickering(photos: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(scores [photos, FRAMES, 5], truth): right on average, with noise that changes single frames' answers."""
    rng = np.random.default_rng(seed)
    truth = np.arange(photos) % 5
    logits = 1.5 * np.eye(5)[truth][:, None] + rng.normal(0, 1, (photos, frames.FRAMES, 5))
    powers = np.exp(logits)
    return powers / powers.sum(axis=2, keepdims=True), truth


def by_phone(scores: np.ndarray, below: list[float], keep: float, margin: float) -> np.ndarray:
    """What the simulated phone answers to each sequence; −1 is “not sure”."""
    answers = []
    for sequence in scores:
        seen = Frames(Confidence(tuple(below), keep, margin))
        answers.append([-1 if (answer := seen.see(frame)) is None else answer for frame in sequence])
    return np.array(answers)


@pytest.mark.parametrize(("keep", "margin"), [(0.0, 0.0), (0.5, 0.1), (0.8, 0.2)])
def test_the_phone_answers_what_the_tuning_computed(keep, margin):
    scores, _ = flickering(20, 1)
    below = [0.2, 0.3, 0.4, 0.5, 0.6]
    np.testing.assert_array_equal(by_phone(scores, below, keep, margin), frames.joined(scores, np.array(below), keep, margin))


def test_joined_frames_flicker_less_and_are_right_as_often_on_photos_that_were_not_tuned_by():
    scores, truth = flickering(32, 2)
    served = iter(scores)
    tuned = frames.tune(lambda _: next(served), np.zeros((32, 8, 8, 3), np.uint8), truth, [0.3] * 5, seed=1)
    others, truth = flickering(60, 3)
    single, joined = (by_phone(others, [0.3] * 5, *how) for how in ((0.0, 0.0), (tuned.keep, tuned.margin)))
    changes = [(answers[:, 1:] != answers[:, :-1]).sum(axis=1).mean() for answers in (single, joined)]
    assert changes[1] < changes[0] / 3, changes
    assert (joined == truth[:, None]).mean() >= (single == truth[:, None]).mean()
    assert tuned.delay is not None and tuned.delay <= frames.DELAY_MOST


def test_an_answer_follows_when_the_phone_turns_to_something_else():
    seen = Frames(Confidence((0.4, 0.4, 0.4), 0.6, 0.1))
    one, other = np.array([0.9, 0.05, 0.05]), np.array([0.05, 0.9, 0.05])
    assert [seen.see(one) for _ in range(6)] == [0] * 6
    assert [seen.see(other) for _ in range(4)][-1] == 1


def test_a_view_of_nothing_known_is_not_sure():
    seen = Frames(Confidence((0.5, 0.5), 0.5, 0.1))
    assert seen.see(np.array([0.45, 0.44])) == 0  # shares of what it says, not the scores themselves
    for _ in range(8):
        answer = Frames(Confidence((0.6, 0.6), 0.5, 0.1)).see(np.array([0.5, 0.5]))
    assert answer is None


def test_the_same_photo_and_seed_make_the_same_frames_and_they_move():
    image = colours.photos(1)[0][0]
    first, again = (frames.sequence(image, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (frames.FRAMES, 32, 32, 3) and len({frame.tobytes() for frame in first}) == frames.FRAMES


def test_the_phone_counts_restless_frames_as_the_tuning_computed_them():
    scores, _ = flickering(20, 4)
    below, keep, margin = [0.2, 0.3, 0.4, 0.5, 0.6], 0.6, 0.1
    views = []
    for sequence in scores:
        views.append(seen := Frames(Confidence(tuple(below), keep, margin)))
        for frame in sequence:
            seen.see(frame)
    stood, changes = sum(seen.stood for seen in views), sum(seen.changes for seen in views)
    assert changes / stood == frames.restless(scores, np.array(below), keep, margin) and 20 < changes < stood


def edges(count: int) -> np.ndarray:
    """uint8 [count, 32, 32, 3]: dark on the left and bright on the right, meeting somewhere about the middle."""
    images = np.full((count, 32, 32, 3), 60, np.uint8)
    for number, image in enumerate(images):
        image[:, 13 + number % 7 :] = 200
    return images


def middle(images: np.ndarray) -> np.ndarray:
    """Stands in for a network: is it bright in the middle?"""
    bright = 1 / (1 + np.exp((130 - images[:, 14:18, 14:18].mean(axis=(1, 2, 3))) / 8))
    return np.stack([bright, 1 - bright], axis=1)


def test_sequences_are_made_as_restless_as_phones_say_that_theirs_are():
    images = edges(32)
    truth = middle(images).argmax(axis=1)

    def tuned(livelier: float | None) -> frames.Tuned:
        return frames.tune(middle, images, truth, [0.55, 0.55], seed=1, livelier=livelier)

    usual = tuned(None)
    assert usual.motion == 1.0 and usual.restless > 0.01 and tuned(1.0) == usual
    assert [tuned(livelier).motion for livelier in (0.0, 1.0, 100.0)] == [0.5, 1.0, 4.0]
    moved = tuned(100.0)
    assert moved.flicker[0] > usual.flicker[0]  # of single frames that move more
    still = frames.tune(lambda seen: np.tile([0.9, 0.1], (len(seen), 1)), images, truth, [0.55] * 2, seed=1, livelier=9.0)
    assert (still.motion, still.restless) == (1.0, 0.0)  # nine times nothing
    assert moved.restless == pytest.approx(usual.restless, rel=0.5)  # still told at motion 1: phones are compared with that


def test_too_few_photos_to_tune_by_give_the_usual_numbers():
    nothing = np.zeros((frames.LEAST - 1, 8, 8, 3), np.uint8)
    assert frames.tune(lambda _: pytest.fail("asked"), nothing, np.zeros(7, int), [0.5], seed=1) is frames.USUAL
    assert frames.USUAL.as_json()["flicker"] is None


def test_confidence_that_makes_no_sense_is_refused():
    good = {"not_sure_below": [0.5, 0.5], "frames": {"keep": 0.5, "margin": 0.1}}
    assert Confidence.of(good, 2).keep == 0.5
    assert Confidence.of(None, 2).not_sure_below == (0.0, 0.0)
    for bad in (
        good | {"not_sure_below": [0.5]},
        good | {"not_sure_below": [0.5, 1.5]},
        good | {"frames": {"keep": 1.0, "margin": 0.1}},
        good | {"frames": {"keep": 0.5, "margin": float("nan")}},
        good | {"frames": None},
    ):
        with pytest.raises((KeyError, TypeError, ValueError)):
            Confidence.of(bad, 2)
