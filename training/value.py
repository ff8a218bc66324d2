"""EVALUATE, per photo: what was each training photo worth? Exact Shapley values of a nearest-neighbour classifier."""

import numpy as np

CHUNK_BYTES = 64 * 2**20  # of one working matrix; about six of them exist at a time


def knn_shapley(
    train: np.ndarray,
    train_truth: np.ndarray,
    validation: np.ndarray,
    validation_truth: np.ndarray,
    *,
    k: int = 5,
) -> np.ndarray:
    """Value float64 [n] of every training photo, in shares of validation accuracy; may be negative.

    `train` float [n, d] and `validation` float [m, d] are features, compared by cosine; the truths are label indices [n], [m].
    The game is the k-nearest-neighbour classifier: a set of training photos is worth the mean, over the validation photos,
    of the share (of k) of its k nearest members that have the right label. The values sum to what all photos are worth.
    Exact in O(m · n log n) by the recursion of Jia et al., "Efficient task-specific data valuation for nearest neighbor
    algorithms", VLDB 2019; memory stays flat, because validation photos are taken a chunk at a time. Zeros without validation.
    """
    count = len(train)
    values = np.zeros(count)
    if count == 0 or len(validation) == 0:
        return values
    train, validation = _normed(train), _normed(validation)
    # From the farthest neighbour inwards, a step from rank i + 1 to i is worth min(k, i) / (i k) of the change in agreement.
    ranks = np.arange(1, count)
    weights = np.minimum(k, ranks) / (ranks * k)
    chunk = max(1, CHUNK_BYTES // (8 * count))
    for start in range(0, len(validation), chunk):
        nearness = validation[start : start + chunk] @ train.T
        order = np.argsort(-nearness, axis=1, kind="stable")  # equally near ones keep their order: the same values every time
        agrees = (train_truth[order] == validation_truth[start : start + chunk, None]).astype(np.float64)
        shares = np.empty_like(agrees)
        shares[:, -1] = agrees[:, -1] / max(k, count)
        steps = (agrees[:, :-1] - agrees[:, 1:]) * weights
        shares[:, :-1] = shares[:, -1:] + np.cumsum(steps[:, ::-1], axis=1)[:, ::-1]
        values += np.bincount(order.ravel(), weights=shares.ravel(), minlength=count)
    return values / len(validation)


def _normed(features: np.ndarray) -> np.ndarray:
    """Rows of length one, float32; a row of zeros stays."""
    rows = features.astype(np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    normed: np.ndarray = rows / np.where(lengths > 0, lengths, 1)
    return normed
