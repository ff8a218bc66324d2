"""GATE: is the very file fit for phones? Its size and time in each device tier's budget, and the same answer every time."""

from collections.abc import Mapping

import numpy as np

from training.evaluate import classify
from training.gate import Check


def budgets(files: Mapping[str, tuple[int, float]], *, tiers: Mapping[str, tuple[int, int]]) -> list[Check]:
    """A check a tier: its file's (bytes, milliseconds on one thread of this machine) against the most of both."""
    checks = []
    for tier, (most_bytes, most_ms) in tiers.items():
        size, latency_ms = files[tier]
        passed = size <= most_bytes and latency_ms <= most_ms
        sentence = "It fits." if passed else f"It is too large or too slow for {tier} phones: use a smaller width or input."
        value, limit = f"{size / 1e6:.2f} MB, {latency_ms:.1f} ms", f"≤ {most_bytes / 1e6:.2f} MB, ≤ {most_ms} ms here"
        checks.append(Check(f"budget of {tier} phones", value, limit, passed, sentence))
    return checks


def same_answers(file: bytes, images: np.ndarray) -> Check:
    """The same photos uint8 [n, s, s, 3] twice through one interpreter, and once through another: the same bytes come out."""
    twice = classify(file, np.concatenate([images, images]))
    other = classify(file, images)
    differ = int(((twice[: len(images)] != twice[len(images) :]) | (twice[: len(images)] != other)).any(axis=1).sum())
    sentence = "Twice the same photo, twice the same answer." if not differ else "It answers by chance: export it anew."
    return Check("answers that differ from run to run", str(differ), f"0 of {len(images)}", differ == 0, sentence)
