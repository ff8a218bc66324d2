"""EVALUATE → RANKING: what the released model takes a new photo for, which it has never learned from.

A photo that fools the model that phones have, while people agree on its label, is the find that the challenge asked for.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np
from django.db.models import F, QuerySet

from collector.models import Label, Photo
from training.keeping import kept_by
from training.models import FirstSight, Run


def keep(*, run: Run, labels: Sequence[str], photo_ids: Sequence[str], truth: np.ndarray, answers: np.ndarray) -> None:
    """Write what the incumbent answered, probabilities `answers` [n, ≤ labels], of photos that it has not learned from.

    `truth` int64 [n] are their labels' indices. A photo that was seen before is replaced: by now it is a newer release that has
    not learned from it. Withdrawn ones are left out. Raises FencedOff.
    """
    known = dict(Label.objects.filter(recognizer=run.recognizer_id).values_list("slug", "pk"))
    width = answers.shape[1]  # a label that the incumbent does not know had no chance
    own = [float(answers[row, label]) if label < width else 0.0 for row, label in enumerate(truth)]
    with kept_by(run) as there:
        FirstSight.objects.bulk_create(
            (
                FirstSight(photo_id=photo_id, run=run, taken_for_id=known[labels[answer]], own=sure)
                for photo_id, answer, sure in zip(photo_ids, answers.argmax(axis=1), own, strict=True)
                if photo_id in there
            ),
            batch_size=1000,
            update_conflicts=True,
            unique_fields=["photo"],
            update_fields=["run", "taken_for", "own"],
        )


# ---- for the newsletter ------------------------------------------------------------------------------------------
def fooled(*, photos: QuerySet[Photo]) -> dict[UUID, float]:
    """Photo → how much it fooled the released model that saw it first, 0 (recognised) to 1: what that model withheld from the
    photo's label. Photos that no released model met as new ones are absent. By the label as it is decided now."""
    rows = FirstSight.objects.filter(photo__in=photos.order_by().values("pk"))
    values = rows.values_list("photo_id", "own", "taken_for_id", F("photo__label_id"))
    return {photo: 0.0 if taken_for == label else 1.0 - own for photo, own, taken_for, label in values.iterator()}


def facts(row: FirstSight) -> dict[str, Any]:
    """For the photo's volunteer: what the model took it for."""
    return {"taken_for": row.taken_for.slug, "own_label": row.own}
