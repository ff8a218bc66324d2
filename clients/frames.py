"""PHONE: one answer from many frames. A network that has learned single photos changes its mind from frame to frame.

The scores' logarithms are averaged, newer frames counting more; an answer stays until another is clearly ahead; and below a
label's threshold the phone says that it is not sure. All numbers come from the manifest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

FLOOR = 1 / 512  # half of the smallest score that an int8 file can give: a rounded zero is no impossibility


@dataclass(frozen=True)
class Confidence:
    """`not_sure_below`: a score per label. `keep` (0…<1): how much of the average each frame keeps. `margin` (0…1): by how much
    another label's averaged score must be ahead to take an answer's place; and by how much it may fall below its threshold
    before the answer is withdrawn."""

    not_sure_below: tuple[float, ...]
    keep: float
    margin: float

    @classmethod
    def of(cls, content: Mapping[str, Any] | None, labels: int) -> Self:
        """An artifact's `confidence` in the manifest; where there is none, every single frame's best label.

        Raises KeyError, TypeError, ValueError.
        """
        if content is None:
            return cls((0.0,) * labels, 0.0, 0.0)
        frames = content["frames"]
        found = cls(tuple(float(score) for score in content["not_sure_below"]), float(frames["keep"]), float(frames["margin"]))
        numbers = (*found.not_sure_below, found.margin)
        if len(found.not_sure_below) != labels or not all(0 <= each <= 1 for each in numbers) or not 0 <= found.keep < 1:
            raise ValueError("confidence")
        return found


class Frames:
    """The answer so far, of the frames of one view; begin anew where the camera has been away."""

    def __init__(self, confidence: Confidence) -> None:
        self.confidence = confidence
        self.answer: int | None = None  # index of a label; None: not sure
        self.stood = 0  # frames before which and after which the answer was the same label
        self.changes = 0  # in how many of them the frame by itself said something else than the one before
        self._single: int | None = None
        self._average: np.ndarray | None = None

    def see(self, scores: np.ndarray) -> int | None:
        """Take in a frame's scores float [labels]; returns the answer after it."""
        logs = np.log(np.maximum(scores, FLOOR))
        keep = self.confidence.keep
        self._average = logs if self._average is None else keep * self._average + (1 - keep) * logs
        sure = np.exp(self._average - self._average.max())
        sure /= sure.sum()
        best, now = int(sure.argmax()), self.answer
        below, margin = self.confidence.not_sure_below, self.confidence.margin
        if now is not None and sure[now] < below[now] - margin:
            now = None
        if best != now and sure[best] >= below[best] and (now is None or sure[best] - sure[now] >= margin):
            now = best
        self._count(scores, now)
        self.answer = now
        return now

    def _count(self, scores: np.ndarray, now: int | None) -> None:
        best = int(scores.argmax())
        single = best if scores[best] >= self.confidence.not_sure_below[best] else None
        if now is not None and now == self.answer:
            self.stood += 1
            self.changes += single != self._single
        self._single = single
