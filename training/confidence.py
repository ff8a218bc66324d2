"""FINE-TUNE → EXPORT: how sure the exported files say they are. One number divides every logit: answers stay what they are.

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
