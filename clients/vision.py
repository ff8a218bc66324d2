"""PHONE: from a camera's file to the likeliest labels, with nothing but Pillow, numpy and LiteRT."""

import io
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps


def prepare(data: bytes, size: int) -> np.ndarray:
    """What the manifest's input spec asks for: uint8 [size, size, 3], RGB 0…255.

    Upright by the EXIF orientation; the shorter side scaled to `size` by antialiased bilinear; then the centre square.
    """
    with Image.open(io.BytesIO(data)) as file:
        image = ImageOps.exif_transpose(file).convert("RGB")
    shorter = min(image.width, image.height)
    scaled = (max(size, round(image.width * (size / shorter))), max(size, round(image.height * (size / shorter))))
    image = image.resize(scaled, Image.Resampling.BILINEAR)
    x, y = (scaled[0] - size) // 2, (scaled[1] - size) // 2
    return np.asarray(image.crop((x, y, x + size, y + size)))


def shrunk(data: bytes, *, shorter_side: int, quality: int) -> bytes:
    """A photo as JPEG, upright and without metadata, its shorter side at most `shorter_side` pixels."""
    with Image.open(io.BytesIO(data)) as file:
        image = ImageOps.exif_transpose(file).convert("RGB")
    if min(image.size) > shorter_side:
        scale = shorter_side / min(image.size)
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    small = io.BytesIO()
    image.save(small, "JPEG", quality=quality)
    return small.getvalue()


class Network:
    """A LiteRT file with uint8 input [1, size, size, 3] and one uint8 or float output per label."""

    def __init__(self, file: Path, *, threads: int = 1) -> None:
        from ai_edge_litert.interpreter import Interpreter  # a second to load: only for phones that classify

        self._interpreter = Interpreter(model_path=str(file), num_threads=threads)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]

    @property
    def size(self) -> int:
        """Pixels, the side of the square input."""
        return int(self._input["shape"][1])

    @property
    def shape(self) -> tuple[int, ...]:
        """[size, size, 3]"""
        return tuple(int(side) for side in self._input["shape"][1:])

    def scores(self, pixels: np.ndarray) -> np.ndarray:
        """float32 [labels], the network's outputs as real numbers; `pixels` as `prepare` makes them."""
        self._interpreter.set_tensor(self._input["index"], pixels[np.newaxis])
        self._interpreter.invoke()
        raw = self._interpreter.get_tensor(self._output["index"])[0].astype(np.float32)
        scale, zero = self._output["quantization"]
        result: np.ndarray = (raw - zero) * scale if scale else raw
        return result

    def latency_ms(self, *, runs: int = 20) -> float:
        """Median milliseconds of one inference; the first three, which warm caches, do not count."""
        pixels = np.full(self.shape, 127, np.uint8)
        took = []
        for _ in range(runs + 3):
            started = time.perf_counter()
            self.scores(pixels)
            took.append((time.perf_counter() - started) * 1000)
        return float(np.median(took[3:]))


def cold_start_ms(file: Path) -> float:
    """Milliseconds from opening the file to its first answer, as a user waits for it when the app has just begun."""
    started = time.perf_counter()
    network = Network(file)
    network.scores(np.full(network.shape, 127, np.uint8))
    return (time.perf_counter() - started) * 1000
