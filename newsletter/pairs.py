"""VOTES, by twos: a volunteer says which of two photos of one challenge is the better find; the ballot says which two.

A pair is answered with the signed token that it was shown with: nobody chooses which photos they judge, and a known pair that
is hidden among the others cannot be told from them.
"""

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.db import IntegrityError, transaction
from django.db.models import Count
from django.db.models.functions import Coalesce
from django.utils import timezone

from collector.limits import of_volunteer, spend
from collector.models import Photo, Recognizer, Volunteer
from newsletter.candidates import question
from newsletter.errors import NotOfThePair, NotVotable, StalePair
from newsletter.models import Comparison, KnownPair
from newsletter.votes import in_order, newest

SALT = "newsletter.pair"


@dataclass(frozen=True)
class Pair:
    """Two photos as they are shown, and the token that an answer needs."""

    first: Photo
    second: Photo
    token: str


@dataclass(frozen=True)
class _Open:
    pk: UUID
    seen: int


def ballot(*, recognizer: Recognizer, volunteer: Volunteer, count: int) -> list[Pair]:
    """Up to `count` pairs of photos of one challenge (or, sent without one, of one label), those least compared first.

    Own photos, near-duplicates of each other and pairs that this volunteer judged are left out. One pair in KNOWN_PAIR_EVERY is
    a known one, where there is one left. Each volunteer gets other pairs: who asks at the same moment is not asked the same.
    """
    judged = set(Comparison.objects.filter(volunteer=volunteer).values_list("low_id", "high_id"))
    pairs = _least_compared(recognizer, volunteer, count, judged)
    hidden = _known(recognizer, volunteer, -(-count // settings.KNOWN_PAIR_EVERY), judged)
    known = hidden[: -(-len(pairs) // settings.KNOWN_PAIR_EVERY)]
    chosen = sorted(pairs[: count - len(known)] + known, key=lambda pair: _shuffled(volunteer, *pair))
    photos = {photo.pk: photo for photo in in_order([pk for pair in chosen for pk in pair])}
    shown = [(photos[a], photos[b]) for a, b in chosen if a in photos and b in photos]
    return [Pair(first, second, _token(volunteer, first.pk, second.pk)) for first, second in shown]


def judge(*, volunteer: Volunteer, token: str, better: UUID | None) -> Comparison:
    """Record this volunteer's one answer to a pair of a ballot: the better photo's id, None for equal ones. Answering again
    changes it; `is_new` of the result says if it is the first.

    Raises StalePair, NotOfThePair, NotVotable, LimitReached (only a first answer is counted against VOTES_PER_DAY).
    """
    low, high = _read(volunteer, token)
    answers = {low: Comparison.Answer.LOW, high: Comparison.Answer.HIGH, None: Comparison.Answer.EQUAL}
    if better not in answers:
        raise NotOfThePair("`better` is the id of one of its two photos, or null.", photos=[str(low), str(high)])
    answer = answers[better]
    if Photo.objects.filter(pk__in=(low, high), state=Photo.State.ACCEPTED).count() < 2:
        raise NotVotable("One of the two was withdrawn or rejected since. Go on with the next pair.", photo=str(better or low))
    if changed := _changed(volunteer, low, high, answer):
        return changed
    try:
        with transaction.atomic():  # an answer that is not kept spends nothing
            spend(of_volunteer("votes", volunteer, settings.VOTES_PER_DAY))
            made = Comparison.objects.create(volunteer=volunteer, low_id=low, high_id=high, answer=answer)
    except IntegrityError:
        # The same volunteer's other request was faster: the constraint kept it to one row, which now takes our answer.
        changed = _changed(volunteer, low, high, answer)
        if changed is None:  # a photo or the volunteer went away in between
            raise NotVotable(photo=str(better or low)) from None
        return changed
    made.is_new = True
    return made


def _changed(volunteer: Volunteer, low: UUID, high: UUID, answer: str) -> Comparison | None:
    rows = Comparison.objects.filter(volunteer=volunteer, low_id=low, high_id=high)
    rows.exclude(answer=answer).update(answer=answer, compared_at=timezone.now())
    return rows.first()


# ---- which two ---------------------------------------------------------------------------------------------------
def _least_compared(
    recognizer: Recognizer, volunteer: Volunteer, count: int, judged: set[tuple[UUID, UUID]]
) -> list[tuple[UUID, UUID]]:
    """Each photo at most once, so that `count` pairs tell of 2 · `count` photos."""
    asked: dict[Hashable, list[_Open]] = defaultdict(list)
    for key, one in _open(recognizer, volunteer):
        asked[key].append(one)
    pairs: list[tuple[int, tuple[UUID, UUID]]] = []
    for rows in asked.values():
        # Neighbours in this order have been seen about equally often; among equals each volunteer's order is another.
        rows.sort(key=lambda one: (one.seen, _shuffled(volunteer, one.pk, one.pk)))
        while len(rows) > 1:
            one = rows.pop(0)
            partner = next((at for at, other in enumerate(rows) if _may(one, other, judged)), None)
            if partner is not None:
                other = rows.pop(partner)
                pairs.append((one.seen + other.seen, (one.pk, other.pk)))
    pairs.sort(key=lambda pair: (pair[0], _shuffled(volunteer, *pair[1])))
    return [pair for _, pair in pairs[:count]]


def _may(one: _Open, other: _Open, judged: set[tuple[UUID, UUID]]) -> bool:
    low, high = sorted((one.pk, other.pk))
    return (low, high) not in judged


def _open(recognizer: Recognizer, volunteer: Volunteer) -> Iterator[tuple[Hashable, _Open]]:
    """What may be asked about, one photo of a near-duplicate cluster: the one compared most, so that answers gather."""
    pool = newest(recognizer).exclude(volunteer=volunteer)
    compared: dict[UUID, int] = defaultdict(int)
    for side in ("low", "high"):
        counted = Comparison.objects.filter(**{f"{side}__in": newest(recognizer).values("pk")})
        for pk, times in counted.order_by().values_list(side).annotate(times=Count("pk")):
            compared[pk] += times
    chosen: dict[UUID, tuple[Hashable, _Open]] = {}
    rows = pool.annotate(kin=Coalesce("cluster", "id")).values_list("pk", "kin", "challenge_id", "label_id")
    for pk, kin, challenge_id, label_id in rows:
        one = _Open(pk, compared[pk])
        if kin not in chosen or (-one.seen, pk) < (-chosen[kin][1].seen, chosen[kin][1].pk):
            chosen[kin] = (question(challenge_id, label_id), one)
    yield from chosen.values()


def _known(recognizer: Recognizer, volunteer: Volunteer, count: int, judged: set[tuple[UUID, UUID]]) -> list[tuple[UUID, UUID]]:
    """Known pairs that this volunteer neither answered nor took part in, in an order of the volunteer's own."""
    rows = KnownPair.objects.filter(
        recognizer=recognizer, better__state=Photo.State.ACCEPTED, worse__state=Photo.State.ACCEPTED
    ).exclude(better__volunteer=volunteer)
    pairs = [tuple(sorted(pair)) for pair in rows.exclude(worse__volunteer=volunteer).values_list("better_id", "worse_id")]
    left = [(low, high) for low, high in pairs if (low, high) not in judged]
    # Which of the two is shown first must not tell which is better.
    turned = [(low, high) if _shuffled(volunteer, low, high)[0] & 1 else (high, low) for low, high in left]
    return sorted(turned, key=lambda pair: _shuffled(volunteer, *pair))[:count]


def _shuffled(volunteer: Volunteer, one: UUID, other: UUID) -> bytes:
    return hashlib.blake2b(volunteer.pk.bytes + one.bytes + other.bytes, digest_size=8).digest()


# ---- the token ---------------------------------------------------------------------------------------------------
def _token(volunteer: Volunteer, first: UUID, second: UUID) -> str:
    low, high = sorted((first, second))
    return signing.dumps([volunteer.pk.hex, low.hex, high.hex], salt=SALT)


def _read(volunteer: Volunteer, token: str) -> tuple[UUID, UUID]:
    try:
        owner, low, high = signing.loads(token, salt=SALT, max_age=settings.PAIR_VALID_S)
    except signing.BadSignature:  # an expired one is one too
        raise StalePair("Take pairs and their tokens from the recognizer's ballot of pairs.") from None
    if owner != volunteer.pk.hex:
        raise StalePair("It was shown to somebody else. Take pairs from your own ballot.")
    return UUID(low), UUID(high)
