"""The review page: a burst is shown and judged as one, by mouse, keyboard or form, on a phone and on a desk."""

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from collector import review
from collector.models import Photo
from collector.moderation import decide, decide_alike
from collector.volunteers import register
from tests.browsing import assert_accessible, signed_in

pytestmark = pytest.mark.django_db
QUEUE = "/admin/collector/photo/review/?recognizer=coins"


def states(photos: list[Photo]) -> list[str]:
    found = Photo.objects.in_bulk([photo.pk for photo in photos])
    return [found[photo.pk].state for photo in photos]


def form(first: Photo, others: list[Photo], **fields: str) -> dict[str, Any]:
    answers = {f"{name.replace('every', 'all')}-{first.pk}": value for name, value in fields.items()}
    return {"photo": [str(first.pk)], f"alike-{first.pk}": [str(other.pk) for other in others], "rest": "later", **answers}


@pytest.fixture
def burst(live_photo: Any) -> list[Photo]:
    return [live_photo(seed=3, state="pending") for _ in range(4)]


def test_a_burst_takes_one_place_and_its_others_stand_beside_it(admin_client: Client, burst: Any, live_photo: Any) -> None:
    other = live_photo(seed=4, state="pending")
    page = admin_client.get(QUEUE).content.decode()
    assert page.count("<fieldset data-photo>") == 2
    assert f'name="photo" value="{burst[0].pk}"' in page and f'name="photo" value="{other.pk}"' in page
    assert "apply to all 4 that look the same and wait" in page
    assert all(f'name="alike-{burst[0].pk}" value="{twin.pk}"' in page for twin in burst[1:])
    assert all(reverse("admin:collector_photo_bytes", args=[twin.pk, "thumbnail"]) in page for twin in burst)


def test_one_verdict_decides_all_that_were_shown_and_no_other(admin_client: Client, burst: Any, live_photo: Any) -> None:
    late = live_photo(seed=3, state="pending")  # it came after the page was shown
    answer = admin_client.post(QUEUE, form(burst[0], burst[1:], verdict="reject", reason="person", every="1"), follow=True)
    assert "4 photos decided" in answer.content.decode()
    assert states([*burst, late]) == ["rejected"] * 4 + ["pending"]
    assert {photo.decisions.get().moderator.username for photo in burst} == {"admin"}


def test_without_the_tick_only_the_first_is_decided(admin_client: Client, burst: Any) -> None:
    admin_client.post(QUEUE, form(burst[0], burst[1:], verdict="accept"))
    assert states(burst) == ["accepted", "pending", "pending", "pending"]


def test_one_picture_gets_one_label_whatever_was_claimed(moderator: Any, live_photo: Any) -> None:
    copper, silver = live_photo("copper", "pending", seed=3), live_photo("silver", "pending", seed=3)
    assert decide_alike(photo_ids=[copper.pk, silver.pk], moderator=moderator, verdict="accept") == (2, 0, [])
    labels = Photo.objects.order_by("received_at").values_list("label__slug", "decisions__verdict")
    assert list(labels) == [("copper", "accept"), ("copper", "relabel")]


def test_what_does_not_look_the_same_or_was_decided_is_refused_and_the_rest_is_done(
    moderator: Any, burst: Any, live_photo: Any
) -> None:
    stranger = live_photo(seed=4, state="pending")
    decide(photo_id=burst[1].pk, moderator=moderator, verdict="reject", reason="unclear")
    ids = [burst[0].pk, burst[1].pk, stranger.pk, uuid.uuid4(), burst[2].pk]
    done, _, refused = decide_alike(photo_ids=ids, moderator=moderator, verdict="accept")
    assert done == 2 and [str(problem.facts["photo"]) for problem in refused] == [str(pk) for pk in ids[1:4]]
    assert states([*burst, stranger]) == ["accepted", "rejected", "accepted", "pending", "pending"]


def test_a_damaged_list_of_near_duplicates_decides_nothing(admin_client: Client, burst: Any) -> None:
    fields = form(burst[0], [], verdict="accept", every="1") | {f"alike-{burst[0].pk}": ["no-uuid"]}
    assert "the form is damaged" in admin_client.post(QUEUE, fields, follow=True).content.decode()
    assert states(burst) == ["pending"] * 4


def test_a_flood_fits_on_a_page(admin_client: Client, burst: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(review, "TOGETHER", 2)
    monkeypatch.setattr(review, "DUPLICATES_SHOWN", 1)
    page = admin_client.get(QUEUE).content.decode()
    assert "apply to all 3 that" in page and "1 more of them come after these" in page and "and 2 more." in page


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("width", [390, 1280])
def test_a_burst_is_decided_in_a_browser_by_keyboard_and_the_page_is_accessible(
    live_server: Any, live_photo: Any, settings: Any, width: int
) -> None:
    other, _ = register(consent=True, handle="Grace", address="192.0.2.9")
    burst = [live_photo(seed=3, state="pending"), live_photo(seed=3, state="pending", by=other)]
    live_photo(seed=4, state="pending")
    with signed_in(live_server, settings, User.objects.create_superuser("judge"), width) as page:
        page.goto(live_server.url + QUEUE)
        assert_accessible(page, ".review")
        assert page.evaluate("document.querySelector('.review').scrollWidth <= document.documentElement.clientWidth")
        page.locator("[data-photo] input[type=radio]:checked").first.focus()
        page.keyboard.press("d")
        assert page.locator(f'input[name="all-{burst[0].pk}"]').is_checked()
        page.keyboard.press("a")
        page.get_by_role("button", name="Decide what is chosen", exact=True).click()
        page.get_by_text("2 photos decided").wait_for()
    assert states(burst) == ["accepted"] * 2
