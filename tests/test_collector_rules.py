"""What may be accepted without a moderator: never a new volunteer's first photos, never what looks like a copy."""

import uuid
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from collector.develop import undeveloped
from collector.errors import NotDecidable
from collector.intake import receive
from collector.models import Decision, Label, Photo, Recognizer, Volunteer
from collector.moderation import decide, decide_by_rule, judged_by_persons
from collector.tasks import develop
from collector.volunteers import register
from tests.drawing import jpeg
from tests.test_collector_limits import together

pytestmark = pytest.mark.django_db


@pytest.fixture
def trusting(recognizer: Recognizer, settings: Any, tmp_path: Any) -> Recognizer:
    """A recognizer that trusts after three accepted photos, and holds the first two anyway."""
    settings.AUTO_ACCEPT_LEAST, settings.FIRST_PHOTOS_HELD, settings.STORE_DIR = 3, 2, tmp_path / "store"
    recognizer.auto_accept = Recognizer.AutoAccept.TRUSTED
    recognizer.save()
    return recognizer


def sent(recognizer: Recognizer, volunteer: Volunteer, seed: int, label: str = "copper") -> Photo:
    """A photo as a phone sends it, not yet developed."""
    body = jpeg(seed, size=(120, 90))
    return receive(
        photo_id=uuid.uuid4(),
        volunteer=volunteer,
        recognizer=recognizer,
        label=recognizer.labels.get(slug=label),
        challenge=None,
        body=body,
    )[0]


def state(photo: Photo) -> str:
    return Photo.objects.get(pk=photo.pk).state


def trust(live_photo: Any, count: int = 3) -> list[Photo]:
    return [live_photo(seed=100 + number) for number in range(count)]


def test_by_default_every_photo_waits_for_a_person(recognizer: Recognizer, volunteer: Any, live_photo: Any) -> None:
    trust(live_photo, 25)
    photo = sent(recognizer, volunteer, 1)
    develop.perform(str(photo.pk))
    assert state(photo) == "pending"


def test_a_trusted_volunteers_photo_is_accepted_by_the_rule_and_the_row_says_so(
    trusting: Recognizer, volunteer: Any, live_photo: Any
) -> None:
    trust(live_photo)
    photo = sent(trusting, volunteer, 1)
    develop.perform(str(photo.pk))
    photo.refresh_from_db()
    assert photo.state == "accepted" and photo.split and photo.label == photo.claimed
    decision = photo.decisions.get()
    assert (decision.moderator, decision.verdict, decision.reason) == (None, "accept", "auto")
    assert judged_by_persons(volunteer=volunteer, recognizer=trusting) == {"accept": 3}  # no rule vouches for itself


def test_rejections_and_wrong_labels_end_the_trust(
    trusting: Recognizer, volunteer: Any, live_photo: Any, moderator: Any
) -> None:
    photos = trust(live_photo, 5)
    decide(photo_id=photos[0].pk, moderator=moderator, verdict="relabel", label=trusting.labels.get(slug="gold"))
    photo = sent(trusting, volunteer, 1)
    develop.perform(str(photo.pk))
    assert state(photo) == "pending"
    decide(photo_id=photos[0].pk, moderator=moderator, verdict="accept")  # the newest decision of a photo counts
    assert decide_by_rule(photo_id=photo.pk) and state(photo) == "accepted"
    assert not decide_by_rule(photo_id=photo.pk)


def test_trust_in_one_recognizer_says_nothing_about_another(trusting: Recognizer, volunteer: Any, live_photo: Any) -> None:
    trust(live_photo)
    other = Recognizer.objects.create(slug="other", name="Other", auto_accept="trusted")
    Label.objects.create(recognizer=other, slug="copper", name="Copper", position=0)
    photo = sent(other, volunteer, 1)
    develop.perform(str(photo.pk))
    assert state(photo) == "pending"


def test_copies_of_others_and_of_what_was_rejected_wait_for_a_person(
    trusting: Recognizer, volunteer: Any, live_photo: Any, moderator: Any
) -> None:
    trust(live_photo, 30)
    stranger, _ = register(consent=True, handle="Grace", address="192.0.2.9")
    live_photo(seed=501, by=stranger)
    live_photo(seed=502, state="rejected")
    for seed in (501, 502):
        copy = live_photo(seed=seed, state="pending")
        assert not decide_by_rule(photo_id=copy.pk) and state(copy) == "pending"


