"""FAME: keeps the sums behind the leaderboards true: what happens marks a day, a recount makes the day's rows anew.

A mark is written in the transaction that it tells of. Who recounts takes the recognizer's `turn` first and removes the marks
last, so a recount sees all that its marks tell of, and what happens meanwhile has left a mark of its own.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, F, Min
from django.db.models.functions import TruncDate
from django.utils import timezone

from collector.models import Label, Photo, Recognizer
from config import rows
from newsletter import fame_badges
from newsletter.models import FameBoard, FameBook, FameDay, FameLine, FameMark
from newsletter.periods import Kind, Period, holding, period
from training import worth

BATCH = 500  # volunteers or photos that one statement names; SQLite takes 32,766 values
STRETCH_PHOTOS = 200_000  # accepted photos of whole days that a rebuild counts by one statement: some seconds of PostgreSQL
# A cluster of near-duplicates is one photo: of the volunteer who sent the first accepted one of it, on the day that this was
# accepted, with one like of each voter on any of them. One statement in SQL that both databases read: Django has no WITH.
# DATE is that of UTC, in which Django's connections to PostgreSQL are; SQLite keeps text in UTC.
# No table expression for "the photos that count": PostgreSQL would make a copy of all of them, and use no index.
COUNTS = "{0}.recognizer_id = %(recognizer)s AND {0}.state = 'accepted' AND {0}.source = 'phone'"
DAYS = f"""
    WITH head AS (
        SELECT photo.id, photo.volunteer_id, photo.label_id, photo.cluster, DATE(photo.accepted_at) AS day
        FROM collector_photo AS photo
        WHERE {COUNTS.format("photo")} AND photo.accepted_at >= %(begins)s AND photo.accepted_at < %(ends)s AND NOT EXISTS (
            SELECT 1 FROM collector_photo AS earlier WHERE earlier.cluster = photo.cluster AND {COUNTS.format("earlier")}
            AND (earlier.received_at < photo.received_at OR (earlier.received_at = photo.received_at AND earlier.id < photo.id))
        )
    ), kin AS (
        SELECT id AS head, id FROM head UNION SELECT head.id, copy.id FROM head
        JOIN collector_photo AS copy ON copy.cluster = head.cluster AND {COUNTS.format("copy")}
    ), liked AS (
        SELECT kin.head, COUNT(DISTINCT vote.volunteer_id) AS likes FROM kin
        JOIN newsletter_vote AS vote ON vote.photo_id = kin.id WHERE vote."like" GROUP BY kin.head
    ), valued AS (
        SELECT kin.head, SUM(CAST(ROUND(found.value * 1000000000) AS BIGINT)) AS worth FROM kin
        JOIN training_photovalue AS found ON found.photo_id = kin.id WHERE found.run_id = %(run)s GROUP BY kin.head
    )
    SELECT %(recognizer)s, head.day, head.volunteer_id, head.label_id, COUNT(*),
        CAST(COALESCE(SUM(liked.likes), 0) AS BIGINT), COUNT(valued.head), CAST(COALESCE(SUM(valued.worth), 0) AS BIGINT)
    FROM head LEFT JOIN liked ON liked.head = head.id LEFT JOIN valued ON valued.head = head.id
    GROUP BY head.day, head.volunteer_id, head.label_id
"""  # noqa: S608  only our own names are joined
KEEP = "INSERT INTO newsletter_fameday (recognizer_id, day, volunteer_id, label_id, photos, likes, valued, worth) {days}"
# A line for each volunteer on the board of all labels and on the board of each label. One point a photo, one a like, one for
# each tenth of a percentage point (a million billionths) of accuracy: easy to explain, and a photo that the model needed is
# worth several that it did not. What hurt the model costs nobody points.
LINES = """
    INSERT INTO newsletter_fameline (board_id, volunteer_id, photos, likes, valued, worth, points, listed)
    SELECT board.id, found.volunteer_id, found.photos, found.likes, found.valued, found.worth, found.photos + found.likes
        + CASE WHEN found.worth > 0 THEN (found.worth + 500000) / 1000000 ELSE 0 END, COALESCE(wish.listed, %s)
    FROM ({of_labels} UNION ALL {of_all}) AS found
    JOIN newsletter_fameboard AS board ON board.recognizer_id = %s AND board.kind = %s AND board.begins = %s
        AND COALESCE(board.label_id, 0) = found.label_id
    LEFT JOIN newsletter_famepreference AS wish ON wish.volunteer_id = found.volunteer_id
