"""MODERATION: a person decides about a photo. Every decision is a row that stays; the photo carries what came of them."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from collector.agreement import agreed, last_word, needs_agreement, repeats
from collector.errors import NotDecidable, UnknownLabel, UnknownPhoto
from collector.models import Decision, Label, Photo, Recognizer, Volunteer
from collector.signals import photo_decided
from collector.splits import split_for
from config.errors import Problem

REJECTIONS = dict(choice for choice in Decision.Reason.choices if choice[0] not in ("", Decision.Reason.AUTO))  # value → text
DECIDABLE = (Photo.State.PENDING, Photo.State.ACCEPTED, Photo.State.REJECTED)


class Outcome(NamedTuple):
    """What became of several photos: decided, waiting on for another moderator, and why others were left as they are."""

    decided: int
    waiting: int
    refused: list[Problem]


def queue(*, recognizer: Recognizer, moderator: User | None = None) -> QuerySet[Photo]:
    """What waits for a moderator, oldest first; for this one, without what waits for somebody else's verdict after theirs."""
    pending = Photo.objects.filter(recognizer=recognizer, state=Photo.State.PENDING)
    if moderator is not None:
        pending = last_word(pending).filter(Q(last_word_of=None) | ~Q(last_word_of=moderator.pk))  # NULL is not unequal
    return pending.select_related("claimed", "challenge", "volunteer").order_by("received_at", "id")


def decide(
    *,
    photo_id: UUID,
    moderator: User | None,
    verdict: str,
    label: Label | None = None,
    reason: str = "",
    seen_state: str | None = None,
    seen_label: Label | None = None,
    split: str = "",
) -> Decision:
    """Accept, reject or relabel one decoded photo. `seen_state` and `seen_label` are what the moderator saw: if another
    moderator was faster, nothing is decided twice. `split` is where its owner wants it, as far as its kin leave the choice (see
    `splits.split_for`). Raises UnknownPhoto, NotDecidable, UnknownLabel.

    A newcomer's photo waits on after its first acceptance (collector.agreement): `.photo.state` of what is returned says so.
    """
    photo = Photo.objects.select_related("claimed", "recognizer").filter(pk=photo_id).first()
    if photo is None:
        raise UnknownPhoto(photo=str(photo_id))
    _check(photo, verdict, label, reason)
    label = {"accept": photo.claimed, "relabel": label, "reject": None}[verdict]
    with transaction.atomic():
        if label is not None:  # splits of kin are judged one after the other
            Recognizer.objects.filter(pk=photo.recognizer_id).update(turn=F("turn") + 1)
            photo.refresh_from_db(fields=["state", "split", "accepted_at", "cluster"])
        waits = label is not None and needs_agreement(photo) and not agreed(photo, moderator, label)
        if waits:
            _may_wait(photo, moderator, label, reason)
        changes = {"state": Photo.State.PENDING} if waits else _changes(photo, label, split)
        decision = Decision.objects.create(
            photo=photo, moderator=moderator, verdict=verdict, label=label if verdict == "relabel" else None, reason=reason
        )
        seen = Photo.objects.filter(pk=photo_id, state__in=[seen_state] if seen_state else list(DECIDABLE))
        if seen_label is not None:
            seen = seen.filter(label=seen_label)
        if not seen.update(**changes):
            # raised inside the transaction: the decision row goes with it
            raise NotDecidable("Another moderator decided it, or it was withdrawn. Look again.", photo=str(photo_id))
        again = photo.accepted_at is not None
        for name, value in changes.items():
            setattr(photo, name, value)
        photo_decided.send(sender=Photo, photo=photo, again=again)
    return decision


def decide_alike(
    *, photo_ids: Sequence[UUID], moderator: User, verdict: str, label: Label | None = None, reason: str = ""
) -> Outcome:
    """One verdict for near-duplicates that wait.

    The first photo is the one that was judged. All that are accepted get one label: a copy whose volunteer claims another one
    is relabelled, for one picture cannot train two. Photos of other clusters are refused.
    """
    first = Photo.objects.filter(pk__in=photo_ids[:1]).select_related("claimed").first()
    if first is None:
        return Outcome(0, 0, [UnknownPhoto(photo=str(photo_ids[:1]))])
    alike = Photo.objects.filter(pk__in=photo_ids[1:], cluster=first.cluster, cluster__isnull=False)
    claims = {first.pk: first.claimed_id} | dict(alike.values_list("pk", "claimed_id"))
    target = first.claimed if verdict == "accept" else label
    states, refused = Counter[str](), list[Problem]()
    for photo_id in photo_ids:
        try:
            if photo_id not in claims:
                raise NotDecidable("It does not look the same any more.", photo=str(photo_id))
            other = verdict == "accept" and claims[photo_id] != first.claimed_id
            decision = decide(
                photo_id=photo_id,
                moderator=moderator,
                verdict="relabel" if other else verdict,
                label=target,
                reason=reason,
                seen_state=Photo.State.PENDING,
            )
            states[decision.photo.state] += 1
        except Problem as problem:
            refused.append(problem)
    waiting = states[Photo.State.PENDING]
    return Outcome(states.total() - waiting, waiting, refused)


