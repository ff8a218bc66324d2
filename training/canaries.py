"""RELEASE → PHONE: pictures by formula with the answers that a released file gives to them, for the phone's own check.

A digest shows that the right bytes arrived. That this phone's runtime computes with them what ours does, no digest shows: a
broken accelerator answers nonsense quickly. No photo is involved, so nothing here can ever have to be withdrawn. All tiles are
one picture that stays the same from night to night: a phone downloads it once.
"""

import io
import random
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image

from training.drawn import THINGS, picture
from training.evaluate import classify

TILES = 64
SIDE = 32  # pixels of a tile; blown up to the network's input without smoothing, which is the same on every platform
SEED = 20_261_126
ASKED = 32  # tiles of which a file's answers are named: those that it is surest of
LEAST_SCORE = 0.2  # of a named answer: below twice the tolerance a dead runtime would pass
# By which a score may differ on another machine: LiteRT's reference kernels gave scores up to 0.05 away from the fast ones'.
TOLERANCE = 0.1
LEAST_RIGHT = 0.9  # share of the named tiles that must be answered as expected


@lru_cache(maxsize=1)
def tiles() -> np.ndarray:
    """uint8 [TILES, SIDE, SIDE, 3]."""
    rng = random.Random(f"{SEED} canaries")  # noqa: S311  pictures, no secrets
    return np.stack([picture(number, SIDE, rng) for number in rng.sample(range(THINGS), TILES)])


@lru_cache(maxsize=1)
def sheet() -> bytes:
    """All tiles below each other, as a PNG of SIDE × (TILES · SIDE) pixels; 150 KB."""
    file = io.BytesIO()
    Image.fromarray(tiles().reshape(-1, SIDE, 3)).save(file, "PNG", optimize=True)
    return file.getvalue()


def fed(size: int) -> np.ndarray:
    """uint8 [TILES, size, size, 3]: pixel (y, x) is the tile's (y · SIDE // size, x · SIDE // size)."""
    nearest = np.arange(size) * SIDE // size
    return tiles()[:, nearest][:, :, nearest]


def expected(int8: bytes, size: int) -> dict[str, Any]:
    """What the manifest says of them, JSON-ready, for the released file with an input of `size` pixels.

    "expected": [{"tile", "index", "score"}], at most ASKED; none where the file is sure of nothing.
    """
    scores = classify(int8, fed(size))
    surest = np.argsort(-scores.max(axis=1), kind="stable")[:ASKED]
    return {
        "tile": SIDE,
        "tolerance": TOLERANCE,
        "least": LEAST_RIGHT,
        "expected": [
            {"tile": int(tile), "index": int(scores[tile].argmax()), "score": round(float(scores[tile].max()), 4)}
            for tile in sorted(surest)
            if scores[tile].max() >= LEAST_SCORE
        ],
    }
