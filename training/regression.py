"""EVALUATE: the linear classifier that a frozen network's features allow: softmax regression on standardised features."""

from dataclasses import dataclass

import numpy as np

PENALTY = 1e-2  # of squared weights, for features of unit variance; with 1 it recognises 82 % of such photos instead of 94
STEPS = 60  # of L-BFGS; more of them only make it surer of the labels it was given


@dataclass(frozen=True)
class Linear:
    """`kernel` float32 [d, labels] and `bias` float32 [labels], for features as they are."""

    kernel: np.ndarray
    bias: np.ndarray

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """float32 [n, d] → float32 [n, labels]."""
        return softmax(features.astype(np.float32, copy=False) @ self.kernel + self.bias)


def fit(features: np.ndarray, truth: np.ndarray, labels: int) -> Linear:
    """The regression that tells `truth` int [n], below `labels`, from `features` float [n, d] by L-BFGS."""
    from scipy.optimize import minimize

    mean, deviation = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64) + 1e-6
    unit = 1 / (deviation * np.sqrt(features.shape[1]))
    seen = np.concatenate([(features - mean) * unit, np.ones((len(features), 1))], axis=1, dtype=np.float32)
    shape = (seen.shape[1], labels)
    target = np.eye(labels, dtype=np.float32)[truth]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(shape).astype(np.float32)
        found = softmax(seen @ weights)
        likely = np.log(found[np.arange(len(truth)), truth] + 1e-12).mean()
        slope = seen.T @ (found - target) / len(truth) + PENALTY / shape[0] * weights
        return float(PENALTY / shape[0] / 2 * (weights**2).sum() - likely), slope.ravel().astype(np.float64)

    found = minimize(loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": STEPS}).x.reshape(shape)
    kernel = found[:-1] * unit[:, None]
    return Linear(kernel.astype(np.float32), (found[-1] - mean @ kernel).astype(np.float32))


def softmax(logits: np.ndarray) -> np.ndarray:
    """float [n, labels] → float [n, labels], rows that sum to 1."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return shares
