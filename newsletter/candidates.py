"""RANKING: reads from the rows which photos an edition may print, with all that the ranking asks of them."""

from datetime import UTC, date, datetime, time, timedelta

from django.conf import settings
from django.db.models import Count, Q
from django.db.models.functions import Coalesce

from collector.models import Photo, Recognizer
from newsletter.models import Edition, EditionEntry
from newsletter.ranking import Candidate
from training import worth


def candidates(*, recognizer: Recognizer, day: date, kind: str = Edition.Kind.DAILY) -> list[Candidate]:
    """Accepted photos of the EDITION_WINDOW_DAYS up to the end of `day`, without printed ones and their near-duplicates.

    A weekly edition may print what daily ones have printed, but nothing that a weekly one has.
    """
    end = end_of(day)
    photos = Photo.objects.filter(
        recognizer=recognizer,
        state=Photo.State.ACCEPTED,
        accepted_at__lt=end,
        accepted_at__gte=end - timedelta(days=settings.EDITION_WINDOW_DAYS),
    ).exclude(view_sha256="")
    printed = EditionEntry.objects.filter(edition__recognizer=recognizer, part=EditionEntry.Part.FIND).order_by()
    if kind == Edition.Kind.WEEKLY:
        printed = printed.filter(edition__kind=kind)
    printed_kin = set(printed.values_list(Coalesce("photo__cluster", "photo_id"), flat=True))
    rows = list(
        photos.annotate(
            kin=Coalesce("cluster", "id"),
            likes=Count("votes", filter=Q(votes__like=True)),
            passes=Count("votes", filter=Q(votes__like=False)),
        )
        .order_by()
        .values_list("pk", "likes", "passes", "received_at", "kin")
    )
    values = worth.of_photos(recognizer=recognizer)
    return [
        Candidate(pk, likes, passes, values.get(pk), received_at, kin)
        for pk, likes, passes, received_at, kin in rows
        if kin not in printed_kin
    ]


def end_of(day: date) -> datetime:
    """The first moment after `day` (UTC)."""
    return datetime.combine(day + timedelta(days=1), time.min, tzinfo=UTC)
