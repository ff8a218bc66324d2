"""EXPORT: writes the trained network as LiteRT files: float32 for reference, float16, and int8 for phones."""

import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2


def export(model: keras.Model, *, calibration: np.ndarray) -> dict[str, bytes]:
    """LiteRT files of `model` (pixels 0…255 [n, s, s, 3] → softmax), each with a static batch of one.

    "float32": float in and out, 0…255; "float16": the same with weights of 16 bits. "int8": full integer, weights per channel,
    uint8 in and out; its ranges come from `calibration`, uint8 [n, s, s, 3]. One value of its input is one level of a pixel
    (scale 1, zero point 0, which `training.entry` changes: bytes stay what is fed).
    """

    def representative() -> Iterator[list[np.ndarray]]:
        yield [_full_range(model.input_shape[1:])]
        for image in calibration:
            yield [image[None].astype(np.float32)]

    with tempfile.TemporaryDirectory() as folder:
        save(model, folder)
        return {
            "float32": _convert(folder),
            "float16": _convert(folder, optimizations=[tf.lite.Optimize.DEFAULT], supported_types=[tf.float16]),
            "int8": _convert(
                folder,
                optimizations=[tf.lite.Optimize.DEFAULT],
                representative_dataset=representative,
                # LiteRT in browsers takes uint8, not int8.
                inference_input_type=tf.uint8,
                inference_output_type=tf.uint8,
                # No float fallback: an operation that cannot be quantized fails here and not on a phone.
                supported_ops=[tf.lite.OpsSet.TFLITE_BUILTINS_INT8],
            ),
        }


def export_float(model: keras.Model) -> bytes:
    """The float32 LiteRT file of any model with one input, with a static batch of one."""
    with tempfile.TemporaryDirectory() as folder:
        save(model, folder)
        return _convert(folder)


def _full_range(shape: tuple[int, int, int]) -> np.ndarray:
    """A grey ramp from 0 to 255: makes the input's scale exactly 1, so that an app can feed its pixels as they are."""
    ramp = np.linspace(0, 255, shape[1], dtype=np.float32)
    return np.broadcast_to(ramp[None, None, :, None], (1, *shape)).copy()


def save(model: keras.Model, folder: str) -> None:
    """A SavedModel with one function and all weights as constants.

    `model.export(format="litert")` saves the same network with its 260 variables, once for each file: 37 s of a core instead of
    6, for files that give the same answers to the bit. (A converter made from the function itself, without a SavedModel, writes
    wrong weights without a word.)
    """
    signature = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name="pixels")
    answer = tf.function(lambda pixels: model(pixels, training=False)).get_concrete_function(signature)
    constant = convert_variables_to_constants_v2(answer)
    module = tf.Module()
    module.serve = tf.function(lambda pixels: constant(pixels), input_signature=[signature])
    tf.saved_model.save(module, folder, signatures=module.serve)


def _convert(
    folder: str, *, supported_ops: list[Any] | None = None, supported_types: Sequence[Any] = (), **settings: Any
) -> bytes:
    """One LiteRT file of the SavedModel in `folder`; `settings` are attributes of TensorFlow's converter."""
    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    converter.target_spec.supported_ops = supported_ops or [tf.lite.OpsSet.TFLITE_BUILTINS]
    converter.target_spec.supported_types = list(supported_types)
    for name, value in settings.items():
        setattr(converter, name, value)
    converted: bytes = converter.convert()
    return converted
