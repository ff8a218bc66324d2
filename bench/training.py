"""One night beside Keras' own guide to transfer learning, on the same photos and weights: CPU seconds, and what is recognised.

`PHOTOS=<folder with train/<label>/ and val/<label>/> BACKBONE_WEIGHTS=<file> make bench PART=training`

Two installations are filled as an owner fills one, and their nights run as an operator starts them. The first has all photos of
train/ but BENCH_NEW, which come before its second, steady night. The second has half of the old photos and the same new ones.
val/ is held out by all; what phones are offered, and what the guide ends with, is judged on the very files of val/.

The guide takes most of the time, and what it comes to is kept in var/bench. BENCH_KEPT=1 takes it from there if photos,
weights, versions and kind of machine are the same; its row then says when it was measured.
"""

import hashlib
import json
import os
import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from bench._facts import CACHE, QUICK, ROOT, claim, machine, needed, say, whole
from bench._spent import Spent, spent
from bench.peers.base import environment

RECOGNIZER = "groceries"
SEED = 7
GUIDE_EPOCHS = (2, 1) if QUICK else (20, 10)  # of the head; of the whole network
FIRST_GOAL, STEADY_GOAL = 3, 8  # times as many CPU seconds as a night, for the guide


@dataclass(frozen=True)
class Photos:
    """Files of photos by what they are for; each lies in a folder named like its label."""

    old: list[Path]
    new: list[Path]
    held_out: list[Path]

    @property
    def labels(self) -> list[str]:
        return sorted({path.parent.name for path in (*self.old, *self.new)})


@dataclass(frozen=True)
class Night:
    """One night: what it cost with its photos' looks, how many were looked at by a worker before it and by itself, how many it
    learned from, and what the installation says afterwards (bench._told)."""

    cost: Spent
    by_worker: int
    photos: int
    told: dict[str, Any]

    @property
    def looked_at(self) -> int:
        return self.by_worker + int(self.told["metrics"].get("looked_at", 0))

    def hits(self) -> np.ndarray:
        """bool [held out], sorted by file: does the int8 file that phones are offered recognise it? Raises KeyError."""
        found = self.told["phones"].get("int8")
        if not found:
            raise KeyError(f"nothing is released: {self.told['message']}")
        return sorted_hits(found)


@dataclass(frozen=True)
class Guide:
    """The guide's run: what it cost to its last line, its report (bench._guide), and when it began, in UTC."""

    cost: Spent
    photos: int
    told: dict[str, Any]
    began: str

    def hits(self) -> np.ndarray:
        return sorted_hits(self.told["hits"])


def measure() -> dict[str, Any]:
    """Well over an hour on two cores with 2,640 photos and a network of width 1, most of it Keras' guide."""
    folder, weights = Path(needed("PHOTOS", "training")).resolve(), str(Path(needed("BACKBONE_WEIGHTS", "training")).resolve())
    photos = chosen(
        folder, labels=whole("BENCH_LABELS", 10**6, 4), most=whole("BENCH_PHOTOS", 10**6, 20), new=whole("BENCH_NEW", 100, 8)
    )
    say(f"{len(photos.old)} old photos, {len(photos.new)} new ones, {len(photos.held_out)} held out")
    with tempfile.TemporaryDirectory(prefix="photorally-bench-") as place:
        all_of_them, half = Path(place, "all"), Path(place, "half")
        guide = _guide(Path(place, "guide"), photos, weights)  # first: an hour that is kept, whatever comes after
        nights = _nights(all_of_them, photos, weights)
        halves = _nights(half, Photos(halved(photos.old), photos.new, photos.held_out), weights)
    return {
        "part": "training",
        "settings": {
            **machine(),
            "labels": len(photos.labels),
            "old photos": len(photos.old),
            "new photos": len(photos.new),
            "held out": len(photos.held_out),
            "guide's epochs": " + ".join(map(str, GUIDE_EPOCHS)),
            **{f"{name} said": night.told["message"] for name, night in nights.items()},
        },
        "rows": [*guide_rows(guide), *night_rows(nights, guide), *night_rows(halves, guide, of="half of the old photos")],
        "claims": claims(guide, nights, halves, new=len(photos.new)),
    }


# ---- which photos ------------------------------------------------------------------------------------------------
def chosen(folder: Path, *, labels: int, most: int, new: int) -> Photos:
    """Of the first `labels` labels with photos in train/ and val/, then those in train/ alone, at most `most` photos each;
    `new` of train/ come later, drawn from a seed."""
    from training.evaluate import photos_by_label

    train, held_out = photos_by_label(folder / "train"), photos_by_label(folder / "val")
    names = sorted(sorted(train, key=lambda name: (name not in held_out, name))[:labels])
    learned = [path for name in names for path in train[name][:most]]
    later = set(random.Random(SEED).sample(learned, new))
    return Photos(
        old=[path for path in learned if path not in later],
        new=sorted(later),
        held_out=[path for name in names for path in held_out.get(name, [])[:most]],
    )


