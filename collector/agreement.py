"""MODERATION, of newcomers: a volunteer's first photos are accepted when MODERATORS_FOR_FIRST moderators give them one label.

Until then each verdict is a row and the photo goes on waiting. One rejection is enough at any time: a photo that shows a person
must not become public because somebody else overlooked that. Where moderators name different labels, the photo comes back to
those who have seen it, so that one may come round or a third may settle it; of each moderator the newest verdict counts.
"""

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery

from collector.models import Decision, Label, Photo


def needs_agreement(photo: Photo) -> bool:
    """Whether one moderator is too few to accept it: nobody has accepted it yet, and it is one of its volunteer's first.

    First are the FIRST_PHOTOS_HELD that persons looked at before any other, in each recognizer; what was asked for once holds
    until the photo is decided. Imports have no newcomer. True answers are stable only while the recognizer's `turn` is taken.
    """
    if settings.MODERATORS_FOR_FIRST == 1 or photo.source != Photo.Source.PHONE or photo.accepted_at is not None:
        return False
    if photo.state == Photo.State.PENDING and photo.decisions.exists():
        return True
    looked_at = Exists(Decision.objects.filter(photo=OuterRef("pk")).exclude(reason=Decision.Reason.AUTO))
    others = Photo.objects.filter(looked_at, volunteer=photo.volunteer_id, recognizer=photo.recognizer_id).exclude(pk=photo.pk)
    most = settings.FIRST_PHOTOS_HELD
    return others.order_by().values("pk")[:most].count() < most  # the slice: a volunteer may have a hundred thousand


def agreed(photo: Photo, moderator: User | None, label: Label) -> bool:
    """Whether this moderator's verdict for `label` is the one that was missing. One in nobody's name is nobody's."""
    if moderator is None:
        return False
    others = {who: given for who, given in labels_given(photo).items() if who != moderator.pk}
    return 1 + list(others.values()).count(label.pk) >= settings.MODERATORS_FOR_FIRST


def repeats(photo: Photo, moderator: User | None, label: Label | None) -> bool:
    """Whether the last word about a waiting photo is the same verdict of the same moderator, e.g. of a form sent twice."""
    newest = photo.decisions.last()
    if newest is None or moderator is None or label is None:
        return False
    return (newest.moderator_id, _label(newest, photo)) == (moderator.pk, label.pk)


def labels_given(photo: Photo) -> dict[int, int | None]:
    """Moderator → the label of their newest verdict (None: they rejected it), in the order of those verdicts."""
    given: dict[int, int | None] = {}
    for decision in photo.decisions.exclude(moderator=None).order_by("decided_at", "id"):
        assert decision.moderator_id is not None
        given.pop(decision.moderator_id, None)
        given[decision.moderator_id] = _label(decision, photo)
    return given


def _label(decision: Decision, photo: Photo) -> int | None:
    return {"accept": photo.claimed_id, "relabel": decision.label_id, "reject": None}[decision.verdict]


def last_word(photos: QuerySet[Photo]) -> QuerySet[Photo]:
    """The photos with `last_word_of`: the moderator of the newest decision about each."""
    newest = Decision.objects.filter(photo=OuterRef("pk")).order_by("-decided_at", "-id")
    return photos.annotate(last_word_of=Subquery(newest.values("moderator")[:1]))


def waiting_for_others(moderator: User) -> dict[int, int]:
    """Recognizer → photos that wait although this moderator has had the last word about them."""
    seen = Photo.objects.filter(Exists(Decision.objects.filter(photo=OuterRef("pk"), moderator=moderator)), state="pending")
    mine = last_word(seen).filter(Q(last_word_of=moderator.pk)).order_by()
    return dict(mine.values_list("recognizer").annotate(Count("pk")))


def too_few_moderators() -> bool:
    """Whether fewer persons may decide than must agree: then a newcomer's photos wait for ever."""
    persons = User.objects.with_perm("collector.add_decision").filter(is_staff=True)
    return persons.count() < settings.MODERATORS_FOR_FIRST


def standing(photo: Photo) -> str:
    """What a moderator is told about a photo that several must agree on; empty for any other.

    The second one is not told what the first one said, so that they look for themselves; only a disagreement is laid open.
    """
    if not needs_agreement(photo):
        return ""
    labels = [label for label in labels_given(photo).values() if label is not None]
    if len(set(labels)) > 1:
        names = Label.objects.in_bulk(set(labels))
        return f"Moderators disagree so far: {', '.join(sorted(names[label].name for label in set(labels)))}."
    looked = f" {len(labels)} has looked." if len(labels) == 1 else f" {len(labels)} have looked." if labels else ""
    return f"One of a new volunteer's first photos: accepted when {settings.MODERATORS_FOR_FIRST} moderators agree.{looked}"
