"""FAME: who did most for a recognizer in a period, counted from rows each time it is asked."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models.functions import Coalesce
from django.utils import timezone

from collector.models import Photo, Recognizer, Volunteer
from newsletter.models import Vote
from training import worth

# One point a photo, one a like, one for each tenth of a percentage point of accuracy: easy to explain, and a photo that the
# model needed is worth several that it did not. What hurt the model costs nobody points.
POINTS_PER_WORTH = 1000


@dataclass(frozen=True)
class Line:
    """One volunteer on a leaderboard. `worth` is a share of the model's accuracy, None before any run valued a photo."""

    place: int
    volunteer: UUID
    name: str
    photos: int
    likes: int
    worth: float | None
    points: int


@dataclass
class _Sum:
    photos: int = 0  # near-duplicates counted once
    likes: int = 0
    worth: float | None = None

    @property
    def points(self) -> int:
        return self.photos + self.likes + round(POINTS_PER_WORTH * max(0.0, self.worth or 0.0))


def leaderboard(*, recognizer: Recognizer, since: datetime | None, until: datetime, limit: int | None) -> list[Line]:
    """Volunteers by points for photos accepted in [since, until), best first; equal points share a place.

    Near-duplicates count as one photo: of the volunteer who sent the first of them, with one like of each voter. Only the first
    one has a worth (`training.worth`). Imported photos and erased volunteers are left out. `since` None: from the beginning.
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
    rows = photos.annotate(kin=Coalesce("cluster", "id")).order_by("received_at", "pk").values_list("volunteer_id", "kin")
    liked = Vote.objects.filter(like=True, photo__in=photos).annotate(kin=Coalesce("photo__cluster", "photo_id"))
    likes = Counter(kin for kin, _ in liked.order_by().values_list("kin", "volunteer").distinct())
    counted: set[UUID] = set()
    sums: dict[UUID, _Sum] = defaultdict(_Sum)
    for volunteer_id, kin in rows.iterator():
        if kin not in counted:
            counted.add(kin)
            sums[volunteer_id].photos += 1
            sums[volunteer_id].likes += likes[kin]
    for volunteer_id, value in worth.by_volunteer(recognizer=recognizer, photos=photos).items():
        if volunteer_id in sums:  # whoever sent copies only has no line of their own
            sums[volunteer_id].worth = value
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
    ordered = sorted(sums.items(), key=lambda item: (-item[1].points, -item[1].photos, str(item[0])))[:limit]
    names = Volunteer.objects.in_bulk([volunteer for volunteer, _ in ordered])
    lines: list[Line] = []
    for index, (volunteer, line) in enumerate(ordered, start=1):
        place = lines[-1].place if lines and lines[-1].points == line.points else index
        name = names[volunteer].name
        lines.append(Line(place, volunteer, name, line.photos, line.likes, line.worth, line.points))
    return lines


def places(*, recognizer: Recognizer, period: str, volunteer_ids: Collection[UUID]) -> dict[UUID, int]:
    """Volunteer → place in the leaderboard of the last `period` ("day", "week"); who has no line is absent."""
    now = timezone.now()
    since = now - timedelta(days={"day": 1, "week": 7}[period])
    lines = leaderboard(recognizer=recognizer, since=since, until=now, limit=None)
    return {line.volunteer: line.place for line in lines if line.volunteer in volunteer_ids}


def streaks(*, recognizer: Recognizer, volunteer_ids: Collection[UUID], day: date) -> dict[UUID, int]:
    """Volunteer → on how many days (UTC) in a row, up to `day`, they sent a photo that was not refused; absent: on none."""
    sent = Photo.objects.filter(recognizer=recognizer, volunteer__in=volunteer_ids, source=Photo.Source.PHONE)
    kept = sent.exclude(state__in=[Photo.State.REJECTED, Photo.State.BROKEN, Photo.State.WITHDRAWN])
    days = set(kept.order_by().values_list("volunteer", "received_at__date").distinct())
    found = {}
    for volunteer_id in volunteer_ids:
        count = next(n for n in itertools.count() if (volunteer_id, day - timedelta(days=n)) not in days)
        if count:
            found[volunteer_id] = count
    return found
