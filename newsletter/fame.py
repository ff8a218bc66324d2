"""FAME: who did most for a recognizer in a period, counted from rows each time it is asked."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from collector.models import Photo, Recognizer, Volunteer
from training.models import PhotoValue, Run

# One point a photo, one a like, one for each tenth of a percentage point of validation accuracy: easy to explain, and a
# photo that the model needed is worth several that it did not. What hurt the model costs nobody points.
POINTS_PER_WORTH = 1000


@dataclass(frozen=True)
class Line:
    """One volunteer on a leaderboard. `worth` is a share of validation accuracy, None before any run valued a photo."""

    place: int
    volunteer: UUID
    name: str
    photos: int
    likes: int
    worth: float | None
    points: int


@dataclass
class _Sum:
    clusters: set[UUID] = field(default_factory=set)
    likes: int = 0
    worth: float | None = None

    @property
    def points(self) -> int:
        return len(self.clusters) + self.likes + round(POINTS_PER_WORTH * max(0.0, self.worth or 0.0))


def newest_values_run(recognizer: Recognizer) -> Run | None:
    """The newest run that valued photos; it counts, the older ones do not."""
    valued = Run.objects.filter(Exists(PhotoValue.objects.filter(run=OuterRef("pk"))), recognizer=recognizer)
    return valued.order_by("-queued_at", "-pk").first()


def worths(*, recognizer: Recognizer, photo_ids: Sequence[UUID]) -> dict[UUID, float]:
    """What the newest run that valued photos says of these; photos that it does not know are absent."""
    run = newest_values_run(recognizer)
    if run is None:
        return {}
    wanted = set(photo_ids)  # filtered here: an IN list of thousands is over what SQLite takes
    return {pk: value for pk, value in run.values.values_list("photo_id", "value").iterator() if pk in wanted}


def leaderboard(*, recognizer: Recognizer, since: datetime | None, until: datetime, limit: int | None) -> list[Line]:
    """Volunteers by points for photos accepted in [since, until), best first; equal points share a place.

    Near-duplicates count as one photo. Imported photos and erased volunteers are left out. `since` None: from the beginning.
    `limit` None: everybody.
    """
    photos = Photo.objects.filter(
        recognizer=recognizer,
        state=Photo.State.ACCEPTED,
        source=Photo.Source.PHONE,
        volunteer__erased_at__isnull=True,
        accepted_at__lt=until,
    )
    if since is not None:
        photos = photos.filter(accepted_at__gte=since)
    rows = list(
        photos.annotate(kin=Coalesce("cluster", "id"), likes=Count("votes", filter=Q(votes__like=True)))
        .order_by()
        .values_list("pk", "volunteer_id", "kin", "likes")
    )
    worth_of = worths(recognizer=recognizer, photo_ids=[row[0] for row in rows])
    sums: dict[UUID, _Sum] = defaultdict(_Sum)
    for photo_id, volunteer_id, kin, likes in rows:
        line = sums[volunteer_id]
        line.clusters.add(kin)
        line.likes += likes
        if photo_id in worth_of:
            line.worth = (line.worth or 0.0) + worth_of[photo_id]
    return _placed(sums, limit)


def standing(*, volunteer: Volunteer) -> list[dict[str, Any]]:
    """This volunteer's line in each recognizer's leaderboard of the whole time, where there is one; JSON-ready."""
    found = []
    for recognizer in Recognizer.objects.filter(photos__volunteer=volunteer).distinct().order_by("slug"):
        everybody = leaderboard(recognizer=recognizer, since=None, until=timezone.now(), limit=None)
        for line in everybody:
            if line.volunteer == volunteer.pk:
                facts = {"place": line.place, "photos": line.photos, "likes": line.likes, "worth": line.worth}
                found.append({"recognizer": recognizer.slug, **facts, "points": line.points})
    return found


def _placed(sums: dict[UUID, _Sum], limit: int | None) -> list[Line]:
    ordered = sorted(sums.items(), key=lambda item: (-item[1].points, -len(item[1].clusters), str(item[0])))[:limit]
    names = Volunteer.objects.in_bulk([volunteer for volunteer, _ in ordered])
    lines: list[Line] = []
    for index, (volunteer, line) in enumerate(ordered, start=1):
        place = lines[-1].place if lines and lines[-1].points == line.points else index
        name = names[volunteer].name
        lines.append(Line(place, volunteer, name, len(line.clusters), line.likes, line.worth, line.points))
    return lines
