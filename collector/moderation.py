"""MODERATION: a person decides about a photo. Every decision is a row that stays; the photo carries the newest one."""

from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from collector.errors import NotDecidable, UnknownLabel, UnknownPhoto
from collector.models import Decision, Label, Photo, Recognizer
from collector.splits import split_for

DECIDABLE = (Photo.State.PENDING, Photo.State.ACCEPTED, Photo.State.REJECTED)


def queue(*, recognizer: Recognizer) -> QuerySet[Photo]:
    """What waits for a moderator, oldest first, near-duplicates next to the first of their cluster."""
    pending = Photo.objects.filter(recognizer=recognizer, state=Photo.State.PENDING)
    return pending.select_related("claimed", "challenge", "volunteer").order_by("received_at", "id")


def decide(
    *,
    photo_id: UUID,
    moderator: User | None,
    verdict: str,
    label: Label | None = None,
    reason: str = "",
    seen_state: str | None = None,
) -> Decision:
    """Accept, reject or relabel one decoded photo. `seen_state` is the state the moderator saw: if another moderator was
    faster, nothing is decided twice. Raises UnknownPhoto, NotDecidable, UnknownLabel.
    """
    photo = Photo.objects.select_related("claimed", "recognizer").filter(pk=photo_id).first()
    if photo is None:
        raise UnknownPhoto(photo=str(photo_id))
    _check(photo, verdict, label, reason)
    label = {"accept": photo.claimed, "relabel": label, "reject": None}[verdict]
    with transaction.atomic():
        if label is not None:  # splits of kin are judged one after the other
            Recognizer.objects.filter(pk=photo.recognizer_id).update(turn=F("turn") + 1)
            photo.refresh_from_db(fields=["split", "accepted_at", "cluster"])
        decision = Decision.objects.create(
            photo=photo, moderator=moderator, verdict=verdict, label=label if verdict == "relabel" else None, reason=reason
        )
        seen = [seen_state] if seen_state else list(DECIDABLE)
        if not Photo.objects.filter(pk=photo_id, state__in=seen).update(**_changes(photo, label)):
            # raised inside the transaction: the decision row goes with it
            raise NotDecidable("Another moderator decided it, or it was withdrawn. Look again.", photo=str(photo_id))
    return decision


def _check(photo: Photo, verdict: str, label: Label | None, reason: str) -> None:
    if photo.state not in DECIDABLE:
        raise NotDecidable(f"It is {photo.get_state_display()}.", photo=str(photo.pk), state=photo.state)
    if verdict not in Decision.Verdict.values:
        raise NotDecidable(f"There is no verdict {verdict!r}: use accept, reject or relabel.", photo=str(photo.pk))
    if verdict == "reject" and reason not in [r for r in Decision.Reason.values if r]:
        raise NotDecidable("A rejection needs one of the known reasons: its volunteer reads it.", photo=str(photo.pk))
    if verdict == "relabel" and (label is None or label.recognizer_id != photo.recognizer_id):
        raise UnknownLabel("Relabelling needs a label of the same recognizer.", photo=str(photo.pk))


def _changes(photo: Photo, label: Label | None) -> dict[str, object]:
    if label is None:
        return {"state": Photo.State.REJECTED, "label": None}
    return {
        "state": Photo.State.ACCEPTED,
        "label": label,
        "split": photo.split or split_for(photo, label),  # fixed the first time, for good
        "accepted_at": photo.accepted_at or timezone.now(),
    }
