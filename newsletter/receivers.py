"""What collector tells us: photos were withdrawn, an account was erased, or a volunteer asks about a photo or everything; and
what mail providers tell us of our mails."""

from contextlib import suppress
from typing import Any
from uuid import UUID

from anymail.signals import AnymailTrackingEvent, tracking
from django.db.models import Q
from django.dispatch import receiver

from collector.models import Photo, Volunteer
from collector.signals import photo_decided, photo_described, photos_withdrawn, volunteer_described, volunteer_erased
from newsletter import edition, events, fame, fame_names, fame_rows, fame_teams, forgetting, scores, votes
from newsletter.errors import InNoTeam
from newsletter.models import Comparison, EditionEntry, KnownPair, PhotoScore, TeamMember, Vote
from training.signals import photos_judged


@receiver(photo_decided)
def mark_decided(sender: Any, photo: Photo, again: bool, **kwargs: Any) -> None:
    """Its day is recounted. Badges only where they can change by it: no night has measured yet what is new and alone."""
    if photo.source == Photo.Source.PHONE:
        alike = Photo.objects.filter(cluster=photo.cluster, accepted_at__isnull=False).exclude(pk=photo.pk)
        fame_rows.mark_photos([photo.pk], badges=again or alike.exists())


@receiver(photos_judged)
def mark_judged(sender: Any, recognizer_id: int, **kwargs: Any) -> None:
    """A night: worth, badges, everything may have changed."""
    fame_rows.mark_all(recognizer_id)


@receiver(photos_withdrawn)
def forget(sender: Any, photo_ids: list[UUID], **kwargs: Any) -> dict[str, list[str]]:
    """For the receipt: the editions that had shown the photos. Nobody has voted on them any more."""
    fame_rows.mark_photos(photo_ids, badges=True)
    Vote.objects.filter(photo__in=photo_ids).delete()
    Comparison.objects.filter(Q(low__in=photo_ids) | Q(high__in=photo_ids)).delete()
    KnownPair.objects.filter(Q(better__in=photo_ids) | Q(worse__in=photo_ids)).delete()
    PhotoScore.objects.filter(photo__in=photo_ids).delete()
    return edition.forget(photo_ids)


@receiver(volunteer_erased)
def forget_volunteer(sender: Any, volunteer: Volunteer, **kwargs: Any) -> None:
    """Votes, lines and badges go with the volunteer's row; leaderboards in editions hold the id without a foreign key.
    Addresses are let go."""
    edition.forget_volunteer(volunteer.pk)
    fame_rows.mark_photos(Vote.objects.filter(volunteer=volunteer, like=True).values_list("photo_id", flat=True))
    fame_names.forget(volunteer=volunteer)
    with suppress(InNoTeam):
        fame_teams.leave(volunteer=volunteer)
    forgetting.forget_volunteer(volunteer)


@receiver(photo_described)
def tell_votes(sender: Any, photo: Photo, **kwargs: Any) -> dict[str, Any]:
    """How others voted, and where that puts it."""
    score = scores.described(photo)
    return {"votes": votes.counts(photo=photo)} | ({"score": score} if score else {})


@receiver(volunteer_described)
def tell_everything(sender: Any, volunteer: Volunteer, **kwargs: Any) -> dict[str, Any]:
    """For the takeout: the votes this volunteer gave, their standing with streaks and badges, how they want to be named, their
    team, their subscriptions, and where their photos were printed."""
    given = Vote.objects.filter(volunteer=volunteer).order_by("pk")
    compared = Comparison.objects.filter(volunteer=volunteer).order_by("pk")
    wish = fame_names.preference(volunteer=volunteer)
    member = TeamMember.objects.filter(volunteer=volunteer).select_related("team").first()
    printed = EditionEntry.objects.filter(photo__volunteer=volunteer).select_related("edition__recognizer").order_by("pk")
    return {
        "votes_given": ({"photo": str(row.photo_id), "like": row.like, "voted_at": row.voted_at} for row in given.iterator()),
        "pairs_judged": (
            {"photos": [str(row.low_id), str(row.high_id)], "better": str(row.better_id or ""), "compared_at": row.compared_at}
            for row in compared.iterator()
        ),
        "subscriptions": forgetting.told_to(volunteer),
        "fame": fame.standing(volunteer=volunteer),
        "fame_wish": {"listed": wish.listed, "pseudonym": wish.pseudonym},
        "team": None if member is None else {"name": member.team.name, "joined_at": member.joined_at},
        "printed": (
            {"edition": str(row.edition), "photo": str(row.photo_id), "caption": row.caption, "credit": row.credit}
            for row in printed.iterator()
        ),
    }


@receiver(tracking)
def hear(sender: Any, event: AnymailTrackingEvent, esp_name: str, **kwargs: Any) -> None:
    """anymail has checked who sends it."""
    events.hear(event=event, provider=esp_name)
