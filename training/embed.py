"""EVALUATE: how a trained network sees photos: pooled features, and where in each photo it finds the label.

From what the cache holds of them, where there is a cache: its frozen part never looks at a photo twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np

from training.export import export_float
from training.inference import Runner
from training.network import map_of
from training.seen import Seen


@dataclass(frozen=True)
class Embedded:
    """Photos as the network sees them: `features` float32 [n, d], pooled, and `peaks` float32 [n, 2]: where most of what speaks
    for each photo's label lies, as (row, column) in shares of its sides."""

    features: np.ndarray
    peaks: np.ndarray


def embed(network: keras.Model, classifier: keras.Sequential, boundary: str, parts: Mapping[str, Seen]) -> dict[str, Embedded]:
    """Each of `parts` by one LiteRT file of the network behind `boundary`, or of all of it where they come from pixels.

    What speaks for a label at a place is its class activation (Zhou et al., "Learning deep features for discriminative
    localization", CVPR 2016) beyond that of the average label, which answers do not depend on.
    """
    cached = any(len(part.centre) for part in parts.values())
    runner = Runner(export_float(map_of(network, boundary if cached else "")))
    kernel = classifier.layers[-1].kernel.numpy()
    speaks = kernel - kernel.mean(axis=1, keepdims=True)
    return {name: _embedded(runner, part.centre if cached else part.pixels, part.truth, speaks) for name, part in parts.items()}


def _embedded(runner: Runner, inputs: np.ndarray, truth: np.ndarray, speaks: np.ndarray) -> Embedded:
    wide = len(speaks)
    if not len(truth):
        return Embedded(np.empty((0, wide), np.float32), np.empty((0, 2), np.float32))

    def then(row: int, seen: np.ndarray) -> np.ndarray:
        evidence = seen @ speaks[:, truth[row]]
        place = (np.array(np.unravel_index(evidence.argmax(), evidence.shape)) + 0.5) / evidence.shape
        return np.concatenate([seen.mean(axis=(0, 1)), place], dtype=np.float32)

    found = runner.run_all(inputs, then)  # what it sees of a photo is 300 KB: pooled at once
    return Embedded(found[:, :wide], found[:, wide:])


def logits(classifier: keras.Sequential, seen: Embedded) -> np.ndarray:
    """float32 [n, labels]."""
    layer = classifier.layers[-1]
    found: np.ndarray = seen.features @ layer.kernel.numpy() + layer.bias.numpy()
    return found
