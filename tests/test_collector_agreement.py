"""MODERATION, of newcomers: whatever moderators do, a first photo is accepted by two who agree and never gets stuck."""

import threading
import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client, override_settings
from django.utils import timezone
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from collector.agreement import waiting_for_others
from collector.errors import NotDecidable
from collector.models import Decision, Label, Photo, Recognizer, Volunteer
from collector.moderation import decide, decide_alike, decide_by_rule, judged_by_persons, queue

pytestmark = pytest.mark.django_db
QUEUE = "/admin/collector/photo/review/?recognizer=coins"


@pytest.fixture(autouse=True)
def two(settings: Any) -> None:
    settings.MODERATORS_FOR_FIRST, settings.FIRST_PHOTOS_HELD = 2, 2


@pytest.fixture
def colleague(db: None) -> User:
    return User.objects.create_superuser("colleague", password="a long enough password")


def state(photo: Photo) -> str:
    return Photo.objects.get(pk=photo.pk).state


def test_a_first_photo_waits_for_a_second_moderator_who_agrees(live_photo: Any, moderator: Any, colleague: Any) -> None:
    photo = live_photo(state="pending")
    first = decide(photo_id=photo.pk, moderator=moderator, verdict="accept", seen_state="pending")
    assert first.photo.state == state(photo) == "pending"
    assert not queue(recognizer=photo.recognizer, moderator=moderator).exists()
    assert waiting_for_others(moderator) == {photo.recognizer_id: 1} and waiting_for_others(colleague) == {}
    assert queue(recognizer=photo.recognizer, moderator=colleague).get() == photo
    with pytest.raises(NotDecidable, match="waits for another"):
        decide(photo_id=photo.pk, moderator=moderator, verdict="accept", seen_state="pending")
    second = decide(photo_id=photo.pk, moderator=colleague, verdict="accept", seen_state="pending")
    photo.refresh_from_db()
    assert second.photo.state == photo.state == "accepted" and photo.label == photo.claimed and photo.split
    assert [row.moderator for row in photo.decisions.all()] == [moderator, colleague]


def test_one_rejection_is_enough_before_and_after_an_acceptance(live_photo: Any, moderator: Any, colleague: Any) -> None:
    alone, later = live_photo(state="pending"), live_photo(state="pending")
    decide(photo_id=alone.pk, moderator=moderator, verdict="reject", reason="person")
    decide(photo_id=later.pk, moderator=moderator, verdict="accept")
    decide(photo_id=later.pk, moderator=colleague, verdict="reject", reason="person")
    assert (state(alone), state(later)) == ("rejected", "rejected")


def test_who_names_another_label_disagrees_and_the_photo_comes_back_until_two_agree(
    live_photo: Any, moderator: Any, colleague: Any, recognizer: Any, client: Client
) -> None:
    photo, gold = live_photo(state="pending"), recognizer.labels.get(slug="gold")
    decide(photo_id=photo.pk, moderator=moderator, verdict="accept")
    decide(photo_id=photo.pk, moderator=colleague, verdict="relabel", label=gold)
    assert state(photo) == "pending" and queue(recognizer=recognizer, moderator=moderator).get() == photo
    assert not queue(recognizer=recognizer, moderator=colleague).exists()
    decide(photo_id=photo.pk, moderator=moderator, verdict="accept")  # insists: now it is the other one's again
    assert queue(recognizer=recognizer, moderator=colleague).get() == photo
    client.force_login(colleague)
    assert "Moderators disagree so far: Copper, Gold." in client.get(QUEUE).content.decode()
    third = User.objects.create_user("third", is_staff=True)
    decide(photo_id=photo.pk, moderator=third, verdict="relabel", label=gold)
    photo.refresh_from_db()
    assert (photo.state, photo.label) == ("accepted", gold)


