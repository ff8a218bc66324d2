"""The starter backbone beside none at all and beside ImageNet's: how much less does a night have to learn from photos?

`PHOTOS=<folder with train/<label>/ and val/<label>/> BACKBONE_WEIGHTS=<file, width 0.35> make bench PART=starter`

The whole small network learns from train/, by the recipe of places without ImageNet's weights, at its size of pictures, from
each of the three; what it then recognises of val/ is compared photo by photo. For comparison also a head on what each sees of
a photo before it has learned anything.
"""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench._facts import QUICK, claim, machine, needed, say, whole
from bench.training import beyond

STARTS = {"random": "random weights", "none": "the starter"}
ERRORS = 2  # standard errors of a paired difference that are clear


def measure() -> dict[str, Any]:
    """About eleven minutes of CPU with 2,640 photos and eight epochs."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    from training import process

    os.environ.update({**process.ENVIRONMENT, **os.environ})  # a night's own, read when TensorFlow is loaded
    from training.recipe import from_starter

    folder, file = Path(needed("PHOTOS", "starter")), needed("BACKBONE_WEIGHTS", "starter")
    epochs = whole("BENCH_EPOCHS", from_starter().top_epochs, 1)
    recipe = replace(from_starter(), top_epochs=epochs)
    train, held_out, labels = _photos(folder, recipe.image_size, 4 if QUICK else 10**6)
    rows, hits = [], {}
    for setting, name in {**STARTS, file: "ImageNet's"}.items():
        say(f"{name}: {len(train)} photos of {len(labels)} labels, {epochs} epochs")
        hits[name], row = _learned(recipe, setting, train, held_out, labels)
        rows.append({"start": name, **row})
    ours, nothing = hits["the starter"], hits["random weights"]
    gain, error = beyond(ours, nothing)
    return {
        "part": "starter",
        "settings": {
            **machine(),
            "labels": len(labels),
            "photos": len(train),
            "held out": len(held_out),
            "epochs": epochs,
            "pixels": recipe.image_size,
        },
        "rows": rows,
        "claims": [
            claim(
                f"points that the starter is beyond random weights (standard error {error:.1f}), less {ERRORS} standard errors",
                lambda: gain - ERRORS * error,
                0,
                at_least=True,
            )
        ],
    }


def _photos(folder: Path, size: int, most: int) -> tuple[Any, Any, list[str]]:
    """(train/, val/ of the same labels, labels), as a night from pixels has them; at most `most` photos of a label."""
    from training.evaluate import photos_by_label
    from training.images import load_examples
    from training.seen import Seen

    by_label = {part: photos_by_label(folder / part) for part in ("train", "val")}
    labels = sorted(by_label["train"])

    def seen(part: str) -> Seen:
        files = by_label[part]
        rows = [(str(path), str(path), at) for at, label in enumerate(labels) for path in files.get(label, [])[:most]]
        found = load_examples(rows, read=lambda key: Path(key).read_bytes(), size=size, progress=lambda *_: None)
        ids = [row[0] for row in rows]
        return Seen(ids, ids, found.truth, found.images, sources=found.images)

    return seen("train"), seen("val"), labels


def _learned(recipe: Any, setting: str, train: Any, held_out: Any, labels: list[str]) -> tuple[np.ndarray, dict[str, Any]]:
    """(bool [held out]: recognised by what was learned, its row of the table)."""
    from training.backbone import find_backbone
    from training.finetune import finetune, network_of
    from training.network import assemble, head
    from training.weights import Start

    start = Start(find_backbone(setting, decision_s=1), None)
    network = network_of(start, recipe, recipe.image_size)
    _, embedder = assemble(network, head(network.output_shape[-1], 2, dropout=0.0, seed=0))
    frozen = _head_alone(embedder, train, held_out, len(labels))
    began = time.process_time()
    candidate = finetune(
        recipe,
        start,
        train=train,
        validation=held_out,
        labels=labels,
        progress=lambda step, done, of: say(f"{step} {done}/{of}"),
    )
    judged = candidate.weights.judged
    hits = np.array([judged[photo] for photo in held_out.ids])
    row = {
        "recognised_%": round(100 * float(hits.mean()), 1),
        "head_alone_%": round(100 * frozen, 1),
        "loss": candidate.history["loss"][-1],
        "cpu_s": round(time.process_time() - began, 1),
    }
    return hits, row


def _head_alone(embedder: Any, train: Any, held_out: Any, labels: int) -> float:
    """The share of held-out photos that a head on the frozen features recognises."""
    from bench._crowd import answers, embedded, fitted

    weights = fitted(embedded(embedder, train.pixels), train.truth, labels)
    return float((answers(weights, embedded(embedder, held_out.pixels)).argmax(axis=1) == held_out.truth).mean())
