"""Photos for the demo: draws the six pieces of a currency that does not exist, the talu, as a phone might photograph them.

`draw` makes one JPEG of about 640 × 480 pixels: a coin or banknote, turned up to ±45° and tilted, on one of eight kinds of
ground, in varied light, distance, sharpness and sensor noise. The JPEG carries EXIF with an invented place, time and camera and
one of four orientations, so that intake has metadata to strip and turning to do. Everything follows from the given generator.
"""

import io
import math
import random
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import ExifTags, Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from demo.grounds import HEIGHT, WIDTH, Colour, any_colour, clutter, ground, random_plane

Point = tuple[float, float]


@dataclass(frozen=True)
class Face:
    """How one denomination looks: told apart by colour, numeral and ornament at once."""

    numeral: str
    paper: Colour
    ink: Colour
    ornament: str
    coin: bool
    core: Colour | None = None  # a coin's disc of another metal


FACES = {
    "1-talu": Face("1", (184, 112, 66), (92, 44, 18), "ring", True),
    "2-talu": Face("2", (200, 206, 216), (34, 42, 84), "petals", True, (226, 182, 66)),
    "5-talu": Face("5", (126, 190, 128), (18, 82, 40), "waves", False),
    "10-talu": Face("10", (120, 170, 222), (18, 48, 120), "star", False),
    "20-talu": Face("20", (236, 160, 112), (150, 40, 16), "sun", False),
    "50-talu": Face("50", (190, 142, 208), (78, 22, 110), "steps", False),
}
DENOMINATIONS: tuple[str, ...] = tuple(FACES)


def draw(denomination: str, rng: random.Random) -> bytes:
    """One photo of `denomination` (one of DENOMINATIONS) as JPEG bytes with EXIF; about 35 ms on one core."""
    scene = ground(rng)
    clutter(scene, rng)
    _place(scene, _face(denomination), FACES[denomination].coin, rng)
    scene = _light(scene, rng)
    scene = _camera(scene, rng)
    return _jpeg(scene, rng)


# ---- the piece itself --------------------------------------------------------------------------------------------
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)  # travels with Pillow: no font need be installed


@cache
def _face(denomination: str) -> Image.Image:
    """The flat, evenly lit piece as RGBA; drawn once, at twice its size for smooth edges."""
    face = FACES[denomination]
    return (_coin if face.coin else _note)(face)


