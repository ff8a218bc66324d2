"""What collector tells us: photos were withdrawn, or somebody asks what a photo was worth."""

from typing import Any
from uuid import UUID

from django.dispatch import receiver

from collector.models import Photo
from collector.signals import photo_described, photos_withdrawn
from training import snapshot
from training.models import PhotoValue


@receiver(photos_withdrawn)
def name_what_learned(sender: Any, photo_ids: list[UUID], **kwargs: Any) -> dict[str, Any]:
    """For the receipt: the snapshots that hold the photos, and the releases that came of them."""
    holding = snapshot.containing(photo_ids)
    return {"snapshots": holding.snapshots, "releases": holding.releases}


@receiver(photo_described)
def tell_worth(sender: Any, photo: Photo, **kwargs: Any) -> dict[str, Any]:
    """Its value to the newest run that trained on it."""
    # "-run_id", not "-run": that would be Run's own order, newest first, turned round.
    newest = PhotoValue.objects.filter(photo=photo).order_by("-run_id").first()
    return {} if newest is None else {"worth": newest.value}
