"""MODERATION, once more: accepted photos whose labels something doubts, and what a moderator says to it.

Who doubts is not known here: the apps above answer the signal `labels_doubted`.
"""

from dataclasses import dataclass
from typing import cast
from uuid import UUID

from django.contrib.auth.models import User

from collector.errors import NotDecidable
from collector.models import Decision, Label, Photo, Recognizer
from collector.moderation import decide
from collector.signals import labels_doubted

ANSWERS = ("keep", "relabel", "reject")


@dataclass(frozen=True)
class SecondLook:
    """A doubt about one accepted photo: labels by their keys, `because` one sentence for the moderator."""

    photo_id: UUID
    given_id: int
    suggested_id: int
    because: str


def wanted(*, recognizer: Recognizer) -> list[SecondLook]:
    """What deserves another look, each photo once, in the order of who doubts."""
    found: dict[UUID, SecondLook] = {}
    for _, looks in labels_doubted.send(sender=Recognizer, recognizer=recognizer):
        for look in cast(list[SecondLook], looks):
            found.setdefault(look.photo_id, look)
    return list(found.values())


def answer(*, look: SecondLook, moderator: User, what: str, reason: str = "") -> Decision:
    """Keep the given label, relabel as suggested, or reject: an ordinary decision, which settles the doubt.

    Nothing happens to a photo that is not accepted any more or has another label by now. Raises NotDecidable, UnknownPhoto.
    """
    if what not in ANSWERS:
        raise NotDecidable(f"There is no answer {what!r}: use keep, relabel or reject.", photo=str(look.photo_id))
    given = Label.objects.get(pk=look.given_id)
    label = None if what == "reject" else given if what == "keep" else Label.objects.get(pk=look.suggested_id)
    claimed = Photo.objects.filter(pk=look.photo_id, claimed=label).exists()
    # What the volunteer claimed is accepted, so that nobody's record says "relabelled" who was right.
    verdict = "reject" if label is None else "accept" if claimed else "relabel"
    return decide(
        photo_id=look.photo_id,
        moderator=moderator,
        verdict=verdict,
        label=label if verdict == "relabel" else None,
        reason=reason if verdict == "reject" else "",
        seen_state=Photo.State.ACCEPTED,
        seen_label=given,
    )
