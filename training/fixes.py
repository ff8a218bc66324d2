"""EVALUATE → FAME: which new photo fixed which mistake of the model before."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from django.db.models import Count, Min, Q

from collector.models import Label, Photo
from training import snapshot
from training.keeping import kept_by
from training.models import Fix, Release, Run
from training.value import Seen, normed

# A new photo is named only if it is one of this many nearest training photos of its label, as many as a photo's worth is judged
# by: where older ones are nearer, it was not the new one that made the difference.
NEIGHBOURS = 5


@dataclass(frozen=True)
class Found:
    """A held-out photo that was mended, the new photo that is nearest to it, and what (slug) the model before took it for."""

    mistake: str
    photo: str
    before: str
    nearness: float


def find(
    *, labels: Sequence[str], before: np.ndarray, after: np.ndarray, frozen: Seen, train: Seen, new: set[str]
) -> list[Found]:
    """For each held-out photo that `before` got wrong and `after` gets right, the nearest new training photo of its label.

    `before` and `after` are probabilities [m, ≤ labels], [m, labels] of the held-out photos `frozen`, by the incumbent and by
    the candidate; features are the candidate's, compared by cosine (−1…1); `new` are ids of training photos. A mistake with no
    new photo among its NEIGHBOURS nearest of its label is left out: something else mended it.
    """
    took, takes = before.argmax(axis=1), after.argmax(axis=1)
    mended = np.flatnonzero((took != frozen.truth) & (takes == frozen.truth))
    is_new = np.array([photo_id in new for photo_id in train.ids], bool)
    held, learned = normed(frozen.features), normed(train.features)
    found = []
    for row in mended:
        same = np.flatnonzero(train.truth == frozen.truth[row])
        nearness = learned[same] @ held[row]
        nearest = np.argsort(-nearness, kind="stable")[:NEIGHBOURS]
        fresh = nearest[is_new[same[nearest]]]
        if len(fresh):
            photo = train.ids[same[fresh[0]]]
            found.append(Found(frozen.ids[row], photo, labels[took[row]], float(nearness[fresh[0]])))
    return found


def new_since(incumbent: Release | None, photo_ids: Iterable[str]) -> set[str]:
    """Those of the photos that are not in the snapshot that the incumbent learned from; none without an incumbent.

    Raises CorruptSnapshot.
    """
    if incumbent is None or incumbent.run.snapshot is None:
        return set()
    return set(photo_ids) - {entry.photo for entry in snapshot.read(incumbent.run.snapshot)}


def keep(*, run: Run, found: Sequence[Found]) -> None:
    """Write what a run mended; rows of an earlier attempt are replaced, withdrawn photos left out. Raises FencedOff."""
    labels = dict(Label.objects.filter(recognizer=run.recognizer_id).values_list("slug", "pk"))
    with kept_by(run) as there:
        Fix.objects.filter(run=run).delete()
        Fix.objects.bulk_create(
            (
                Fix(run=run, mistake_id=fix.mistake, photo_id=fix.photo, before_id=labels[fix.before], nearness=fix.nearness)
                for fix in found
                if fix.mistake in there and fix.photo in there
            ),
            batch_size=1000,
        )


# ---- for the newsletter ------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Mended:
    """What one photo did for one release: in `photos` held-out photos `label` is recognised that was taken for `before`."""

    version: int
    label: str
    before: str
    photos: int

    def sentence(self, who: str) -> str:
        """ "Your photo of Gold helped version 2 …": names labels only, for the held-out photos are other people's."""
        where = "a photo" if self.photos == 1 else f"{self.photos} photos"
        return (
            f"{who} helped version {self.version} recognise {self.label} in {where} that the one before took for {self.before}."
        )


def mended_by(*, photo_ids: Sequence[UUID]) -> dict[UUID, list[Mended]]:
    """Photo → what it mended, newest release and largest count first. Runs whose candidate was refused mended nothing."""
    rows = (
        Fix.objects.filter(photo__in=photo_ids, run__state=Run.State.RELEASED)
        .exclude(mistake__state=Photo.State.WITHDRAWN)
        .order_by()
        .values("photo", "run", "mistake__label__name", "before__name")
        .annotate(
            # A roll-back is a higher version of the same run: it mended nothing itself.
            version=Min("run__releases__version", filter=Q(run__releases__rolls_back_to=None)),
            photos=Count("pk", distinct=True),
        )
        .order_by("-version", "-photos", "before__name")
    )
    found: dict[UUID, list[Mended]] = {}
    for row in rows:
        mended = Mended(row["version"], row["mistake__label__name"], row["before__name"], row["photos"])
        found.setdefault(row["photo"], []).append(mended)
    return found