def test_only_the_first_photos_take_two(live_photo: Any, moderator: Any) -> None:
    photos = [live_photo(state="pending") for _ in range(3)]
    for photo in photos:
        decide(photo_id=photo.pk, moderator=moderator, verdict="accept")
    assert [state(photo) for photo in photos] == ["pending", "pending", "accepted"]


def test_a_rejected_first_photo_takes_two_as_well_and_an_accepted_one_never_again(
    live_photo: Any, moderator: Any, colleague: Any
) -> None:
    photo = live_photo(state="pending")
    decide(photo_id=photo.pk, moderator=moderator, verdict="reject", reason="unclear")
    decide(photo_id=photo.pk, moderator=moderator, verdict="accept")
    assert state(photo) == "pending"
    decide(photo_id=photo.pk, moderator=colleague, verdict="accept")
    decide(photo_id=photo.pk, moderator=colleague, verdict="reject", reason="unclear")
    decide(photo_id=photo.pk, moderator=moderator, verdict="accept")
    assert state(photo) == "accepted"


def test_what_one_moderator_would_accept_vouches_for_nobody(live_photo: Any, moderator: Any, settings: Any) -> None:
    settings.AUTO_ACCEPT_LEAST = 0
    photos = [live_photo(state="pending") for _ in range(3)]
    Recognizer.objects.update(auto_accept="trusted")
    for photo in photos[:2]:
        decide(photo_id=photo.pk, moderator=moderator, verdict="accept")
        assert not decide_by_rule(photo_id=photo.pk) and photo.decisions.count() == 1
    assert judged_by_persons(volunteer=photos[0].volunteer, recognizer=photos[0].recognizer) == {}
    assert not decide_by_rule(photo_id=photos[2].pk)


def test_a_script_without_an_account_is_nobodys_second(live_photo: Any, moderator: Any) -> None:
    photo = live_photo(state="pending")
    decide(photo_id=photo.pk, moderator=moderator, verdict="accept")
    decide(photo_id=photo.pk, moderator=None, verdict="accept")
    assert state(photo) == "pending"


def test_a_burst_waits_as_one_and_the_page_says_so(
    live_photo: Any, admin_client: Client, client: Client, colleague: Any
) -> None:
    burst = [live_photo(seed=3, state="pending") for _ in range(3)]
    form = {
        "photo": [str(burst[0].pk)], f"alike-{burst[0].pk}": [str(burst[1].pk)], f"all-{burst[0].pk}": "1",
        f"verdict-{burst[0].pk}": "accept", "rest": "later",
    }  # fmt: skip
    page = admin_client.get(QUEUE).content.decode()
    assert "accepted when 2 moderators agree" in page
    told = admin_client.post(QUEUE, form, follow=True).content.decode()
    assert "0 photos decided" in told and "2 photos wait for another moderator, too" in told
    assert "2 photos that you have looked at wait" in told and "Too few accounts" not in told
    assert f'value="{burst[2].pk}"' in told and f'value="{burst[0].pk}"' not in told
    client.force_login(colleague)
    assert "1 has looked" in client.get(QUEUE).content.decode()
    outcome = decide_alike(photo_ids=[burst[0].pk, burst[1].pk], moderator=colleague, verdict="accept")
    assert outcome == (2, 0, [])


def test_a_place_with_one_moderator_is_told_what_to_do(live_photo: Any, admin_client: Client) -> None:
    photo = live_photo(state="pending")
    told = admin_client.post(QUEUE, {"photo": [str(photo.pk)], "rest": "accept"}, follow=True).content.decode()
    assert "Too few accounts may decide" in told and "MODERATORS_FOR_FIRST=1" in told


def test_a_volunteer_is_not_told_a_verdict_that_does_not_count_yet(live_photo: Any, moderator: Any, api: Any) -> None:
    photo = live_photo(state="pending")
    decide(photo_id=photo.pk, moderator=moderator, verdict="accept")
    answer = api.get(f"/api/v1/photos/{photo.pk}").json()
    assert (answer["state"], answer["decision"]) == ("pending", None)


