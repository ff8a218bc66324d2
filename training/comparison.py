"""GATE, its statistics: is the difference between two files that saw the same photos more than noise?

Pure numpy. Photos of one near-duplicate cluster are drawn together, because they are right or wrong together. Every draw comes
from a fixed seed: the same answers give the same verdict.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

BINS = 10  # of the calibration error; equal widths of confidence
DRAWS = 20_000  # of a loss: a probability of 1 in 3,000, as one label of 81 needs it, still rests on seven of them
CALIBRATION_DRAWS = 1000  # each costs a pass over all photos
CHUNK = 100  # draws of a calibration error in memory at a time: 16 MB with 20,000 clusters
SEED = 20_261_124
TAIL = 0.025  # of either side of a 95 % interval


class Loss(NamedTuple):
    """By how much something fell (negative: rose), and its 95 % interval, in shares."""

    loss: float
    low: float
    high: float


@dataclass(frozen=True)
class LabelDrop:
    """Recall of one label before and after, on its `count` photos; `p`: how likely noise alone makes such a drop."""

    index: int
    count: int
    before: float
    after: float
    p: float


@dataclass(frozen=True)
class LabelDrops:
    """`clear`: the labels whose drop is more than noise, worst first. `worst`: the largest drop, clear or not.

    `tellable` labels had enough photos on which the two files differ for any drop to be told from noise, which takes
    `needed` of them (of different clusters).
    """

    clear: list[LabelDrop]
    worst: LabelDrop | None
    tellable: int
    needed: int


# ---- right answers -----------------------------------------------------------------------------------------------
def paired_loss(before: np.ndarray, after: np.ndarray, groups: Sequence[str] | None = None) -> Loss:
    """By how much the share of right answers fell from `before` to `after`, bool [n] over the same photos.

    A paired bootstrap over clusters (`groups` [n]; None: each photo by itself), percentile interval. One lost and one won
    cluster of mean size are added before drawing. Without them a handful of lost photos would look certain, and no difference
    would have no interval; with them the test is about as strict as the exact sign test (k lost and none won: 2^-k), where
    Agresti and Min's closed form, which knows no clusters either, is too quick to see a difference among few photos.
    """
    count = len(before)
    if count == 0:
        return Loss(0.0, -1.0, 1.0)
    lost = before.astype(int) - after.astype(int)
    low, high = np.quantile(_draws(*_clusters(lost, _numbered(groups, count))), [TAIL, 1 - TAIL])
    return Loss(float(lost.mean()), float(low), float(high))


def label_drops(
    before: np.ndarray,
    after: np.ndarray,
    truth: np.ndarray,
    groups: Sequence[str] | None = None,
    *,
    most: float,
    alarms: float,
) -> LabelDrops:
    """Labels whose recall fell by more than `most` (a share), and not by noise. Arrays [n], as in `paired_loss`.

    One bootstrap a label; Benjamini and Hochberg's (1995) rule over the labels, at `alarms`: where no label fell, that is the
    chance that any is named, and otherwise the share of wrongly named ones. Labels that cannot be told whatever the direction
    of their differences (2^-k, k clusters that differ) don't make it harder for the others (Tarone 1990, Gilbert 2005).
    """
    lost, clusters = before.astype(int) - after.astype(int), _numbered(groups, len(before))
    rows = {int(label): np.flatnonzero(truth == label) for label in np.unique(truth)}
    sums = {label: _clusters(lost[at], clusters[at]) for label, at in rows.items()}
    least_p = {label: 0.5 ** int((fallen != 0).sum()) for label, (fallen, _) in sums.items()}
    family = next((k for k in range(1, len(rows)) if sum(p <= alarms / k for p in least_p.values()) <= k), max(1, len(rows)))
    drops = [
        LabelDrop(
            label,
            len(at),
            float(before[at].mean()),
            float(after[at].mean()),
            (1 + int((_draws(*sums[label]) <= 0).sum())) / (1 + DRAWS) if least_p[label] <= alarms / family else 1.0,
        )
        for label, at in rows.items()
    ]
    tellable = sorted((drop for drop in drops if drop.p < 1), key=lambda drop: drop.p)
    named = max((rank for rank, drop in enumerate(tellable, 1) if drop.p <= alarms * rank / len(tellable)), default=0)
    clear = [drop for drop in tellable[:named] if drop.before - drop.after > most]
    return LabelDrops(
        sorted(clear, key=lambda drop: drop.after - drop.before),
        max(drops, key=lambda drop: drop.before - drop.after, default=None),
        len(tellable),
        int(np.ceil(np.log2(family / alarms))),
    )


def _numbered(groups: Sequence[str] | None, count: int) -> np.ndarray:
    """Cluster number int64 [n] of each photo."""
    return np.arange(count) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]


def _clusters(lost: np.ndarray, clusters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(photos lost less photos won, photos), both [clusters]."""
    number = np.unique(clusters, return_inverse=True)[1]
    return np.bincount(number, weights=lost), np.bincount(number).astype(float)


