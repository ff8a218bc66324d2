"""MODERATION, once more: one doubted photo at a time; three buttons, each an ordinary decision."""

import os
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from collector.errors import NotDecidable
from collector.models import Photo
from collector.moderation import decide
from collector.second_looks import SecondLook, answer, wanted
from collector.signals import labels_doubted
from tests.browsing import assert_accessible, signed_in

pytestmark = pytest.mark.django_db
AGAIN = "/admin/collector/photo/review/again/?recognizer=coins"


@pytest.fixture
def doubts() -> Iterator[list[SecondLook]]:
    """What a receiver answers: whoever doubts is not known to collector."""
    looks: list[SecondLook] = []

    def answers(sender: Any, **kwargs: Any) -> list[SecondLook]:
        return [
            look for look in looks if Photo.objects.filter(pk=look.photo_id, label=look.given_id, state="accepted").exists()
        ]

    labels_doubted.connect(answers)
    yield looks
    labels_doubted.disconnect(answers)


@pytest.fixture
def two(live_photo: Any, doubts: list[SecondLook], recognizer: Any) -> list[Photo]:
    photos = [live_photo(seed=3), live_photo(seed=4)]
    gold = recognizer.labels.get(slug="gold")
    doubts += [SecondLook(photo.pk, photo.label_id, gold.pk, f"Doubt {at}.") for at, photo in enumerate(photos)]
    return photos


def form(look: SecondLook, what: str, **more: str) -> dict[str, str]:
    return {"photo": str(look.photo_id), "suggested": str(look.suggested_id), "answer": what, **more}


def test_nothing_is_doubted_where_nobody_doubts(admin_client: Client, recognizer: Any) -> None:
    assert wanted(recognizer=recognizer) == []
    assert "No accepted label of Coins is doubted" in admin_client.get(AGAIN).content.decode()
    assert "Look again" not in admin_client.get(reverse("admin:collector_photo_review")).content.decode()


def test_the_queue_names_the_doubts_and_the_page_shows_one_at_a_time(admin_client: Client, two: Any) -> None:
    queue = admin_client.get(reverse("admin:collector_photo_review") + "?recognizer=coins").content.decode()
    assert "the model doubts the labels of 2 accepted photos" in queue and AGAIN in queue
    page = admin_client.get(AGAIN).content.decode()
    assert "Is this “Copper” or “Gold”?" in page and "Doubt 0." in page and "Doubt 1." not in page
    assert f'value="{two[0].pk}"' in page and "at=1" in page
    assert f'value="{two[1].pk}"' in admin_client.get(f"{AGAIN}&at=1").content.decode()
    for beyond in ("2", "-1", "x", "9" * 40, "²"):
        assert f'value="{two[0].pk}"' in admin_client.get(f"{AGAIN}&at={beyond}").content.decode()


@pytest.mark.parametrize(
    ("what", "verdict", "state", "label", "told"),
    [
        ("keep", "accept", "accepted", "copper", "The photo stays “Copper”."),
        ("relabel", "relabel", "accepted", "gold", "The photo is now “Gold”."),
        ("reject", "reject", "rejected", None, "The photo is rejected: it shows a person."),
    ],
)
def test_each_answer_is_an_ordinary_decision_and_the_split_stays(
    admin_client: Client, two: Any, doubts: list[SecondLook], what: str, verdict: str, state: str, label: str, told: str
) -> None:
    split = two[0].split
    answered = admin_client.post(AGAIN, form(doubts[0], what, reason="person"), follow=True).content.decode()
    photo = Photo.objects.get(pk=two[0].pk)
    newest = photo.decisions.last()
    assert (photo.state, photo.label and photo.label.slug, photo.split) == (state, label, split)
    assert (newest.verdict, newest.moderator.username) == (verdict, "admin") and told in answered
    assert newest.reason == ("person" if what == "reject" else "")


def test_what_the_volunteer_claimed_is_accepted_not_relabelled(two: Any, doubts: Any, recognizer: Any, moderator: Any) -> None:
    gold, copper = recognizer.labels.get(slug="gold"), recognizer.labels.get(slug="copper")
    decide(photo_id=two[0].pk, moderator=moderator, verdict="relabel", label=gold)
    back = SecondLook(two[0].pk, gold.pk, copper.pk, "It was right.")
    assert answer(look=back, moderator=moderator, what="relabel").verdict == "accept"
    assert Photo.objects.get(pk=two[0].pk).label == copper
    decide(photo_id=two[0].pk, moderator=moderator, verdict="relabel", label=gold)
    assert answer(look=back, moderator=moderator, what="keep").label == gold


def test_who_comes_late_decides_nothing(admin_client: Client, two: Any, doubts: Any, moderator: Any, recognizer: Any) -> None:
    decide(photo_id=two[0].pk, moderator=moderator, verdict="relabel", label=recognizer.labels.get(slug="silver"))
    with pytest.raises(NotDecidable, match="Another moderator"):
        answer(look=doubts[0], moderator=moderator, what="keep")
    told = admin_client.post(AGAIN, form(doubts[0], "keep"), follow=True).content.decode()
    assert "another moderator was faster" in told and two[0].decisions.count() == 2


@pytest.mark.parametrize(
    "damage",
    [
        {"photo": "no-uuid"},
        {"photo": str(uuid.UUID(int=1))},
        {"suggested": "1' OR 1"},
        {"answer": "publish"},
        {"reason": "auto", "answer": "reject"},
    ],
)
def test_a_forged_form_decides_nothing(admin_client: Client, two: Any, doubts: Any, damage: dict[str, str]) -> None:
    told = admin_client.post(AGAIN, form(doubts[0], "keep") | damage, follow=True)
    assert told.status_code == 200 and "decided" in told.content.decode()
    assert [photo.decisions.count() for photo in two] == [1, 1]


def test_only_moderators_look_again(client: Client, two: Any, doubts: Any, moderator: User) -> None:
    assert client.get(AGAIN).status_code == 302
    client.force_login(moderator)  # staff, but without the permission to decide
    assert client.get(AGAIN).status_code == client.post(AGAIN, form(doubts[0], "keep")).status_code == 403


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("width", [390, 1280])
def test_a_doubt_is_settled_in_a_browser_by_keyboard_and_the_page_is_accessible(
    live_server: Any, two: Any, settings: Any, width: int
) -> None:
    with signed_in(live_server, settings, User.objects.create_superuser("judge"), width) as page:
        page.goto(live_server.url + AGAIN)
        assert_accessible(page, ".review")
        assert page.evaluate("document.querySelector('.review').scrollWidth <= document.documentElement.clientWidth")
        if folder := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=f"{folder}/again-{width}.png", full_page=True)
        page.get_by_role("button", name="Keep “Copper”").focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.get_by_text("The photo is now “Gold”.").wait_for()
    assert Photo.objects.get(pk=two[0].pk).label.slug == "gold"
