"""PHONE: what the simulated volunteers photograph: drawn currency, or a folder of label folders."""

import random
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from django.utils.text import slugify

from collector.importing import begins_like_a_photo
from demo.currency import DENOMINATIONS
from demo.drawers import draw_all


@dataclass(frozen=True)
class Shot:
    """One photo to be sent: the label it truly shows, the label its volunteer claims, and how well others like it (0…1)."""

    truth: str
    claimed: str
    body: bytes | Path
    photo_id: uuid.UUID = field(default_factory=uuid.uuid4)
    appeal: float = 0.5

    def read(self) -> bytes:
        return self.body.read_bytes() if isinstance(self.body, Path) else self.body


def labels_of(folder: Path) -> list[str]:
    """The names of the label folders that hold photos, sorted."""
    return sorted({file.parent.name for file in _files(folder)})


def drawn(count: int, rng: random.Random, progress: Callable[[], object] = lambda: None) -> list[Shot]:
    """`count` photos of the currency, the denominations in turn; equal generators draw equal photos."""
    wanted = [(DENOMINATIONS[index % len(DENOMINATIONS)], rng.getrandbits(64)) for index in range(count)]
    shots = []
    for (name, _), body in zip(wanted, draw_all(wanted), strict=True):
        shots.append(Shot(name, name, body, _uuid(rng), rng.random()))
        progress()
    return shots


def found(folder: Path, rng: random.Random) -> list[Shot]:
    """Every photo below `folder/<label>/`, shuffled within its label; bytes are read when they are sent."""
    by_label: dict[str, list[Path]] = {}
    for file in _files(folder):
        by_label.setdefault(slugify(file.parent.name, allow_unicode=True), []).append(file)
    shots = []
    for label, files in sorted(by_label.items()):
        rng.shuffle(files)
        shots += [Shot(label, label, file, _uuid(rng), rng.random()) for file in files]
    return shots


def dealt(shots: Sequence[Shot], phones: int) -> list[list[Shot]]:
    """Share out, so that each phone gets about as many of each label as any other."""
    ordered = sorted(shots, key=lambda shot: shot.truth)
    return [ordered[phone::phones] for phone in range(phones)]


def mislabelled(shots: Sequence[Shot], count: int, rng: random.Random) -> list[Shot]:
    """The same photos, `count` of them claimed to be something else: work for a moderator."""
    names = sorted({shot.truth for shot in shots})
    wrong = set(rng.sample(range(len(shots)), count))
    return [
        Shot(shot.truth, rng.choice([name for name in names if name != shot.truth]), shot.body, shot.photo_id, shot.appeal)
        if index in wrong
        else shot
        for index, shot in enumerate(shots)
    ]


def _files(folder: Path) -> Iterator[Path]:
    for label in sorted(path for path in folder.iterdir() if path.is_dir()):
        yield from (file for file in sorted(label.iterdir()) if file.is_file() and begins_like_a_photo(file))


def _uuid(rng: random.Random) -> uuid.UUID:
    return uuid.UUID(int=rng.getrandbits(128), version=4)
