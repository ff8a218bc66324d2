"""INBOX from the phone: a volunteer's address becomes theirs only by its mailbox, and asking tells nothing about anybody."""

import re

import pytest
from django.test import Client
from rest_framework.test import APIClient

from collector.erasure import erase
from collector.volunteers import register
from config.duties import work_once
from newsletter import links, suppression
from newsletter.models import Request, Subscriber
from tests.test_newsletter_subscriptions import link_in, press

pytestmark = pytest.mark.django_db
ADDRESS = "/api/v1/recognizers/coins/subscription"


@pytest.fixture
def other(db) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {register(consent=True, handle='Grace', address='192.0.2.2')[1]}")
    return client


def post(client: APIClient, email: str = "ada@example.org", **choices: bool):
    return client.post(ADDRESS, {"email": email, **choices}, format="json")


def test_asking_confirming_and_leaving_by_phone(recognizer, api, volunteer, sink) -> None:
    answer = post(api, "Ada@Example.org", weekly=True, daily=False)
    assert answer.status_code == 202
    asked = {"email": "ada@example.org", "state": "asked", "daily": False, "weekly": True, "reminder": False}
    assert answer.json() == asked == api.get(ADDRESS).json()
    assert Subscriber.objects.get().volunteer is None
    work_once()
    message = sink.taken[0][1]
    assert "on the phone of Ada" in message.get_content()
    press(Client(), link_in(message))
    reader = Subscriber.objects.get()
    assert (reader.state, reader.volunteer, reader.wants_weekly) == ("confirmed", volunteer, True)
    assert api.get(ADDRESS).json() == {**asked, "state": "confirmed"}
    assert api.delete(ADDRESS).status_code == api.delete(ADDRESS).status_code == 204
    assert Subscriber.objects.get().state == "left" and api.get(ADDRESS).status_code == 404


def test_the_answer_is_the_same_for_every_address(recognizer, api, other) -> None:
    for known in ("pending", "confirmed", "left", "suppressed"):
        Subscriber.objects.create(recognizer=recognizer, email=f"{known}@example.org", state=known)
    suppression.suppress(email="suppressed@example.org", reason="complaint")
    post(other, "wanted@example.org")
    told = set()
    for name in ("pending", "confirmed", "left", "suppressed", "wanted", "new"):
        answer = post(api, f"{name}@example.org")
        seen = api.get(ADDRESS)
        told.add((answer.status_code, answer.content.replace(name.encode(), b"-"), seen.content.replace(name.encode(), b"-")))
    assert len(told) == 1
    assert other.get(ADDRESS).json()["email"] == "wanted@example.org"  # nor does one volunteer see that another asked


def test_nobody_takes_over_a_confirmed_address_without_its_mailbox(recognizer, api, volunteer, sink) -> None:
    Subscriber.objects.create(recognizer=recognizer, email="grace@example.org", state="confirmed")
    post(api, "grace@example.org", weekly=True)
    reader = Subscriber.objects.get()
    assert (reader.volunteer, reader.wants_weekly) == (None, False) and api.get(ADDRESS).json()["state"] == "asked"
    assert api.delete(ADDRESS).status_code == 204
    assert Subscriber.objects.get().state == "confirmed"  # what was not theirs they cannot end
    post(api, "grace@example.org", weekly=True)
    work_once()
    press(Client(), link_in(sink.taken[-1][1]))
    reader.refresh_from_db()
    assert (reader.volunteer, reader.wants_weekly) == (volunteer, True)


def test_two_volunteers_ask_for_one_address_and_each_link_stands_for_its_own(
    recognizer,
    api,
    other,
    volunteer,
    sink,
) -> None:
    post(api)
    post(other)
    work_once()
    mails = {re.search(r"phone of (\w+)", mail.get_content())[1]: link_in(mail) for _, mail in sink.taken}
    assert set(mails) == {"Ada", "Grace"}
    press(Client(), mails["Ada"])
    assert Subscriber.objects.get().volunteer == volunteer and other.get(ADDRESS).json()["state"] == "asked"


def test_a_confirmed_volunteer_changes_the_choice_at_once_and_moves_to_a_new_address_by_its_mailbox(
    recognizer,
    api,
    volunteer,
    sink,
) -> None:
    Subscriber.objects.create(recognizer=recognizer, email="old@example.org", state="confirmed", volunteer=volunteer)
    answer = post(api, "old@example.org", reminder=True)
    assert answer.json()["state"] == "confirmed" and Subscriber.objects.get().wants_reminder
    post(api, "new@example.org")
    assert api.get(ADDRESS).json()["email"] == "old@example.org"
    work_once()
    assert sink.recipients == ["new@example.org"]
    press(Client(), link_in(sink.taken[0][1]))
    states = dict(Subscriber.objects.values_list("email", "state"))
    assert states == {"old@example.org": "left", "new@example.org": "confirmed"}
    assert api.get(ADDRESS).json()["email"] == "new@example.org"


def test_what_is_wrong_is_said_and_nothing_is_stored(recognizer, api) -> None:
    assert post(api, "no address").json()["type"] == "urn:photorally:not-an-address"
    assert post(api, daily=False).json()["type"] == "urn:photorally:nothing-chosen"
    assert api.post(ADDRESS, {"email": 5}, format="json").status_code == 400
    assert api.post("/api/v1/recognizers/none/subscription", {"email": "a@example.org"}, format="json").status_code == 404
    assert APIClient().get(ADDRESS).status_code == 401 and api.get(ADDRESS).json()["type"] == "urn:photorally:no-subscription"
    assert not Subscriber.objects.exists() and not Request.objects.exists()


def test_a_closed_recognizer_is_asked_for_by_members_alone_and_left_by_everybody(recognizer, api, volunteer) -> None:
    Subscriber.objects.create(recognizer=recognizer, email="ada@example.org", state="confirmed", volunteer=volunteer)
    type(recognizer).objects.update(invited_only=True)
    assert post(api).status_code == 404
    assert api.get(ADDRESS).json()["state"] == "confirmed" and api.delete(ADDRESS).status_code == 204


def test_a_link_asked_for_before_the_account_was_erased_links_nobody(recognizer, api, volunteer) -> None:
    post(api)
    asked = links.confirm(Request.objects.get()).removeprefix("http://127.0.0.1:8000")
    erase(volunteer=volunteer)
    assert Client().get(asked).status_code == 400 and not Request.objects.exists() and not Subscriber.objects.exists()
