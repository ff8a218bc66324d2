"""The worker's image work on a 12-megapixel photo against one full decode of it by Pillow, and its memory on the largest.

CPU of the whole work: this process and its decoder, from stored bytes to view, thumbnail and hash. Ratio of medians; the
two are measured in turns, so that a busy machine slows both.
"""

import io
import os
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageDraw

ROUNDS = 25  # photos, of which the first two warm up
MEGAPIXELS_50 = (8160, 6120)
GOAL, MEMORY_GOAL = 0.85, 512 * 2**20


def photo(width: int, height: int, *, noise: float = 6, seed: int = 1) -> Image.Image:
    """Soft colours, shapes and a sensor's noise, so that a 12-megapixel JPEG has about the 2.3 MB that a phone's has."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    soft = [128 + 80 * np.sin(x / 301 + y / 517), 128 + 80 * np.sin(x / 211 - y / 411), 128 + 80 * np.cos(x / 701 + y / 317)]
    image = Image.fromarray(np.clip(np.stack(soft, -1), 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(120):
        a, b, r = int(rng.integers(0, width)), int(rng.integers(0, height)), int(rng.integers(20, width // 8))
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        (draw.ellipse if rng.random() < 0.5 else draw.rectangle)((a - r, b - r, a + r, b + r), fill=colour)
    grainy = np.asarray(image).astype(np.int16) + rng.normal(0, noise, (height, width, 1)).astype(np.int16)
    return Image.fromarray(np.clip(grainy, 0, 255).astype(np.uint8))


def phone_jpeg(image: Image.Image) -> bytes:
    """As a phone writes it: 4:2:0, camera, time and place in its EXIF, held upright."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Model] = "Phone 7"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2026:11:20 14:37:05"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    return _encoded(image, "JPEG", quality=85, exif=exif)


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)  # type: ignore[arg-type]
    return file.getvalue()


def _cpu() -> float:
    """CPU seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _cpu_of(pid: int) -> float:
    """CPU seconds of a living process; nanoseconds in schedstat, where /proc/<pid>/stat counts hundredths of seconds."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def _timed(work: Callable[[], object], pid: int) -> tuple[float, float]:
    """CPU milliseconds of both processes, wall milliseconds."""
    cpu, began = _cpu() + _cpu_of(pid), time.perf_counter()
    work()
    return (_cpu() + _cpu_of(pid) - cpu) * 1e3, (time.perf_counter() - began) * 1e3


