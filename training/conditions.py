"""EVALUATE, by condition: names for what `training.measuring` measures, and the rows that keep it."""

from collections.abc import Sequence
from uuid import UUID

import numpy as np
from django.db.models import QuerySet

from collector.models import Photo, Recognizer
from training.keeping import kept_by
from training.models import Condition, Run

MEASURES = ("brightness", "sharpness", "clutter", "extent")

# Fixed bounds, the same for every recognizer and night: "dark" must mean dark, also where all photos are bright, and a photo's
# names must not change because of what others send. They lie between what 296 grocery photos of 224 pixels give as they are and
# what they give deformed:
# dark: as they are from 0.31 (1 % quantile), at half the light 0.21 (median).
# bright: as they are up to 0.55 (99 %), half way to white from 0.65 (1 %).
# blurred: as they are from 0.008 (1 %), by a Gaussian of 2 pixels up to 0.010 (99 %). Of smaller pictures only stronger blur is
#   named.
# cluttered: as they are up to 0.21 (99 %), in front of 4 × 4 other photos from 0.22 (1 %).
# far, close: cut out as a disc on a calm ground; 5 % of the picture give 0.12 to 0.18 (5 to 95 %), 12 % give 0.20 to 0.26, 50 %
#   give 0.44 to 0.62, 70 % give 0.50 to 0.75. On a busy ground nothing stands out: there, neither is told.
BELOW = {"dark": ("brightness", 0.25), "blurred": ("sharpness", 0.01), "far": ("extent", 0.18)}
ABOVE = {"bright": ("brightness", 0.65), "cluttered": ("clutter", 0.2), "close": ("extent", 0.6)}
NAMES = ("dark", "bright", "blurred", "cluttered", "far", "close")


def names(measures: Sequence[float]) -> tuple[str, ...]:
    """The conditions (of NAMES) of one photo with these MEASURES; most photos have none."""
    value = dict(zip(MEASURES, measures, strict=True))
    below = {name for name, (measure, bound) in BELOW.items() if value[measure] < bound}
    above = {name for name, (measure, bound) in ABOVE.items() if value[measure] > bound}
    found = below | above
    return tuple(name for name in NAMES if name in found and not (name == "close" and "cluttered" in found))


def keep(*, run: Run, photo_ids: Sequence[str], measures: np.ndarray) -> None:
    """Write what was measured [n, 4] of the photos; known ones are replaced, withdrawn ones left out. Raises FencedOff."""
    with kept_by(run) as there:
        Condition.objects.bulk_create(
            (
                Condition(photo_id=photo_id, **dict(zip(MEASURES, map(float, row), strict=True)))
                for photo_id, row in zip(photo_ids, measures, strict=True)
                if photo_id in there
            ),
            batch_size=1000,
            update_conflicts=True,
            unique_fields=["photo"],
            update_fields=MEASURES,
        )


def of_photos(*, photos: QuerySet[Photo]) -> dict[UUID, tuple[str, ...]]:
    """Photo → its conditions, of those that were measured."""
    rows = Condition.objects.filter(photo__in=photos.order_by().values("pk")).values_list("photo_id", *MEASURES)
    return {row[0]: names(row[1:]) for row in rows.iterator()}


def named(*, recognizer: Recognizer, photo_ids: Sequence[str]) -> list[tuple[str, ...]]:
    """The conditions of each of the photos, in their order; none where nothing was measured."""
    rows = Condition.objects.filter(photo__recognizer=recognizer).values_list("photo_id", *MEASURES)
    wanted = set(photo_ids)  # filtered here: an IN list of thousands is over what SQLite takes
    known = {str(row[0]): names(row[1:]) for row in rows.iterator() if str(row[0]) in wanted}
    return [known.get(photo_id, ()) for photo_id in photo_ids]
