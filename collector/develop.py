"""INTAKE, in the worker: one decode of a photo gives all that anyone will see or compute: view, thumbnail, hash, cluster."""

from datetime import timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from collector.decoding import Derived, DoesNotDecode, NoDecoder, derive
from collector.duplicates import cluster_of, remember
from collector.models import Photo, Recognizer
from collector.objects import assure, discard
from collector.storage import put_blob, store

log = structlog.get_logger()


def undeveloped() -> list[str]:
    """Photos nobody has decoded yet and nobody is decoding, oldest first."""
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=timezone.now())
    ids = Photo.objects.filter(free, state=Photo.State.RECEIVED).order_by("received_at").values_list("id", flat=True)
    return [str(photo_id) for photo_id in ids[:500]]  # one sweep's worth; the next sweep sees the rest


def develop(*, photo_id: UUID) -> bool:
    """Decode one received photo and derive what others need. Returns False where somebody else has it or it is done.

    A photo that cannot be decoded becomes `broken`, with the reason; that takes no second attempt, because what it can kill is
    only the child that decodes it. A worker that dies leaves a lease that runs out; after DEVELOP_ATTEMPTS the photo is taken
    for the killer of its workers and becomes `broken` too. Raises NoDecoder where the machine can start no child.
    """
    now = timezone.now()
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=now)
    claimed = Photo.objects.filter(free, pk=photo_id, state=Photo.State.RECEIVED).update(
        attempts=F("attempts") + 1, lease_until=now + timedelta(seconds=settings.DEVELOP_LEASE_S)
    )
    if not claimed:
        return False
    photo = Photo.objects.get(pk=photo_id)
    if photo.attempts > settings.DEVELOP_ATTEMPTS:
        return _set_aside(photo, f"its decoding did not end in {settings.DEVELOP_ATTEMPTS} attempts")
    data = store().get(f"originals/{photo.sha256}")
    try:
        derived = derive(data, photo.orientation)
    except DoesNotDecode as problem:
        log.info("photo broken", photo=str(photo_id), why=str(problem))
        return _set_aside(photo, str(problem))
    except NoDecoder:
        # No attempt at this photo was made. The lease stays, so that the machine has time to recover.
        _ours(photo).update(attempts=F("attempts") - 1)
        raise
    return _keep(photo, derived)


def _keep(photo: Photo, derived: Derived) -> bool:
    view, thumbnail = put_blob("views", derived.view), put_blob("thumbnails", derived.thumbnail)
    with transaction.atomic():
        # Two photos of one burst, developed at the same time, must not each found a cluster.
        Recognizer.objects.filter(pk=photo.recognizer_id).update(turn=F("turn") + 1)
        cluster = cluster_of(photo, derived.bands)
        kept = _ours(photo).update(
            state=Photo.State.PENDING,
            view_sha256=view,
            thumbnail_sha256=thumbnail,
            cluster=cluster,
            lease_until=None,
            **{f"phash_{band}": value for band, value in enumerate(derived.bands)},
        )
        if kept:
            remember(photo, derived.bands, cluster)
    if kept:
        assure(f"views/{view}", derived.view)
        assure(f"thumbnails/{thumbnail}", derived.thumbnail)
    else:  # withdrawn while we decoded it, or our lease ran out: leave no bytes behind
        discard(f"views/{view}")
        discard(f"thumbnails/{thumbnail}")
    return kept == 1


def _set_aside(photo: Photo, why: str) -> bool:
    return _ours(photo).update(state=Photo.State.BROKEN, problem=why, lease_until=None) == 1


def _ours(photo: Photo) -> QuerySet[Photo]:
    # The attempt number is the fence: a worker that slept through its lease writes nothing.
    return Photo.objects.filter(pk=photo.pk, state=Photo.State.RECEIVED, attempts=photo.attempts)
