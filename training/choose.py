"""FINE-TUNE → EXPORT: which way of training is taken on, or is the incumbent kept? Judged on the validation photos.

Pure: arrays in, a choice with its reasons out; neither Django nor TensorFlow.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tried:
    """One way that was tried: `right` bool [n], which validation photos it got right, and what it cost."""

    name: str
    right: np.ndarray
    cpu_s: float


@dataclass(frozen=True)
class Choice:
    """`name` of the way that goes on to the export, or None: the incumbent is kept. `reasons` are sentences for people."""

    name: str | None
    reasons: list[str]


def choose(tried: Sequence[Tried], incumbent: np.ndarray | None, groups: np.ndarray) -> Choice:
    """The last of `tried`, which is the usual way, or another that beats it by more than one standard error.

    What is usual has been measured on other photos (training.recipe): the validation photos of a young recognizer are too few
    to tell one way from another. What is chosen must beat the `incumbent` (bool [n], None where there is none to compare with)
    by more than one standard error too, or that is kept. Standard errors (the rule is Breiman et al.'s, Classification and
    Regression Trees, 1984, 3.4.3) are of the paired difference, over `groups` int [n]: photos of one scene count as one draw.
    """
    reasons = [f"{way.name}: {way.right.mean():.1%} of {len(way.right)} validation photos, {way.cpu_s:.0f} s." for way in tried]
    usual = chosen = tried[-1]
    for way in tried[:-1]:
        gain, error = paired(usual.right, way.right, groups)
        if gain > error and way.right.mean() > chosen.right.mean():
            chosen = way
        compared = "beats" if gain > error else "does not beat"
        reasons.append(f"{way.name} {compared} {usual.name} by more than one standard error ({gain:+.1%} ± {error:.1%}).")
    if incumbent is not None:
        gain, error = paired(incumbent, chosen.right, groups)
        if gain <= error:
            reasons.append(
                f"{chosen.name} beats the incumbent by {gain:+.1%} ± {error:.1%}: not by more than one standard error, "
                "so the incumbent stays."
            )
            return Choice(None, reasons)
        reasons.append(f"{chosen.name} beats the incumbent by {gain:+.1%} ± {error:.1%}.")
    return Choice(chosen.name, reasons)


def paired(before: np.ndarray, after: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """(gain, standard error) of the share of right answers, bool [n] each over the same photos, drawn in `groups`."""
    difference = after.astype(float) - before.astype(float)
    _, index = np.unique(groups, return_inverse=True)
    count, gain = int(index.max()) + 1, float(difference.mean())
    if count < 2:
        return gain, 1.0  # one group tells nothing
    sums = np.bincount(index, weights=difference - gain)
    return gain, math.sqrt(count / (count - 1) * float((sums**2).sum())) / len(difference)
