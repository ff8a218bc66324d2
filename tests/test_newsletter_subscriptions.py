"""INBOX: nobody is subscribed by others, everybody can leave, and the form tells nothing about anybody."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.core import signing
from django.test import Client
from django.utils import timezone

from config.duties import work_once
from newsletter import links, subscriptions, suppression
from newsletter.errors import ExpiredLink
from newsletter.models import Request, Subscriber

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser() -> Client:
    return Client(enforce_csrf_checks=True)


def ask(client: Client, email: str, *, wants: tuple[str, ...] = ("daily",), **headers: str):
    """Fill in the form as a browser does."""
    page = client.get("/newsletter/coins/").content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert token is not None
    ticked = dict.fromkeys(wants, "1")
    return client.post("/newsletter/coins/", {"email": email, "csrfmiddlewaretoken": token[1], **ticked}, **headers)


def link_in(message) -> str:
    found = re.search(r"http://127\.0\.0\.1:8000(/newsletter/confirm/\S+)", message.get_content())
    assert found is not None
    return found[1]


def press(client: Client, address: str):
    page = client.get(address)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.content.decode())
    assert page.status_code == 200 and token is not None, page.content
    return client.post(address, {"csrfmiddlewaretoken": token[1]})


def requested(recognizer, email: str = "ada@example.org", **choices: bool) -> Request:
    """A request whose mail has gone out."""
    reader, _ = Subscriber.objects.get_or_create(recognizer=recognizer, email=email)
    return Request.objects.create(subscriber=reader, **choices)


def state(email: str = "ada@example.org") -> str:
    return Subscriber.objects.get(email=email).state


def test_the_double_opt_in_from_the_form_to_the_confirmed_row(recognizer, sink, browser) -> None:
    assert ask(browser, " Ada@Example.org ").status_code == 200
    assert state() == "pending" and not sink.taken
    work_once()
    [(recipient, message)] = sink.taken
    assert recipient == "ada@example.org" and message["Auto-Submitted"] == "auto-generated"
    address = link_in(message)
    assert browser.get(address).status_code == browser.head(address).status_code == 200
    assert state() == "pending"  # a scanner that follows links subscribes nobody
    assert press(browser, address).status_code == 200
    assert state() == "confirmed" and Subscriber.objects.get().confirmed_at is not None
    assert press(browser, address).status_code == 200  # twice is fine
    work_once()
    assert len(sink.taken) == 1


def test_the_form_answers_the_same_for_every_address(recognizer, browser) -> None:
    for number, known in enumerate(("pending", "confirmed", "left", "suppressed")):
        Subscriber.objects.create(recognizer=recognizer, email=f"known{number}@example.org", state=known)
    answers = {ask(browser, f"{name}@example.org").content for name in ("known0", "known1", "known2", "known3", "new")}
    assert len(answers) == 1


def test_confirmed_and_suppressed_addresses_get_no_confirmation_mail(recognizer, sink, browser) -> None:
    for known in ("confirmed", "suppressed"):
        Subscriber.objects.create(recognizer=recognizer, email=f"{known}@example.org", state=known)
        suppression.suppress(email="suppressed@example.org", reason="bounce")
        ask(browser, f"{known}@example.org")
    work_once()
    assert not sink.taken and state("confirmed@example.org") == "confirmed" and state("suppressed@example.org") == "suppressed"


def test_the_form_does_not_flood_an_inbox(recognizer, sink, browser, settings) -> None:
    for _ in range(settings.CONFIRMATIONS_PER_DAY + 2):
        assert ask(browser, "ada@example.org").status_code == 200
        work_once()
    assert len(sink.taken) == settings.CONFIRMATIONS_PER_DAY
    assert len({message["Message-ID"] for _, message in sink.taken}) == settings.CONFIRMATIONS_PER_DAY


def test_one_network_address_cannot_subscribe_without_end(recognizer, browser, settings) -> None:
    settings.SUBSCRIPTIONS_PER_DAY = 2
    answers = [ask(browser, f"reader{number}@example.org").status_code for number in range(3)]
    assert answers == [200, 200, 429] and Subscriber.objects.count() == 2
    assert ask(browser, "reader3@example.org", REMOTE_ADDR="192.0.2.44").status_code == 200


@pytest.mark.parametrize(
    "email",
    ["", "ada", "ada@", "@example.org", "a b@example.org", "a@example.org\nBcc: b@example.org", "a" * 250 + "@example.org"],
)
def test_what_is_no_address_is_refused_and_nothing_is_stored(recognizer, browser, email: str) -> None:
    answer = ask(browser, email)
    assert answer.status_code == 422 and "This is not a mail address." in answer.content.decode()
    assert not Subscriber.objects.exists()


def test_the_form_needs_its_csrf_token(recognizer, browser) -> None:
    assert browser.post("/newsletter/coins/", {"email": "ada@example.org"}).status_code == 403
    assert not Subscriber.objects.exists()


def test_a_confirmation_link_expires(recognizer, browser, settings) -> None:
    address = links.confirm(requested(recognizer)).removeprefix(settings.SITE_URL)
    with time_machine.travel(timezone.now() + timedelta(seconds=settings.CONFIRM_VALID_S + 1)):
        page = browser.get(address)
        assert page.status_code == 400 and "no longer works" in page.content.decode()
        with pytest.raises(ExpiredLink):
            subscriptions.confirm(token=address.rpartition("/")[2])
    assert state() == "pending"


def test_a_leave_link_works_for_ever_and_needs_no_cookie_login_or_csrf(recognizer, browser, settings) -> None:
    made = Subscriber.objects.create(recognizer=recognizer, email="ada@example.org", state="confirmed")
    address = links.leave(made.pk).removeprefix(settings.SITE_URL)
    with time_machine.travel(timezone.now() + timedelta(days=3650)):
        assert browser.get(address).status_code == browser.head(address).status_code == 200
        assert state() == "confirmed"
        answer = browser.post(address, "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded")
        assert answer.status_code == 200 and "You have left" in answer.content.decode() and not answer.cookies
    left_at = Subscriber.objects.get().left_at
    assert state() == "left" and left_at is not None
    assert browser.post(address).status_code == 200  # twice is fine
    assert Subscriber.objects.get().left_at == left_at
    assert "nothing more to do" in browser.get(address).content.decode()


def test_rejoining_after_leaving_needs_a_new_double_opt_in(recognizer, sink, browser, settings) -> None:
    ask(browser, "ada@example.org")
    work_once()
    old = link_in(sink.taken[0][1])
    press(browser, old)
    browser.post(links.leave(Subscriber.objects.get().pk).removeprefix(settings.SITE_URL))
    assert browser.get(old).status_code == 400
    ask(browser, "ada@example.org")
    work_once()
    assert state() == "left"  # asking alone changes nothing
    assert browser.get(old).status_code == 400  # the link from before the departure stays dead
    press(browser, link_in(sink.taken[1][1]))
    assert state() == "confirmed"


def test_a_suppressed_address_stays_suppressed_whatever_link_is_followed(recognizer, browser, settings) -> None:
    made = requested(recognizer)
    addresses = (links.confirm(made), links.leave(made.subscriber_id))
    confirm, leave = (address.removeprefix(settings.SITE_URL) for address in addresses)
    suppression.suppress(email="ada@example.org", reason="bounce")
    assert press(browser, confirm).status_code == 400
    assert browser.post(leave).status_code == 200
    assert state() == "suppressed"


@pytest.mark.parametrize("kind", ["confirm", "leave"])
def test_a_forged_or_foreign_token_is_a_clear_page(recognizer, browser, kind: str) -> None:
    made = requested(recognizer)
    Subscriber.objects.update(state="confirmed")
    foreign = {"confirm": links.leave(made.subscriber_id), "leave": links.confirm(made)}[kind].rpartition("/")[2]
    other_salt = signing.dumps([made.pk.hex, ""], salt="newsletter.other")
    for token in ("x", "a.b", "a:b:c", foreign, other_salt, f"{made.pk.hex}.{'A' * 43}"):
        for answer in (browser.get(f"/newsletter/{kind}/{token}"), Client().post(f"/newsletter/{kind}/{token}")):
            assert answer.status_code == 404 and "not one of ours" in answer.content.decode(), token
    assert state() == "confirmed"


def test_the_pages_behind_mail_links_are_not_cached(recognizer, browser, settings) -> None:
    made = requested(recognizer)
    leave = links.leave(made.subscriber_id)
    for address in (links.confirm(made), leave, links.preferences(leave), f"{leave}/erase"):
        assert "no-store" in browser.get(address.removeprefix(settings.SITE_URL))["Cache-Control"]


def test_a_confirmation_that_the_server_does_not_take_is_tried_again_later(recognizer, sink, browser, settings) -> None:
    sink.on["RCPT"] = lambda recipient: "451 4.7.1 later"
    ask(browser, "ada@example.org")
    work_once()
    sink.on.clear()
    work_once()
    assert not sink.taken and subscriptions.unasked() == []
    with time_machine.travel(timezone.now() + timedelta(seconds=settings.CONFIRM_AGAIN_S + 1)):
        work_once()
    assert len(sink.taken) == 1


@pytest.mark.parametrize("answer", ["550 5.1.1 no such person", "close"])
def test_a_refused_or_doubtful_confirmation_is_not_sent_again(recognizer, sink, browser, answer: str) -> None:
    sink.on["DATA"] = lambda recipient: answer
    ask(browser, "ada@example.org")
    work_once()
    with time_machine.travel(timezone.now() + timedelta(days=1)):
        work_once()
    assert len(sink.taken) == (answer == "close") and state() == "pending"
    assert Request.objects.get().confirmation_due is None


# ---- what is chosen ----------------------------------------------------------------------------------------------
def chosen(email: str = "ada@example.org") -> tuple[bool, bool, bool]:
    return Subscriber.objects.values_list("wants_daily", "wants_weekly", "wants_reminder").get(email=email)


def test_what_is_ticked_is_named_in_the_mail_and_on_its_page_and_applied_by_confirming(recognizer, sink, browser) -> None:
    ask(browser, "ada@example.org", wants=("weekly", "reminder"))
    work_once()
    message = sink.taken[0][1]
    assert "an edition a week, the challenge of the day" in message.get_content()
    assert "an edition a week, the challenge of the day" in browser.get(link_in(message)).content.decode()
    press(browser, link_in(message))
    assert chosen() == (False, True, True)


def test_a_form_without_a_tick_is_refused_and_stores_nothing(recognizer, browser) -> None:
    answer = ask(browser, "ada@example.org", wants=())
    assert answer.status_code == 409 and "Choose what you want to get." in answer.content.decode()
    assert not Subscriber.objects.exists()


def test_a_stranger_with_the_form_changes_nothing_of_a_confirmed_address(recognizer, sink, browser) -> None:
    Subscriber.objects.create(recognizer=recognizer, email="ada@example.org", state="confirmed")
    ask(browser, "ada@example.org", wants=("weekly",))
    work_once()
    assert chosen() == (True, False, False) and not sink.taken


def test_opening_a_confirmation_again_keeps_what_was_chosen_since(recognizer, browser, settings) -> None:
    made = requested(recognizer, wants_weekly=True)
    confirm = links.confirm(made).removeprefix(settings.SITE_URL)
    press(browser, confirm)
    Subscriber.objects.update(wants_weekly=False, wants_reminder=True)
    press(browser, confirm)
    assert chosen() == (True, False, True)


def test_the_preferences_page_changes_by_post_with_its_token_and_never_by_get(recognizer, browser, settings) -> None:
    made = Subscriber.objects.create(recognizer=recognizer, email="ada@example.org", state="confirmed")
    address = links.preferences(links.leave(made.pk)).removeprefix(settings.SITE_URL)
    page = browser.get(f"{address}?weekly=1").content.decode()
    assert browser.head(address).status_code == 200 and chosen() == (True, False, False)
    assert browser.post(address, {"weekly": "1"}).status_code == 403  # no CSRF token: no program posts here
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
    saved = browser.post(address, {"weekly": "1", "csrfmiddlewaretoken": token}).content.decode()
    assert chosen() == (False, True, False) and "Saved." in saved
    nothing = browser.post(address, {"csrfmiddlewaretoken": token}).content.decode()
    assert chosen() == (False, False, False) and state() == "confirmed"
    assert "no mail comes from now on" in nothing and "Your subscription stays" in nothing
    browser.post(address, {"daily": "1", "csrfmiddlewaretoken": token})  # the same link changes it back
    assert chosen() == (True, False, False)


@pytest.mark.parametrize("gone", ["left", "suppressed", "pending"])
def test_preferences_of_who_gets_no_mail_say_so_and_cannot_be_saved(recognizer, browser, settings, gone: str) -> None:
    made = Subscriber.objects.create(recognizer=recognizer, email="ada@example.org", state=gone)
    address = links.preferences(links.leave(made.pk)).removeprefix(settings.SITE_URL)
    page = browser.get(address).content.decode()
    assert "Save" not in page and "Subscribe again" in page
    browser.get("/newsletter/coins/")
    answer = browser.post(address, {"weekly": "1", "csrfmiddlewaretoken": browser.cookies["csrftoken"].value})
    assert answer.status_code == 409 and chosen() == (True, False, False)


def test_a_reader_who_bounced_may_ask_again_after_a_rest_and_confirming_ends_the_suppression(
    recognizer, sink, browser, settings
) -> None:
    Subscriber.objects.create(recognizer=recognizer, email="ada@example.org", state="confirmed")
    suppression.suppress(email="ada@example.org", reason="bounce")
    ask(browser, "ada@example.org")
    work_once()
    assert not sink.taken and state() == "suppressed"
    with time_machine.travel(timezone.now() + timedelta(seconds=settings.BOUNCE_REST_S + 1)):
        ask(browser, "ada@example.org", wants=("weekly",))
        work_once()
        assert state() == "suppressed"  # asking ends nothing
        press(browser, link_in(sink.taken[0][1]))
    assert state() == "confirmed" and suppression.standing("ada@example.org") is None and chosen() == (False, True, False)


@pytest.mark.parametrize("reason", ["complaint", "operator"])
def test_who_complained_is_not_even_asked_again_until_an_operator_lifts_it(recognizer, sink, browser, reason: str) -> None:
    suppression.suppress(email="ada@example.org", reason=reason)
    with time_machine.travel(timezone.now() + timedelta(days=3650)):
        ask(browser, "ada@example.org")
        work_once()
        assert not sink.taken
        assert suppression.lift(email="Ada@example.org") and not suppression.lift(email="ada@example.org")
        ask(browser, "ada@example.org")
        work_once()
        press(browser, link_in(sink.taken[0][1]))
    assert state() == "confirmed"


def test_a_bounce_after_the_mail_was_asked_for_still_forbids_to_confirm(recognizer, browser, settings) -> None:
    confirm = links.confirm(requested(recognizer)).removeprefix(settings.SITE_URL)
    suppression.suppress(email="ada@example.org", reason="bounce")
    Subscriber.objects.update(state="pending")  # as if the row had been written by the form at the same moment
    assert press(browser, confirm).status_code == 400
    assert state() == "pending"