@pytest.mark.django_db(transaction=True)
def test_two_who_agree_in_the_same_moment_accept_it(live_photo: Any, moderator: Any, colleague: Any) -> None:
    photo, start = live_photo(state="pending"), threading.Barrier(2)

    def moderate(person: User) -> None:
        start.wait()
        decide(photo_id=photo.pk, moderator=person, verdict="accept", seen_state="pending")
        connection.close()

    threads = [threading.Thread(target=moderate, args=(person,)) for person in (moderator, colleague)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert state(photo) == "accepted" and photo.decisions.count() == 2


STEP = st.tuples(st.integers(0, 3), st.integers(0, 2), st.sampled_from(["a", "b", "reject"]))  # photo, moderator, verdict


@examples(max_examples=25)
@given(steps=st.lists(STEP, max_size=16), needed=st.integers(1, 3), held=st.integers(1, 3))
def test_whatever_moderators_do_first_photos_take_as_many_as_must_agree(
    steps: list[tuple[int, int, str]], needed: int, held: int
) -> None:
    """Against a model in plain Python: states, rows that are only added, and queues that lose nothing."""
    with override_settings(MODERATORS_FOR_FIRST=needed, FIRST_PHOTOS_HELD=held), transaction.atomic():
        people, photos, labels = _scene()
        states, said = ["pending"] * 4, [list[tuple[int, str]]() for _ in range(4)]
        accepted = [False] * 4
        for at, who, what in steps:
            looked_at = sum(bool(said[other]) for other in range(4) if other != at)
            special = needed > 1 and not accepted[at] and ((states[at] == "pending" and said[at]) or looked_at < held)
            newest = dict(said[at]) | {who: what}
            if what == "reject":
                expected = "rejected"
            elif special and list(newest.values()).count(what) < needed:
                expected = "refused" if said[at][-1:] == [(who, what)] else "pending"
            else:
                expected = "accepted"
            try:
                _say(photos[at], people[who], what, labels)
            except NotDecidable:
                assert expected == "refused"
                continue
            said[at].append((who, what))
            states[at] = expected
            accepted[at] = accepted[at] or expected == "accepted"
            found = Photo.objects.get(pk=photos[at].pk)
            assert found.state == expected and photos[at].decisions.count() == len(said[at])
            assert found.label == (labels[what] if expected == "accepted" else None)
        for photo, state_, words in zip(photos, states, said, strict=True):
            mine = [queue(recognizer=photo.recognizer, moderator=person).filter(pk=photo.pk).exists() for person in people]
            last = words[-1][0] if words else None
            assert mine == [state_ == "pending" and who != last for who in range(3)]
        transaction.set_rollback(True)


def _scene() -> tuple[list[User], list[Photo], dict[str, Label]]:
    recognizer = Recognizer.objects.create(slug=uuid.uuid4().hex, name="any")
    labels = {
        slug: Label.objects.create(recognizer=recognizer, slug=slug, name=slug, position=at) for at, slug in enumerate("ab")
    }
    person = Volunteer.objects.create(token_hash=uuid.uuid4().hex, consent_version="t", consented_at=timezone.now())
    photos = [
        Photo(id=uuid.uuid4(), volunteer=person, recognizer=recognizer, claimed=labels["a"], width=1, height=1, bytes=1,
              state="pending", cluster=uuid.uuid4())
        for _ in range(4)
    ]  # fmt: skip
    people = [User.objects.create_user(uuid.uuid4().hex, is_staff=True) for _ in range(3)]
    return people, Photo.objects.bulk_create(photos), labels


def _say(photo: Photo, person: User, what: str, labels: dict[str, Label]) -> Decision:
    if what == "reject":
        return decide(photo_id=photo.pk, moderator=person, verdict="reject", reason="unclear")
    verdict = "accept" if what == "a" else "relabel"
    return decide(photo_id=photo.pk, moderator=person, verdict=verdict, label=labels[what] if what == "b" else None)
