"""EXPORT: writes the trained network as LiteRT files, float32 for reference and int8 for phones."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf


def export(model: keras.Model, *, calibration: np.ndarray) -> dict[str, bytes]:
    """LiteRT files of `model` (pixels 0…255 [n, s, s, 3] → softmax), each with a static batch of one.

    "float32": float in and out, 0…255. "int8": full integer, weights per channel, uint8 in and out; its ranges come from
    `calibration`, uint8 [n, s, s, 3]. One value of its input is one level of a pixel (scale 1, zero point 0).
    """

    def representative() -> Iterator[list[np.ndarray]]:
        yield [_full_range(model.input_shape[1:])]
        for image in calibration:
            yield [image[None].astype(np.float32)]

    integer = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]}
    return {
        "float32": convert(model),
        "int8": convert(
            model,
            target_spec=integer,
            optimizations=[tf.lite.Optimize.DEFAULT],
            representative_dataset=representative,
            # LiteRT in browsers takes uint8, not int8.
            inference_input_type=tf.uint8,
            inference_output_type=tf.uint8,
        ),
    }


def _full_range(shape: tuple[int, int, int]) -> np.ndarray:
    """A grey ramp from 0 to 255: makes the input's scale exactly 1, so that an app can feed its pixels as they are."""
    ramp = np.linspace(0, 255, shape[1], dtype=np.float32)
    return np.broadcast_to(ramp[None, None, :, None], (1, *shape)).copy()


def convert(model: keras.Model, **settings: Any) -> bytes:
    """One LiteRT file with a batch of one; `settings` are attributes of TensorFlow's converter.

    By way of Keras' exporter and a SavedModel: the converter's direct way from a function writes, without a word, files with
    wrong weights.
    """
    signature = [keras.InputSpec(shape=(1, *model.input_shape[1:]), dtype="float32", name="pixels")]
    operations = settings.pop("target_spec", {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.tflite")
        model.export(path, format="litert", input_signature=signature, verbose=False, target_spec=operations, **settings)
        return path.read_bytes()
