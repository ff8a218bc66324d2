"""GATE: may this file reach phones? Judges what the exported bytes themselves answered on held-out photos.

Pure: arrays in, a table out; neither Django nor TensorFlow. "Beyond noise" means that the 95 % interval of a difference lies
wholly on the wrong side, so a small held-out set lets more pass and the table shows how wide the interval was. A candidate
that is exactly as good as the incumbent is refused by each of the three comparisons with it in at most 1 night of 40, and one
that lost no label by quantization for such a label in at most 1 of 40.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from training.comparison import (
    LabelDrop,
    Loss,
    calibration_error,
    calibration_noise,
    calibration_rise,
    label_drops,
    overconfidence,
    paired_loss,
)

HELD_OUT_LEAST = 30  # photos; with fewer, even a perfect score has an interval of more than ten points
QUANTIZATION_LOSS = 0.01  # share of held-out photos that int8 may lose against float32
LABEL_LOSS = 0.02  # share of a label's photos that may be lost against the incumbent
LABEL_ALARMS = 0.025  # chance that an equal candidate is blocked because of any label
# Mean confidence beyond accuracy: above it, "I am sure" misleads who cannot see. Too little confidence misleads nobody, and few
# photos and smoothed labels make it: a head on 500 photos of 81 labels claimed 27 % and was right on 63 %.
OVERCONFIDENCE = 0.2
CALIBRATION_RISE = 0.05  # by which that distance may rise against the incumbent
NAMED = 5  # labels that a sentence lists
Z95 = 1.959964  # standard normal quantile of a two-sided 95 % interval
QUANTIZED, INCUMBENT = (
    ("by quantization", "float32"),
    ("against the incumbent", "the incumbent"),
)  # what was before


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
    groups: Sequence[str] | None = None,
    history: Mapping[str, Any] | None = None,
    further: Iterable[Check] = (),
) -> Verdict:
    """The verdict on an int8 file.

    Probabilities float32 [n, labels] are what the exported float32 and int8 bytes and the incumbent's int8 bytes answered on
    the same n held-out photos with label indices `truth` int64 [n]; an incumbent may know fewer labels, where those that it
    knows come first. `io` is evaluate.inputs_outputs(int8 bytes): {"input": {"shape", "dtype", …}, "output": {…}}.
    `groups` [n] name the near-duplicate cluster of each photo; None: no two are alike. `history` holds the training's numbers,
    nested as one likes. `further` checks, made elsewhere, end the table.
    """
    float_right = float_probabilities.argmax(axis=1) == truth
    int8_right = int8_probabilities.argmax(axis=1) == truth
    confidence = _confidence(int8_probabilities)
    before = None if incumbent_probabilities is None else incumbent_probabilities.argmax(axis=1) == truth
    checks = [
        _interface(io, len(labels)),
        _held_out(len(truth)),
        _finite(float_probabilities, int8_probabilities),
        _finite_history(history),
        _varied(int8_probabilities.argmax(axis=1), labels),
        _above_chance(int8_right, truth),
        _quantization(float_right, int8_right, groups),
        _labels(QUANTIZED, float_right, int8_right, truth, groups, labels),
        _incumbent(before, int8_right, groups),
        _labels(INCUMBENT, before, int8_right, truth, groups, labels),
        _calibration(confidence, int8_right, groups),
        _calibration_against(incumbent_probabilities, before, confidence, int8_right, groups),
        *further,
    ]
    return Verdict(all(check.passed for check in checks), checks)


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


def _finite_history(history: Mapping[str, Any] | None) -> Check:
    numbers = list(_numbers(history))
    bad = sum(not math.isfinite(number) for number in numbers)
    sentence = f"All {len(numbers)} numbers of the training are finite." if numbers else "The training kept no losses."
    if bad:
        sentence = f"{bad} of {len(numbers)} numbers of the training are not finite: it diverged."
    return Check("losses that are no numbers", str(bad) if numbers else "–", "0", bad == 0, sentence)


def _numbers(content: Any) -> Iterable[float]:
    """Every number in nested mappings and lists; None, words and flags are none."""
    if isinstance(content, Mapping):
        content = list(content.values())
    if isinstance(content, list | tuple | np.ndarray):
        for each in content:
            yield from _numbers(each)
    elif isinstance(content, int | float | np.number) and not isinstance(content, bool):
        yield float(content)


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


def _quantization(float_right: np.ndarray, int8_right: np.ndarray, groups: Sequence[str] | None) -> Check:
    loss = paired_loss(float_right, int8_right, groups)
    passed = loss.low <= QUANTIZATION_LOSS
    sentence = f"float32 {_percent(float_right)}, int8 {_percent(int8_right)}, on the same photos."
    if not passed:
        sentence = f"Quantization costs too much: {sentence}"
    return Check("loss by quantization", _interval(loss), f"≤ {QUANTIZATION_LOSS:.0%} beyond noise", passed, sentence)


def _incumbent(before: np.ndarray | None, right: np.ndarray, groups: Sequence[str] | None) -> Check:
    name, limit = "loss against the incumbent", "≤ 0% beyond noise"
    if before is None:
        return Check(name, "–", limit, True, "There is no incumbent yet.")
    loss = paired_loss(before, right, groups)
    passed = loss.low <= 0
    sentence = f"The incumbent {_percent(before)}, this one {_percent(right)}, on the same photos."
    if not passed:
        sentence = f"Worse than what phones have: {sentence}"
    return Check(name, _interval(loss), limit, passed, sentence)


def _labels(
    against: tuple[str, str],
    before: np.ndarray | None,
    right: np.ndarray,
    truth: np.ndarray,
    groups: Sequence[str] | None,
    labels: Sequence[str],
) -> Check:
    """Recall of each label against what was before. Says how many labels have photos enough to show a drop at all."""
    name, limit = f"worst label {against[0]}", f"≤ {LABEL_LOSS:.0%} beyond noise"
    if before is None:
        return Check(name, "–", limit, True, "There is no incumbent yet.")
    found = label_drops(before, right, truth, groups, most=LABEL_LOSS, alarms=LABEL_ALARMS)
    worst = found.worst
    value = f"{worst.before - worst.after:+.1%} ({labels[worst.index]})" if worst else "–"
    if not found.clear:
        sentence = (
            f"No label lost more than noise explains; on {found.tellable} of {len(np.unique(truth))} the two differ on the "
            f"{found.needed} photos or more that it takes to tell."
        )
        return Check(name, value, limit, True, sentence)
    named = ", ".join(_drop(drop, labels) for drop in found.clear[:NAMED])
    rest = f" and {len(found.clear) - NAMED} more" if len(found.clear) > NAMED else ""
    return Check(name, value, limit, False, f"It lost what {against[1]} recognises: {named}{rest}.")


def _drop(drop: LabelDrop, labels: Sequence[str]) -> str:
    return f"{labels[drop.index]} ({drop.before:.0%} → {drop.after:.0%} of {drop.count} photos)"


def _confidence(probabilities: np.ndarray) -> np.ndarray:
    """What each answer claims, 0…1; what is no number claims nothing, and fails a check of its own."""
    highest = np.nan_to_num(probabilities.astype(float), nan=0.0).max(axis=1, initial=0.0)
    return np.clip(highest, 0.0, 1.0)


def _calibration(confidence: np.ndarray, right: np.ndarray, groups: Sequence[str] | None) -> Check:
    name, limit = "calibration error", f"≤ {OVERCONFIDENCE:.0%} too sure, beyond noise"
    error = calibration_error(confidence, right)
    if error is None:
        return Check(name, "–", limit, False, "Without held-out photos nobody knows how sure it may be.")
    noise, over = calibration_noise(confidence, groups), overconfidence(confidence, right)
    passed = over <= OVERCONFIDENCE + noise
    sentence = f"It claims {confidence.mean():.1%} on average and is right on {_percent(right)}."
    if not passed:
        sentence = f"It is far too sure of itself: {sentence}"
    return Check(name, f"{error:.1%}, too sure {over:.1%} (noise: {noise:.1%})", limit, passed, sentence)


def _calibration_against(
    incumbent: np.ndarray | None,
    before: np.ndarray | None,
    confidence: np.ndarray,
    right: np.ndarray,
    groups: Sequence[str] | None,
) -> Check:
    name, limit = "calibration error against the incumbent", f"≤ {CALIBRATION_RISE:+.0%} beyond noise"
    if incumbent is None or before is None or not len(right):
        return Check(name, "–", limit, True, "There is nothing to compare with.")
    rise = calibration_rise((_confidence(incumbent), before), (confidence, right), groups)
    passed = rise.low <= CALIBRATION_RISE
    sentence = "Its confidence is about as honest." if passed else "Its confidence is clearly less honest than the incumbent's."
    return Check(name, _interval(rise), limit, passed, sentence)


def _interval(loss: Loss) -> str:
    return f"{loss.loss:+.1%} ({loss.low:+.1%} … {loss.high:+.1%})"


def _percent(right: np.ndarray) -> str:
    return f"{right.mean():.1%}" if len(right) else "–"
