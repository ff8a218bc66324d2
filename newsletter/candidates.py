"""RANKING: reads from the rows which photos are ranked, who said what of them, and what is known of those who did."""

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

import numpy as np
from django.conf import settings
from django.db import connection
from django.db.models import CharField, QuerySet
from django.db.models.functions import Cast, Coalesce

from collector.models import Photo, Recognizer, Volunteer
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


def opinions(*, recognizer: Recognizer, day: date) -> Opinions:
    """Everything that a ranking of `day` (UTC) asks of the rows, in a fixed number of queries."""
    photos = photos_of(recognizer=recognizer, day=day)
    columns = ("pk", "received_at", "kin", "width", "height", "volunteer_id", "accepted_at", "challenge_id", "label_id")
    rows = list(photos.annotate(kin=Coalesce("cluster", "id")).order_by().values_list(*columns))
    worths, fooled = worth.of_photos(recognizer=recognizer, photos=photos), sights.fooled(photos=photos)
    taken = conditions.of_photos(photos=photos)
    candidates = [
        Candidate(
            id=pk,
            received_at=received_at,
            cluster=kin,
            worth=worths.get(pk),
            fooled=fooled.get(pk),
            technical=technical(taken[pk], shorter_side=min(width, height)) if pk in taken else None,
        )
        for pk, received_at, kin, width, height, *_ in rows
    ]
    numbers: dict[str, int] = {}
    votes = _votes(photos, [row[0] for row in rows], numbers)
    voters = {UUID(text): number for text, number in numbers.items()}
    author = np.array([voters.get(row[5], -1) for row in rows], np.int64)
    people = _people(recognizer, end_of(day), voters, author)
    accepted_at = {row[0]: row[6] for row in rows}
    return Opinions(candidates, votes, people, list(voters), accepted_at, {row[0]: question(*row[7:]) for row in rows})


def question(challenge_id: int | None, label_id: int) -> Hashable:
    """What a photo answers: its challenge, or where it was sent without one its label."""
    return ("challenge", challenge_id) if challenge_id is not None else ("label", label_id)


def end_of(day: date) -> datetime:
    """The first moment after `day` (UTC)."""
    return datetime.combine(day + timedelta(days=1), time.min, tzinfo=UTC)


def _votes(photos: QuerySet[Photo], rows: list[UUID], voters: dict[str, int]) -> Votes:
    """Likes and pairs of the photos `rows`; who gave them is numbered in `voters`."""
    index = {_written(pk): position for position, pk in enumerate(rows)}
    chosen = photos.order_by().values("pk")
    likes: QuerySet[Vote, tuple[str, str, bool]]
    likes = Vote.objects.filter(photo__in=chosen).values_list(_text("photo_id"), _text("volunteer_id"), "like")
    # Straight into arrays: a million votes are 24 MB there, and ten times that as Python's tuples.
    like = np.fromiter(
        (
            (index[photo], voters.setdefault(volunteer, len(voters)), liked)
            for photo, volunteer, liked in likes.iterator(READ_AT_ONCE)
            if photo in index  # accepted since the photos were read
        ),
        [("photo", np.int64), ("voter", np.int64), ("liked", float)],
    )
    pairs: QuerySet[Comparison, tuple[str, str, str, str]]
    # By one of the two only: the other one is looked up here, which is cheaper than a second join of a million rows.
    answers = Comparison.objects.filter(low__in=chosen)
    pairs = answers.values_list(_text("low_id"), _text("high_id"), _text("volunteer_id"), "answer")
    pair = np.fromiter(
        (
            (index[low], index[high], voters.setdefault(volunteer, len(voters)), SAID[answer])
            for low, high, volunteer, answer in pairs.iterator(READ_AT_ONCE)
            if low in index and high in index
        ),
        [("first", np.int64), ("second", np.int64), ("voter", np.int64), ("better", float)],
    )
    return Votes(
        photos=len(rows),
        voters=len(voters),
        like_photo=like["photo"],
        like_voter=like["voter"],
        liked=like["liked"],
        first=pair["first"],
        second=pair["second"],
        pair_voter=pair["voter"],
        better=pair["better"],
    )


def _text(column: str) -> Cast:
    """An id as the database writes it: to make a UUID of each of a million rows takes longer than to read them."""
    return Cast(column, CharField())


def _written(key: UUID) -> str:
    return str(key) if connection.features.has_native_uuid_field else key.hex


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
