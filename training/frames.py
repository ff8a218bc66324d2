"""EXPORT: how a phone joins the frames of a video: tuned on simulated ones, so that answers stay still and follow quickly.

A network that has learned single photos changes its answer from frame to frame (flicker). `clients.frames` says what a phone
does about it; its two numbers are chosen here, on sequences that each are made of one photo: a hand that shakes, blur that
comes and goes, an exposure that steps. Two such sequences in a row are a phone that turns from one thing to another.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

FRAMES = 12  # of one photo: about half a second to a second of a phone's video
PHOTOS = 32  # at most, spread over those there are; with FRAMES 384 inferences
LEAST = 8  # photos; with fewer, USUAL is taken
KEEPS = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8)  # of the average, each frame; 0.8 remembers about five frames
MARGINS = (0.0, 0.05, 0.1, 0.2)
DELAY_MOST = 3.0  # frames, on average, that an answer may outlive the thing it was about; 0.1 to 0.2 s
SHAKE = 0.012  # of the side; standard deviation of a frame's step in the walk of a hand
ZOOM = 0.06  # ± from the first frame to the last
BLURRED = 0.25  # of the frames
BLUR = 0.008  # of the side; the largest sigma, 1.8 pixels of 224
EXPOSURE = 0.45  # ± of an exposure step, as a power of e; one to two steps a sequence, each kept until the next
NOISE = 3.0  # levels, of the sensor
MOTIONS = (0.5, 1.0, 2.0, 4.0)  # of a hand: at a desk, as above, walking, in a bus
MARGIN = 0.15  # mirrored around a photo: what a shaking hand sees beyond its edge
FLOOR = 1 / 512  # as in `clients.frames`: half of the smallest score


@dataclass(frozen=True)
class Tuned:
    """`keep` and `margin` for `clients.frames`. `flicker` and `right`: changes of the answer a sequence, and share of its
    frames with the true answer, by single frames and joined; `delay`: frames; `restless`: at motion 1, as the function of this
    name. They are None where there were too few photos. `motion`: of the sequences that they were tuned by."""

    keep: float
    margin: float
    sequences: int = 0
    flicker: tuple[float, float] | None = None
    right: tuple[float, float] | None = None
    delay: float | None = None
    restless: float | None = None
    motion: float = 1.0

    def as_json(self) -> dict[str, Any]:
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


USUAL = Tuned(0.6, 0.1)


# ---- sequences ---------------------------------------------------------------------------------------------------
def sequence(image: np.ndarray, rng: np.random.Generator, frames: int = FRAMES, motion: float = 1.0) -> np.ndarray:
    """uint8 [s, s, 3] → uint8 [frames, s, s, 3]: what a camera in a hand sees of it. About 2 ms a frame of 224 pixels.

    `motion` (≥ 0): how much the hand moves, in shake, zoom and blur; light and noise are not its affair.
    """
    side = len(image)
    edge = math.ceil(side * MARGIN)
    wide = Image.fromarray(np.pad(image, ((edge, edge), (edge, edge), (0, 0)), "symmetric"))
    walk = np.cumsum(rng.normal(0, motion * SHAKE * side, (frames, 2)), axis=0).clip(-edge, edge)
    zooms = 1 + motion * rng.uniform(-ZOOM, ZOOM) * np.linspace(-1, 1, frames)
    gains = np.ones(frames)
    for start in rng.integers(0, frames, rng.integers(1, 3)):
        gains[start:] *= math.exp(rng.uniform(-EXPOSURE, EXPOSURE))
    result = np.empty((frames, side, side, 3), np.uint8)
    for number, ((x, y), zoom, gain) in enumerate(zip(walk, zooms, gains, strict=True)):
        first = edge + side * (1 - zoom) / 2
        lookup = (zoom, 0, first + x, 0, zoom, first + y)
        frame = wide.transform((side, side), Image.Transform.AFFINE, lookup, Image.Resampling.BILINEAR)
        if rng.random() < BLURRED:
            frame = frame.filter(ImageFilter.GaussianBlur(rng.uniform(0, motion * BLUR) * side))
        noise = rng.normal(0, NOISE, (side, side, 1))
        result[number] = (np.asarray(frame) * gain + noise).round().clip(0, 255)
    return result


# ---- tuning ------------------------------------------------------------------------------------------------------
def tune(
    answer: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    truth: np.ndarray,
    below: Sequence[float],
    *,
    seed: int,
    livelier: float | None = None,
) -> Tuned:
    """The numbers with the least flicker among those that lose no right frame and outlive a turn by at most DELAY_MOST frames.

    `answer` gives the probabilities float32 [n, labels] of frames uint8 [n, s, s, 3]; `images` uint8 [n, s, s, 3] and `truth`
    int [n] are photos that were not learned from; `below`: a threshold per label. The same photos and seed give the same.
    `livelier` (≥ 0): how many times as restless phones' videos are as those of motion 1; they are then made as restless.
    """
    rows = np.unique(np.linspace(0, len(images) - 1, min(PHOTOS, len(images))).astype(int))
    if len(rows) < LEAST:
        return USUAL
    limits = np.asarray(below)

    def filmed(motion: float) -> np.ndarray:
        """float [n, FRAMES, labels]; the same hand and light each time, moving so much."""
        rng = np.random.default_rng(seed)
        return np.stack([answer(sequence(images[row], rng, motion=motion)) for row in rows])

    usual = filmed(1.0)
    tuned = _tuned(usual, truth[rows], limits)
    if livelier is None or not tuned.restless:  # so many times nothing is nothing
        return tuned
    # Which motion is as restless as phones are, joined by the numbers that they had, as nearly as can be told.
    seen = {motion: usual if motion == 1.0 else filmed(motion) for motion in MOTIONS}
    found = {motion: restless(scores, limits, tuned.keep, tuned.margin) for motion, scores in seen.items()}
    motion = min(MOTIONS, key=lambda each: (abs(found[each] - livelier * found[1.0]), abs(math.log(each))))
    again = _tuned(seen[motion], truth[rows], limits)
    return replace(again, restless=restless(usual, limits, again.keep, again.margin), motion=motion)


def _tuned(seen: np.ndarray, truth: np.ndarray, limits: np.ndarray) -> Tuned:
    turned = np.roll(np.arange(len(seen)), len(seen) // 2)  # photos are sorted by label: half way round is another
    scores = np.concatenate([seen, seen[turned]], axis=1)
    found = {}
    for keep in KEEPS:
        for margin in MARGINS:
            found[keep, margin] = _judged(joined(scores, limits, keep, margin), truth)
    single = found[0.0, 0.0]
    fit = [pair for pair, one in found.items() if one[1] >= single[1] and one[2] <= DELAY_MOST]
    keep, margin = min(fit, key=lambda pair: (found[pair][0], found[pair][2]))
    flicker, right, delay = found[keep, margin]
    calm = restless(seen, limits, keep, margin)
    return Tuned(keep, margin, len(seen), (single[0], flicker), (single[1], right), delay, calm)


def restless(scores: np.ndarray, below: np.ndarray, keep: float, margin: float) -> float:
    """Of the frames during which the joined answer stands, the share that by itself says something else than the one before.

    Counted as `clients.frames.Frames` counts it; 0 where no answer ever stands. `scores` float [n, frames, labels].
    """
    answers, best = joined(scores, below, keep, margin), scores.argmax(axis=2)
    single = np.where(scores.max(axis=2) >= below[best], best, -1)
    stands = (answers[:, 1:] == answers[:, :-1]) & (answers[:, 1:] >= 0)
    changes = single[:, 1:] != single[:, :-1]
    return float(changes[stands].mean()) if stands.any() else 0.0


def joined(scores: np.ndarray, below: np.ndarray, keep: float, margin: float) -> np.ndarray:
    """int [n, frames]: the answers of `clients.frames.Frames` to n sequences at once; −1 is “not sure”.

    `scores` float [n, frames, labels], `below` float [labels].
    """
    logs, each = np.log(np.maximum(scores, FLOOR)), np.arange(len(scores))
    average, now = logs[:, 0], np.full(len(scores), -1)
    answers = np.empty(scores.shape[:2], int)
    for frame in range(scores.shape[1]):
        average = keep * average + (1 - keep) * logs[:, frame]
        sure = np.exp(average - average.max(axis=1, keepdims=True))
        sure /= sure.sum(axis=1, keepdims=True)
        best = sure.argmax(axis=1)
        now = np.where((now >= 0) & (sure[each, now] < below[now] - margin), -1, now)
        ahead = (now < 0) | (sure[each, best] - sure[each, now] >= margin)
        now = np.where((best != now) & (sure[each, best] >= below[best]) & ahead, best, now)
        answers[:, frame] = now
    return answers


def _judged(answers: np.ndarray, truth: np.ndarray) -> tuple[float, float, float]:
    """(changes of the answer a sequence, share of its frames with the true answer, frames that it outlives its thing)."""
    half = answers.shape[1] // 2
    parts = answers[:, :half], answers[:, half:]
    flicker = float((parts[0][:, 1:] != parts[0][:, :-1]).sum(axis=1).mean())
    right = float((parts[0] == truth[:, None]).mean())
    old = parts[0][:, -1]
    other = (old >= 0) & (old != parts[1][:, -1])
    stale = np.logical_and.accumulate(parts[1] == old[:, None], axis=1).sum(axis=1)
    return flicker, right, float(stale[other].mean()) if other.any() else 0.0
