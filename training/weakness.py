"""EVALUATE, by label and condition: where a model is weak, as far as a handful of photos can tell.

A cell (oat milk in dim light) has a few photos, most have none or one. The lower end of an interval would rank them by how
little is known: a cell with one photo, recognised, ends below one where half of ten failed, and of eighty labels some cell
always has its one photo wrong. So recalls are shrunk (empirical Bayes): a cell starts from what its label and its condition
lead one to expect, and its own photos move it from there; how fast, the cells themselves say. The interval is for people.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import betaln, expit, logit

from training.evaluate import wilson

# How many photos what was expected counts for; the strongest first, so that without evidence nothing stands out.
STRENGTHS = (64.0, 32.0, 16.0, 8.0, 4.0, 2.0)


@dataclass(frozen=True)
class Cell:
    """Held-out photos of a label (slug) under a condition ("": under all): `right` of `n` were recognised.

    `expected` is the shrunk recall, 0…1; `interval` Wilson's 95 %. `taken_for` is the label that it was most often taken for
    instead, `times` of the n ("" and 0 where not known or never).
    """

    label: str
    condition: str
    n: int
    right: int
    expected: float
    interval: tuple[float, float]
    taken_for: str = ""
    times: int = 0

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"interval": list(self.interval)}


def by_label(report: dict[str, Any]) -> list[Cell]:
    """A cell for each label of an `evaluate.report` that has held-out photos."""
    lines = {slug: line for slug, line in report["per_label"].items() if line["n"]}
    right, count = _columns([(line["right"], line["n"]) for line in lines.values()])
    expected = _shrunk(right, count, _overall(right, count))
    mistaken: dict[str, tuple[str, int]] = {}
    for pair in report.get("confusions", []):  # most frequent first
        mistaken.setdefault(pair["truth"], (pair["predicted"], pair["n"]))
    return [
        Cell(slug, "", line["n"], line["right"], float(shrunk), tuple(line["interval"]), *mistaken.get(slug, ("", 0)))
        for (slug, line), shrunk in zip(lines.items(), expected, strict=True)
    ]


def by_condition(
    probabilities: np.ndarray, truth: np.ndarray, labels: Sequence[str], named: Sequence[Iterable[str]]
) -> list[Cell]:
    """A cell for each label and condition that a held-out photo has.

    `probabilities` [n, ≤ labels], `truth` int [n] label indices, `named` [n] the conditions of each photo.
    """
    predicted = probabilities.argmax(axis=1)
    hits = predicted == truth
    photos: dict[tuple[int, str], list[int]] = {}
    for row, names in enumerate(named):
        for name in names:
            photos.setdefault((int(truth[row]), name), []).append(row)
    cells = sorted(photos)
    right, count = _columns([(int(hits[photos[cell]].sum()), len(photos[cell])) for cell in cells])
    expected = _shrunk(right, count, _by_margins(hits, truth, named, cells))
    found = []
    for (label, name), r, n, shrunk in zip(cells, right, count, expected, strict=True):
        wrong = Counter(int(predicted[row]) for row in photos[label, name] if not hits[row])
        other, times = min(wrong.items(), key=lambda item: (-item[1], item[0]), default=(-1, 0))
        low, high = wilson(int(r), int(n))
        taken_for = labels[other] if times else ""
        found.append(
            Cell(labels[label], name, int(n), int(r), float(shrunk), (round(low, 4), round(high, 4)), taken_for, times)
        )
    return found


def _by_margins(
    hits: np.ndarray, truth: np.ndarray, named: Sequence[Iterable[str]], cells: Sequence[tuple[int, str]]
) -> np.ndarray:
    """The recall [cells] that label and condition lead one to expect, their odds against the overall ones multiplied."""
    overall = _overall(hits.sum(), np.array(len(hits)))
    conditions = sorted({name for _, name in cells})
    marked = np.array([[name in names for name in conditions] for names in map(set, named)], bool).reshape(
        len(hits), len(conditions)
    )
    by_label = _shrunk(np.bincount(truth[hits], minlength=truth.max(initial=0) + 1), np.bincount(truth), overall)
    of_condition = _shrunk(marked[hits].sum(axis=0), marked.sum(axis=0), overall)
    odds = [logit(by_label[label]) + logit(of_condition[conditions.index(name)]) - logit(overall) for label, name in cells]
    return np.asarray(expit(np.array(odds)))


def _columns(pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    return np.array(pairs, np.int64).reshape(-1, 2).T


def _overall(right: np.ndarray, count: np.ndarray) -> float:
    """Never 0 or 1, whose odds are no number (Krichevsky & Trofimov 1981)."""
    return float((right.sum() + 0.5) / (count.sum() + 1))


def _shrunk(right: np.ndarray, count: np.ndarray, expected: np.ndarray | float) -> np.ndarray:
    """Posterior means [n] of recalls under Beta(s · expected, s · (1 − expected)), by the s of STRENGTHS that makes the counts
    likeliest."""
    prior = np.broadcast_to(expected, right.shape)

    def likelihood(strength: float) -> float:
        a, b = strength * prior, strength * (1 - prior)
        return float((betaln(right + a, count - right + b) - betaln(a, b)).sum())

    strength = max(STRENGTHS, key=likelihood)  # the first of equals
    return np.asarray((right + strength * prior) / (count + strength))