def halved(photos: Sequence[Path]) -> list[Path]:
    """Every second photo of each label."""
    by_label: dict[str, list[Path]] = {}
    for path in photos:
        by_label.setdefault(path.parent.name, []).append(path)
    return [path for paths in by_label.values() for path in paths[::2]]


def laid_out(place: Path, photos: Sequence[Path], labels: Sequence[str]) -> Path:
    """A folder of label folders with links to the photos; a label without photos has an empty one."""
    for label in labels:
        (place / label).mkdir(parents=True)
    for path in photos:
        (place / path.parent.name / path.name).symlink_to(path)
    return place


# ---- the runs ----------------------------------------------------------------------------------------------------
def _guide(place: Path, photos: Photos, weights: str) -> Guide:
    laid_out(place / "train", [*photos.old, *photos.new], photos.labels)
    laid_out(place / "val", photos.held_out, photos.labels)
    kept = CACHE / f"guide-{_same(photos, weights)}.json"
    if os.environ.get("BENCH_KEPT") == "1" and kept.exists():
        say(f"Keras' guide, as it was measured: {kept.name}")
        return _read(kept)
    report = place / "report.json"
    epochs = map(str, GUIDE_EPOCHS)
    command = [sys.executable, "-m", "bench._guide", str(place), weights, str(report), *epochs]
    say("Keras' guide …")
    began = f"{datetime.now(UTC):%Y-%m-%d %H:%M}"
    cost = spent(command, environment(VAR_DIR=str(place), TF_CPP_MIN_LOG_LEVEL="2"))
    told = json.loads(report.read_text())
    cost = cost._replace(cpu_s=cost.cpu_s - told["cpu_s"]["after"])
    CACHE.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps({"cost": cost, "photos": len(photos.old) + len(photos.new), "told": told, "began": began}))
    return _read(kept)


def _read(kept: Path) -> Guide:
    found = json.loads(kept.read_text())
    return Guide(**found | {"cost": Spent(*found["cost"])})