def test_a_decision_by_rule_never_meets_a_withdrawn_or_decided_photo(
    trusting: Recognizer, volunteer: Any, live_photo: Any, moderator: Any
) -> None:
    from collector.erasure import withdraw

    trust(live_photo)
    gone, late = live_photo(state="pending"), live_photo(state="pending")
    withdraw(photo_id=gone.pk, volunteer=volunteer)
    assert not decide_by_rule(photo_id=gone.pk) and state(gone) == "withdrawn"
    with pytest.raises(NotDecidable):
        decide(photo_id=gone.pk, moderator=moderator, verdict="accept")
    decide(photo_id=late.pk, moderator=moderator, verdict="reject", reason="unclear")
    assert not decide_by_rule(photo_id=late.pk) and state(late) == "rejected"
    assert Decision.objects.filter(photo=gone).count() == 0


def test_no_moderator_may_give_the_rules_reason(live_photo: Any, moderator: Any) -> None:
    with pytest.raises(NotDecidable, match="known reasons"):
        decide(photo_id=live_photo(state="pending").pk, moderator=moderator, verdict="reject", reason="auto")


@pytest.mark.django_db(transaction=True)
def test_photos_of_a_new_volunteer_that_come_together_are_all_held(trusting: Recognizer, settings: Any) -> None:
    """Even where one accepted photo makes trusted: the first ones wait until persons have decided as many."""
    settings.AUTO_ACCEPT_LEAST, settings.FIRST_PHOTOS_HELD = 0, 3
    newcomer, _ = register(consent=True, handle="New", address="192.0.2.9")
    photos = [sent(trusting, newcomer, 200 + number) for number in range(6)]
    assert together(6, lambda number: develop.perform(str(photos[number].pk))) == [None] * 6
    assert [state(photo) for photo in photos] == ["pending"] * 6 and undeveloped() == []
    for photo in photos[:3]:
        assert not decide_by_rule(photo_id=photos[5].pk)
        decide(photo_id=photo.pk, moderator=None, verdict="accept")
    assert together(3, lambda number: decide_by_rule(photo_id=photos[3 + number].pk)) == [True] * 3


@examples(max_examples=15)
@given(
    steps=st.lists(st.sampled_from(["send", "accept", "reject", "relabel", "withdraw"]), max_size=14), held=st.integers(1, 4)
)
def test_whatever_happens_the_first_photos_are_decided_by_persons(steps: list[str], held: int) -> None:
    """Rows only: no photo is accepted by the rule before persons decided `held` photos of this volunteer."""
    from django.db import transaction
    from django.test import override_settings

    with override_settings(FIRST_PHOTOS_HELD=held, AUTO_ACCEPT_LEAST=0, AUTO_ACCEPT_WRONG_MOST=1.0), transaction.atomic():
        recognizer = Recognizer.objects.create(slug=uuid.uuid4().hex, name="any", auto_accept="trusted")
        label = Label.objects.create(recognizer=recognizer, slug="a", name="a", position=0)
        person = Volunteer.objects.create(token_hash=uuid.uuid4().hex, consent_version="t", consented_at=timezone.now())
        mine, by_persons = Photo.objects.filter(volunteer=person), set()
        for step in steps:
            waiting = mine.filter(state="pending").first()
            if step == "send":
                new = Photo(
                    id=uuid.uuid4(), volunteer=person, recognizer=recognizer, claimed=label, width=1, height=1, bytes=1,
                    state="pending",
                )  # fmt: skip
                new.cluster = new.pk
                new.save()
                assert decide_by_rule(photo_id=new.pk) == (len(by_persons) >= held)
            elif step == "withdraw":
                mine.filter(pk=getattr(mine.first(), "pk", None)).update(state="withdrawn")
            elif waiting is not None:
                reason = "unclear" if step == "reject" else ""
                decide(
                    photo_id=waiting.pk, moderator=None, verdict=step, label=label if step == "relabel" else None, reason=reason
                )
                by_persons.add(waiting.pk)
        transaction.set_rollback(True)
