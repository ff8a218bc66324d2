"""INBOX: nobody is subscribed by others, everybody can leave, and the form tells nothing about anybody."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from django.core import signing
from django.test import Client
from django.utils import timezone

from config.duties import work_once
from newsletter import links, subscriptions
from newsletter.errors import ExpiredLink
from newsletter.models import Subscriber
from tests.sink import Running, Sink

pytestmark = pytest.mark.django_db


@pytest.fixture
def sink(settings) -> Iterator[Sink]:
    made = Sink()
    running = Running(made)
    running.start()
    settings.EMAIL_URL = running.url
    yield made
    running.stop()


@pytest.fixture
def browser() -> Client:
    return Client(enforce_csrf_checks=True)


def ask(client: Client, email: str, **headers: str):
    """Fill in the form as a browser does."""
    page = client.get("/newsletter/coins/").content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert token is not None
    return client.post("/newsletter/coins/", {"email": email, "csrfmiddlewaretoken": token[1]}, **headers)


def link_in(message) -> str:
    found = re.search(r"http://127\.0\.0\.1:8000(/newsletter/confirm/\S+)", message.get_content())
    assert found is not None
    return found[1]


def press(client: Client, address: str):
    page = client.get(address)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.content.decode())
    assert page.status_code == 200 and token is not None, page.content
    return client.post(address, {"csrfmiddlewaretoken": token[1]})


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
    made = Subscriber.objects.create(recognizer=recognizer, email="ada@example.org")
    address = links.confirm(made).removeprefix(settings.SITE_URL)
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
    assert state() == "pending"
    assert browser.get(old).status_code == 400  # the link from before the departure stays dead
    press(browser, link_in(sink.taken[1][1]))
    assert state() == "confirmed"


def test_a_suppressed_address_stays_suppressed_whatever_link_is_followed(recognizer, browser, settings) -> None:
    made = Subscriber.objects.create(recognizer=recognizer, email="ada@example.org")
    confirm, leave = (address.removeprefix(settings.SITE_URL) for address in (links.confirm(made), links.leave(made.pk)))
    Subscriber.objects.update(state="suppressed")
    assert press(browser, confirm).status_code == 400
    assert browser.post(leave).status_code == 200
    assert state() == "suppressed"


@pytest.mark.parametrize("kind", ["confirm", "leave"])
def test_a_forged_or_foreign_token_is_a_clear_page(recognizer, browser, kind: str) -> None:
    made = Subscriber.objects.create(recognizer=recognizer, email="ada@example.org", state="confirmed")
    foreign = {"confirm": links.leave(made.pk), "leave": links.confirm(made)}[kind].rpartition("/")[2]
    other_salt = signing.dumps([made.pk.hex, ""], salt="newsletter.other")
    for token in ("x", "a.b", "a:b:c", foreign, other_salt, f"{made.pk.hex}.{'A' * 43}"):
        for answer in (browser.get(f"/newsletter/{kind}/{token}"), Client().post(f"/newsletter/{kind}/{token}")):
            assert answer.status_code == 404 and "not one of ours" in answer.content.decode(), token
    assert state() == "confirmed"


def test_the_pages_behind_mail_links_are_not_cached(recognizer, browser, settings) -> None:
    made = Subscriber.objects.create(recognizer=recognizer, email="ada@example.org")
    for address in (links.confirm(made), links.leave(made.pk)):
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
    assert Subscriber.objects.get().confirmation_due is None
