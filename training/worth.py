"""EVALUATE → FAME: what each photo was worth to a run, kept as rows, and summed up for whoever sent the photos.

The judge is the frozen set: the test photos, which no night trains on and by which no night chooses. Against the validation
photos a value would say what helped the choice of the night; against the test photos it says what helped the model that people
get. The price is that values which are published tell a little about the hidden photos: somebody could try out what raises
them. It stays little: a value is a mean over all test photos, the near-duplicates of a photo are worth nothing, and no night
reads the values. Nobody may choose training photos by them: the gate would then be judging by photos that were learned from.
"""

from uuid import UUID

import numpy as np
from django.db.models import Exists, OuterRef, QuerySet, Sum
from django.db.models.functions import Coalesce

from collector.models import Photo, Recognizer
from training.keeping import kept_by
from training.models import PhotoValue, Run
from training.value import Seen, first_of_kin, knn_shapley


def judge(*, recognizer: Recognizer, train: Seen, frozen: Seen) -> dict[str, float]:
    """Photo id → value, for every training photo that is still there: see `training.value.knn_shapley`.

    Of a near-duplicate cluster only the photo that was received first takes part; the others add nothing to what it taught, and
    are worth 0. A hundred copies of a useful photo are worth what the photo is, and the copies of a harmful one hide nothing.
    """
    there = Photo.objects.filter(recognizer=recognizer).exclude(state=Photo.State.WITHDRAWN)
    received = there.order_by("received_at", "pk").values_list("pk", Coalesce("cluster", "id"))
    rows = {photo_id: row for row, photo_id in enumerate(train.ids)}
    known = [(rows[str(pk)], kin) for pk, kin in received.iterator() if str(pk) in rows]
    heads = np.array([row for row, _ in known], np.int64)[first_of_kin([kin for _, kin in known])]
    values = np.zeros(len(train))
    values[heads] = knn_shapley(train.features[heads], train.truth[heads], frozen.features, frozen.truth)
    return {train.ids[row]: float(values[row]) for row, _ in known}


def keep(*, run: Run, values: dict[str, float]) -> None:
    """Write a run's values; those of an earlier attempt are replaced, withdrawn photos left out. Raises FencedOff."""
    with kept_by(run) as there:
        PhotoValue.objects.filter(run=run).delete()
        rows = (PhotoValue(run=run, photo_id=pk, value=value) for pk, value in values.items() if pk in there)
        PhotoValue.objects.bulk_create(rows, batch_size=1000)


# ---- for the newsletter ------------------------------------------------------------------------------------------
def newest_run(recognizer: Recognizer) -> Run | None:
    """The newest run that valued photos; it counts, the older ones do not."""
    valued = Run.objects.filter(Exists(PhotoValue.objects.filter(run=OuterRef("pk"))), recognizer=recognizer)
    return valued.order_by("-queued_at", "-pk").first()


def of_photos(*, recognizer: Recognizer, photos: QuerySet[Photo]) -> dict[UUID, float]:
    """Photo → its value to the newest run that valued photos, of `photos` of the recognizer; absent where it does not know."""
    run = newest_run(recognizer)
    if run is None:
        return {}
    return dict(run.values.filter(photo__in=photos.order_by().values("pk")).values_list("photo_id", "value").iterator())


def by_volunteer(*, recognizer: Recognizer, photos: QuerySet[Photo]) -> dict[UUID, float]:
    """Volunteer → what those of `photos` that they sent were worth together; absent where none of them was valued.

    One sum in the database, over the newest run's rows (their unique index begins with the run).
    """
    run = newest_run(recognizer)
    if run is None:
        return {}
    sums = run.values.filter(photo__in=photos.order_by().values("pk")).order_by().values("photo__volunteer")
    return dict(sums.annotate(worth=Sum("value")).values_list("photo__volunteer", "worth"))
