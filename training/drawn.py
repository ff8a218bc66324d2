"""FINE-TUNE, long before: pictures by formula, from which a backbone learns to see where nobody has photos for it.

A thing has a number, and everything that stays the same about it follows from that: its outline, the pattern on its surface,
its marks and its colours. A picture shows it as phones show things: turned, tilted, large or small, among others, on some
ground, in some light, blurred or not. Telling five hundred such things apart takes edges, textures, shapes and how they are
arranged, which is what a network for photos needs first (Kataoka et al., "Pre-training without natural images", ACCV 2020). No
photo is involved.
"""

import math
import random
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

THINGS = 500
FACE = 128  # pixels; side of the drawing of a thing, more than what a picture of 96 shows of it
GROUNDS = 300  # different ones; each is looked at from another place every time
SEED = 20_261_125  # of the things and the grounds
LEVELS = np.arange(256) / 255
SHADOWS = [(255 * depth * LEVELS).round().astype(int).tolist() for depth in (0.2, 0.35, 0.5, 0.65)]  # how dark

Colour = tuple[int, int, int]


def picture(number: int, size: int, rng: random.Random) -> np.ndarray:
    """uint8 [size, size, 3]: thing `number` (0…THINGS-1) somewhere. About 2 ms for 96 pixels on one core, 1 ms for 64."""
    scene = _somewhere(_ground(rng.randrange(GROUNDS)), size, rng)
    for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
        _put(scene, thing(rng.randrange(THINGS)), rng, low=0.2, high=0.6, spread=0.5)
    _put(scene, thing(number), rng, low=0.5, high=1.1, spread=0.16)
    if rng.random() < 0.25:  # something in front of a corner of it
        _put(scene, thing(rng.randrange(THINGS)), rng, low=0.2, high=0.4, spread=0.45)
    return _camera(_lit(scene, rng), rng)


@lru_cache(maxsize=THINGS)  # 65 KB each
def thing(number: int) -> Image.Image:
    """How it looks by itself: RGBA [FACE, FACE]."""
    rng = random.Random(f"{SEED} thing {number}")  # noqa: S311  pictures, no secrets
    face = _surface(rng)
    _mark(face, rng)
    face.putalpha(_outline(rng))
    return face


@lru_cache(maxsize=GROUNDS)
def _ground(number: int) -> Image.Image:
    return _surface(random.Random(f"{SEED} ground {number}"))  # noqa: S311


# ---- surfaces ----------------------------------------------------------------------------------------------------
def _surface(rng: random.Random) -> Image.Image:
    """RGB [FACE, FACE]: a pattern in two or three colours, perhaps with a second one laid over it."""
    level = rng.choice(PATTERNS)(rng)
    if rng.random() < 0.5:
        other = rng.choice(PATTERNS)(rng)
        share = rng.uniform(0.2, 0.5)
        level = (1 - share) * level + share * other
    colours = np.array([_colour(rng) for _ in range(rng.choice((2, 2, 3)))], np.float32)
    places = np.linspace(0, 1, len(colours))
    channels = [np.interp(level, places, colours[:, channel]) for channel in range(3)]
    return Image.fromarray(np.stack(channels, axis=-1).round().astype(np.uint8))


def _colour(rng: random.Random) -> Colour:
    """Few things are as bright as paint: most colours lie towards grey."""
    grey, share = rng.uniform(8, 247), rng.uniform(0, 0.8)
    red, green, blue = (round(share * grey + (1 - share) * rng.uniform(8, 247)) for _ in range(3))
    return red, green, blue


