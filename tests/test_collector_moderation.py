"""MODERATION: decisions are added rows, splits are fixed once by group, two moderators decide once."""

import threading
from collections import Counter
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.errors import NotDecidable, UnknownLabel
from collector.models import Decision, Label, Photo, Recognizer, Volunteer
from collector.moderation import decide
from collector.splits import split_for
from collector.volunteers import register

pytestmark = pytest.mark.django_db


def test_accepting_fixes_label_split_and_time(live_photo: Any, moderator: Any) -> None:
    photo = live_photo(state="pending")
    decision = decide(photo_id=photo.pk, moderator=moderator, verdict="accept")
    photo.refresh_from_db()
    assert (photo.state, photo.label, photo.split) == ("accepted", photo.claimed, "train")
    assert photo.accepted_at and decision.moderator == moderator


def test_every_decision_stays_as_a_row_and_the_split_stays_too(live_photo: Any, moderator: Any, recognizer: Any) -> None:
    photo = live_photo(state="accepted")
    split, gold = photo.split, recognizer.labels.get(slug="gold")
    decide(photo_id=photo.pk, moderator=moderator, verdict="reject", reason="unclear")
    photo.refresh_from_db()
    assert (photo.state, photo.label) == ("rejected", None)
    decide(photo_id=photo.pk, moderator=moderator, verdict="relabel", label=gold)
    photo.refresh_from_db()
    assert (photo.state, photo.label, photo.split) == ("accepted", gold, split)
    assert [d.verdict for d in photo.decisions.all()] == ["accept", "reject", "relabel"]


def test_wrong_decisions_are_refused_and_leave_no_row(live_photo: Any, moderator: Any) -> None:
    photo = live_photo(state="pending")
    foreign = Label.objects.create(recognizer=Recognizer.objects.create(slug="x", name="X"), slug="y", name="Y", position=0)
    with pytest.raises(NotDecidable, match="reason"):
        decide(photo_id=photo.pk, moderator=moderator, verdict="reject")
    with pytest.raises(NotDecidable, match="verdict"):
        decide(photo_id=photo.pk, moderator=moderator, verdict="maybe")
    with pytest.raises(UnknownLabel):
        decide(photo_id=photo.pk, moderator=moderator, verdict="relabel", label=foreign)
    with pytest.raises(NotDecidable):
        decide(photo_id=live_photo(state="received").pk, moderator=moderator, verdict="accept")
    assert Decision.objects.count() == 0


def test_a_second_moderator_who_saw_the_photo_pending_decides_nothing(live_photo: Any, moderator: Any) -> None:
    photo = live_photo(state="pending")
    decide(photo_id=photo.pk, moderator=moderator, verdict="accept", seen_state="pending")
    with pytest.raises(NotDecidable, match="Another moderator"):
        decide(photo_id=photo.pk, moderator=moderator, verdict="reject", reason="unclear", seen_state="pending")
    photo.refresh_from_db()
    assert photo.state == "accepted" and photo.decisions.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_moderators_at_the_same_moment_decide_once(live_photo: Any, moderator: Any) -> None:
    photo = live_photo(state="pending")
    outcomes, start = [], threading.Barrier(2)

    def moderate(verdict: str) -> None:
        start.wait()
        try:
            decide(
                photo_id=photo.pk,
                moderator=moderator,
                verdict=verdict,
                reason="unclear" if verdict == "reject" else "",
                seen_state="pending",
            )
            outcomes.append(verdict)
        except NotDecidable:
            outcomes.append("late")
        connection.close()

    threads = [threading.Thread(target=moderate, args=(verdict,)) for verdict in ("accept", "reject")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("late") == 1
    assert Decision.objects.count() == 1


def test_a_volunteers_photos_and_near_duplicates_never_straddle_splits(live_photo: Any) -> None:
    people = [register(consent=True, handle=f"v{n}", address="192.0.2.1")[0] for n in range(12)]
    photos = [live_photo(by=person, label=label) for person in people for label in ("copper", "silver", "gold")]
    by_volunteer: dict[Any, set[str]] = {}
    for photo in photos:
        by_volunteer.setdefault(photo.volunteer_id, set()).add(photo.split)
    assert all(len(splits) == 1 for splits in by_volunteer.values())
    counts = Counter(photo.split for photo in photos)
    assert 21 <= counts["train"] <= 30 and counts["validation"] >= 3 and counts["test"] >= 3


def test_a_near_duplicate_from_somebody_else_joins_the_split(live_photo: Any) -> None:
    people = [register(consent=True, handle=f"w{n}", address="192.0.2.1")[0] for n in range(8)]
    firsts = [live_photo(by=person, seed=500 + n) for n, person in enumerate(people)]
    assert len({photo.split for photo in firsts}) == 3
    for n, first in enumerate(firsts):
        newcomer = register(consent=True, handle=f"n{n}", address="192.0.2.1")[0]
        assert live_photo(by=newcomer, seed=500 + n).split == first.split


def test_a_photo_that_links_two_splits_is_left_out(live_photo: Any) -> None:
    people = [register(consent=True, handle=f"u{n}", address="192.0.2.1")[0] for n in range(8)]
    firsts = [live_photo(by=person, seed=700 + n) for n, person in enumerate(people)]
    trains = next(photo for photo in firsts if photo.split == "train")
    tests = next(photo for photo in firsts if photo.split == "test")
    bridge = live_photo(by=trains.volunteer, seed=700 + firsts.index(tests))
    assert bridge.state == "accepted" and bridge.split == Photo.Split.NONE


@settings(max_examples=30, deadline=None)
@given(order=st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["copper", "silver", "gold"])), max_size=60))
def test_splits_follow_groups_in_any_order_of_acceptance(order: list[tuple[int, str]]) -> None:
    """Rows only, no pixels: whatever order groups come in, a group stays whole and each split gets something in time."""
    import uuid

    from django.db import transaction
    from django.utils import timezone

    with transaction.atomic():
        recognizer = Recognizer.objects.create(slug=uuid.uuid4().hex, name="any")
        labels = {
            slug: Label.objects.create(recognizer=recognizer, slug=slug, name=slug, position=n)
            for n, slug in enumerate(("copper", "silver", "gold"))
        }
        people: dict[int, Volunteer] = {}
        for who, slug in order:
            if who not in people:
                people[who] = Volunteer.objects.create(
                    token_hash=uuid.uuid4().hex, consent_version="t", consented_at=timezone.now()
                )
            photo = Photo(
                id=uuid.uuid4(), volunteer=people[who], recognizer=recognizer, claimed=labels[slug], label=labels[slug],
                width=1, height=1, bytes=1, state="accepted", accepted_at=timezone.now(),
            )  # fmt: skip
            photo.cluster = photo.pk
            photo.split = split_for(photo, labels[slug])
            photo.save()
        rows = Photo.objects.filter(recognizer=recognizer)
        for person in people.values():
            assert len(set(rows.filter(volunteer=person).values_list("split", flat=True))) == 1
        if len(people) >= 3:
            assert set(rows.values_list("split", flat=True)) == {"train", "validation", "test"}
        transaction.set_rollback(True)


