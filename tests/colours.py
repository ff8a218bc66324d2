"""What tests of export and evaluation share: a network that names colours, quick to export, and photos for it."""

import io
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZE = 32  # pixels
COLOURS = {"blue": (20, 30, 220), "green": (30, 210, 40), "red": (225, 25, 20)}


def photos(each: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """(uint8 [3 · each, SIZE, SIZE, 3], label indices int64) of noisy coloured planes."""
    rng = np.random.default_rng(seed)
    truth = np.arange(3 * each) % 3
    planes = np.array(list(COLOURS.values()))[truth][:, None, None, :]
    noisy = planes + rng.normal(0, 12, (3 * each, SIZE, SIZE, 3))
    return noisy.clip(0, 255).astype(np.uint8), truth


def jpeg(colour: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (50, 40), COLOURS[colour]).save(out, "JPEG")
    return out.getvalue()


def network() -> Any:
    """Pixels → softmax over blue, green, red; the same names, and so the same exported bytes, every time."""
    import keras

    keras.utils.clear_session()

    pixels = keras.Input((SIZE, SIZE, 3), name="pixels")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(pixels)
    convolution = keras.layers.Conv2D(3, 3, padding="same", use_bias=False)
    pooled = keras.layers.GlobalAveragePooling2D()(convolution(scaled))
    dense = keras.layers.Dense(3, use_bias=False)
    model = keras.Model(pixels, keras.layers.Softmax()(dense(pooled)))
    kernel = np.zeros((3, 3, 3, 3), np.float32)
    kernel[1, 1] = np.eye(3)
    convolution.set_weights([kernel])
    dense.set_weights([np.eye(3)[:, ::-1] * 3])  # red, green, blue come out as blue, green, red
    return model


@cache
def exported() -> dict[str, bytes]:
    """The network's LiteRT files."""
    from training.export import export

    return export(network(), calibration=photos(4)[0])


def folder_of(root: Path, counts: dict[str, int]) -> Path:
    """A folder of label folders; a label that is no colour shows red."""
    for label, count in counts.items():
        (root / label).mkdir(parents=True)
        for number in range(count):
            (root / label / f"{number}.jpg").write_bytes(jpeg(label if label in COLOURS else "red"))
    return root