def _same(photos: Photos, weights: str) -> str:
    """Names what the guide's figures depend on: itself, its photos and weights, how long it learns, versions, the machine."""
    files = sorted([*photos.old, *photos.new]), sorted(photos.held_out)
    facts = [
        (ROOT / "bench" / "_guide.py").read_text(),
        [[f"{path.parent.name}/{path.name}", path.stat().st_size] for part in files for path in part],
        hashlib.sha256(Path(weights).read_bytes()).hexdigest(),
        GUIDE_EPOCHS,
        {name: version(name) for name in ("tensorflow", "keras", "numpy", "pillow")},
        {name: machine()[name] for name in ("cores", "system", "python")},
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _nights(place: Path, photos: Photos, weights: str) -> dict[str, Night]:
    """An installation's first night, and its second with the new photos. It stays for as long as its folder does."""
    variables = environment(
        VAR_DIR=str(place / "var"),
        BACKBONE_WEIGHTS=weights,
        TF_CPP_MIN_LOG_LEVEL="2",
        # Half a day from now: `work --once` is to look at photos, and would also open a night whose hour has come.
        NIGHT_HOUR_UTC=str((datetime.now(UTC).hour + 12) % 24),
    )
    held_out = laid_out(place / "val", photos.held_out, sorted({path.parent.name for path in photos.held_out}))
    batches = {name: laid_out(place / name, getattr(photos, name), _labels(getattr(photos, name))) for name in ("old", "new")}

    def manage(*words: str) -> Spent:
        say(f"manage.py {' '.join(words)}")
        return spent([sys.executable, "manage.py", *words], variables)

    def take_in(folder: Path, split: str) -> None:
        manage("import_photos", str(folder), "--recognizer", RECOGNIZER, "--accept", "--split", split)

    def tell() -> dict[str, Any]:
        done = spent([sys.executable, "-m", "bench._told", RECOGNIZER, str(held_out)], variables)
        told: dict[str, Any] = json.loads(done.output.strip().splitlines()[-1])
        return told

    (place / "var").mkdir()
    manage("migrate", "--verbosity", "0")
    take_in(batches["old"], "train")
    take_in(held_out, "test")
    nights = {"first night": Night(manage("nightly", "--recognizer", RECOGNIZER), 0, len(photos.old), tell())}
    before = nights["first night"].told["looks"]
    take_in(batches["new"], "train")
    looking = manage("work", "--once")
    by_worker = _looks(variables) - before
    night = manage("nightly", "--recognizer", RECOGNIZER)
    nights["steady night"] = Night(together(looking, night), by_worker, len(photos.old) + len(photos.new), tell())
    return nights


def _labels(photos: Sequence[Path]) -> list[str]:
    return sorted({path.parent.name for path in photos})


def _looks(variables: Mapping[str, str]) -> int:
    """Photos whose cached views the installation has."""
    code = (
        "import django; django.setup()\n"
        "from training.models import CachedView\n"
        "print(CachedView.objects.count())\n"
    )  # fmt: skip
    done = spent([sys.executable, "-c", code], {**variables, "DJANGO_SETTINGS_MODULE": "config.settings"})
    return int(done.output.split()[-1])


def together(first: Spent, second: Spent) -> Spent:
    """Both, one after the other."""
    return Spent(
        round(first.cpu_s + second.cpu_s, 2), round(first.wall_s + second.wall_s, 2), max(first.peak_mb, second.peak_mb), ""
    )


# ---- what came of them -------------------------------------------------------------------------------------------
def sorted_hits(hits: Mapping[str, bool]) -> np.ndarray:
    """bool [n], in the order of the files' names."""
    return np.array([hits[name] for name in sorted(hits)], bool)


def beyond(hits: np.ndarray, guide: np.ndarray) -> tuple[float, float]:
    """(points of accuracy beyond the guide on the same photos, standard error of this paired difference)."""
    from training.choose import paired

    gain, error = paired(guide, hits, [str(at) for at in range(len(hits))])
    return 100 * gain, 100 * error


def guide_rows(guide: Guide) -> list[dict[str, Any]]:
    """The guide to its last line; what of it was its validation after each epoch; and how far it was with the head alone."""
    seconds, head = guide.told["cpu_s"], guide.told["history"][0]
    return [
        {
            "guide": "to the end",
            "began": guide.began,
            "photos": guide.photos,
            "cpu_s": round(guide.cost.cpu_s, 1),
            "of_it_validation_s": round(seconds["validation"], 1),
            "wall_s": round(guide.cost.wall_s, 1),
            "peak_mb": guide.cost.peak_mb,
            "recognised_%": _percent(guide.hits()),
        },
        {
            "guide": "head alone",
            "cpu_s": round(seconds["head"], 1),
            "recognised_%": round(100 * head["val_accuracy"][-1], 2),
        },
    ]


def night_rows(nights: Mapping[str, Night], guide: Guide, *, of: str = "") -> list[dict[str, Any]]:
    """What each night cost, and how good is what phones are offered after it, whichever night made that."""
    rows = []
    for name, night in nights.items():
        phones = {kind: sorted_hits(hits) for kind, hits in night.told["phones"].items()}
        rows.append(
            {
                "night": f"{name}, {of}" if of else name,
                "photos": night.photos,
                "looked_at": f"{night.looked_at}" + (f", {night.by_worker} by the worker" if night.by_worker else ""),
                "cpu_s": round(night.cost.cpu_s, 1),
                "wall_s": round(night.cost.wall_s, 1),
                "peak_mb": night.cost.peak_mb,
                "ended": night.told["state"],
                "float_%": _percent(phones["float32"]) if phones else "none",
                "int8_%": _percent(phones["int8"]) if phones else "none",
                "beyond_guide": "{:+.1f} ± {:.1f}".format(*beyond(phones["int8"], guide.hits())) if phones else "none",
            }
        )
    return rows


def _percent(hits: np.ndarray) -> float:
    return round(100 * float(hits.mean()), 2)


def claims(guide: Guide, nights: Mapping[str, Night], halves: Mapping[str, Night], *, new: int) -> list[dict[str, Any]]:
    """The guide had the new photos from the start: it is charged to the first night for as many photos as that one had."""

    def times(name: str) -> float:
        night = nights[name]
        return guide.cost.cpu_s * night.photos / guide.photos / night.cost.cpu_s

    first, steady = nights["first night"], nights["steady night"]
    return [
        claim("times a steady night's CPU seconds, for the guide", lambda: times("steady night"), STEADY_GOAL, at_least=True),
        claim("times the first night's CPU seconds, for the guide", lambda: times("first night"), FIRST_GOAL, at_least=True),
        claim("points beyond the guide, steady night's int8", lambda: beyond(steady.hits(), guide.hits())[0], 0, at_least=True),
        claim("points beyond the guide, first night's int8", lambda: beyond(first.hits(), guide.hits())[0], 0, at_least=True),
        claim(f"photos looked at beside the {new} new ones", lambda: abs(steady.looked_at - new), 0, at_least=False),
        claim(
            "photos looked at more with twice the old ones",
            lambda: abs(steady.looked_at - halves["steady night"].looked_at),
            0,
            at_least=False,
        ),
    ]
