"""EVALUATE → people: everything that a night can tell about itself, as plain data; what it leaves is drawn from this alone."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeGuard

import numpy as np

History = Mapping[str, Sequence[float] | float | None]  # "head_loss": one number an epoch; "head_accuracy": one, or none


@dataclass(frozen=True)
class Origin:
    """So many photos of a snapshot came under this licence and consent, by this way."""

    licence: str
    consent: str
    source: str
    photos: int


@dataclass(frozen=True)
class Account:
    """One night. Nothing here names a photo or a person."""

    slug: str
    name: str  # the recognizer's, as people read it
    slot: str
    began: float  # seconds since 1970
    snapshot: str  # digest
    counts: Mapping[str, Mapping[str, int]]  # split → label → photos
    origins: Sequence[Origin]
    labels: Sequence[str]  # in the order of the outputs
    reports: Mapping[str, Mapping[str, Any] | None]  # "float", "int8", "incumbent" → training.evaluate.report
    confusion: np.ndarray  # int64 [labels, labels] of the int8 file: row = what it was, column = what it was taken for
    history: History
    verdict: Mapping[str, Any]  # training.gate.Verdict.as_json
    recipe: Mapping[str, Any]
    input_digest: str
    backbone: Mapping[str, Any]  # "source", "digest", "alpha", "note"
    artifacts: Sequence[Mapping[str, Any]]  # "format", "sha256", "bytes"
    metrics: Mapping[str, Any] = field(default_factory=dict)  # what else the run's row holds: seconds, latency, …

    @property
    def photos(self) -> int:
        return sum(sum(counts.values()) for counts in self.counts.values())

    @property
    def day(self) -> str:
        """When it began, as an ISO 8601 date in UTC."""
        return datetime.fromtimestamp(self.began, UTC).date().isoformat()

    def counts_by_label(self) -> dict[str, int]:
        """Photos of each label that occurs, over all splits, by name."""
        total: Counter[str] = Counter()
        for counts in self.counts.values():
            total.update(counts)
        return dict(sorted(total.items()))

    def as_json(self) -> dict[str, Any]:
        """What metrics.json holds; the confusion matrix as its cells that are not zero, [truth, predicted, photos]."""
        rows, columns = np.nonzero(self.confusion)
        cells = [[int(row), int(column), int(self.confusion[row, column])] for row, column in zip(rows, columns, strict=True)]
        content = {
            "recognizer": self.slug,
            "slot": self.slot,
            "snapshot": self.snapshot,
            "input_digest": self.input_digest,
            "recipe": self.recipe,
            "backbone": self.backbone,
            "labels": self.labels,
            "photos": self.counts,
            "reports": self.reports,
            "confusion": cells,
            "history": self.history,
            "verdict": self.verdict,
            "artifacts": self.artifacts,
            **{name: value for name, value in self.metrics.items() if name not in ("float", "int8", "incumbent", "history")},
        }
        plain: dict[str, Any] = finite(content)
        return plain


def confusion_of(probabilities: np.ndarray, truth: np.ndarray, labels: int) -> np.ndarray:
    """int64 [labels, labels] of `probabilities` [n, labels] and label indices `truth` [n]: row = truth, column = answer."""
    cells = truth.astype(np.int64) * labels + probabilities.argmax(axis=1)
    return np.bincount(cells, minlength=labels * labels).reshape(labels, labels)


def curves(history: History) -> dict[str, list[float]]:
    """The series that can be drawn, by name: those with two numbers at least, all of them finite or NaN."""
    found = {name: values for name, values in sorted(history.items()) if isinstance(values, Sequence)}
    return {name: [float(v) for v in values] for name, values in found.items() if sum(map(_is_number, values)) >= 2}


def ends(history: History) -> dict[str, float]:
    """The last finite number of everything in `history`, by name."""
    found = {}
    for name, values in sorted(history.items()):
        numbers = [v for v in (values if isinstance(values, Sequence) else [values]) if _is_number(v)]
        if numbers:
            found[name] = float(numbers[-1])
    return found


def finite(value: Any) -> Any:
    """The same for JSON (RFC 8259 has no NaN): numbers that are none become null, numpy's become Python's, tuples lists."""
    if isinstance(value, Mapping):
        return {str(key): finite(each) for key, each in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return finite(value.tolist())
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _is_number(value: float | None) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value)
