"""EXPORT → people: which of the networks that were tried is the best that a phone can afford? Pure, numbers in and out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.choose import paired

ROUNDING = 1e-9


@dataclass(frozen=True)
class Network:
    """One network as one file: `right` bool [n] held-out photos, its `bytes`, milliseconds of an inference on one thread."""

    width: float
    size: int
    format: str
    right: np.ndarray
    bytes: int
    latency_ms: float

    @property
    def name(self) -> str:
        return f"width {self.width:g}, {self.size} px, {self.format}"

    @property
    def accuracy(self) -> float:
        return float(self.right.mean())


def front(networks: Sequence[Network]) -> list[Network]:
    """Those that no other beats in one of accuracy, bytes and latency without losing in another; the fastest first."""
    kept = [each for each in networks if not any(_beats(other, each) for other in networks)]
    return sorted(kept, key=lambda each: (each.latency_ms, each.bytes))


def best(networks: Sequence[Network], *, most_bytes: float, most_ms: float, scenes: np.ndarray) -> Network | None:
    """The fastest of those within the budget that are not worse than the most accurate of them by more than one standard error.

    `scenes` int [n] of the photos: those of one scene count as one draw. None where the budget admits none.
    """
    within = [each for each in networks if each.bytes <= most_bytes and each.latency_ms <= most_ms]
    if not within:
        return None
    top = max(within, key=lambda each: (each.accuracy, -each.latency_ms))
    alike = []
    for each in within:
        gain, error = paired(top.right, each.right, scenes)
        if gain + error >= -ROUNDING:  # photos of one scene differ by exactly one standard error
            alike.append(each)
    return min(alike, key=lambda each: (each.latency_ms, each.bytes))


def _beats(one: Network, other: Network) -> bool:
    ours = (one.accuracy, -one.bytes, -one.latency_ms)
    theirs = (other.accuracy, -other.bytes, -other.latency_ms)
    return ours != theirs and all(a >= b for a, b in zip(ours, theirs, strict=True))
