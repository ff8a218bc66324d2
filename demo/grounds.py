"""What the demo's pieces lie on: eight kinds of ground in random colours, and things that are no money."""

import math
import random
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
WIDTH, HEIGHT = 640, 480  # pixels of a scene


def ground(rng: random.Random) -> Image.Image:
    """An empty scene."""
    level = rng.choice(GROUNDS)(rng)
    a, b = np.array(any_colour(rng), np.float32), np.array(any_colour(rng), np.float32)
    small = Image.fromarray((a + (b - a) * level[..., None]).clip(0, 255).astype(np.uint8))
    return small.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)


def clutter(scene: Image.Image, rng: random.Random) -> None:
    """Things that are no money: bars, discs and boxes at random places."""
    pen = ImageDraw.Draw(scene)
    for _ in range(rng.randint(0, 6)):
        x, y = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT)
        w, h = rng.uniform(20, 190), rng.uniform(20, 190)
        shape = rng.choice((pen.ellipse, pen.rectangle))
        shape((x - w, y - h, x, y), fill=any_colour(rng), outline=any_colour(rng), width=rng.randint(1, 8))


def any_colour(rng: random.Random, low: int = 30, high: int = 225) -> Colour:
    """Each channel from `low` to `high`."""
    return rng.randint(low, high), rng.randint(low, high), rng.randint(low, high)


def random_plane(rng: random.Random, height: int, width: int) -> np.ndarray:
    """float32 [height, width], each 0…1 by itself."""
    return np.random.default_rng(rng.getrandbits(32)).random((height, width), dtype=np.float32)


def _smooth(rng: random.Random, rows: int, columns: int, size: tuple[int, int] = (320, 240)) -> np.ndarray:
    """Clouds: a coarse random grid, blown up; 0…1."""
    grid = Image.fromarray((random_plane(rng, rows, columns) * 255).astype(np.uint8))
    return np.asarray(grid.resize(size, Image.Resampling.BICUBIC), np.float32) / 255


def _grid() -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[0:240, 0:320].astype(np.float32)
    return x, y


def _turned(rng: random.Random) -> np.ndarray:
    """A coordinate that runs across the ground in a random direction, pixels."""
    x, y = _grid()
    angle = rng.uniform(0, math.pi)
    plane: np.ndarray = x * math.cos(angle) + y * math.sin(angle)
    return plane


def _wood(rng: random.Random) -> np.ndarray:
    grain = _smooth(rng, rng.randint(30, 70), 3)
    rings: np.ndarray = 0.6 * grain + 0.4 * (0.5 + 0.5 * np.sin(grain * rng.uniform(15, 40)))
    return rings if rng.random() < 0.5 else rings.T[:240, :240].repeat(2, axis=1)[:, :320]


def _fabric(rng: random.Random) -> np.ndarray:
    x, y = _grid()
    pitch = rng.uniform(0.5, 1.6)
    weave: np.ndarray = 0.5 + 0.25 * np.sin(x * pitch) + 0.25 * np.sin(y * pitch)
    return 0.6 * weave + 0.4 * _smooth(rng, 4, 5)


def _checker(rng: random.Random) -> np.ndarray:
    side = rng.uniform(14, 60)
    x, y = _grid()
    slant = rng.uniform(-0.4, 0.4)
    squares: np.ndarray = ((x + slant * y) // side + (y - slant * x) // side) % 2
    return squares


def _stripes(rng: random.Random) -> np.ndarray:
    waves: np.ndarray = 0.5 + 0.5 * np.sin(_turned(rng) / rng.uniform(4, 22))
    return waves if rng.random() < 0.5 else waves.round()


def _noise(rng: random.Random) -> np.ndarray:
    return 0.5 * random_plane(rng, 240, 320) + 0.5 * _smooth(rng, 5, 7)


def _gradient(rng: random.Random) -> np.ndarray:
    ramp = _turned(rng)
    level: np.ndarray = (ramp - ramp.min()) / (ramp.max() - ramp.min())
    return level


def _clouds(rng: random.Random) -> np.ndarray:
    coarse, fine = rng.randint(2, 5), rng.randint(8, 30)
    return 0.7 * _smooth(rng, coarse, coarse + 1) + 0.3 * _smooth(rng, fine, fine + 4)


def _print(rng: random.Random) -> np.ndarray:
    """Lines of words, as on a newspaper."""
    page = np.ones((240, 320), np.float32)
    pitch = rng.randint(8, 16)
    for top in range(pitch // 2, 240 - pitch, pitch):
        left = rng.randint(0, 20)
        while left < 310:
            word = rng.randint(8, 34)
            page[top : top + pitch // 2, left : left + word] = rng.uniform(0.1, 0.5)
            left += word + rng.randint(4, 8)
    return page


GROUNDS: tuple[Callable[[random.Random], np.ndarray], ...] = (
    _wood, _fabric, _checker, _stripes, _noise, _gradient, _clouds, _print,
)  # fmt: skip
