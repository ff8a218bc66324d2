"""EVALUATE, of the labels, measured: 5 % of the labels of real photos are flipped at random; who of them is suspected?

`PHOTOS=<folder of label folders> BACKBONE_WEIGHTS=<file> make bench PART=suspects`. Features come once, from the frozen
backbone. Folds keep together what the collector's own near-duplicate rule puts into one cluster, by the verbs that a worker
calls, on a database of its own; for comparison also without groups. Seconds are those of `training.suspects.find`.
"""

import os
import statistics
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np

from bench._facts import claim, machine, say, whole

FLIPPED = 0.05  # share of labels
RECALL_GOAL, PRECISION_GOAL = 0.7, 0.5
CHUNK = 64  # photos of one forward pass


def measure() -> dict[str, Any]:
    """Takes about two CPU-minutes for 2,640 photos, most of them for the features."""
    photos, weights = os.environ.get("PHOTOS", "").strip(), os.environ.get("BACKBONE_WEIGHTS", "").strip()
    if not Path(photos).is_dir() or not photos or not Path(weights).is_file():
        return {
            "part": "suspects",
            "settings": {"PHOTOS": photos or "not set", "BACKBONE_WEIGHTS": weights or "not set"},
            "rows": [],
            "claims": [_absent("PHOTOS must name a folder of label folders, BACKBONE_WEIGHTS a file of weights")],
        }
    seeds = whole("BENCH_ROUNDS", 5, 1)
    with tempfile.TemporaryDirectory(prefix="photorally-bench-") as folder:
        _django(folder)
        features, truth, labels, files = _features(Path(photos), weights)
        rows = [
            {"grouped": name, **_flip_and_find(features, truth, groups, len(labels), seed)}
            for name, groups in (("by cluster", _clusters(files)), ("not", [str(at) for at in range(len(files))]))
            for seed in range(seeds)
        ]
    return {
        "part": "suspects",
        "settings": {**machine(), "photos": len(files), "labels": len(labels), "flipped": FLIPPED, "seeds": seeds},
        "rows": rows,
        "claims": [
            claim("flipped labels among the suspects, mean", lambda: _mean(rows, "recall"), RECALL_GOAL, at_least=True),
            claim("suspects that are flipped, mean", lambda: _mean(rows, "precision"), PRECISION_GOAL, at_least=True),
        ],
    }


def _absent(why: str) -> dict[str, Any]:
    return {"claim": "flipped labels among the suspects", "value": f"not measured: {why}", "goal": "≥ 0.7", "holds": False}


def _mean(rows: list[dict[str, Any]], name: str) -> float:
    return statistics.mean(row[name] for row in rows if row["grouped"] == "by cluster")


def _django(folder: str) -> None:
    """A database and a folder of its own, before the settings are read."""
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "VAR_DIR": folder,
        "DATABASE_URL": f"sqlite:///{folder}/db.sqlite3",
    }
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def _features(folder: Path, weights: str) -> tuple[np.ndarray, np.ndarray, list[str], list[Path]]:
    """(pooled features float32 [n, d], truth int64 [n], labels, files) of all photos, by the backbone as it comes."""
    import keras

    from training.backbone import find_backbone
    from training.evaluate import photos_by_label
    from training.images import prepare
    from training.network import build_backbone, scaling

    found = photos_by_label(folder)
    files = [file for label in found for file in found[label]]
    truth = np.array([at for at, label in enumerate(found) for _ in found[label]], np.int64)
    backbone = find_backbone(weights, decision_s=1)
    network = build_backbone(backbone, 224, alpha=backbone.alpha, bn_momentum=0.9)
    pixels = keras.Input((224, 224, 3))
    pooled = keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(network(scaling()(pixels))))
    parts = []
    for start in range(0, len(files), CHUNK):
        images = np.stack([prepare(file.read_bytes(), 224) for file in files[start : start + CHUNK]])
        parts.append(pooled.predict_on_batch(images.astype(np.float32)))
        say(f"features of {start + len(images)} of {len(files)} photos")
    return np.concatenate(parts), truth, list(found), files


def _clusters(files: list[Path]) -> list[str]:
    """Each photo's cluster, as intake would find it in the order of the files."""
    from django.db import transaction

    from collector.decoder import derive
    from collector.duplicates import bands_of, cluster_of, remember
    from collector.models import Photo, Recognizer
    from collector.strip import strip

    recognizer = Recognizer.objects.create(slug="bench", name="Bench")
    clusters = []
    for file in files:
        stripped = strip(file.read_bytes())
        bands = bands_of(derive(stripped.data, stripped.orientation)[2])
        photo = Photo(pk=uuid.uuid4(), recognizer=recognizer)
        with transaction.atomic():
            cluster = cluster_of(photo, bands)
            remember(photo, bands, cluster)
        clusters.append(str(cluster))
    say(f"{len(files)} photos in {len(set(clusters))} clusters")
    return clusters


def _flip_and_find(features: np.ndarray, truth: np.ndarray, groups: list[str], labels: int, seed: int) -> dict[str, Any]:
    from training.suspects import find

    rng = np.random.default_rng(seed)
    flipped = rng.choice(len(truth), round(FLIPPED * len(truth)), replace=False)
    given = truth.copy()
    given[flipped] = (truth[flipped] + rng.integers(1, labels, len(flipped))) % labels
    began, began_cpu = time.perf_counter(), time.process_time()
    found = find(features=features, truth=given, groups=groups, labels=labels, seed=seed)
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    wrong = set(flipped.tolist())
    hits = [each for each in found if each.index in wrong]
    return {
        "seed": seed,
        "flipped": len(wrong),
        "suspects": len(found),
        "recall": round(len(hits) / len(wrong), 3),
        "precision": round(len(hits) / max(1, len(found)), 3),
        "right_suggestion": round(sum(each.suggested == int(truth[each.index]) for each in hits) / max(1, len(hits)), 3),
        "wall_s": round(wall_s, 1),
        "cpu_s": round(cpu_s, 1),
    }
