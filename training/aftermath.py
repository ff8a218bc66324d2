"""EVALUATE → people: what a night says of photos: which labels it doubts, what each was worth, what to ask for tomorrow."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from django.utils import timezone

from training import challenge, conditions, fixes, sights, suspects, value, worth
from training.evaluate import classify
from training.incumbent import comparable
from training.measuring import measure
from training.models import Run
from training.plan import Plan
from training.seen import Seen, joined
from training.weakness import by_condition


@dataclass(frozen=True)
class Features:
    """What tonight's network sees photos by: float16 [n, d] each, in the order of the photos."""

    train: np.ndarray
    test: np.ndarray


def doubt(run: Run, tonight: Plan, parts: Sequence[Seen]) -> list[suspects.Suspicion]:
    """Keep the labels that look wrong, of photos of all splits, by the features of the untrained network; returns them.

    Nothing where the night has none of these features: a network that has learned the labels would only repeat them.
    """
    if not tonight.cached:
        return []
    ids, groups, truth, features = joined(parts)
    labels = tonight.classes.labels
    found = suspects.find(features=features, truth=truth, groups=groups, labels=len(labels), seed=tonight.recipes[0].seed)
    suspects.keep(run, ids, found, labels, truth)
    return found


def tell_worth(
    run: Run, tonight: Plan, train: Seen, test: Seen, features: Features, before: np.ndarray | None, after: np.ndarray
) -> None:
    """Keep what each photo was worth, and which mistakes of the incumbent new photos mended.

    `before`, `after`: what the incumbent's and tonight's int8 files answered on the test photos, float32 [n, labels].
    """
    learned = value.Seen(train.ids, train.truth, features.train)
    frozen = value.Seen(test.ids, test.truth, features.test)
    worth.keep(run=run, values=worth.judge(recognizer=run.recognizer, train=learned, frozen=frozen))
    if before is None:
        return
    new = fixes.new_since(tonight.incumbent, train.ids)
    labels = tonight.classes.labels
    found = fixes.find(labels=labels, before=before, after=after, frozen=frozen, train=learned, new=new)
    fixes.keep(run=run, found=found)


def tell_conditions(run: Run, test: Seen) -> None:
    """Keep under which conditions the held-out photos were taken. Raises FencedOff."""
    conditions.keep(run=run, photo_ids=test.ids, measures=measure(test.pixels))


def tell_first_sights(run: Run, tonight: Plan, parts: Sequence[Seen]) -> None:
    """Keep what the incumbent takes the photos for that came after the night that it came of, and what they look like.

    Raises FencedOff, and MissingObject where the store has lost the incumbent's file.
    """
    new = fixes.new_since(tonight.incumbent, [photo for part in parts for photo in part.ids])
    for part in parts:
        rows = [row for row, photo in enumerate(part.ids) if photo in new]
        file = comparable(tonight, part.pixels.shape[1]) if rows else None
        if file is not None:
            ids, pixels = [part.ids[row] for row in rows], part.pixels[rows]
            answers = classify(file, pixels)
            sights.keep(run=run, labels=tonight.classes.labels, photo_ids=ids, truth=part.truth[rows], answers=answers)
            conditions.keep(run=run, photo_ids=ids, measures=measure(pixels))


def ask_for_tomorrow(run: Run, tonight: Plan, test: Seen, report: dict[str, Any], probabilities: np.ndarray) -> None:
    """Propose tomorrow's challenge, where the model that phones have is weakest: label and condition.

    It may come after the run has ended. `probabilities` float32 [n, ≤ labels] are that model's answers on the test photos,
    `report` is made of them.
    """
    named = conditions.named(recognizer=run.recognizer, photo_ids=test.ids)
    cells = by_condition(probabilities, test.truth, tonight.classes.labels, named)
    tomorrow = timezone.now().date() + timedelta(days=1)
    challenge.propose_weakest(
        recognizer=run.recognizer, day=tomorrow, report=report, unknown=tonight.classes.dropped, cells=cells
    )
