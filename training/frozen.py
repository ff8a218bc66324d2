"""FINE-TUNE, step two: what the frozen network says about each view, computed once.

The network runs as a LiteRT file, one copy a core: on a CPU that is several times faster than TensorFlow, which fuses neither batch
normalisation nor activations.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from threading import local
from typing import TYPE_CHECKING, Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

if TYPE_CHECKING:
    import keras


class FrozenNetwork:
    """The network as it was before fine-tuning: pixels → (activations at the boundary, pooled features)."""

    def __init__(self, network: keras.Model, boundary: str) -> None:
        import keras

        from training.export import convert
        from training.network import scaling

        pixels = keras.Input(network.input_shape[1:], name="pixels")
        cut = keras.Model(network.inputs, [network.get_layer(boundary).output, network.output])
        activations, last = cut(scaling()(pixels))
        features = keras.layers.GlobalAveragePooling2D()(last)
        self._file = convert(keras.Model(pixels, [activations, features]))
        self._own = local()  # an interpreter serves one thread
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1)
        self.activations = tuple(activations.shape[1:])
        self.features = int(features.shape[-1])

    def see(self, pixels: np.ndarray, activations: np.ndarray, features: np.ndarray) -> None:
        """Fill `activations` [n, h, w, c] and `features` [n, d] (any float dtype) for `pixels` float32 [n, s, s, 3], 0…255."""

        def one(index: int) -> None:
            runner, given, spatial, pooled = self._runner()
            runner.set_tensor(given, pixels[index : index + 1])
            runner.invoke()
            activations[index], features[index] = runner.get_tensor(spatial)[0], runner.get_tensor(pooled)[0]

        for _ in self._pool.map(one, range(len(pixels))):
            pass

    def _runner(self) -> tuple[Any, int, int, int]:
        if not hasattr(self._own, "runner"):
            runner = Interpreter(model_content=self._file, num_threads=1)
            runner.allocate_tensors()
            # The two outputs come in no promised order; their number of dimensions tells them apart.
            pooled, spatial = sorted(runner.get_output_details(), key=lambda detail: len(detail["shape"]))
            self._own.runner = runner, runner.get_input_details()[0]["index"], spatial["index"], pooled["index"]
        found: tuple[Any, int, int, int] = self._own.runner
        return found
