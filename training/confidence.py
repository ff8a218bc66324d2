"""FINE-TUNE → EXPORT: how sure the exported files say they are, and how sure is sure enough for a phone to say a label.

One number divides every logit: answers stay what they are.

A network that learned with smoothed labels claims far less than it is right on, which an app cannot use: it says “not sure”
to who cannot see where it need not. Guo et al., "On calibration of modern neural networks", ICML 2017.
"""

import numpy as np

LEAST = 30  # photos; with fewer the number would be noise, and files say what the network says
BOUNDS = (0.05, 20.0)  # of the temperature; beyond these, something else is wrong


def temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """By what the logits float [n, labels] of photos that were not learned from are to be divided, so that the probabilities
    are as likely as can be, given the true label indices int [n]; 1 with fewer than LEAST photos.

    Of n right answers it takes no more than that the next one is right as often as n + 1 of n + 2 times (Platt, "Probabilistic
    outputs for support vector machines", 1999): photos that are all recognised do not make it sure of everything.
    """
    if len(truth) < LEAST:
        return 1.0
    from scipy.optimize import minimize_scalar  # takes a second to load: where a night runs

    doubt = 1 / (len(truth) + 2)
    wanted = np.full(logits.shape, doubt / (logits.shape[1] - 1))
    wanted[np.arange(len(truth)), truth] = 1 - doubt

    def unlikely(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        top = scaled.max(axis=1, keepdims=True)
        spread = np.log(np.exp(scaled - top).sum(axis=1)) + top[:, 0]
        return float((spread - (wanted * scaled).sum(axis=1)).mean())

    found = minimize_scalar(unlikely, bounds=np.log(BOUNDS), method="bounded")
    return float(np.exp(found.x))


def cooled(head: list[np.ndarray], temperature: float) -> list[np.ndarray]:
    """The kernel and bias of a head whose logits are divided by `temperature`."""
    return [part / np.float32(temperature) for part in head]


# ---- when to say “not sure” --------------------------------------------------------------------------------------
LEVELS = 256  # of an int8 file's scores
BORROWED = 20  # photos of all labels that a label's own precision is mixed with: of few photos anything can come
UNKNOWN = 0.5  # the threshold where too few photos were there to choose one


def not_sure_below(probabilities: np.ndarray, truth: np.ndarray, *, precision: float) -> list[float]:
    """For each label the score, a multiple of 1/256, below which a phone says “not sure” instead of it.

    Of photos float32 [n, labels] with the label indices `truth` int [n] that were not learned from: the lowest score from which
    on answers of this label were right as often as `precision` (0…1) asks. A label's own photos count beside BORROWED of all
    labels, so with few of them it has nearly the threshold of all. Nothing above a score is as good as precise: no label is
    silenced for ever. With fewer than LEAST photos UNKNOWN for each.
    """
    labels = probabilities.shape[1]
    if len(truth) < LEAST:
        return [UNKNOWN] * labels
    answer, score = probabilities.argmax(axis=1), probabilities.max(axis=1)
    right, steps = answer == truth, np.arange(LEVELS + 1) / LEVELS
    above = score[:, None] >= steps  # [n, steps]
    total, hits = above.sum(axis=0), (above & right[:, None]).sum(axis=0)
    usual = np.where(total > 0, hits / np.maximum(total, 1), 1.0)
    thresholds = []
    for label in range(labels):
        own = above & (answer == label)[:, None]
        mixed = ((own & right[:, None]).sum(axis=0) + BORROWED * usual) / (own.sum(axis=0) + BORROWED)
        # From where on it stays good enough: below a score that happens to be, it may not be any more.
        short = np.flatnonzero(mixed < precision)
        thresholds.append(float(steps[min(short[-1] + 1 if len(short) else 0, LEVELS)]))
    return thresholds
