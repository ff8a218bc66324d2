"""EVALUATE, per photo: what was each training photo worth? Exact Shapley values of a nearest-neighbour classifier."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

CHUNK_BYTES = 16 * 2**20  # of one working matrix; about six of them exist at a time


@dataclass(frozen=True)
class Seen:
    """Photos as a network sees them: `truth` int [n] label indices, `features` float [n, d], pooled."""

    ids: list[str]
    truth: np.ndarray
    features: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)


def first_of_kin(kin: Sequence[Hashable]) -> np.ndarray:
    """Positions int [m], rising, of the first photo of each near-duplicate cluster: `kin` [n] names the cluster of each, in the
    order in which they were received.
    """
    seen: dict[Hashable, int] = {}
    for position, name in enumerate(kin):
        seen.setdefault(name, position)
    return np.array(list(seen.values()), np.int64)


def knn_shapley(
    train: np.ndarray,
    train_truth: np.ndarray,
    frozen: np.ndarray,
    frozen_truth: np.ndarray,
    *,
    k: int = 5,
) -> np.ndarray:
    """Value float64 [n] of every training photo, in shares of the accuracy on the frozen photos; may be negative.

    `train` float [n, d] and `frozen` float [m, d] are features, compared by cosine; the truths are label indices [n], [m].
    The game is the k-nearest-neighbour classifier: a set of training photos is worth the mean, over the frozen photos, of the
    share (of k) of its k nearest members that have the right label. The values sum to what all photos are worth. Exact in
    O(m · n log n) by the recursion of Jia et al., "Efficient task-specific data valuation for nearest neighbor algorithms",
    VLDB 2019; memory stays flat, because frozen photos are taken a chunk at a time. Zeros without frozen photos.
    """
    count = len(train)
    values = np.zeros(count)
    if count == 0 or len(frozen) == 0:
        return values
    train, frozen = normed(train), normed(frozen)
    # From the farthest neighbour inwards, a step from rank i + 1 to i is worth min(k, i) / (i k) of the change in agreement.
    ranks = np.arange(1, count)
    weights = np.minimum(k, ranks) / (ranks * k)
    chunk = max(1, CHUNK_BYTES // (8 * count))
    for start in range(0, len(frozen), chunk):
        nearness = frozen[start : start + chunk] @ train.T
        order = np.argsort(-nearness, axis=1, kind="stable")  # equally near ones keep their order: the same values every time
        agrees = (train_truth[order] == frozen_truth[start : start + chunk, None]).astype(np.float64)
        shares = np.empty_like(agrees)
        shares[:, -1] = agrees[:, -1] / max(k, count)
        steps = (agrees[:, :-1] - agrees[:, 1:]) * weights
        shares[:, :-1] = shares[:, -1:] + np.cumsum(steps[:, ::-1], axis=1)[:, ::-1]
        values += np.bincount(order.ravel(), weights=shares.ravel(), minlength=count)
    return values / len(frozen)


def normed(features: np.ndarray) -> np.ndarray:
    """Rows of length one, float32; a row of zeros stays."""
    rows = features.astype(np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: np.ndarray = rows / np.where(lengths > 0, lengths, 1)
    return unit
