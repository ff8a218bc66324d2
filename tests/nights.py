"""What tests of the night share: accepted photos as rows with real bytes, and releases of any bytes."""

import io
import random
import uuid
from types import SimpleNamespace
from typing import Any

import numpy as np
from django.utils import timezone
from PIL import Image

from collector.models import Photo, Recognizer, Volunteer
from collector.storage import put_blob
from training import release, runs
from training.models import Release, Run
from training.seen import Seen

COLOURS = {"copper": (184, 100, 40), "silver": (190, 195, 205), "gold": (230, 190, 30)}


def coin(label: str, seed: int, size: int = 48) -> bytes:
    """A JPEG of a disc in the label's colour, each seed in another place and light."""
    rng = random.Random(f"{label} {seed}")
    light, ground = rng.uniform(0.8, 1.1), rng.randrange(40, 110)
    image = Image.new("RGB", (size, size), (ground, ground, ground))
    disc = Image.new("L", (size, size), 0)
    radius, x, y = rng.randint(size // 4, size // 2), rng.randint(-6, 6), rng.randint(-6, 6)
    for column in range(size):
        for row in range(size):
            if (column - size // 2 - x) ** 2 + (row - size // 2 - y) ** 2 < radius**2:
                disc.putpixel((column, row), 255)
    image.paste(tuple(min(255, int(c * light)) for c in COLOURS[label]), mask=disc)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    return file.getvalue()


def accepted(
    recognizer: Recognizer,
    volunteer: Volunteer,
    label: str,
    split: str = "train",
    *,
    data: bytes | None = None,
    source: str = "import",
    cluster: uuid.UUID | None = None,
    photo_id: uuid.UUID | None = None,
) -> Photo:
    """An accepted photo whose view lies in the store."""
    key = photo_id or uuid.uuid4()
    view = put_blob("views", data or coin(label, key.int % 10_000))
    return Photo.objects.create(
        id=key,
        volunteer=volunteer,
        recognizer=recognizer,
        claimed=recognizer.labels.get(slug=label),
        label=recognizer.labels.get(slug=label),
        source=source,
        state=Photo.State.ACCEPTED,
        sent_sha256=view,
        sha256=view,
        view_sha256=view,
        thumbnail_sha256=view,
        content_type="image/jpeg",
        bytes=100,
        width=48,
        height=48,
        cluster=cluster or key,
        split=split,
        accepted_at=timezone.now(),
        consent_version="1",
        licence="CC-BY-4.0",
    )


def collected(recognizer: Recognizer, volunteer: Volunteer, *, train: int = 6, held: int = 2) -> list[Photo]:
    """`train` training, `held` validation and `held` test photos of each label."""
    counts = {"train": train, "validation": held, "test": held}
    return [
        accepted(recognizer, volunteer, label, split)
        for label in COLOURS
        for split, count in counts.items()
        for _ in range(count)
    ]


def claimed(recognizer: Recognizer, slot: str = "2026-11-22") -> Run:
    """A run that this test holds."""
    run, _ = runs.open_slot(recognizer=recognizer, slot=slot)
    fence = runs.claim(run.pk)
    assert fence is not None
    return runs.held(run.pk, fence)


def exported(data: bytes, labels: tuple[str, ...] = ("copper", "silver", "gold"), size: int = 32) -> release.Exported:
    return release.Exported("int8", data, {"width": size, "height": size}, list(labels), {})


def released(recognizer: Recognizer, data: bytes) -> Release:
    """A release of these bytes on the stable channel, over whatever it offered."""
    row = release.pointer(recognizer)
    run = claimed(recognizer, f"slot {Run.objects.count()}")
    return release.publish(run=run, artifacts=[exported(data)], replaces=row.release if row else None, message="For a test.")


def mean_colours(network: Any, classifier: Any, boundary: str, parts: dict[str, Seen]) -> dict[str, Any]:
    """Stands in for `embed.embed`: a network of tests/data sees the mean colour, and its label in the middle."""
    middle = np.array([0.5, 0.5], np.float32)
    return {
        name: SimpleNamespace(features=part.pixels.mean(axis=(1, 2), dtype=np.float32), peaks=np.tile(middle, (len(part), 1)))
        for name, part in parts.items()
    }
