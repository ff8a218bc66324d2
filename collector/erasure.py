"""PHONE: a volunteer takes a photo, or everything, back: rows keep no bytes, and a receipt says what had learned from them."""

from collections.abc import Sequence
from typing import cast
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from collector import duplicates
from collector.errors import UnknownPhoto
from collector.intake import discard
from collector.models import Erasure, Photo, Volunteer
from collector.signals import photos_withdrawn


def withdraw(*, photo_id: UUID, volunteer: Volunteer) -> Erasure:
    """Withdraw one photo of this volunteer. Withdrawing it again returns a receipt over nothing. Raises UnknownPhoto."""
    photo = Photo.objects.filter(pk=photo_id, volunteer=volunteer).first()
    if photo is None:
        raise UnknownPhoto(photo=str(photo_id))
    return _withdraw([photo], volunteer)


def erase(*, volunteer: Volunteer) -> Erasure:
    """Withdraw all photos of a volunteer and forget who it was; the token stops working."""
    with transaction.atomic():
        volunteer.memberships.all().delete()
        erasure = _withdraw(list(volunteer.photos.exclude(state=Photo.State.WITHDRAWN)), volunteer)
        Volunteer.objects.filter(pk=volunteer.pk).update(
            handle=None, token_hash=f"erased:{volunteer.pk.hex}", erased_at=timezone.now()
        )
    return erasure


def _withdraw(photos: Sequence[Photo], volunteer: Volunteer) -> Erasure:
    ids = [photo.pk for photo in photos if photo.state != Photo.State.WITHDRAWN]
    with transaction.atomic():
        Photo.objects.filter(pk__in=ids).update(state=Photo.State.WITHDRAWN, taken_hour=None, device_model="", lease_until=None)
        duplicates.forget(ids)
        receipt: dict[str, list[object]] = {}
        for _, facts in photos_withdrawn.send(sender=Photo, photo_ids=ids):
            for name, values in cast(dict[str, list[object]], facts or {}).items():
                receipt.setdefault(name, []).extend(values)
        erasure = Erasure.objects.create(volunteer=volunteer, photos=len(ids), receipt=receipt)
        # After commit: bytes removed for a withdrawal that was rolled back could not be brought back.
        transaction.on_commit(lambda: _discard(photos))
    return erasure


def _discard(photos: Sequence[Photo]) -> None:
    for photo in photos:
        discard(f"originals/{photo.sha256}", sha256=photo.sha256)
        if photo.view_sha256:
            discard(f"views/{photo.view_sha256}", view_sha256=photo.view_sha256)
            discard(f"thumbnails/{photo.thumbnail_sha256}", thumbnail_sha256=photo.thumbnail_sha256)
