"""What tests of a night's account share: one with real figures for any number of labels."""

from typing import Any

import numpy as np

from training.account import Account, Origin, confusion_of
from training.evaluate import report

SNAPSHOT = "5a" * 32


def answers(labels: int = 3, photos: int = 40, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(probabilities float32 [photos, labels], truth [photos]): about four of five right."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, labels, photos)
    scores = rng.random((photos, labels)).astype(np.float32)
    scores[np.arange(photos), truth] += np.where(rng.random(photos) < 0.8, 1, 0)
    return scores / scores.sum(axis=1, keepdims=True), truth


def account(labels: tuple[str, ...] = ("copper", "silver", "gold"), *, photos: int = 40, **changes: Any) -> Account:
    probabilities, truth = answers(len(labels), photos)
    int8 = report(probabilities, truth, labels)
    check = {"name": "held-out photos", "value": "40", "limit": "≥ 30", "passed": True, "sentence": "Enough <b>photos</b>."}
    facts: dict[str, Any] = {
        "slug": "coins",
        "name": "Coins",
        "slot": "2026-11-22",
        "began": 1_795_312_800.0,
        "snapshot": SNAPSHOT,
        "counts": {"train": dict.fromkeys(labels, 5), "validation": {labels[0]: 2}, "test": {labels[-1]: 2}},
        "origins": [Origin("CC-BY-4.0", "2026-11", "phone", 12), Origin("CC-BY-4.0", "", "import", 7)],
        "labels": labels,
        "reports": {"float": int8, "int8": int8, "incumbent": None},
        "confusion": confusion_of(probabilities, truth, len(labels)),
        "history": {"head_loss": [1.1, 0.7, 0.5], "head_accuracy": 0.71, "top_loss": [0.6, 0.4], "top_accuracy": [0.7, 0.8]},
        "verdict": {"passed": True, "checks": [check]},
        "recipe": {"name": "head, then top blocks", "seed": 3, "augmentation": {"turn": 12}},
        "input_digest": "1b" * 32,
        "backbone": {"source": "imagenet", "digest": "2c" * 32, "alpha": 1.0, "note": ""},
        "artifacts": [{"format": "int8", "sha256": "3d" * 32, "bytes": 2_830_000}],
        "metrics": {"seconds": {"training": 9.5}},
    }
    return Account(**(facts | changes))