"""
SUMS = """
    SELECT volunteer_id, {label} AS label_id, SUM(photos) AS photos, SUM(likes) AS likes, SUM(valued) AS valued,
        CAST(SUM(worth) AS BIGINT) AS worth
    FROM newsletter_fameday WHERE recognizer_id = %s AND {day} {volunteers} GROUP BY {group}
"""


# ---- marks -------------------------------------------------------------------------------------------------------
def mark_photos(photo_ids: Iterable[UUID], *, badges: bool = False) -> None:
    """Note that something changed about these photos: call it in the same transaction.

    Marks the days of all photos of their clusters: another one may count for its cluster now.
    """
    for batch in _batches(list(photo_ids)):
        photos = Photo.objects.filter(pk__in=batch, accepted_at__isnull=False)
        found = set(photos.order_by().values_list("recognizer_id", "accepted_at"))
        clusters = photos.order_by().exclude(cluster=None).values("cluster")
        kin = Photo.objects.filter(cluster__in=clusters, accepted_at__isnull=False, recognizer__in={pk for pk, _ in found})
        found |= set(kin.order_by().values_list("recognizer_id", "accepted_at"))
        days = {(recognizer, at.astimezone(UTC).date()) for recognizer, at in found if at}
        FameMark.objects.bulk_create(FameMark(recognizer_id=pk, day=day, badges=badges) for pk, day in sorted(days))


def mark_all(recognizer_id: int) -> None:
    """Note that any day may have changed: a night valued photos, looked at them, or its model was released."""
    FameMark.objects.create(recognizer_id=recognizer_id, day=None, badges=True)


def due() -> list[int]:
    """Recognizers with marks that gathered for FAME_LAG_S."""
    oldest = FameMark.objects.order_by().values("recognizer").annotate(oldest=Min("marked_at"))
    ripe = oldest.filter(oldest__lte=timezone.now() - timedelta(seconds=settings.FAME_LAG_S))
    return list(ripe.values_list("recognizer", flat=True))


# ---- recounting --------------------------------------------------------------------------------------------------
def settle(*, recognizer: Recognizer) -> None:
    """Recount what is marked. Costs one query where nothing is. Safe to repeat, and for two at a time."""
    marks = list(FameMark.objects.filter(recognizer=recognizer).values_list("pk", "day", "badges"))
    if not marks:
        return
    days = {day for _, day, _ in marks}
    run_id = _run_id(recognizer)
    if None in days or not FameBook.objects.filter(recognizer=recognizer, run=run_id).exists():
        rebuild(recognizer=recognizer)
        return
    for day in sorted(day for day in days if day):
        with turn(recognizer):
            changed = _recount(recognizer, day, run_id)
            if changed:
                for found in holding(day):
                    _lines(recognizer, found, changed)
    if any(badges for _, _, badges in marks):
        with turn(recognizer):
            fame_badges.recount(recognizer=recognizer)
    _remove(marks)


def _silent(number: int) -> None:
    """Nobody watches."""


def rebuild(*, recognizer: Recognizer, tick: Callable[[int], Any] = _silent, steps: Callable[[int], Any] = _silent) -> None:
    """Make every derived row of a recognizer anew. `steps(n)` is told how many steps there are, `tick(1)` is called after each.

    Each step is a transaction: pages are answered meanwhile, and see each period as it was or as it is. It begins with a mark
    for all days and removes it at the end: an interrupted rebuild is begun again by the duty, or by calling this again.
    """
    mark_all(recognizer.pk)
    marks = list(FameMark.objects.filter(recognizer=recognizer).values_list("pk", "day", "badges"))
    run_id = _run_id(recognizer)
    days = _days(recognizer)
    stretches = _stretches(days)
    periods = sorted({found for day in days for found in holding(day)} | _known(recognizer))
    steps(len(stretches) + len(periods) + 1)
    for first, last in stretches:
        with turn(recognizer):
            _count_anew(recognizer, first, last, run_id)
        tick(1)
    for found in periods:
        with turn(recognizer):
            _lines(recognizer, found, None)
        tick(1)
    with turn(recognizer):
        fame_badges.recount(recognizer=recognizer)
        FameBook.objects.filter(recognizer=recognizer).update(run=run_id)
    tick(1)
    _remove(marks)


@contextmanager
def turn(recognizer: Recognizer) -> Iterator[None]:
    """A transaction in which nobody else changes derived rows of this recognizer."""
    with transaction.atomic():
        # An UPDATE locks the row on PostgreSQL and the file on SQLite; what comes after it sees all that was committed.
        if not FameBook.objects.filter(recognizer=recognizer).update(turn=F("turn") + 1):
            FameBook.objects.bulk_create([FameBook(recognizer=recognizer)], ignore_conflicts=True)
            FameBook.objects.filter(recognizer=recognizer).update(turn=F("turn") + 1)
        yield


@dataclass(frozen=True)
class _Day:
    """A day's sums of one volunteer and label, as they are compared."""

    photos: int
    likes: int
    valued: int
    worth: int


