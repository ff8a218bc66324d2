"""RANKING, the rows that it leaves: where each photo stands and why, which rings were found, which pairs everybody agrees on.

Nothing is final at once: a score is provisional for PROVISIONAL_S, in which votes of accounts that were new come to count and
moderators may still find a photo fake. A photo that is withdrawn or rejected loses its score, and the others move up.
"""

from collections import defaultdict
from collections.abc import Hashable
from datetime import datetime, timedelta
from math import hypot
from typing import Any, cast
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from collector.models import Photo, Recognizer
from newsletter.candidates import Opinions, opinions, photos_of
from newsletter.models import Comparison, KnownPair, PhotoScore, Ranking, Vote
from newsletter.ranking import Ranked, rank
from newsletter.voters import find_rings

KNOWN_DEVIATIONS = 4.0  # of two qualities' difference, beyond which the better one is no question: wrong 1 in 30,000 times
KNOWN_LEAST_VOTES = 10  # of likes, passes and pairs of each of the two
KNOWN_PER_RANKING = 20  # pairs that a ranking may add
KNOWN_MOST = 500  # pairs of a recognizer; the oldest go, so that who has seen all of them meets new ones
ROWS_AT_ONCE = 1000

log = structlog.get_logger()


def due() -> list[int]:
    """Recognizers with a vote since they were ranked last, RANK_EVERY_S ago or more, that nobody ranks now."""
    now = timezone.now()
    newest_vote = Vote.objects.filter(photo__recognizer=OuterRef("pk"), voted_at__gt=OuterRef("ranking__ranked_at"))
    newest_pair = Comparison.objects.filter(low__recognizer=OuterRef("pk"), compared_at__gt=OuterRef("ranking__ranked_at"))
    never = Q(ranking__ranked_at=None) & Exists(Photo.objects.filter(recognizer=OuterRef("pk"), state=Photo.State.ACCEPTED))
    waited = Q(ranking__ranked_at__lte=now - timedelta(seconds=settings.RANK_EVERY_S))
    free = Q(ranking__claimed_at=None) | Q(ranking__claimed_at__lt=now - timedelta(seconds=settings.RANK_LEASE_S))
    news = Recognizer.objects.filter(free, never | (waited & (Exists(newest_vote) | Exists(newest_pair))), active=True)
    return list(news.order_by("pk").values_list("pk", flat=True))


def settle(*, recognizer_id: int) -> int:
    """Rank now and keep what comes of it; returns the number of photos, 0 also where somebody else is at it."""
    recognizer = Recognizer.objects.get(pk=recognizer_id)
    now = timezone.now()
    Ranking.objects.get_or_create(recognizer=recognizer)
    free = Q(claimed_at=None) | Q(claimed_at__lt=now - timedelta(seconds=settings.RANK_LEASE_S))
    mine = Ranking.objects.filter(free, recognizer=recognizer)
    if not mine.update(claimed_at=now):  # of two who come together, one counts 1 and the other 0
        return 0
    found = opinions(recognizer=recognizer, day=now.date())
    best = rank(found.candidates, found.votes, found.people)
    rings = [[str(found.volunteers[one]) for one in ring] for ring in find_rings(found.votes, found.people)]
    if rings:
        log.warning(
            "rings of accounts that favour each other's photos", recognizer=recognizer.slug, sizes=[len(r) for r in rings]
        )
    with transaction.atomic():
        # The claim's own time is the fence: whoever was slower than the lease has lost it to another.
        kept = Ranking.objects.filter(recognizer=recognizer, claimed_at=now)
        facts: dict[str, Any] = {"photos": len(best), "voters": len(found.volunteers), "rings": rings}
        if not kept.update(claimed_at=None, ranked_at=now, **facts):
            return 0
        _keep(best, found, now)
        _forget_lost(recognizer, now)
        _agree(recognizer, best, found, now)
    return len(best)


def _keep(best: list[Ranked], found: Opinions, now: datetime) -> None:
    """One row a ranked photo."""
    rows = (
        PhotoScore(
            photo_id=cast(UUID, item.candidate.id),
            place=place,
            of=len(best),
            parts=item.parts.as_json(),
            ranked_at=now,
            provisional_until=found.accepted_at[item.candidate.id] + timedelta(seconds=settings.PROVISIONAL_S),
        )
        for place, item in enumerate(best, start=1)
    )
    PhotoScore.objects.bulk_create(
        rows,
        batch_size=ROWS_AT_ONCE,
        update_conflicts=True,
        unique_fields=["photo"],
        update_fields=["place", "of", "parts", "ranked_at", "provisional_until"],
    )


def _forget_lost(recognizer: Recognizer, now: datetime) -> None:
    """Rows of older days stay as they were; those of photos that lost their place to a near-duplicate, or that are no longer
    accepted, go."""
    left = PhotoScore.objects.filter(photo__recognizer=recognizer, ranked_at__lt=now)
    window = photos_of(recognizer=recognizer, day=now.date()).order_by().values("pk")
    left.filter(Q(photo__in=window) | ~Q(photo__state=Photo.State.ACCEPTED)).delete()


def _agree(recognizer: Recognizer, best: list[Ranked], found: Opinions, now: datetime) -> None:
    """Pairs of one question, of photos whose scores are final, that the votes leave no doubt about: the best with the worst,
    the second with the second last, and so on."""
    final = now - timedelta(seconds=settings.PROVISIONAL_S)
    asked: dict[Hashable, list[Ranked]] = defaultdict(list)
    for item in sorted(best, key=lambda item: -item.quality):
        parts = item.parts
        votes = parts.likes + parts.passes + parts.better + parts.worse
        if votes >= KNOWN_LEAST_VOTES and found.accepted_at[item.candidate.id] <= final:
            asked[found.question[item.candidate.id]].append(item)
    pairs = [pair for items in asked.values() for pair in zip(items, reversed(items), strict=True) if _beyond_doubt(*pair)]
    pairs.sort(key=lambda pair: pair[1].quality - pair[0].quality)
    rows = (
        KnownPair(
            recognizer=recognizer,
            better_id=cast(UUID, a.candidate.id),
            worse_id=cast(UUID, b.candidate.id),
            source=KnownPair.Source.CONSENSUS,
            settled_at=now,
        )
        for a, b in pairs[:KNOWN_PER_RANKING]
    )
    KnownPair.objects.bulk_create(rows, ignore_conflicts=True)
    agreed = KnownPair.objects.filter(recognizer=recognizer, source=KnownPair.Source.CONSENSUS).order_by("-settled_at", "-pk")
    KnownPair.objects.filter(pk__in=list(agreed.values_list("pk", flat=True)[KNOWN_MOST:])).delete()


def _beyond_doubt(better: Ranked, worse: Ranked) -> bool:
    return better.quality - worse.quality > KNOWN_DEVIATIONS * hypot(better.sd, worse.sd)


# ---- for the photo's volunteer -----------------------------------------------------------------------------------
def described(photo: Photo) -> dict[str, Any]:
    """{"place", "of", "parts", "provisional", "provisional_until"}; empty before the photo was ranked."""
    row = PhotoScore.objects.filter(photo=photo).first()
    if row is None or photo.state != Photo.State.ACCEPTED:
        return {}
    provisional = timezone.now() < row.provisional_until
    return {
        "place": row.place,
        "of": row.of,
        "parts": row.parts,
        "provisional": provisional,
        "provisional_until": row.provisional_until,
    }