def _draws(fallen: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Losses float64 [DRAWS] of as many clusters drawn with replacement, one lost and one won added.

    Clusters with the same numbers are interchangeable, so only how often each kind is drawn matters: a draw costs a dozen
    binomials, whatever the number of photos.
    """
    mean = sizes.mean()
    pairs = np.column_stack([np.append(fallen, [mean, -mean]), np.append(sizes, [mean, mean])])
    kinds, often = np.unique(pairs, axis=0, return_counts=True)
    times = np.random.default_rng(SEED).multinomial(len(pairs), often / len(pairs), size=DRAWS)
    losses: np.ndarray = (times @ kinds[:, 0]) / (times @ kinds[:, 1])
    return losses


# ---- confidence --------------------------------------------------------------------------------------------------
def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float | None:
    """Expected calibration error, 0…1: mean distance between confidence float [n] in 0…1 and accuracy (`right` bool [n]) over
    BINS equal bins, weighted by their photos (Naeini et al. 2015, Guo et al. 2017). None without photos."""
    return float(abs(_gaps(confidence, right).sum(axis=0)).sum() / len(right)) if len(right) else None


def overconfidence(confidence: np.ndarray, right: np.ndarray) -> float:
    """The part of the calibration error that comes from bins in which more is claimed than is right, 0…1; there are photos."""
    return float(_gaps(confidence, right).sum(axis=0).clip(min=0).sum() / len(right))


def calibration_noise(confidence: np.ndarray, groups: Sequence[str] | None = None) -> float:
    """The error that a perfectly calibrated file with these confidences would still show in 1 night of 40: its outcomes are
    drawn from its confidences (Bröcker and Smith 2007), with one fate for each cluster."""
    count = len(confidence)
    clusters, rng = _numbered(groups, count), np.random.default_rng(SEED)
    bins = _bins(confidence)
    errors = []
    for _ in range(CALIBRATION_DRAWS):
        right = rng.random(clusters.max() + 1)[clusters] < confidence
        errors.append(abs(np.bincount(bins, confidence - right, BINS)).sum() / count)
    return float(np.quantile(errors, 1 - TAIL))


def calibration_rise(
    before: tuple[np.ndarray, np.ndarray], after: tuple[np.ndarray, np.ndarray], groups: Sequence[str] | None = None
) -> Loss:
    """By how much the calibration error rose, with a paired bootstrap over clusters; each side is (confidence, right), [n]."""
    count = len(before[0])
    clusters = _numbered(groups, count)
    total = int(clusters.max()) + 1
    sides = []
    for confidence, right in (before, after):
        gaps = np.zeros((total, BINS))
        np.add.at(gaps, clusters, _gaps(confidence, right))
        sides.append(gaps)
    sizes, rng = np.bincount(clusters).astype(float), np.random.default_rng(SEED)
    rises = []
    for _ in range(CALIBRATION_DRAWS // CHUNK):
        times = rng.multinomial(total, np.full(total, 1 / total), size=CHUNK).astype(float)
        error_before, error_after = (abs(times @ gaps).sum(axis=1) / (times @ sizes) for gaps in sides)
        rises.append(error_after - error_before)
    low, high = np.quantile(np.concatenate(rises), [TAIL, 1 - TAIL])
    observed = abs(sides[1].sum(axis=0)).sum() - abs(sides[0].sum(axis=0)).sum()
    return Loss(float(observed / count), float(low), float(high))


def _bins(confidence: np.ndarray) -> np.ndarray:
    numbers: np.ndarray = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return numbers


def _gaps(confidence: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Confidence less rightness, [n, BINS], in the bin of each photo."""
    gaps = np.zeros((len(right), BINS))
    gaps[np.arange(len(right)), _bins(confidence)] = confidence - right
    return gaps
