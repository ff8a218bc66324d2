"""The readers' pages in Chromium, on a phone and on a desk: nothing overflows, axe finds nothing, and a keyboard is enough."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone

from newsletter import links
from newsletter.models import Edition, Request, Subscriber
from tests.browsing import assert_accessible, visiting

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(params=[390, 1280])
def page(request, live_server: Any, settings: Any) -> Iterator[Any]:
    settings.SITE_URL = live_server.url
    settings.EDITIONS_PER_PAGE = 2
    with visiting(live_server, settings, request.param) as page:
        yield page


@pytest.fixture
def reader(recognizer) -> Subscriber:
    for number in range(1, 6):
        Edition.objects.create(
            recognizer=recognizer,
            number=number,
            day=timezone.now().date().replace(day=number),
            state="sent",
            title=f"Edition with a long name, number {number}",
            frozen_at=timezone.now(),
        )
    return Subscriber.objects.create(recognizer=recognizer, email="ada@example.org", state="confirmed")


def keys(page: Any, *names: str) -> None:
    for name in names:
        page.keyboard.press(name)


def focus(page: Any) -> str:
    return str(page.evaluate("document.activeElement.id || document.activeElement.innerText.trim()"))


def tab_to(page: Any, name: str) -> None:
    """By keyboard alone, as far as it takes."""
    for _ in range(40):
        if focus(page) == name:
            return
        keys(page, "Tab")
    raise AssertionError(f"the keyboard does not reach {name!r}")


def test_no_page_is_wider_than_the_screen_and_axe_finds_nothing(page: Any, reader: Subscriber, live_server: Any) -> None:
    leave = links.leave(reader.pk)
    asked = links.confirm(Request.objects.create(subscriber=reader))
    gone = links.leave(Subscriber.objects.create(recognizer=reader.recognizer, email="b@e.org", state="suppressed").pk)
    archive = f"{live_server.url}/newsletter/coins/"
    for address in (
        archive,
        f"{archive}?page=2",
        f"{archive}?page=99",
        asked,
        leave,
        f"{leave}/preferences",
        f"{leave}/erase",
        f"{gone}/preferences",
    ):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
        assert_accessible(page, "html")
        for box in page.query_selector_all("input[type=checkbox], button"):  # WCAG 2.5.8: 24 px with its label
            area = box.evaluate("e => (e.closest('label') || e).getBoundingClientRect().height")
            assert area >= 24, address


def test_subscribing_by_keyboard_alone(page: Any, reader: Subscriber, live_server: Any) -> None:
    page.goto(f"{live_server.url}/newsletter/coins/")
    tab_to(page, "email")
    page.keyboard.type("grace@example.org")
    tab_to(page, "daily")
    keys(page, "Space")
    tab_to(page, "weekly")
    keys(page, "Space")
    tab_to(page, "Subscribe")
    keys(page, "Enter")
    page.wait_for_selector("h1:has-text('Look into your mail')")
    asked = Request.objects.get(subscriber__email="grace@example.org")
    assert (asked.wants_daily, asked.wants_weekly, asked.wants_reminder) == (False, True, False)


def test_choosing_nothing_and_erasing_by_keyboard_alone(page: Any, reader: Subscriber) -> None:
    page.goto(f"{links.leave(reader.pk)}/preferences")
    tab_to(page, "daily")
    keys(page, "Space")
    tab_to(page, "Save")
    keys(page, "Enter")
    page.wait_for_selector("[role=status]")
    assert "no mail comes from now on" in page.inner_text("main")
    assert_accessible(page, "html")
    reader.refresh_from_db()
    assert (reader.wants_daily, reader.state) == (False, "confirmed")
    tab_to(page, "Have your address erased")
    keys(page, "Enter")
    page.wait_for_selector("h1:has-text('Erase your address?')")
    tab_to(page, "Erase my address")
    keys(page, "Enter")
    page.wait_for_selector("h1:has-text('Your address is erased')")
    assert_accessible(page, "html")
    assert not Subscriber.objects.exists()
