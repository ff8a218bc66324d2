"""VOTES: a volunteer says of somebody else's photo whether it is a good find; the ballot says which photos to ask about."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, F, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from collector.limits import of_volunteer, spend
from collector.models import Photo, Recognizer, Volunteer
from newsletter.errors import NotVotable, OwnPhoto
from newsletter.fame_rows import mark_photos
from newsletter.models import Vote


def cast(*, volunteer: Volunteer, photo_id: UUID, like: bool) -> Vote:
    """Record this volunteer's one vote on a photo; voting again changes it. `is_new` of the result says if it is the first.

    Raises NotVotable, OwnPhoto, LimitReached (only a first vote is counted against VOTES_PER_DAY).
    """
    photo = Photo.objects.filter(pk=photo_id).only("volunteer_id", "state").first()
    if photo is not None and photo.volunteer_id == volunteer.pk:
        raise OwnPhoto("Vote on the photos of a ballot: it leaves your own ones out.", photo=str(photo_id))
    if photo is None or photo.state != Photo.State.ACCEPTED:
        raise NotVotable("Take the ids from the recognizer's ballot.", photo=str(photo_id))
    if vote := _changed(volunteer, photo_id, like):
        return vote
    try:
        with transaction.atomic():  # a vote that is not made spends nothing
            spend(of_volunteer("votes", volunteer, settings.VOTES_PER_DAY))
            vote = Vote.objects.create(volunteer=volunteer, photo_id=photo_id, like=like)
            mark_photos([photo_id])
    except IntegrityError:
        # The same volunteer's other request was faster: the constraint kept it to one row, which now takes our answer.
        vote = _changed(volunteer, photo_id, like)
        if vote is None:  # the photo or the volunteer went away in between
            raise NotVotable(photo=str(photo_id)) from None
        return vote
    vote.is_new = True
    return vote


def _changed(volunteer: Volunteer, photo_id: UUID, like: bool) -> Vote | None:
    votes = Vote.objects.filter(volunteer=volunteer, photo_id=photo_id)
    with transaction.atomic():
        if votes.exclude(like=like).update(like=like, voted_at=timezone.now()):
            mark_photos([photo_id])
    return votes.first()


def ballot(*, recognizer: Recognizer, volunteer: Volunteer, count: int) -> list[Photo]:
    """Up to `count` accepted photos for this volunteer to vote on, those with the fewest votes first.

    Own photos, those voted on and near-duplicates of either are left out; of other near-duplicates one is asked about. Photos
    older than EDITION_WINDOW_DAYS are no longer printed, so nobody is asked about them. Where votes are equal, each volunteer
    gets another order: otherwise everybody who asks at the same moment would vote on the same few photos.
    """
    rows = (
        newest(recognizer)
        .exclude(volunteer=volunteer)
        .annotate(kin=Coalesce("cluster", "id"), seen=Count("votes"))
        .order_by()
        .values_list("pk", "kin", "seen")
    )
    closed = _closed_clusters(recognizer, volunteer)
    chosen: dict[UUID, tuple[int, UUID]] = {}
    for pk, kin, seen in rows:
        # One photo stands for its cluster, the one with the most votes, so that votes gather instead of scattering.
        if kin not in closed and (kin not in chosen or (-seen, pk) < (-chosen[kin][0], chosen[kin][1])):
            chosen[kin] = (seen, pk)
    ordered = sorted(chosen.values(), key=lambda row: (row[0], _shuffled(volunteer, row[1])))
    return in_order([pk for _, pk in ordered[:count]])


def newest(recognizer: Recognizer) -> QuerySet[Photo]:
    """The BALLOT_POOL photos that came last, of those that may still be printed."""
    since = timezone.now() - timedelta(days=settings.EDITION_WINDOW_DAYS)
    shown = Photo.objects.filter(recognizer=recognizer, state=Photo.State.ACCEPTED, accepted_at__gte=since).exclude(
        view_sha256=""
    )
    # By when they came and not by when they were accepted: that is the index.
    last = shown.order_by("-received_at").values("pk")[: settings.BALLOT_POOL]
    return Photo.objects.filter(pk__in=last)


def _closed_clusters(recognizer: Recognizer, volunteer: Volunteer) -> set[UUID]:
    photos: QuerySet[Photo] = Photo.objects.filter(recognizer=recognizer).filter(
        Q(volunteer=volunteer) | Q(pk__in=Vote.objects.filter(volunteer=volunteer).values("photo_id"))
    )
    return set(photos.order_by().values_list(Coalesce(F("cluster"), F("id")), flat=True))


def _shuffled(volunteer: Volunteer, photo_id: UUID) -> bytes:
    return hashlib.blake2b(volunteer.pk.bytes + photo_id.bytes, digest_size=8).digest()


def in_order(ids: Sequence[UUID]) -> list[Photo]:
    """The photos that are still there, as a ballot shows them."""
    photos = Photo.objects.select_related("label", "claimed", "challenge").in_bulk(ids)
    return [photos[pk] for pk in ids if pk in photos]


def alt_without_names(photo: Photo) -> str:
    """What a screen reader says of a photo on a ballot: votes are for photos, not for people."""
    where = f" {photo.challenge.setting}" if photo.challenge else ""
    return f"{(photo.label or photo.claimed).name}{where}"


def counts(*, photo: Photo) -> dict[str, int]:
    """{"likes", "passes"} of one photo."""
    return photo.votes.aggregate(likes=Count("pk", filter=Q(like=True)), passes=Count("pk", filter=Q(like=False)))