def _run_id(recognizer: Recognizer) -> int:
    """The run whose values count; 0 before the first. A withdrawal can take a run's last value: an older one counts again."""
    run = worth.newest_run(recognizer)
    return run.pk if run else 0


def _recount(recognizer: Recognizer, day: date, run_id: int) -> set[UUID]:
    """Inside a turn: make the rows of a day anew; returns the volunteers whose rows changed."""
    before = FameDay.objects.filter(recognizer=recognizer, day=day)
    columns = ("volunteer_id", "label_id", "photos", "likes", "valued", "worth")
    old = {tuple(row[:2]): _Day(*row[2:]) for row in before.values_list(*columns)}
    with connection.cursor() as cursor:
        cursor.execute(*_counting(recognizer, day, day, run_id, into="{days}"))
        new = {(_uuid(row[2]), row[3]): _Day(*map(int, row[4:])) for row in cursor.fetchall()}
    changed = {key[0] for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
    for batch in _batches(sorted(changed)):
        before.filter(volunteer__in=batch).delete()
    FameDay.objects.bulk_create(
        (
            FameDay(recognizer=recognizer, day=day, volunteer_id=key[0], label_id=key[1], **vars(sums))
            for key, sums in new.items()
            if key[0] in changed
        ),
        batch_size=1000,
    )
    return changed


def _count_anew(recognizer: Recognizer, first: date, last: date, run_id: int) -> None:
    """Inside a turn: make all rows of these days anew, inside the database."""
    before = FameDay.objects.filter(recognizer=recognizer, day__gte=first, day__lte=last)
    before._raw_delete(before.db)  # no row points to them: Django need not read them first
    with connection.cursor() as cursor:
        cursor.execute(*_counting(recognizer, first, last, run_id, into=KEEP))


def _counting(recognizer: Recognizer, first: date, last: date, run_id: int, *, into: str) -> tuple[str, dict[str, Any]]:
    """The statement that counts `first` to `last`, inside of `into`, and its values."""
    moments = [datetime.combine(day, time.min, tzinfo=UTC) for day in (first, last + timedelta(days=1))]
    begins, ends = map(connection.ops.adapt_datetimefield_value, moments)
    values = {"recognizer": recognizer.pk, "begins": begins, "ends": ends, "run": run_id}
    return into.format(days=DAYS), values


def _lines(recognizer: Recognizer, found: Period, volunteers: Iterable[UUID] | None) -> None:
    """Inside a turn: make the lines of these volunteers (None: all) in a period's boards anew from the rows of its days."""
    boards = FameBoard.objects.filter(recognizer=recognizer, kind=found.kind, begins=found.begins)
    _make_boards(recognizer, found, set(boards.values_list("label_id", flat=True)))
    lines = FameLine.objects.filter(board__in=boards.values("pk"))
    if volunteers is None:
        lines._raw_delete(lines.db)  # no row points to a line: Django need not read them first
        _insert(recognizer, found, [])
    else:
        for batch in _batches(sorted(volunteers)):
            lines.filter(volunteer__in=batch).delete()
            _insert(recognizer, found, batch)
    boards.update(version=F("version") + 1)


def _insert(recognizer: Recognizer, found: Period, volunteers: Sequence[UUID]) -> None:
    named = f"AND volunteer_id IN ({', '.join(['%s'] * len(volunteers))})" if volunteers else ""
    day = "day >= %s" + (" AND day < %s" if found.ends else "")
    of_labels = SUMS.format(label="label_id", group="volunteer_id, label_id", day=day, volunteers=named)
    of_all = SUMS.format(label="0", group="volunteer_id", day=day, volunteers=named)
    dates = [connection.ops.adapt_datefield_value(at) for at in (found.begins, found.ends) if at]
    which = [recognizer.pk, *dates, *map(rows.key, volunteers)]
    with connection.cursor() as cursor:
        cursor.execute(
            LINES.format(of_labels=of_labels, of_all=of_all),
            [True, *which, *which, recognizer.pk, found.kind, dates[0]],
        )


def _make_boards(recognizer: Recognizer, found: Period, known: set[int | None]) -> None:
    labels = {None, *Label.objects.filter(recognizer=recognizer).values_list("pk", flat=True)}
    FameBoard.objects.bulk_create(
        FameBoard(recognizer=recognizer, kind=found.kind, begins=found.begins, label_id=label)
        for label in sorted(labels - known, key=lambda label: label or 0)
    )


def _days(recognizer: Recognizer) -> dict[date, int]:
    """Days with rows or with photos that may count, in order, and how many such photos were accepted then."""
    accepted = Photo.objects.filter(recognizer=recognizer, state=Photo.State.ACCEPTED, source=Photo.Source.PHONE).order_by()
    counts = dict(accepted.annotate(day=TruncDate("accepted_at", tzinfo=UTC)).values_list("day").annotate(Count("pk")))
    kept = FameDay.objects.filter(recognizer=recognizer).order_by().values_list("day", flat=True).distinct()
    return {day: counts.get(day, 0) for day in sorted({*counts, *kept})}


def _stretches(days: dict[date, int]) -> list[tuple[date, date]]:
    """First and last of the days that are counted together: as many as have at most STRETCH_PHOTOS photos, or one.

    A step for each day would read all votes for each: where many photos are asked for, a database does not use an index.
    """
    found: list[tuple[date, date]] = []
    room = 0
    for day, photos in days.items():
        if found and photos <= room:
            found[-1] = found[-1][0], day
            room -= photos
        else:
            found.append((day, day))
            room = STRETCH_PHOTOS - photos
    return found


def _known(recognizer: Recognizer) -> set[Period]:
    """Periods that have boards; boards of seasons that begin otherwise now are removed."""
    known = set()
    boards = FameBoard.objects.filter(recognizer=recognizer)
    for name, begins in boards.values_list("kind", "begins").distinct():
        kind = cast(Kind, name)
        if period(kind, begins).begins == begins:
            known.add(Period(kind, begins))
        else:
            boards.filter(kind=kind, begins=begins).delete()
    return known


def _remove(marks: Sequence[tuple[int, date | None, bool]]) -> None:
    for batch in _batches([pk for pk, _, _ in marks]):
        FameMark.objects.filter(pk__in=batch).delete()


def _uuid(value: Any) -> UUID:
    return value if isinstance(value, UUID) else UUID(value)  # SQLite keeps text


def _batches(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[at : at + BATCH] for at in range(0, len(items), BATCH))
