"""What collector tells us: photos were withdrawn, or a volunteer asks about one."""

from typing import Any
from uuid import UUID

from django.dispatch import receiver

from collector.models import Photo
from collector.signals import photo_described, photos_withdrawn
from newsletter import edition, votes


@receiver(photos_withdrawn)
def forget(sender: Any, photo_ids: list[UUID], **kwargs: Any) -> dict[str, list[str]]:
    """For the receipt: the editions that had shown the photos."""
    return edition.forget(photo_ids)


@receiver(photo_described)
def tell_votes(sender: Any, photo: Photo, **kwargs: Any) -> dict[str, Any]:
    """How others voted."""
    return {"votes": votes.counts(photo=photo)}
