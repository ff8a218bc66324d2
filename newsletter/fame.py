"""FAME: who did most for a recognizer: leaderboards, places and streaks, read from rows that newsletter.fame_rows keeps."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate
from typing import Any
from uuid import UUID

from django.db.models import Count, QuerySet, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from collector.models import Label, Recognizer, Volunteer
from newsletter.fame_counted import counted
from newsletter.fame_names import names
from newsletter.fame_rows import settle
from newsletter.models import FameBadge, FameBoard, FameLine
from newsletter.periods import Period, period

__all__ = ["Board", "Line", "board", "leaderboard", "places", "settle", "standing", "streaks", "teams"]
ORDER = ("-points", "-photos", "volunteer_id")  # of the index `fame_order`; the id only makes it one order
BATCH = 500  # volunteers that one statement names


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


@dataclass(frozen=True)
class TeamLine:
    """One team on a leaderboard: what its listed members have together there. `members` counts those who have a line."""

    place: int
    name: str
    members: int
    photos: int
    points: int


@dataclass(frozen=True)
class Board:
    """Which leaderboard, and its version: whatever its lines say changes it. `row` is None where nobody has done anything."""

    recognizer: Recognizer
    period: Period
    label: Label | None
    row: FameBoard | None

    @property
    def version(self) -> str:
        return f"{self.row.pk}.{self.row.version}" if self.row else "0"


def board(*, recognizer: Recognizer, period: Period, label: Label | None = None) -> Board:
    """One query by a unique index."""
    rows = FameBoard.objects.filter(recognizer=recognizer, kind=period.kind, begins=period.begins)
    row = rows.filter(label=label).first() if label else rows.filter(label__isnull=True).first()
    return Board(recognizer, period, label, row)


def leaderboard(*, board: Board, limit: int, skip: int = 0) -> list[Line]:
    """`limit` volunteers by points, best first, without the first `skip`; equal points share a place.

    Who is not listed takes no place. Reads one stretch of the index `fame_order`, however many photos there are.
    """
    lines = list(_lines(board).order_by(*ORDER)[skip : skip + limit])
    known = names(line.volunteer_id for line in lines)
    above = _lines(board).filter(points__gt=lines[0].points).count() if lines and skip else 0
    found: list[Line] = []
    place = above + 1
    for index, line in enumerate(lines, start=skip + 1):
        if found and line.points < found[-1].points:
            place = index
        worth = line.worth / 10**9 if line.valued else None
        name = known.get(line.volunteer_id, "")
        found.append(Line(place, line.volunteer_id, name, line.photos, line.likes, worth, line.points))
    return [line for line in found if line.name]  # whoever asked to go between two queries


def teams(*, board: Board, limit: int, skip: int = 0) -> list[TeamLine]:
    """Teams by what their listed members have together on this board, best first; equal points share a place.

    Costs a sum over the board's lines whose volunteers are in a team.
    """
    sums = (
        _lines(board)
        .filter(volunteer__team_membership__isnull=False)
        .order_by()
        .values("volunteer__team_membership__team__name")
        .annotate(members=Count("pk"), all_photos=Sum("photos"), all_points=Sum("points"))
        .order_by("-all_points", "-all_photos", "volunteer__team_membership__team__name")
    )
    found: list[TeamLine] = []
    for index, row in enumerate(sums[: skip + limit], start=1):
        place = found[-1].place if found and found[-1].points == row["all_points"] else index
        name = row["volunteer__team_membership__team__name"]
        found.append(TeamLine(place, name, row["members"], row["all_photos"], row["all_points"]))
    return found[skip:]


def places(*, recognizer: Recognizer, period: Period, volunteer_ids: Iterable[UUID]) -> dict[UUID, int]:
    """Volunteer → place on the leaderboard of all labels; absent who has no line there or is not listed."""
    lines = _lines(board(recognizer=recognizer, period=period))
    own: dict[UUID, int] = {}
    for batch in _batches(list(volunteer_ids)):
        own |= dict(lines.filter(volunteer__in=batch).values_list("volunteer_id", "points"))
    if not own:
        return {}
    # How many have each number of points, from the best down to the last that is asked about: one stretch of the index.
    counts = lines.filter(points__gte=min(own.values())).order_by("-points").values_list("points").annotate(Count("pk"))
    ladder = list(counts)
    above = accumulate((count for _, count in ladder), initial=1)
    place = {points: first for (points, _), first in zip(ladder, above, strict=False)}
    return {volunteer: place[points] for volunteer, points in own.items()}


def streaks(*, recognizer: Recognizer, volunteer_ids: Iterable[UUID], day: date) -> dict[UUID, int]:
    """Volunteer → days in a row (UTC), up to `day`, of each of which a photo that was sent then is accepted; absent where 0.

    `day` itself is no break yet: without a photo on it the streak of the day before stands. The day of sending counts, not of
    accepting: a slow moderator breaks nobody's streak. Copies of an earlier photo keep none. Read from the photos.
    """
    end = datetime.combine(day + timedelta(days=1), time.min, tzinfo=UTC)
    days: dict[UUID, set[date]] = defaultdict(set)
    for batch in _batches(list(volunteer_ids)):
        photos = counted(recognizer).filter(volunteer__in=batch, received_at__lt=end)
        sent = photos.annotate(sent=TruncDate("received_at", tzinfo=UTC)).values_list("volunteer_id", "sent").distinct()
        for volunteer, at in sent.iterator():
            days[volunteer].add(at)
    found = {volunteer: _in_a_row(sent, day) for volunteer, sent in days.items()}
    return {volunteer: count for volunteer, count in found.items() if count}


def standing(*, volunteer: Volunteer) -> list[dict[str, Any]]:
    """For each recognizer that this volunteer sent photos to: line of the whole time, streak, badges; JSON-ready. Tells the
    volunteer's own, so also what is not listed; `place` is None then."""
    found = []
    today = timezone.now().date()
    for recognizer in Recognizer.objects.filter(photos__volunteer=volunteer).distinct().order_by("slug"):
        settle(recognizer=recognizer)
        whole = period("all", today)
        line = FameLine.objects.filter(board=board(recognizer=recognizer, period=whole).row, volunteer=volunteer).first()
        if line is None:
            continue
        badges = FameBadge.objects.filter(recognizer=recognizer, volunteer=volunteer).order_by("kind")
        found.append(
            {
                "recognizer": recognizer.slug,
                "place": places(recognizer=recognizer, period=whole, volunteer_ids=[volunteer.pk]).get(volunteer.pk),
                "photos": line.photos,
                "likes": line.likes,
                "worth": line.worth / 10**9 if line.valued else None,
                "points": line.points,
                "streak": streaks(recognizer=recognizer, volunteer_ids=[volunteer.pk], day=today).get(volunteer.pk, 0),
                "badges": [
                    {"kind": row.kind, "name": row.get_kind_display(), "photo": str(row.photo_id), "day": row.day.isoformat()}
                    | {"facts": row.facts}
                    for row in badges
                ],
            }
        )
    return found


def _lines(found: Board) -> QuerySet[FameLine]:
    return FameLine.objects.filter(board=found.row, listed=True) if found.row else FameLine.objects.none()


def _in_a_row(sent: set[date], day: date) -> int:
    last = day if day in sent else day - timedelta(days=1)
    count = 0
    while last - timedelta(days=count) in sent:
        count += 1
    return count


def _batches(items: Sequence[UUID]) -> Iterable[Sequence[UUID]]:
    return (items[at : at + BATCH] for at in range(0, len(items), BATCH))