def measure() -> dict[str, object]:
    """Runs in about a minute; needs 1 GB for drawing the photos of 50 megapixels."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    from collector import decoding
    from collector.strip import strip

    sent = phone_jpeg(photo(4000, 3000))
    stripped = strip(sent)

    def whole_decode() -> None:
        with Image.open(io.BytesIO(stripped.data)) as image:
            image.load()

    def image_work() -> None:
        decoding.derive(stripped.data, stripped.orientation)

    image_work()
    assert decoding._decoder
    pid = decoding._decoder.process.pid
    runs = {"full Pillow decode": whole_decode, "image work": image_work, "strip": lambda: strip(sent)}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, work in runs.items():
            taken[name].append(_timed(work, pid))
    rows: list[dict[str, object]] = []
    cpu = {name: statistics.median(c for c, _ in values[2:]) for name, values in taken.items()}
    for name, values in taken.items():
        wall = statistics.median(w for _, w in values[2:])
        rows.append({"work": name, "photo_bytes": len(sent), "cpu_ms": round(cpu[name], 2), "wall_ms": round(wall, 2)})
    peaks = _peaks()
    rows += peaks
    ratio = round(cpu["image work"] / cpu["full Pillow decode"], 3)
    worst = max(int(str(row["tree_peak_bytes"])) for row in peaks)
    return {
        "part": "decode",
        "settings": {"rounds": ROUNDS - 2, "photo": "4000×3000 JPEG, quality 85, 4:2:0, EXIF with GPS, orientation 6"},
        "rows": rows,
        "claims": [
            {"claim": "image work / full decode, CPU, 12 MP", "value": ratio, "goal": f"≤ {GOAL}", "holds": ratio <= GOAL},
            {
                "claim": "peak memory of worker and decoder together, largest photos, MB",
                "value": round(worst / 2**20),
                "goal": f"≤ {MEMORY_GOAL // 2**20}",
                "holds": worst <= MEMORY_GOAL,
            },
        ],
    }


def largest() -> dict[str, Callable[[], bytes]]:
    """Photos at the limits of intake, drawn one at a time."""
    tile = photo(MEGAPIXELS_50[0] // 4, MEGAPIXELS_50[1] // 4)

    def picture(width: int = MEGAPIXELS_50[0], height: int = MEGAPIXELS_50[1]) -> Image.Image:
        image = Image.new("RGB", (width, height))
        for left in range(0, width, tile.width):
            for top in range(0, height, tile.height):
                image.paste(tile, (left, top))
        return image

    def coarse(image: Image.Image) -> Image.Image:
        return image.point(lambda value: value & 0xE0)  # so that a 50-megapixel PNG has less than 25 MB

    def translucent(image: Image.Image) -> Image.Image:
        image.putalpha(image.getchannel("G").point(lambda value: value & 0xC0))
        return image

    def grey16() -> Image.Image:
        return Image.fromarray(np.asarray(coarse(picture()).convert("L")).astype(np.uint16) * 257)

    return {
        "JPEG 50 MP baseline 4:2:0": lambda: _encoded(picture(), "JPEG", quality=85),
        "JPEG 50 MP baseline CMYK": lambda: _encoded(picture().convert("CMYK"), "JPEG", quality=80),
        "JPEG 50 MP progressive 4:2:0": lambda: _encoded(picture(), "JPEG", quality=85, progressive=True),
        "JPEG 41 MP progressive 4:4:4": lambda: _encoded(picture(8160, 5100), "JPEG", progressive=True, subsampling=0),
        "JPEG 31 MP progressive CMYK": lambda: _encoded(picture(6400, 4880).convert("CMYK"), "JPEG", progressive=True),
        "PNG 50 MP palette": lambda: _encoded(picture().quantize(64), "PNG", compress_level=1),
        "PNG 50 MP 16-bit grey": lambda: _encoded(grey16(), "PNG", compress_level=1),
        "PNG 50 MP RGB": lambda: _encoded(coarse(picture()), "PNG", compress_level=1),
        "PNG 50 MP RGBA": lambda: _encoded(translucent(coarse(picture())), "PNG", compress_level=6),
        "WebP 16 MP lossy": lambda: _encoded(picture(4096, 3900), "WEBP", method=0),
        "WebP 16 MP lossless RGBA": lambda: _encoded(
            translucent(coarse(picture(4096, 3900))), "WEBP", lossless=True, method=0, quality=0
        ),
    }


def _peaks() -> list[dict[str, object]]:
    """A worker of its own for each of the largest photos: what it and its decoder take at their peak, bytes."""
    import subprocess
    import sys
    import tempfile

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, draw in largest().items():
            file = Path(folder) / "photo"
            file.write_bytes(draw())
            done = subprocess.run([sys.executable, "-c", WORKER, str(file)], capture_output=True, text=True, check=True)
            worker, decoder, wall = done.stdout.split()
            rows.append(
                {
                    "photo": name,
                    "photo_bytes": file.stat().st_size,
                    "worker_peak_bytes": int(worker),
                    "decoder_peak_bytes": int(decoder),
                    "tree_peak_bytes": int(worker) + int(decoder),
                    "wall_s": wall,
                }
            )
    return rows


# What a worker process has loaded, then one photo as intake would have stored it. VmHWM: the most memory it ever held.
WORKER = """
import os, sys, time
from pathlib import Path
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
from config.celery import app
app.loader.import_default_modules()
from collector import decoding
from collector.strip import strip
from config.duties import work_once
from django.conf import settings
settings.PHOTO_MAX_BYTES = 2**30
stripped = strip(Path(sys.argv[1]).read_bytes())
data = stripped.data
del stripped
began = time.perf_counter()
decoding.derive(data, 6)
wall = time.perf_counter() - began
def peak(pid):
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
print(peak("self"), peak(decoding._decoder.process.pid), round(wall, 2))
"""
