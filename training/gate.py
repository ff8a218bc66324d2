"""GATE: may this file reach phones? Judges what the exported bytes themselves answered on held-out photos.

Pure: arrays in, a table out; neither Django nor TensorFlow. "Beyond noise" means that the 95 % interval of a difference lies
wholly on the wrong side of its limit, so a small held-out set lets more pass and the table shows how wide the interval was.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

HELD_OUT_LEAST = 30  # photos; with fewer, even a perfect score has an interval of more than ten points
QUANTIZATION_LOSS = 0.01  # share of held-out photos that int8 may lose against float32
Z95 = 1.959964  # standard normal quantile of a two-sided 95 % interval


@dataclass(frozen=True)
class Check:
    """One line of the table. `value` and `limit` are as a person reads them; `sentence` says what they mean."""

    name: str
    value: str
    limit: str
    passed: bool
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """All checks; `passed` only if every one did."""

    passed: bool
    checks: list[Check]

    def as_json(self) -> dict[str, Any]:
        return {"passed": self.passed, "checks": [asdict(check) for check in self.checks]}

    def as_text(self) -> str:
        """The table, for a terminal or a log."""
        name, value, limit = (max(len(getattr(c, field)) for c in self.checks) for field in ("name", "value", "limit"))
        return "\n".join(
            f"{'pass' if c.passed else 'FAIL'}  {c.name:<{name}}  {c.value:<{value}}  {c.limit:<{limit}}  {c.sentence}"
            for c in self.checks
        )

    def reason(self) -> str:
        """Why it did not pass, in sentences; that it did, otherwise."""
        return " ".join(check.sentence for check in self.checks if not check.passed) or "Every check passed."


def judge(
    *,
    float_probabilities: np.ndarray,
    int8_probabilities: np.ndarray,
    incumbent_probabilities: np.ndarray | None,
    truth: np.ndarray,
    labels: Sequence[str],
    io: Mapping[str, Any],
) -> Verdict:
    """The verdict on an int8 file.

    Probabilities float32 [n, labels] are what the exported float32 and int8 bytes and the incumbent's int8 bytes answered on
    the same n held-out photos with label indices `truth` int64 [n]; an incumbent may know fewer labels, where those that it
    knows come first. `io` is evaluate.inputs_outputs(int8 bytes): {"input": {"shape", "dtype", …}, "output": {…}}.
    """
    float_right = float_probabilities.argmax(axis=1) == truth
    int8_right = int8_probabilities.argmax(axis=1) == truth
    checks = [
        _interface(io, len(labels)),
        _held_out(len(truth)),
        _finite(float_probabilities, int8_probabilities),
        _varied(int8_probabilities.argmax(axis=1), labels),
        _above_chance(int8_right, truth),
        _quantization(float_right, int8_right),
        _incumbent(incumbent_probabilities, int8_right, truth),
    ]
    return Verdict(all(check.passed for check in checks), checks)


def paired_loss(before: np.ndarray, after: np.ndarray) -> tuple[float, float, float]:
    """(loss, low, high): by how much the share of right answers fell from `before` to `after`, bool [n] over the same photos.

    The 95 % interval is Agresti and Min's (2005) for matched pairs: half a photo is added to each cell, which keeps it honest
    for few photos and for no difference at all.
    """
    count = len(before)
    if count == 0:
        return 0.0, -1.0, 1.0
    lost, won = int((before & ~after).sum()), int((~before & after).sum())
    total = count + 2
    p, q = (lost + 0.5) / total, (won + 0.5) / total
    half = Z95 * math.sqrt((p + q - (p - q) ** 2) / total)
    return (lost - won) / count, max(-1.0, p - q - half), min(1.0, p - q + half)


def _interface(io: Mapping[str, Any], classes: int) -> Check:
    given, wanted = io["input"], io["output"]
    passed = given["dtype"] == wanted["dtype"] == "uint8" and list(wanted["shape"]) == [1, classes]
    value = f"{given['dtype']}{list(given['shape'])} → {wanted['dtype']}{list(wanted['shape'])}"
    sentence = "Phones can feed and read it." if passed else f"Phones need uint8 in and out and {classes} outputs."
    return Check("input and output", value, f"uint8 → uint8[1, {classes}]", passed, sentence)


def _held_out(count: int) -> Check:
    passed = count >= HELD_OUT_LEAST
    sentence = "Enough photos to judge by." if passed else f"{count} held-out photos are too few to judge by: collect more."
    return Check("held-out photos", str(count), f"≥ {HELD_OUT_LEAST}", passed, sentence)


def _finite(*answers: np.ndarray) -> Check:
    bad = sum(int((~np.isfinite(answer)).any(axis=1).sum()) for answer in answers)
    sentence = "Every answer is a number." if bad == 0 else f"{bad} answers are not numbers: the file is broken."
    return Check("answers that are no numbers", str(bad), "0", bad == 0, sentence)


def _varied(predicted: np.ndarray, labels: Sequence[str]) -> Check:
    counts = np.bincount(predicted, minlength=len(labels))
    used = int((counts > 0).sum())
    passed = used > 1
    sentence = (
        f"It uses {used} of {len(labels)} labels." if passed else "It answers the same label to every photo: it collapsed."
    )
    return Check("labels it answers", str(used), "> 1", passed, sentence)


def _above_chance(right: np.ndarray, truth: np.ndarray) -> Check:
    """Mean recall over the labels that occur: a network that always says the commonest label scores exactly chance."""
    present = np.unique(truth)
    if len(present) < 2:
        return Check("above chance", "–", "≥ 2 labels", False, "The held-out photos show fewer than two labels.")
    hits = np.array([right[truth == label].sum() for label in present], float)
    counts = np.array([(truth == label).sum() for label in present], float)
    chance = 1 / len(present)
    smoothed = (hits + 1) / (counts + 2)  # keeps the spread of a label with one photo honest
    half = Z95 * math.sqrt(float((smoothed * (1 - smoothed) / counts).sum())) / len(present)
    recall = float((hits / counts).mean())
    passed = recall - half > chance
    sentence = (
        "It recognises clearly more than by guessing."
        if passed
        else "It is not clearly better than guessing: it did not learn."
    )
    return Check("mean recall of a label", f"{recall:.1%} ± {half:.1%}", f"> {chance:.1%}", passed, sentence)


def _quantization(float_right: np.ndarray, int8_right: np.ndarray) -> Check:
    loss, low, high = paired_loss(float_right, int8_right)
    passed = low <= QUANTIZATION_LOSS
    sentence = f"float32 {_percent(float_right)}, int8 {_percent(int8_right)}, on the same photos."
    if not passed:
        sentence = f"Quantization costs too much: {sentence}"
    return Check(
        "loss by quantization", _interval(loss, low, high), f"≤ {QUANTIZATION_LOSS:.0%} beyond noise", passed, sentence
    )


def _incumbent(probabilities: np.ndarray | None, right: np.ndarray, truth: np.ndarray) -> Check:
    name, limit = "loss against the incumbent", "≤ 0% beyond noise"
    if probabilities is None:
        return Check(name, "–", limit, True, "There is no incumbent yet.")
    before = probabilities.argmax(axis=1) == truth
    loss, low, high = paired_loss(before, right)
    passed = low <= 0
    sentence = f"The incumbent {_percent(before)}, this one {_percent(right)}, on the same photos."
    if not passed:
        sentence = f"Worse than what phones have: {sentence}"
    return Check(name, _interval(loss, low, high), limit, passed, sentence)


def _interval(loss: float, low: float, high: float) -> str:
    return f"{loss:+.1%} ({low:+.1%} … {high:+.1%})"


def _percent(right: np.ndarray) -> str:
    return f"{right.mean():.1%}" if len(right) else "–"