def _note(face: Face) -> Image.Image:
    width, height = 1120, 560
    image = Image.new("RGBA", (width, height), (*face.paper, 255))
    pen = ImageDraw.Draw(image)
    fine = _mix(face.paper, face.ink, 0.28)
    for row in range(0, height, 14):  # a guilloche of sines, as banknotes have
        line = [(x, row + 10 * math.sin(x / 41 + row / 23)) for x in range(0, width + 8, 8)]
        pen.line(line, fill=fine, width=2)
    pen.rectangle((14, 14, width - 15, height - 15), outline=face.ink, width=12)
    _ornament(pen, face, centre=(width * 0.74, height * 0.5), radius=height * 0.36)
    pen.text((width * 0.29, height * 0.48), face.numeral, face.ink, _font(360), anchor="mm", stroke_width=9)
    for corner in ((88, 78), (width - 88, height - 78)):
        pen.text(corner, face.numeral, face.ink, _font(92), anchor="mm", stroke_width=3)
    pen.text((width * 0.29, height * 0.88), "TALU", face.ink, _font(60), anchor="mm", stroke_width=2)
    return image.resize((width // 2, height // 2), Image.Resampling.LANCZOS)


def _coin(face: Face) -> Image.Image:
    side = 720
    image = Image.new("RGBA", (side, side), (*face.paper, 0))
    pen = ImageDraw.Draw(image)
    pen.ellipse((4, 4, side - 5, side - 5), fill=(*face.paper, 255), outline=(*face.ink, 255), width=10)
    for step in range(72):  # the reeded rim
        pen.line(_spoke(side / 2, side / 2, 318, 346, step / 72), fill=face.ink, width=5)
    _ornament(pen, face, centre=(side / 2, side / 2), radius=side * 0.42)
    disc = side * 0.27
    pen.ellipse((side / 2 - disc, side / 2 - disc, side / 2 + disc, side / 2 + disc), fill=(*(face.core or face.paper), 255))
    pen.text((side / 2, side * 0.485), face.numeral, face.ink, _font(340), anchor="mm", stroke_width=11)
    return image.resize((side // 2, side // 2), Image.Resampling.LANCZOS)


def _ornament(pen: ImageDraw.ImageDraw, face: Face, *, centre: Point, radius: float) -> None:
    x, y = centre
    if face.ornament == "ring":
        for share in (1.0, 0.84):
            r = radius * share
            pen.ellipse((x - r, y - r, x + r, y + r), outline=face.ink, width=14)
    elif face.ornament == "petals":
        for petal in range(8):
            ex, ey = _spoke(x, y, 0, radius * 0.8, petal / 8)[1]
            pen.ellipse((ex - 50, ey - 50, ex + 50, ey + 50), fill=face.ink)
    elif face.ornament == "waves":
        for level in (-0.7, -0.35, 0.0, 0.35, 0.7):
            wave = [(x + dx, y + level * radius + 22 * math.sin(dx / 26)) for dx in range(-int(radius), int(radius), 6)]
            pen.line(wave, fill=face.ink, width=24, joint="curve")
    elif face.ornament == "star":
        points = [_spoke(x, y, 0, radius * (1.0 if tip % 2 == 0 else 0.42), tip / 10)[1] for tip in range(10)]
        pen.polygon(points, fill=face.ink)
    elif face.ornament == "sun":
        pen.ellipse((x - radius * 0.5, y - radius * 0.5, x + radius * 0.5, y + radius * 0.5), fill=face.ink)
        for ray in range(12):
            pen.line(_spoke(x, y, radius * 0.62, radius, ray / 12), fill=face.ink, width=22)
    else:  # steps
        for step in range(4):
            left, top = x - radius + step * radius * 0.5, y + radius * (0.5 - step * 0.5)
            pen.rectangle((left, top, left + radius * 0.44, y + radius), fill=face.ink)


def _spoke(x: float, y: float, start: float, end: float, turn: float) -> list[Point]:
    angle = 2 * math.pi * turn - math.pi / 2
    return [(x + r * math.cos(angle), y + r * math.sin(angle)) for r in (start, end)]


def _mix(a: Colour, b: Colour, share: float) -> Colour:
    red, green, blue = (round(p + (q - p) * share) for p, q in zip(a, b, strict=True))
    return red, green, blue


# ---- where it lies -----------------------------------------------------------------------------------------------
def _place(scene: Image.Image, face: Image.Image, coin: bool, rng: random.Random) -> None:
    """Turn, tilt and shift the piece, put a shadow under it and it into the scene, in place."""
    corners = _corners(face.size, coin, rng)
    shadow = Image.new("L", (WIDTH // 4, HEIGHT // 4), 0)
    dx, dy = rng.uniform(-3, 3), rng.uniform(1, 5)
    outline = [(x / 4 + dx, y / 4 + dy) for x, y in (_rounded(corners) if coin else corners)]
    ImageDraw.Draw(shadow).polygon(outline, fill=150)
    shadow = shadow.filter(ImageFilter.BoxBlur(rng.uniform(1, 4))).resize((WIDTH, HEIGHT))
    scene.paste((0, 0, 0), mask=shadow)
    worn = _worn(face, rng)
    flat = worn.transform(
        (WIDTH, HEIGHT), Image.Transform.PERSPECTIVE, _homography(corners, face.size), Image.Resampling.BILINEAR
    )
    scene.paste(flat, mask=flat.getchannel("A"))
    if rng.random() < 0.25:  # a thumb holds it at one edge
        (ax, ay), (bx, by) = rng.sample(corners, 2)
        x, y, r = (ax + bx) / 2, (ay + by) / 2, rng.uniform(18, 40)
        skin = _mix((245, 208, 178), (92, 58, 40), rng.random())
        ImageDraw.Draw(scene).ellipse((x - r, y - r * 0.8, x + r, y + r * 0.8), fill=skin)


def _corners(size: tuple[int, int], coin: bool, rng: random.Random) -> list[Point]:
    """Where the four corners of the piece land in the scene, pixels.

    At most a fifth of its width leaves the central square, which is all that the network sees.
    """
    width = rng.uniform(0.44, 0.76) * HEIGHT if coin else rng.uniform(0.52, 0.90) * WIDTH
    height = width * size[1] / size[0]
    angle = math.radians(max(-45.0, min(45.0, rng.gauss(0, 20))))
    tilt_x, tilt_y = rng.uniform(-0.16, 0.16), rng.uniform(-0.16, 0.16)
    corners = []
    for u, v in ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)):
        depth = 1 + tilt_x * u * 2 + tilt_y * v * 2
        x, y = u * width / depth, v * height / depth
        corners.append((x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)))
    half_x, half_y = max(abs(x) for x, _ in corners), max(abs(y) for _, y in corners)
    room_x, room_y = max(8.0, HEIGHT / 2 - half_x * 0.6), max(8.0, HEIGHT / 2 - half_y * 0.9)
    cx, cy = WIDTH / 2 + rng.uniform(-room_x, room_x), HEIGHT / 2 + rng.uniform(-room_y, room_y)
    return [(x + cx, y + cy) for x, y in corners]


def _rounded(corners: list[Point]) -> list[Point]:
    """The ellipse that touches the sides of a (nearly) parallel quadrangle, as a polygon."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = corners
    middle = (ax + bx + cx + dx) / 4, (ay + by + cy + dy) / 4
    across, down = ((bx - ax) / 2, (by - ay) / 2), ((dx - ax) / 2, (dy - ay) / 2)
    turns = [(math.cos(2 * math.pi * i / 24), math.sin(2 * math.pi * i / 24)) for i in range(24)]
    return [(middle[0] + c * across[0] + s * down[0], middle[1] + c * across[1] + s * down[1]) for c, s in turns]


def _homography(corners: list[Point], size: tuple[int, int]) -> list[float]:
    """The eight coefficients by which Pillow looks up a scene pixel in the face."""
    rows: list[list[float]] = []
    wanted: list[float] = []
    for (x, y), (u, v) in zip(corners, ((0, 0), (size[0], 0), size, (0, size[1])), strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        wanted += [u, v]
    return [float(c) for c in np.linalg.solve(np.array(rows), np.array(wanted))]


def _worn(face: Image.Image, rng: random.Random) -> Image.Image:
    """The same piece after some use: faded, dirty, folded."""
    alpha = face.getchannel("A")
    image = Image.blend(face.convert("RGB"), Image.new("RGB", face.size, any_colour(rng, 90, 200)), rng.uniform(0, 0.18))
    pen = ImageDraw.Draw(image)
    for _ in range(rng.randint(0, 3)):
        x = rng.uniform(0.1, 0.9) * face.width
        pen.line((x, 0, x + rng.uniform(-40, 40), face.height), fill=any_colour(rng, 60, 230), width=rng.randint(1, 3))
    for _ in range(rng.randint(0, 4)):
        x, y, r = rng.uniform(0, face.width), rng.uniform(0, face.height), rng.uniform(3, 16)
        pen.ellipse((x - r, y - r, x + r, y + r), fill=any_colour(rng, 40, 120))
    image.putalpha(alpha)
    return image


# ---- light and lens ----------------------------------------------------------------------------------------------
def _light(scene: Image.Image, rng: random.Random) -> Image.Image:
    """Uneven, tinted light: the scene times a smooth map, then exposure."""
    rows, columns = rng.randint(2, 3), rng.randint(2, 4)
    depth = rng.uniform(0.05, 0.5)
    field = 1 - depth * random_plane(rng, rows, columns)
    tint = np.array([rng.uniform(0.82, 1.0) for _ in range(3)], np.float32)
    small = Image.fromarray((255 * field[..., None] * tint).astype(np.uint8))
    lit = ImageChops.multiply(scene, small.resize(scene.size, Image.Resampling.BICUBIC))
    gain = math.exp(rng.uniform(math.log(0.55), math.log(1.45)))
    gamma, lift = rng.uniform(0.85, 1.15), rng.uniform(0, 22)
    table = [min(255, round(lift + (255 - lift) * gain * (v / 255) ** gamma)) for v in range(256)]
    lit = lit.point(table * 3)
    if rng.random() < 0.25:  # a lamp mirrored in the glossy surface
        spot = Image.new("L", (40, 30), 0)
        x, y, r = rng.uniform(5, 35), rng.uniform(5, 25), rng.uniform(1.5, 4)
        ImageDraw.Draw(spot).ellipse((x - r, y - r, x + r, y + r), fill=rng.randint(90, 190))
        lit.paste((255, 255, 255), mask=spot.filter(ImageFilter.GaussianBlur(1.5)).resize(scene.size))
    return lit


@cache
def _sensor_noise() -> np.ndarray:
    """One long strip of unit noise, drawn once: photos take slices of it at random places, which costs nothing."""
    strip = np.random.default_rng(20_261_122).normal(0, 16, 4 * WIDTH * HEIGHT * 3)
    return strip.astype(np.int16)


def _camera(scene: Image.Image, rng: random.Random) -> Image.Image:
    """Blur and noise."""
    if rng.random() < 0.6:
        across, down = rng.uniform(0, 2.4), rng.uniform(0, 2.4)  # unequal radii: a hand that moved
        scene = scene.filter(ImageFilter.BoxBlur((across, down)))
    strip = _sensor_noise()
    start = rng.randrange(len(strip) - WIDTH * HEIGHT * 3)
    noise = strip[start : start + WIDTH * HEIGHT * 3].reshape(HEIGHT, WIDTH, 3)
    level = np.int16(rng.randint(1, 12))  # sixteenths × 16: a standard deviation of 1 to 12 of 255
    pixels = np.asarray(scene).astype(np.int16) + ((noise * level) >> 4)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


# Orientation tag → how the upright scene must be turned before it is stored under that tag.
_TURNS = {1: None, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


def _jpeg(scene: Image.Image, rng: random.Random) -> bytes:
    """JPEG bytes, stored turned as the Orientation tag says, with an invented place and time."""
    orientation = rng.choices(list(_TURNS), weights=(6, 1, 2, 1))[0]
    turn = _TURNS[orientation]
    stored = scene.transpose(turn) if turn is not None else scene
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.Make] = "Talu Works"
    exif[ExifTags.Base.Model] = rng.choice(("Drawn Phone 1", "Drawn Phone 2", "Drawn Phone 3"))
    taken = f"2026:11:{rng.randint(1, 21):02d} {rng.randint(6, 21):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}"
    exif[ExifTags.Base.DateTime] = taken
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = taken
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSLatitudeRef], gps[ExifTags.GPS.GPSLongitudeRef] = "N", "W"
    gps[ExifTags.GPS.GPSLatitude] = (48.0, float(rng.randint(0, 59)), float(rng.randint(0, 59)))  # the open Atlantic
    gps[ExifTags.GPS.GPSLongitude] = (30.0, float(rng.randint(0, 59)), float(rng.randint(0, 59)))
    out = io.BytesIO()
    stored.save(out, "JPEG", quality=rng.randint(72, 92), exif=exif)
    return out.getvalue()
