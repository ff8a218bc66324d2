"""SNAPSHOT → FINE-TUNE: turns stored photos into the pixels that the network sees, exactly as a phone must."""

import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from training.errors import UnreadablePhoto

Progress = Callable[[str, int, int], None]  # what is going on, how much of it is done, out of how much

# Decoding holds no interpreter lock and a store may be far away, so a few threads keep two cores busy. More would only
# hold more decoded photos in memory at once.
READERS = 4


@dataclass(frozen=True)
class Examples:
    """Photos ready for the network: `images` uint8 [n, size, size, 3] RGB 0…255, `truth` int64 [n] label indices."""

    ids: list[str]
    images: np.ndarray
    truth: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)


def INPUT_SPEC(size: int) -> dict[str, Any]:  # noqa: N802  a constant but for its size
    """What an app must do before inference, for the manifest; `prepare` does the same."""
    return {
        "width": size,
        "height": size,
        "channels": "RGB",
        "layout": "NHWC",
        "batch": 1,
        "dtype": "uint8",
        "range": [0, 255],
        "orientation": "upright, by the EXIF orientation",
        "resize": "shorter side to the width, antialiased bilinear, then centre crop",
    }


def prepare(data: bytes, size: int) -> np.ndarray:
    """A photo's file → uint8 [size, size, 3] RGB: upright, shorter side to `size` (antialiased bilinear), centre crop.

    Raises UnreadablePhoto for bytes that are no whole image.
    """
    return _square(_decoded(data), size)


def prepare_both(data: bytes, size: int, source: int) -> tuple[np.ndarray, np.ndarray]:
    """`prepare` for two sizes, decoded once."""
    image = _decoded(data)
    return _square(image, size), _square(image, source)


def _decoded(data: bytes) -> Image.Image:
    try:
        with Image.open(io.BytesIO(data)) as opened:
            return ImageOps.exif_transpose(opened).convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnreadablePhoto(f"The photo cannot be decoded ({error}). Withdraw it or send it again.") from error


def _square(image: Image.Image, size: int) -> np.ndarray:
    scale = size / min(image.size)
    width, height = max(size, round(image.width * scale)), max(size, round(image.height * scale))
    image = image.resize((width, height), Image.Resampling.BILINEAR)  # Pillow's bilinear widens its kernel: antialiased
    left, top = (width - size) // 2, (height - size) // 2
    return np.asarray(image.crop((left, top, left + size, top + size)))


def load_examples(
    rows: Sequence[tuple[str, str, int]], *, read: Callable[[str], bytes], size: int, progress: Progress
) -> Examples:
    """Prepare every row (photo id, store key, label index); `read` fetches the bytes of a key and is called from threads.

    Memory: the result (size² × 3 bytes a photo) and at most READERS × 2 decoded photos beside it.
    """
    images = np.empty((len(rows), size, size, 3), np.uint8)

    def one(index: int) -> int:
        photo_id, key, _ = rows[index]
        try:
            images[index] = prepare(read(key), size)
        except UnreadablePhoto as error:
            raise UnreadablePhoto(f"Photo {photo_id}: {error.detail}", photo=photo_id) from error
        return index

    done = 0
    indices = iter(range(len(rows)))
    with ThreadPoolExecutor(READERS) as pool:
        while batch := list(islice(indices, 64)):  # a failure ends the work within one batch
            for _ in pool.map(one, batch):
                done += 1
            progress("preparing photos", done, len(rows))
    return Examples([row[0] for row in rows], images, np.array([row[2] for row in rows], np.int64))
