"""PHONE → INTAKE: how small may a photo be that a phone sends, and still be recognised? Measured, then told to phones.

Each held-out photo is made smaller and worse, as an app would do it, and the int8 file that phones have judges what is left.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from collector.models import Photo, Recognizer
from collector.storage import store
from training import release
from training.choose import paired
from training.errors import NothingHeldOut, UnknownChannel, UnreadablePhoto
from training.evaluate import classify, inputs_outputs
from training.images import Progress, prepare
from training.incumbent import int8_of
from training.recipe import top_blocks

# Pixels of the shorter side. None is below the size that a night cuts its random views from: a smaller photo would be
# recognised and yet teach less.
SIDES = (top_blocks().source_size, 384, 512, 720)
QUALITIES = (50, 70, 85)  # of JPEG, in Pillow's scale
LOSS_MOST = 0.02  # share of photos; a loss of this size plus one standard error is the most that a smaller photo may cost
LEAST_PHOTOS = 50  # held out; fewer tell nothing about two points
CHUNK = 64  # photos in memory at a time


@dataclass(frozen=True)
class Size:
    """What photos of this shorter side (pixels) and JPEG quality cost: `bytes` on average, `right` bool [n], and the `loss` of
    recognised photos against the photos as they are stored, a share, with its standard error."""

    side: int
    quality: int
    bytes: int
    right: np.ndarray
    loss: float
    error: float

    @property
    def enough(self) -> bool:
        return self.loss + self.error <= LOSS_MOST


def measure(recognizer: Recognizer, progress: Progress) -> tuple[float, list[Size]]:
    """(share of the held-out photos that the released int8 file recognises as they are stored, every size).

    Raises UnknownChannel where nothing is released, NothingHeldOut with fewer than LEAST_PHOTOS, UnreadablePhoto.
    """
    offered = release.channel_of(recognizer, release.STABLE).release
    artifact = int8_of(offered)
    if artifact is None:
        raise UnknownChannel(f"{offered} has no int8 file.", recognizer=recognizer.slug)
    model = store().get(f"{release.KIND}/{artifact.sha256}")
    rows = _held_out(recognizer, artifact.labels)
    if len(rows) < LEAST_PHOTOS:
        raise NothingHeldOut(
            f"{len(rows)} photos are held out, {LEAST_PHOTOS} are needed to tell a loss of {LOSS_MOST:.0%} from chance.",
            split="test",
        )
    cells = [(side, quality) for side in SIDES for quality in QUALITIES]
    truth = np.array([label for _, label, _ in rows])
    scenes = [scene for _, _, scene in rows]
    size, total = inputs_outputs(model)["input"]["shape"][1], len(rows) * (len(cells) + 1)
    as_stored, done = np.zeros(len(rows), bool), 0
    right, weight = np.zeros((len(cells), len(rows)), bool), np.zeros(len(cells))
    for at, files in _read(rows):
        part = slice(at, at + len(files))
        as_stored[part] = _right(model, files, truth[part], size)
        for number, (side, quality) in enumerate(cells):
            small = [shrunk(each, side, quality) for each in files]
            weight[number] += sum(map(len, small))
            right[number, part] = _right(model, small, truth[part], size)
        done += len(files) * (len(cells) + 1)
        progress("shrinking and recognising photos", done, total)
    found = []
    for number, (side, quality) in enumerate(cells):
        gain, error = paired(as_stored, right[number], np.array(scenes))
        found.append(Size(side, quality, round(weight[number] / len(rows)), right[number], 0.0 - gain, error))
    return float(as_stored.mean()), found


def smallest(sizes: Sequence[Size]) -> Size | None:
    """The size with the fewest bytes that is enough; None where none is. Sizes beyond it must be enough too: one that is better
    than a larger and finer one is so by chance."""
    enough = [
        each
        for each in sizes
        if all(other.enough for other in sizes if other.side >= each.side and other.quality >= each.quality)
    ]
    return min(enough, key=lambda each: each.bytes, default=None)


def tell(recognizer: Recognizer, size: Size | None) -> None:
    """Have phones be told this size, or none."""
    recognizer.upload_side = size.side if size else None
    recognizer.upload_quality = size.quality if size else None
    recognizer.save(update_fields=["upload_side", "upload_quality"])


def shrunk(photo: bytes, side: int, quality: int) -> bytes:
    """The photo as JPEG, its shorter side at most `side` pixels. Raises UnreadablePhoto."""
    try:
        with Image.open(io.BytesIO(photo)) as opened:
            image = opened.convert("RGB")
    except (OSError, ValueError) as error:
        raise UnreadablePhoto(f"The photo cannot be decoded ({error}).") from error
    if min(image.size) > side:
        scale = side / min(image.size)
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def _held_out(recognizer: Recognizer, labels: Sequence[str]) -> list[tuple[str, int, str]]:
    """(store key of the view, label index, scene) of each photo of the test split that the model has a label for."""
    index = {slug: position for position, slug in enumerate(labels)}
    rows = Photo.objects.filter(recognizer=recognizer, state=Photo.State.ACCEPTED, split=Photo.Split.TEST)
    told = rows.order_by("pk").values_list("view_sha256", "label__slug", "cluster", "pk")
    return [(f"views/{view}", index[slug], str(scene or pk)) for view, slug, scene, pk in told if view and slug in index]


def _read(rows: Sequence[tuple[str, int, str]]) -> Iterator[tuple[int, list[bytes]]]:
    for at in range(0, len(rows), CHUNK):
        yield at, [store().get(key) for key, _, _ in rows[at : at + CHUNK]]


def _right(model: bytes, files: Sequence[bytes], truth: np.ndarray, size: int) -> np.ndarray:
    answers = classify(model, np.stack([prepare(each, size) for each in files]))
    right: np.ndarray = answers.argmax(axis=1) == truth
    return right
