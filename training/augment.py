"""FINE-TUNE, step one: random views of prepared photos, as the augmentation ranges of the recipe say."""

import math

import numpy as np
from PIL import Image, ImageFilter

from training.recipe import Augmentation

# Mirrored margin around a photo, as a share of its side: what turned and zoomed-out views see beyond the edge. Enough for
# 20 degrees at a zoom of 1.15; beyond it lies black.
MARGIN = 0.375
BLURRED = 1 / 3  # of the views, where a recipe blurs: most photos are sharp


def random_views(image: np.ndarray, count: int, size: int, ranges: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """uint8 [s, s, 3] → uint8 [count, size, size, 3]: random views of one photo. About 1 ms each for 224 pixels."""
    margin = math.ceil(len(image) * MARGIN)
    wide = Image.fromarray(np.pad(image, ((margin, margin), (margin, margin), (0, 0)), "symmetric"))
    views = np.empty((count, size, size, 3), np.uint8)
    for index in range(count):
        views[index] = _recoloured(_warped(wide, len(image), size, ranges, rng), ranges, rng)
    return views


def _warped(wide: Image.Image, side: int, size: int, ranges: Augmentation, rng: np.random.Generator) -> Image.Image:
    """Zoomed, moved, turned, stretched, mirrored, blurred. `side`: of the photo in the middle of `wide`."""
    zoom, angle = rng.uniform(*ranges.zoom), math.radians(rng.uniform(-ranges.turn, ranges.turn))
    mirror = -1 if ranges.flip and rng.random() < 0.5 else 1
    stretch = mirror * math.exp(rng.uniform(-ranges.stretch, ranges.stretch))
    free = ranges.shift * abs(1 - zoom) * side / 2
    x, y = (wide.width / 2 + rng.uniform(-free, free) for _ in range(2))  # the middle of the view, in `wide`
    scale = zoom * side / size
    cos, sin, half = scale * math.cos(angle), scale * math.sin(angle), size / 2
    a, b, d, e = cos * stretch, -sin, sin * stretch, cos
    lookup = (a, b, x - (a + b) * half, d, e, y - (d + e) * half)
    view = wide.transform((size, size), Image.Transform.AFFINE, lookup, Image.Resampling.BILINEAR)
    if ranges.blur and rng.random() < BLURRED:
        view = view.filter(ImageFilter.GaussianBlur(rng.uniform(0, ranges.blur)))
    return view


def _recoloured(view: Image.Image, ranges: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """Contrast around the mean, brightness, and a tint. By tables of 256 levels: a third of the time that arithmetic takes."""
    contrast = 1 + rng.uniform(-ranges.contrast, ranges.contrast)
    tint = 1 + rng.uniform(-ranges.tint, ranges.tint, (3, 1))
    pixels = np.asarray(view)
    added = 255 * rng.uniform(-ranges.brightness, ranges.brightness) + float(pixels.mean()) * (1 - contrast)
    tables = (np.arange(256) * (contrast * tint) + added).round().clip(0, 255).astype(int)
    return np.asarray(view.point(tables.ravel().tolist()))
