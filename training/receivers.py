"""What collector tells us or asks: photos were withdrawn or imported, what became of one, which labels are doubted."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.dispatch import receiver
from django.urls import reverse

from collector.models import Erasure, Photo, Recognizer, Volunteer
from collector.second_looks import SecondLook
from collector.signals import (
    erasure_described,
    labels_doubted,
    photo_described,
    photos_imported,
    photos_withdrawn,
    volunteer_described,
)
from training import conditions, fixes, looks, receipts, sights, snapshot
from training.models import Condition, FirstSight, Fix, PhotoValue, Suspect
from training.suspects import open_suspects


@receiver(photos_withdrawn)
def name_what_learned(sender: Any, photo_ids: list[UUID], **kwargs: Any) -> dict[str, Any]:
    """For the receipt: the snapshots that hold the photos, their runs, and the releases that came of them."""
    for rows in (PhotoValue, Condition, FirstSight, Suspect):
        rows.objects.filter(photo__in=photo_ids).delete()
    Fix.objects.filter(Q(photo__in=photo_ids) | Q(mistake__in=photo_ids)).delete()
    looks.forget(photo_ids)
    snapshots = snapshot.containing(photo_ids)
    learned = receipts.learned_from(snapshots)
    return {
        "snapshots": snapshots,
        "runs": [receipts.name(run) for run in learned.runs],
        "releases": [str(release) for release in learned.releases],
    }


@receiver(erasure_described)
def tell_what_became(sender: Any, erasure: Erasure, **kwargs: Any) -> dict[str, Any]:
    """The same as of now, with each release's state, and when the last one left."""
    learned = receipts.learned_from(erasure.receipt.get("snapshots", []))
    return {
        "receipt": {
            "runs": [receipts.name(run) for run in learned.runs],
            "releases": [str(release) for release in learned.releases],
        },
        "releases": [
            {"name": str(release), "state": release.state, "left_at": release.left_at} for release in learned.releases
        ],
        "model_free_at": learned.free_at(erasure.requested_at),
    }


@receiver(photo_described)
def tell_worth(sender: Any, photo: Photo, **kwargs: Any) -> dict[str, Any]:
    """Its value to the newest run that trained on it, and the mistakes that it mended."""
    # "-run_id", not "-run": that would be Run's own order, newest first, turned round.
    newest = PhotoValue.objects.filter(photo=photo).order_by("-run_id").first()
    worth = {} if newest is None else {"worth": newest.value}
    mended = fixes.mended_by(photo_ids=[photo.pk]).get(photo.pk, [])
    return worth | ({"mended": [one.sentence(f"Your photo of {one.label}") for one in mended]} if mended else {})


@receiver(photo_described)
def tell_conditions(sender: Any, photo: Photo, **kwargs: Any) -> dict[str, Any]:
    """Under which conditions it was taken, as measured."""
    row = Condition.objects.filter(photo=photo).first()
    return {} if row is None else {"conditions": list(conditions.names([getattr(row, name) for name in conditions.MEASURES]))}


@receiver(photo_described)
def tell_first_sight(sender: Any, photo: Photo, **kwargs: Any) -> dict[str, Any]:
    """What phones would have said of it when it was new."""
    row = FirstSight.objects.filter(photo=photo).select_related("taken_for").first()
    return {} if row is None else {"first_sight": sights.facts(row)}


@receiver(volunteer_described)
def tell_everything(sender: Any, volunteer: Volunteer, **kwargs: Any) -> dict[str, Iterator[dict[str, Any]]]:
    """For the takeout: what nights found the photos worth, what they mended, measured and took the photos for."""
    values = PhotoValue.objects.filter(photo__volunteer=volunteer).select_related("run__recognizer").order_by("pk")
    # Without the photos that were mistaken: they are other people's.
    mended = Fix.objects.filter(photo__volunteer=volunteer).select_related("run__recognizer", "before").order_by("pk")
    measured = Condition.objects.filter(photo__volunteer=volunteer).order_by("pk")
    seen = FirstSight.objects.filter(photo__volunteer=volunteer).select_related("taken_for").order_by("pk")
    return {
        "worth": ({"photo": str(row.photo_id), "run": receipts.name(row.run), "value": row.value} for row in values.iterator()),
        "mended": (
            {"photo": str(row.photo_id), "run": receipts.name(row.run), "taken_before_for": row.before.slug}
            for row in mended.iterator()
        ),
        "conditions": (
            {"photo": str(row.photo_id)} | {name: getattr(row, name) for name in conditions.MEASURES}
            for row in measured.iterator()
        ),
        "first_sights": ({"photo": str(row.photo_id)} | sights.facts(row) for row in seen.iterator()),
    }


@receiver(volunteer_described)
def tell_all_doubts(sender: Any, volunteer: Volunteer, **kwargs: Any) -> dict[str, Iterator[dict[str, Any]]]:
    """For the takeout: which labels of their photos a night doubted."""
    rows = Suspect.objects.filter(photo__volunteer=volunteer).select_related("run__recognizer", "given", "suggested")
    return {
        "doubts": (
            {
                "photo": str(row.photo_id),
                "run": receipts.name(row.run),
                "given": row.given.slug,
                "suggested": row.suggested.slug,
                "confidence": row.confidence,
            }
            for row in rows.order_by("pk").iterator()
        )
    }


@receiver(labels_doubted)
def name_suspects(sender: Any, recognizer: Recognizer, **kwargs: Any) -> list[SecondLook]:
    """For the moderators: what the newest night still doubts."""
    return [
        SecondLook(
            photo_id=row.photo_id,
            given_id=row.given_id,
            suggested_id=row.suggested_id,
            because=f"A model that has not seen this photo gives “{row.given.name}” {row.confidence:.0%}.",
        )
        for row in open_suspects(recognizer)
    ]


@receiver(photos_imported)
def lead_to_the_workshop(sender: Any, recognizer: Recognizer, **kwargs: Any) -> dict[str, str]:
    """For the owner: the page where a model is made of the photos."""
    address = reverse("admin:training_workshop_change", args=[recognizer.pk])
    return {"text": f"Train a model of {recognizer.name}", "address": address}