def _plane(rng: random.Random, rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(rng.getrandbits(32)).random((rows, columns), dtype=np.float32)


def _blown_up(grid: np.ndarray) -> np.ndarray:
    image = Image.fromarray((grid * 255).astype(np.uint8)).resize((FACE, FACE), Image.Resampling.BICUBIC)
    return np.asarray(image, np.float32) / 255


def _across(rng: random.Random) -> np.ndarray:
    """A coordinate from side to side, in FACEs, in a random direction."""
    y, x = np.mgrid[0:FACE, 0:FACE].astype(np.float32) / FACE
    angle = rng.uniform(0, math.pi)
    along: np.ndarray = x * math.cos(angle) + y * math.sin(angle)
    return along


def _clouds(rng: random.Random) -> np.ndarray:
    """Noise of several scales, the finer the weaker: like stone, skin, leaves."""
    fall = rng.uniform(0.4, 0.8)
    octaves = [fall**step * _blown_up(_plane(rng, 2 ** (step + 1), 2 ** (step + 1))) for step in range(6)]
    total: np.ndarray = sum(octaves, np.zeros((FACE, FACE), np.float32))
    return _stretched(total)


def _stripes(rng: random.Random) -> np.ndarray:
    waves: np.ndarray = 0.5 + 0.5 * np.sin(_across(rng) * rng.uniform(12, 110) + rng.uniform(0, 6) * _clouds(rng))
    return waves if rng.random() < 0.5 else waves.round()


def _checks(rng: random.Random) -> np.ndarray:
    one, other = (np.sin(_across(rng) * rng.uniform(12, 80)) for _ in range(2))
    squares: np.ndarray = (one * other > 0).astype(np.float32)
    return squares


def _dots(rng: random.Random) -> np.ndarray:
    pitch, row = rng.uniform(12, 80), rng.uniform(12, 80)
    y, x = np.mgrid[0:FACE, 0:FACE].astype(np.float32) / FACE
    lattice = np.sin(x * pitch + rng.uniform(0, 6)) * np.sin(y * row + rng.uniform(0, 6))
    dots: np.ndarray = (lattice > rng.uniform(0, 0.8)).astype(np.float32)
    return dots


def _rings(rng: random.Random) -> np.ndarray:
    y, x = np.mgrid[0:FACE, 0:FACE].astype(np.float32) / FACE
    away = np.hypot(x - rng.uniform(0, 1), y - rng.uniform(0, 1))
    rings: np.ndarray = 0.5 + 0.5 * np.sin(away * rng.uniform(15, 100))
    return rings


def _cells(rng: random.Random) -> np.ndarray:
    """The areas that are nearest to each of some points, at levels of their own: like stones, scales, fruit in a crate."""
    points = _plane(rng, rng.randint(6, 60), 2) * FACE
    y, x = np.mgrid[0:FACE, 0:FACE].astype(np.float32)
    away = (x[..., None] - points[:, 0]) ** 2 + (y[..., None] - points[:, 1]) ** 2
    if rng.random() < 0.5:  # rounded towards each point, instead of flat
        return _stretched(-np.sqrt(away.min(axis=-1)))
    levels: np.ndarray = _plane(rng, 1, len(points))[0][away.argmin(axis=-1)]
    return levels


def _fractal(rng: random.Random) -> np.ndarray:
    """How often a point is where that some random contractions move about (Barnsley, Fractals Everywhere, 1988)."""
    draw = np.random.default_rng(rng.getrandbits(32))
    maps = draw.uniform(-1, 1, (rng.randint(2, 5), 2, 3))
    maps[:, :, :2] *= 0.85 / np.abs(maps[:, :, :2]).sum(axis=2, keepdims=True).clip(0.85)  # they must contract
    points = draw.uniform(-1, 1, (400, 2))
    seen = []
    for step in range(110):
        chosen = maps[draw.integers(len(maps), size=len(points))]
        points = np.einsum("nij,nj->ni", chosen[:, :, :2], points) + chosen[:, :, 2]
        if step >= 10:  # by then they are where they will stay
            seen.append(points)
    every = np.concatenate(seen)
    low, high = np.quantile(every, 0.01, axis=0), np.quantile(every, 0.99, axis=0)
    counts, _, _ = np.histogram2d(every[:, 0], every[:, 1], bins=FACE, range=np.stack([low, high + 1e-6], axis=1).tolist())
    return _stretched(np.log1p(counts).astype(np.float32))


def _stretched(level: np.ndarray) -> np.ndarray:
    """To 0…1."""
    low, high = float(level.min()), float(level.max())
    stretched: np.ndarray = (level - low) / max(high - low, 1e-6)
    return stretched


PATTERNS: tuple[Callable[[random.Random], np.ndarray], ...] = (
    _clouds, _clouds, _stripes, _checks, _dots, _rings, _cells, _fractal, _fractal,
)  # fmt: skip


# ---- marks and outlines ------------------------------------------------------------------------------------------
def _mark(face: Image.Image, rng: random.Random) -> None:
    """What is printed on it, in place: plates, strokes, rows of signs."""
    pen = ImageDraw.Draw(face)
    for _ in range(rng.choice((0, 0, 1, 2, 3, 4))):
        x, y = rng.uniform(0.1, 0.9) * FACE, rng.uniform(0.1, 0.9) * FACE
        w, h = rng.uniform(0.05, 0.3) * FACE, rng.uniform(0.05, 0.3) * FACE
        kind, colour = rng.randrange(4), _colour(rng)
        if kind == 0:
            pen.rounded_rectangle((x - w, y - h, x + w, y + h), rng.uniform(0, 12), fill=colour, outline=_colour(rng), width=2)
        elif kind == 1:
            pen.ellipse((x - w, y - h, x + w, y + h), fill=colour, outline=_colour(rng), width=3)
        elif kind == 2:
            points = [(rng.uniform(0, 1) * FACE, rng.uniform(0, 1) * FACE) for _ in range(rng.randint(2, 4))]
            pen.line(points, fill=colour, width=rng.randint(2, 10), joint="curve")
        else:
            _write(pen, x, y, colour, rng)


def _write(pen: ImageDraw.ImageDraw, x: float, y: float, colour: Colour, rng: random.Random) -> None:
    """A row of signs of an alphabet that nobody reads."""
    height = rng.uniform(6, 26)
    for place in range(rng.randint(1, 6)):
        left = x + (place - 2) * height * 0.8
        strokes = [(left + rng.random() * height * 0.6, y + rng.random() * height) for _ in range(rng.randint(3, 5))]
        pen.line(strokes, fill=colour, width=max(2, round(height / 8)))


def _outline(rng: random.Random) -> Image.Image:
    """L [FACE, FACE]: where the thing is."""
    double = 2 * FACE  # drawn larger, for smooth edges
    mask = Image.new("L", (double, double), 0)
    pen = ImageDraw.Draw(mask)
    kind = rng.randrange(5)
    if kind == 0:  # a box, a note, a carton
        w, h = (double * rng.uniform(0.3, 1.0) / 2 for _ in range(2))
        corner = rng.uniform(0, 0.5) * min(w, h)
        pen.rounded_rectangle((FACE - w, FACE - h, FACE + w, FACE + h), corner, fill=255)
    elif kind == 1:  # a ring, or a disc
        w = double * rng.uniform(0.7, 1.0) / 2
        h = w * rng.uniform(0.6, 1.0)
        pen.ellipse((FACE - w, FACE - h, FACE + w, FACE + h), fill=255)
        if rng.random() < 0.3:
            hole = rng.uniform(0.2, 0.6)
            pen.ellipse((FACE - w * hole, FACE - h * hole, FACE + w * hole, FACE + h * hole), fill=0)
    elif kind == 2:  # a star, a cog, a polygon
        tips, inner = rng.randint(3, 9), rng.uniform(0.35, 1.0)
        turns = [2 * math.pi * tip / (2 * tips) for tip in range(2 * tips)]
        reach = [FACE * (1.0 if tip % 2 else inner) for tip in range(2 * tips)]
        pen.polygon([(FACE + r * math.cos(t), FACE + r * math.sin(t)) for r, t in zip(reach, turns, strict=True)], fill=255)
    else:  # a fruit, a leaf, a bottle: a circle that some waves bend
        waves = [(k, rng.uniform(-1, 1) / k, rng.uniform(0, 2 * math.pi)) for k in range(1, 8)]
        turns = [2 * math.pi * step / 90 for step in range(90)]
        reach = [1 + 0.5 * sum(a * math.cos(k * t + phase) for k, a, phase in waves) for t in turns]
        squeeze, most = rng.uniform(0.5, 1.0), max(reach)
        points = [
            (FACE + FACE * r / most * math.cos(t), FACE + FACE * squeeze * r / most * math.sin(t))
            for r, t in zip(reach, turns, strict=True)
        ]
        pen.polygon(points, fill=255)
    return mask.resize((FACE, FACE), Image.Resampling.BOX)


# ---- where it is, and how it is seen -----------------------------------------------------------------------------
def _somewhere(ground: Image.Image, size: int, rng: random.Random) -> Image.Image:
    """A part of a ground, turned."""
    scale, angle = rng.uniform(0.25, 0.65) * FACE / size, rng.uniform(-math.pi, math.pi)
    cos, sin, half = scale * math.cos(angle), scale * math.sin(angle), size / 2
    lookup = (cos, -sin, FACE / 2 - (cos - sin) * half, sin, cos, FACE / 2 - (sin + cos) * half)
    return ground.transform((size, size), Image.Transform.AFFINE, lookup, Image.Resampling.BILINEAR)


def _put(scene: Image.Image, face: Image.Image, rng: random.Random, *, low: float, high: float, spread: float) -> None:
    """Lay a thing into the scene, in place: `low` to `high` of its side large, at most `spread` of it off the middle."""
    size = scene.width
    zoom, angle = rng.uniform(low, high), rng.gauss(0, 0.45)  # radians: mostly within ±45 degrees
    stretch, shear = math.exp(rng.uniform(-0.25, 0.25)), rng.uniform(-0.25, 0.25)
    scale = FACE / (zoom * size)
    a, b = scale * stretch * math.cos(angle), scale * (shear - math.sin(angle))
    d, e = scale * math.sin(angle), scale * math.cos(angle) / stretch
    x, y = (size * (0.5 + rng.uniform(-spread, spread)) for _ in range(2))
    lookup = (a, b, FACE / 2 - a * x - b * y, d, e, FACE / 2 - d * x - e * y)
    laid = face.transform((size, size), Image.Transform.AFFINE, lookup, Image.Resampling.BILINEAR)
    mask = laid.getchannel("A")
    if rng.random() < 0.5:
        shadow = ImageChops.offset(mask, rng.randint(-4, 4), rng.randint(0, 5)).filter(ImageFilter.BoxBlur(2))
        scene.paste((0, 0, 0), mask=shadow.point(rng.choice(SHADOWS)))
    scene.paste(laid.convert("RGB"), mask=mask)


def _lit(scene: Image.Image, rng: random.Random) -> Image.Image:
    """In uneven, tinted light, well or badly exposed."""
    field = 1 - rng.uniform(0, 0.6) * _plane(rng, 2, 2)
    shade = Image.fromarray((255 * field).astype(np.uint8)).resize(scene.size, Image.Resampling.BICUBIC)
    lit = ImageChops.multiply(scene, Image.merge("RGB", (shade, shade, shade)))
    gain, lift = math.exp(rng.uniform(-0.5, 0.5)), rng.uniform(0, 30)
    tables = []
    for _ in range(3):
        own, gamma = gain * rng.uniform(0.8, 1.2), rng.uniform(0.8, 1.25)
        tables.append((lift + (255 - lift) * own * LEVELS**gamma).round().clip(0, 255).astype(int))
    return lit.point(np.concatenate(tables).tolist())


def _camera(scene: Image.Image, rng: random.Random) -> np.ndarray:
    """Blur, and noise of the sensor."""
    if rng.random() < 0.4:
        scene = scene.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 1.4)))
    pixels = np.asarray(scene)
    if rng.random() < 0.5:
        noise = np.random.default_rng(rng.getrandbits(32)).standard_normal(pixels.shape, dtype=np.float32)
        pixels = (pixels + rng.uniform(1, 12) * noise).round().clip(0, 255).astype(np.uint8)
    return pixels