def decide_by_rule(*, photo_id: UUID) -> bool:
    """Accept a photo that waits where its recognizer's rule says so; True if it did. Otherwise a person decides.

    Three kinds wait for a person whatever the rule says: the first FIRST_PHOTOS_HELD of a volunteer, counted by what persons
    decided, so that photos which come together cannot vouch for one another; pictures of which one was rejected; and
    near-duplicates of somebody else's photo.
    """
    photo = Photo.objects.select_related("recognizer", "volunteer").filter(pk=photo_id, state=Photo.State.PENDING).first()
    if photo is None or photo.source != Photo.Source.PHONE or photo.recognizer.auto_accept != Recognizer.AutoAccept.TRUSTED:
        return False
    judged = judged_by_persons(volunteer=photo.volunteer, recognizer=photo.recognizer)
    if judged.total() < settings.FIRST_PHOTOS_HELD or not _trusted(judged) or _suspicious(photo):
        return False
    try:
        decide(photo_id=photo_id, moderator=None, verdict="accept", reason=Decision.Reason.AUTO, seen_state=Photo.State.PENDING)
    except NotDecidable:  # a moderator was faster, or it was withdrawn
        return False
    return True


def judged_by_persons(*, volunteer: Volunteer, recognizer: Recognizer) -> Counter[str]:
    """How many of this volunteer's photos persons accepted, rejected and relabelled here, by the newest such decision of each.

    Withdrawn photos count: withdrawing what was rejected makes nobody trusted. What one moderator would accept and another has
    not looked at yet does not.
    """
    decisions = Decision.objects.filter(photo__volunteer=volunteer, photo__recognizer=recognizer).exclude(
        reason=Decision.Reason.AUTO
    )
    rows = decisions.order_by("decided_at", "id").values_list("photo_id", "verdict", "photo__accepted_at")
    newest = {photo: (verdict, accepted_at) for photo, verdict, accepted_at in rows}
    rejected = Decision.Verdict.REJECT
    return Counter(verdict for verdict, accepted_at in newest.values() if accepted_at is not None or verdict == rejected)


def _trusted(judged: Counter[str]) -> bool:
    wrong = judged.total() - judged[Decision.Verdict.ACCEPT]
    return (
        judged[Decision.Verdict.ACCEPT] >= settings.AUTO_ACCEPT_LEAST
        and wrong <= settings.AUTO_ACCEPT_WRONG_MOST * judged.total()
    )


def _suspicious(photo: Photo) -> bool:
    alike = Photo.objects.filter(cluster=photo.cluster).exclude(pk=photo.pk)
    return alike.exclude(volunteer=photo.volunteer_id).exists() or alike.filter(state=Photo.State.REJECTED).exists()


def _check(photo: Photo, verdict: str, label: Label | None, reason: str) -> None:
    if photo.state not in DECIDABLE:
        raise NotDecidable(f"It is {photo.get_state_display()}.", photo=str(photo.pk), state=photo.state)
    if verdict not in Decision.Verdict.values:
        raise NotDecidable(f"There is no verdict {verdict!r}: use accept, reject or relabel.", photo=str(photo.pk))
    if verdict == "reject" and reason not in REJECTIONS:
        raise NotDecidable("A rejection needs one of the known reasons: its volunteer reads it.", photo=str(photo.pk))
    if verdict == "relabel" and (label is None or label.recognizer_id != photo.recognizer_id):
        raise UnknownLabel("Relabelling needs a label of the same recognizer.", photo=str(photo.pk))


def _may_wait(photo: Photo, moderator: User | None, label: Label | None, reason: str) -> None:
    if reason == Decision.Reason.AUTO:
        raise NotDecidable("Its volunteer is new: persons decide.", photo=str(photo.pk))
    if repeats(photo, moderator, label):
        raise NotDecidable("You have decided so already; it waits for another moderator.", photo=str(photo.pk))


def _changes(photo: Photo, label: Label | None, split: str) -> dict[str, object]:
    if label is None:
        return {"state": Photo.State.REJECTED, "label": None}
    return {
        "state": Photo.State.ACCEPTED,
        "label": label,
        "split": photo.split or split_for(photo, label, wanted=split),  # fixed the first time, for good
        "accepted_at": photo.accepted_at or timezone.now(),
    }
