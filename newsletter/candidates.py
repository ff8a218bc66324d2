"""RANKING: reads from the rows which photos are ranked, who said what of them, and what is known of those who did."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import count, islice
from typing import Any
from uuid import UUID

import numpy as np
from django.conf import settings
from django.db.models import CharField, QuerySet
from django.db.models.functions import Cast, Coalesce

from collector.models import Photo, Recognizer, Volunteer
from config.database import reading_to_the_end
from config.memory import without_collecting
from newsletter.bradley_terry import Votes
from newsletter.models import Comparison, KnownPair, Vote
from newsletter.ranking import Candidate, technical
from newsletter.voters import People
from training import conditions, sights, worth

READ_AT_ONCE = 20_000  # rows of votes between two fetches
VOTERS_AT_ONCE = 10_000  # ids in a query; a statement of SQLite takes 32,766 values
SAID = {Comparison.Answer.LOW.value: 1.0, Comparison.Answer.HIGH.value: 0.0, Comparison.Answer.EQUAL.value: 0.5}


@dataclass(frozen=True)
class Opinions:
    """What `ranking.rank` takes, and the volunteers behind the indices of `people`."""

    candidates: list[Candidate]
    votes: Votes
    people: People
    volunteers: list[UUID]
    accepted_at: dict[Hashable, datetime]
    question: dict[Hashable, Hashable]  # what a photo answers: only photos of the same are compared


def photos_of(*, recognizer: Recognizer, day: date) -> QuerySet[Photo]:
    """Accepted photos of the EDITION_WINDOW_DAYS up to the end of `day`: printed ones too, their votes tell of others."""
    end = end_of(day)
    return Photo.objects.filter(
        recognizer=recognizer,
        state=Photo.State.ACCEPTED,
        accepted_at__lt=end,
        accepted_at__gte=end - timedelta(days=settings.EDITION_WINDOW_DAYS),
    ).exclude(view_sha256="")


@without_collecting()
@reading_to_the_end()
def opinions(*, recognizer: Recognizer, day: date) -> Opinions:
    """Everything that a ranking of `day` (UTC) asks of the rows, in a fixed number of queries."""
    photos = photos_of(recognizer=recognizer, day=day)
    described = photos.order_by().annotate(
        kin=Coalesce("cluster", "id"),
        written=_text("pk"),
        author=_text("volunteer_id"),
        received=_text("received_at"),
        accepted=_text("accepted_at"),
    )
    columns = ("pk", "kin", "width", "height", "challenge_id", "label_id", "written", "author", "received", "accepted")
    rows = list(described.values_list(*columns, named=True))
    worths, fooled = worth.of_photos(recognizer=recognizer, photos=photos), sights.fooled(photos=photos)
    taken = conditions.of_photos(photos=photos)
    candidates = [
        Candidate(
            id=row.pk,
            received_at=_moment(row.received),
            cluster=row.kin,
            worth=worths.get(row.pk),
            fooled=fooled.get(row.pk),
            technical=technical(taken[row.pk], shorter_side=min(row.width, row.height)) if row.pk in taken else None,
        )
        for row in rows
    ]
    votes, written = _votes(photos, [row.written for row in rows])
    author = np.array([written.get(row.author, -1) for row in rows], np.int64)
    voters = {UUID(text): number for text, number in written.items()}
    people = _people(recognizer, end_of(day), voters, author)
    accepted_at = {row.pk: _moment(row.accepted) for row in rows}
    asked = {row.pk: question(row.challenge_id, row.label_id) for row in rows}
    return Opinions(candidates, votes, people, list(voters), accepted_at, asked)


def question(challenge_id: int | None, label_id: int) -> Hashable:
    """What a photo answers: its challenge, or where it was sent without one its label."""
    return ("challenge", challenge_id) if challenge_id is not None else ("label", label_id)


def end_of(day: date) -> datetime:
    """The first moment after `day` (UTC)."""
    return datetime.combine(day + timedelta(days=1), time.min, tzinfo=UTC)


def _votes(photos: QuerySet[Photo], written: list[str]) -> tuple[Votes, dict[str, int]]:
    """Likes and pairs of the photos `written`, and the numbers of those who gave them; both by their ids as `_text`."""
    index = defaultdict(lambda: -1, zip(written, count()))  # -1: accepted since the photos were read
    voters = defaultdict[str, int](count().__next__)  # who is met for the first time gets the next number
    chosen = photos.order_by().values("pk")
    likes = Vote.objects.filter(photo__in=chosen).values_list(_text("photo_id"), _text("volunteer_id"), "like")
    photo, voter, liked = _columns(likes, index.__getitem__, voters.__getitem__, float)
    # By one of the two only: the other one is looked up here, which is cheaper than a second join of a million rows.
    answers = Comparison.objects.filter(low__in=chosen)
    pairs = answers.values_list(_text("low_id"), _text("high_id"), _text("volunteer_id"), "answer")
    low, high, pair_voter, better = _columns(pairs, index.__getitem__, index.__getitem__, voters.__getitem__, SAID.__getitem__)
    like, pair = photo >= 0, (low >= 0) & (high >= 0)
    return Votes(
        photos=len(written),
        voters=len(voters),
        like_photo=photo[like],
        like_voter=voter[like],
        liked=liked[like],
        first=low[pair],
        second=high[pair],
        pair_voter=pair_voter[pair],
        better=better[pair],
    ), voters


def _columns(rows: QuerySet[Any, Any], *numbers: Callable[[Any], float]) -> list[np.ndarray]:
    """The columns of `rows`, each value as the number that its function gives: int64 or float64 [rows].

    Part by part straight into arrays: a million votes are 24 MB there, and ten times that as Python's tuples. Column by column
    no line of Python runs for a row.
    """
    answers = rows.iterator(READ_AT_ONCE)
    parts: list[list[np.ndarray]] = [[np.empty(0, np.int64)] for _ in numbers]
    while read := list(islice(answers, READ_AT_ONCE)):
        for column, number, part in zip(zip(*read, strict=True), numbers, parts, strict=True):
            part.append(np.array(list(map(number, column))))
    return [np.concatenate(part) for part in parts]


def _text(column: str) -> Cast:
    """An id or a time as the database writes it: to make a UUID or a datetime of each takes longer than to read the rows."""
    return Cast(column, CharField())


def _moment(text: str) -> datetime:
    """What `_text` made of a time; SQLite writes it in UTC and does not say so."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _people(recognizer: Recognizer, now: datetime, voters: dict[UUID, int], author: np.ndarray) -> People:
    right, total = _known_answers(recognizer, voters)
    fresh = now - timedelta(days=settings.NEWCOMER_DAYS)
    grown = now - timedelta(days=settings.YOUNG_DAYS)
    new, young = np.ones(len(voters), bool), np.ones(len(voters), bool)
    theirs = Photo.objects.filter(recognizer=recognizer, state=Photo.State.ACCEPTED, source=Photo.Source.PHONE).order_by()
    everybody = list(voters)
    for start in range(0, len(everybody), VOTERS_AT_ONCE):
        some = everybody[start : start + VOTERS_AT_ONCE]
        # Two plain queries: with EXISTS in one, PostgreSQL may look through all photos for each of the volunteers.
        contributed = set(theirs.filter(volunteer__in=some).values_list("volunteer_id", flat=True).distinct())
        for volunteer, created_at in Volunteer.objects.filter(pk__in=some).values_list("pk", "created_at"):
            position = voters[volunteer]
            # An account that only waits stays new: it takes an accepted photo, or answers that can be checked.
            known = volunteer in contributed or total[position] >= settings.NEWCOMER_KNOWN_PAIRS
            new[position] = created_at > fresh or not known
            young[position] = new[position] or created_at > grown
    return People(right, total, new, young, author)


def _known_answers(recognizer: Recognizer, voters: dict[UUID, int]) -> tuple[np.ndarray, np.ndarray]:
    """How many known pairs each voter answered as they are known, and how many at all."""
    known = {}
    for better, worse in KnownPair.objects.filter(recognizer=recognizer).values_list("better_id", "worse_id"):
        low, high = sorted((better, worse))
        known[low, high] = Comparison.Answer.LOW if better == low else Comparison.Answer.HIGH
    right: Counter[UUID] = Counter()
    total: Counter[UUID] = Counter()
    sides = Photo.objects.filter(pk__in={photo for pair in known for photo in pair}).values("pk")
    answers = Comparison.objects.filter(low__in=sides, high__in=sides)
    for low, high, volunteer, answer in answers.values_list("low_id", "high_id", "volunteer_id", "answer").iterator(
        READ_AT_ONCE
    ):
        if (low, high) in known:
            total[volunteer] += 1
            right[volunteer] += answer == known[low, high]
    return np.array([right[one] for one in voters], float), np.array([total[one] for one in voters], float)
