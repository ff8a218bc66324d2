"""What each photo was worth: how long the values of 2,640 photos take, and whether they tell good photos from useless ones.

`PHOTOS=<folder with train/<label>/ and val/<label>/> BACKBONE_WEIGHTS=<file> make bench PART=worth`

Features are pooled ones of the frozen backbone, from LiteRT. The judge of what is left after photos are dropped is a softmax
regression on the features. val/ plays the frozen set, and is used crosswise: values from one half of its photos, accuracy on
the other half, and then the other way round, over several halvings. So no photo judges values that it has made.
"""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench._facts import claim, machine, needed, say, whole

SHARE = 0.2  # of the training photos that are dropped
STRENGTH = 3e-4  # of the L2 penalty; chosen, not tuned: every head has the same
CLEARLY, HARMLESS = 0.01, 0.005  # of accuracy: what "clearly more" and "does not hurt" were taken to mean before measuring
RESAMPLES = 2000  # of the frozen photos, for intervals


class Head:
    """Softmax regression, float32, by L-BFGS from zero: the same photos give the same head."""

    def __init__(self, features: np.ndarray, truth: np.ndarray, classes: int, *, steps: int) -> None:
        from scipy.optimize import minimize

        rows = np.arange(len(truth))

        def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
            weights = flat.reshape(-1, classes).astype(np.float32)
            scores = features @ weights
            scores -= scores.max(axis=1, keepdims=True)
            shares = np.exp(scores)
            sums = shares.sum(axis=1, keepdims=True)
            value = float((np.log(sums[:, 0]) - scores[rows, truth]).mean() + STRENGTH * float((weights**2).sum()) / 2)
            shares /= sums
            shares[rows, truth] -= 1
            return value, (features.T @ shares / len(truth) + STRENGTH * weights).ravel().astype(np.float64)

        start = np.zeros(features.shape[1] * classes)
        self.weights = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": steps}).x.reshape(-1, classes)

    def hits(self, features: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """float64 [n]: 1 where it is right."""
        right: np.ndarray = (features @ self.weights).argmax(axis=1) == truth
        return right.astype(np.float64)


def measure() -> dict[str, Any]:
    """Runs in some minutes: a head takes seconds, and there are 25 of them."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    from training.value import knn_shapley

    folder, weights = Path(needed("PHOTOS", "worth")), needed("BACKBONE_WEIGHTS", "worth")
    halvings, draws = whole("BENCH_HALVINGS", 4, 1), whole("BENCH_DRAWS", 8, 2)
    steps = whole("BENCH_STEPS", 150, 20)
    labels = sorted(path.name for path in (folder / "train").iterdir() if path.is_dir())
    (train, truth), (frozen, held) = _features(folder, weights, labels)

    rows: list[dict[str, Any]] = []
    for times in (1, 2, 5, 10):
        grown, grown_truth = np.tile(train, (times, 1)), np.tile(truth, times)
        rows.append(_timed(grown + _noise(grown, times), grown_truth, frozen, held))
        say(f"{rows[-1]}")
    hits = _crosswise(train, truth, frozen, held, len(labels), halvings, draws, steps, knn_shapley)
    rows += [_row(name, hits["all photos"], values) for name, values in hits.items()]
    first, clear, harmless = rows[0], hits["random"] - hits["most valuable"], hits["all photos"] - hits["least valuable"]
    return {
        "part": "worth",
        "settings": {
            **machine(),
            "photos": len(train),
            "frozen": len(frozen),
            "labels": len(labels),
            "dropped": SHARE,
            "halvings": halvings,
            "random draws": draws,
            "steps": steps,
        },
        "rows": rows,
        "claims": [
            claim(f"seconds for the values of {len(train)} × {len(frozen)}", lambda: first["seconds"], 10, at_least=False),
            claim(
                "points lost without the most valuable fifth, beyond a random fifth (lower end of 95 %)",
                lambda: 100 * _interval(clear)[0],
                100 * CLEARLY,
                at_least=True,
            ),
            claim(
                "points lost without the least valuable fifth, mean",
                lambda: 100 * float(harmless.mean()),
                100 * HARMLESS,
                at_least=False,
            ),
        ],
    }


def _features(folder: Path, weights: str, labels: list[str]) -> list[tuple[np.ndarray, np.ndarray]]:
    """(features float32 [n, d] of length one × √d, truth [n]) of train and val."""
    from django.conf import settings

    from training.backbone import find_backbone
    from training.evaluate import photos_by_label
    from training.export import export_float
    from training.images import load_examples
    from training.inference import Runner
    from training.network import build_backbone, features_of
    from training.recipe import head_only

    recipe = head_only()
    backbone = find_backbone(weights, decision_s=settings.DOWNLOAD_DECISION_S)
    network = build_backbone(backbone, recipe.image_size, alpha=backbone.alpha, bn_momentum=recipe.bn_momentum)
    runner = Runner(export_float(features_of(network)))
    found = []
    for split in ("train", "val"):
        files = photos_by_label(folder / split)
        rows = [(str(path), str(path), labels.index(label)) for label in files for path in files[label]]
        features = np.empty((len(rows), network.output_shape[-1]), np.float32)
        truth = np.empty(len(rows), np.int64)
        for start in range(0, len(rows), 256):
            part = load_examples(
                rows[start : start + 256],
                read=lambda key: Path(key).read_bytes(),
                size=recipe.image_size,
                progress=lambda *_: None,
            )
            at = slice(start, start + len(part))
            features[at] = runner.run_all(part.images)
            truth[at] = part.truth
        say(f"{len(rows)} photos of {split} have features")
        features *= np.sqrt(features.shape[1]) / np.linalg.norm(features, axis=1, keepdims=True)
        found.append((features, truth))
    return found


def _noise(features: np.ndarray, times: int) -> np.ndarray:
    """Nothing for the photos themselves; for more of them, what makes copies differ a little."""
    size = 0.0 if times == 1 else 0.05 * float(features.std())
    return np.random.default_rng(times).normal(0, 1, features.shape).astype(np.float32) * size


def _timed(train: np.ndarray, truth: np.ndarray, frozen: np.ndarray, held: np.ndarray) -> dict[str, Any]:
    """Wall seconds, and the peak of what it takes beside the features, as Python's allocator counts it."""
    import tracemalloc

    from training.value import knn_shapley

    began = time.perf_counter()
    knn_shapley(train, truth, frozen, held)
    seconds = time.perf_counter() - began
    tracemalloc.start()
    knn_shapley(train, truth, frozen, held)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {"photos": len(train), "frozen": len(frozen), "seconds": round(seconds, 2), "peak_mb": round(peak / 2**20)}


def _crosswise(
    train: np.ndarray,
    truth: np.ndarray,
    frozen: np.ndarray,
    held: np.ndarray,
    classes: int,
    halvings: int,
    draws: int,
    steps: int,
    values_of: Any,
) -> dict[str, np.ndarray]:
    """How often each frozen photo was recognised, float64 [m] 0…1, by heads of what is left of the training photos."""
    dropped = round(SHARE * len(train))

    def hits(kept: np.ndarray, tested: np.ndarray) -> np.ndarray:
        return Head(train[kept], truth[kept], classes, steps=steps).hits(frozen[tested], held[tested])

    everything, rng = np.arange(len(frozen)), np.random.default_rng(7)
    found = {name: np.zeros(len(frozen)) for name in ("all photos", "random", "most valuable", "least valuable")}
    found["all photos"] += hits(np.arange(len(train)), everything)
    for draw in range(draws):
        found["random"] += hits(rng.permutation(len(train))[dropped:], everything) / draws
        say(f"random draw {draw + 1} of {draws}")
    for halving in range(halvings):
        order = rng.permutation(len(frozen))
        for judges, tested in ((order[::2], order[1::2]), (order[1::2], order[::2])):
            rising = np.argsort(values_of(train, truth, frozen[judges], held[judges]), kind="stable")
            found["most valuable"][tested] += hits(rising[:-dropped], tested) / halvings
            found["least valuable"][tested] += hits(rising[dropped:], tested) / halvings
        say(f"halving {halving + 1} of {halvings}")
    return found


def _interval(values: np.ndarray) -> tuple[float, float]:
    """95 % of the mean over photos, by bootstrap over the photos."""
    rng = np.random.default_rng(11)
    means = values[rng.integers(0, len(values), (RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def _row(name: str, every: np.ndarray, hits: np.ndarray) -> dict[str, Any]:
    low, high = _interval(every - hits)
    return {
        "a fifth dropped": name,
        "accuracy": round(100 * float(hits.mean()), 2),
        "points_lost": round(100 * float((every - hits).mean()), 2),
        "from": round(100 * low, 2),
        "to": round(100 * high, 2),
    }
