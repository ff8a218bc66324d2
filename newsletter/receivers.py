"""What collector tells us: photos were withdrawn, an account was erased, or a volunteer asks about a photo or everything; and
what mail providers tell us of our mails."""

from typing import Any
from uuid import UUID

from anymail.signals import AnymailTrackingEvent, tracking
from django.db.models import Q
from django.dispatch import receiver

from collector.models import Photo, Volunteer
from collector.signals import photo_described, photos_withdrawn, volunteer_described, volunteer_erased
from newsletter import edition, events, fame, forgetting, scores, votes
from newsletter.models import Comparison, EditionEntry, KnownPair, PhotoScore, Vote


@receiver(photos_withdrawn)
def forget(sender: Any, photo_ids: list[UUID], **kwargs: Any) -> dict[str, list[str]]:
    """For the receipt: the editions that had shown the photos. Nobody has voted on them any more."""
    Vote.objects.filter(photo__in=photo_ids).delete()
    Comparison.objects.filter(Q(low__in=photo_ids) | Q(high__in=photo_ids)).delete()
    KnownPair.objects.filter(Q(better__in=photo_ids) | Q(worse__in=photo_ids)).delete()
    PhotoScore.objects.filter(photo__in=photo_ids).delete()
    return edition.forget(photo_ids)


@receiver(volunteer_erased)
def forget_volunteer(sender: Any, volunteer: Volunteer, **kwargs: Any) -> None:
    """Votes go with the volunteer's row; leaderboards in editions hold the id without a foreign key; addresses go too."""
    edition.forget_volunteer(volunteer.pk)
    forgetting.forget_volunteer(volunteer)


@receiver(photo_described)
def tell_votes(sender: Any, photo: Photo, **kwargs: Any) -> dict[str, Any]:
    """How others voted, and where that puts it."""
    score = scores.described(photo)
    return {"votes": votes.counts(photo=photo)} | ({"score": score} if score else {})


@receiver(volunteer_described)
def tell_everything(sender: Any, volunteer: Volunteer, **kwargs: Any) -> dict[str, Any]:
    """For the takeout: the votes this volunteer gave, their standing, where their photos were printed, their subscriptions."""
    given = Vote.objects.filter(volunteer=volunteer).order_by("pk")
    compared = Comparison.objects.filter(volunteer=volunteer).order_by("pk")
    printed = EditionEntry.objects.filter(photo__volunteer=volunteer).select_related("edition__recognizer").order_by("pk")
    return {
        "votes_given": ({"photo": str(row.photo_id), "like": row.like, "voted_at": row.voted_at} for row in given.iterator()),
        "pairs_judged": (
            {"photos": [str(row.low_id), str(row.high_id)], "better": str(row.better_id or ""), "compared_at": row.compared_at}
            for row in compared.iterator()
        ),
        "subscriptions": forgetting.told_to(volunteer),
        "fame": fame.standing(volunteer=volunteer),
        "printed": (
            {"edition": str(row.edition), "photo": str(row.photo_id), "caption": row.caption, "credit": row.credit}
            for row in printed.iterator()
        ),
    }


@receiver(tracking)
def hear(sender: Any, event: AnymailTrackingEvent, esp_name: str, **kwargs: Any) -> None:
    """anymail has checked who sends it."""
    events.hear(event=event, provider=esp_name)