def test_the_queue_page_decides_what_was_chosen_and_leaves_the_rest(
    live_photo: Any, admin_client: Client, recognizer: Any
) -> None:
    photos = [live_photo(state="pending", label=label) for label in ("copper", "copper", "silver", "gold")]
    address = reverse("admin:collector_photo_review") + "?recognizer=coins"
    page = admin_client.get(address).content.decode()
    assert all(str(photo.pk) in page for photo in photos) and "4 photos wait" in page
    accept, reject, relabel, later = photos
    answer = admin_client.post(
        address,
        {
            "photo": [str(photo.pk) for photo in photos],
            f"verdict-{accept.pk}": "accept",
            f"verdict-{reject.pk}": "reject",
            f"reason-{reject.pk}": "person",
            f"verdict-{relabel.pk}": "relabel",
            f"label-{relabel.pk}": "gold",
            f"verdict-{later.pk}": "",
            "rest": "later",
        },
        follow=True,
    )
    assert "3 photos decided" in answer.content.decode()
    for photo in photos:
        photo.refresh_from_db()
    assert [photo.state for photo in photos] == ["accepted", "rejected", "accepted", "pending"]
    assert relabel.label.slug == "gold" and reject.decisions.get().reason == "person"
    assert accept.decisions.get().moderator.username == "admin"
    admin_client.post(address, {"photo": [str(later.pk)], f"verdict-{later.pk}": "", "rest": "accept"})
    later.refresh_from_db()
    assert later.state == "accepted"


def test_a_forged_queue_form_decides_nothing_and_does_not_fail(live_photo: Any, admin_client: Client) -> None:
    photo = live_photo(state="pending")
    address = reverse("admin:collector_photo_review") + "?recognizer=coins"
    answer = admin_client.post(
        address, {"photo": ["no-uuid", str(photo.pk)], "verdict-no-uuid": "accept", f"verdict-{photo.pk}": "drop"}, follow=True
    )
    assert answer.status_code == 200 and "was not decided" in answer.content.decode()
    photo.refresh_from_db()
    assert photo.state == "pending"


def test_only_moderators_see_the_queue_and_undecided_pictures(live_photo: Any, client: Client, moderator: Any) -> None:
    photo = live_photo(state="pending")
    queue = reverse("admin:collector_photo_review")
    picture = reverse("admin:collector_photo_bytes", args=[photo.pk, "view"])
    public = reverse("media", args=[photo.view_sha256])
    assert client.get(queue).status_code == 302 and client.get(picture).status_code == 302
    client.force_login(moderator)  # staff, but without the permission to decide
    assert client.get(queue).status_code == 403 and client.get(picture).status_code == 403
    assert client.get(public).status_code == 404


def test_an_accepted_photos_view_is_public_and_harmless(live_photo: Any, client: Client) -> None:
    photo = live_photo(state="accepted")
    answer = client.get(reverse("media", args=[photo.view_sha256]))
    assert answer.status_code == 200 and answer.content.startswith(b"\xff\xd8\xff")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert client.get(reverse("media", args=[photo.sha256])).status_code == 404  # never the original
    Photo.objects.filter(pk=photo.pk).update(state="withdrawn")
    assert client.get(reverse("media", args=[photo.view_sha256])).status_code == 404
