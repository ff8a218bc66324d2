"""Closed groups: who has a code gets in, as often as the code says, and nobody else sees or sends anything."""

import uuid
from collections import Counter
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from collector.errors import InvitationRequired
from collector.intake import receive
from collector.invitations import ALPHABET, invite
from collector.models import Invitation, Membership, Photo, Recognizer, Volunteer
from tests.drawing import jpeg
from tests.test_collector_api import assert_problem, send
from tests.test_collector_limits import together

pytestmark = pytest.mark.django_db


@pytest.fixture
def closed(recognizer: Recognizer) -> Recognizer:
    Recognizer.objects.filter(pk=recognizer.pk).update(invited_only=True)
    recognizer.refresh_from_db()
    return recognizer


def redeem(client: Any, code: str) -> Any:
    return client.post("/api/v1/volunteers/me/invitations", {"code": code}, format="json")


def slugs(client: Any) -> list[str]:
    return [each["slug"] for each in client.get("/api/v1/recognizers").json()]


def test_a_code_has_sixty_random_bits_and_only_its_keyed_hash_is_kept(closed: Recognizer) -> None:
    row, code = invite(recognizer=closed, uses=1, days=30)
    assert len(set(ALPHABET)) == 32 and len(code.replace("-", "")) == 12 and set(code) <= {*ALPHABET, "-"}
    assert code.replace("-", "") not in row.code_hash and len(row.code_hash) == 32
    assert invite(recognizer=closed, uses=1, days=30)[1] != code


def test_a_closed_recognizer_is_neither_seen_nor_fed_by_strangers(api: APIClient, closed: Recognizer, volunteer: Any) -> None:
    assert slugs(APIClient()) == slugs(api) == []
    assert_problem(api.get("/api/v1/recognizers/coins/challenge"), 404, "unknown-recognizer")
    assert_problem(send(api, uuid.uuid4(), jpeg(1)), 403, "invitation-required")
    with pytest.raises(InvitationRequired):  # every door leads through this verb
        receive(
            photo_id=uuid.uuid4(), volunteer=volunteer, recognizer=closed, label=closed.labels.all()[0], challenge=None,
            body=jpeg(1),
        )  # fmt: skip
    assert not Photo.objects.exists()


def test_a_member_sees_it_and_sends_to_it(api: APIClient, closed: Recognizer) -> None:
    _, code = invite(recognizer=closed, uses=1, days=None)
    answer = redeem(api, f" {code.lower().replace('-', ' ')} ")
    assert answer.status_code == 200 and answer.json()["slug"] == "coins"
    assert slugs(api) == ["coins"] and slugs(APIClient()) == []
    assert api.get("/api/v1/recognizers/coins/challenge").status_code == 200
    assert send(api, uuid.uuid4(), jpeg(1)).status_code == 201
    assert redeem(api, code).status_code == 200  # again is fine, and uses nothing up
    assert Invitation.objects.get().uses_left == 0 and Membership.objects.count() == 1


def test_letters_that_are_misread_do_not_matter(api: APIClient, closed: Recognizer, monkeypatch: Any) -> None:
    monkeypatch.setattr("collector.invitations.new_code", lambda: "0101-ABCD-EFGH")
    invite(recognizer=closed, uses=1, days=None)
    assert redeem(api, "oIoL-abcd-efgh").status_code == 200


def test_a_code_that_is_wrong_used_up_or_expired_lets_nobody_in(api: APIClient, closed: Recognizer) -> None:
    with time_machine.travel("2026-11-22T12:00:00Z", tick=False) as clock:
        _, used_up = invite(recognizer=closed, uses=1, days=1)
        Invitation.objects.update(uses_left=0)
        _, expiring = invite(recognizer=closed, uses=1, days=1)
        assert_problem(redeem(api, "AAAA-AAAA-AAAA"), 403, "invitation-not-valid")
        assert_problem(redeem(api, used_up), 403, "invitation-not-valid")
        clock.shift(86_400)
        assert_problem(redeem(api, expiring), 403, "invitation-not-valid")
        assert not Membership.objects.exists()
        assert_problem(redeem(api, ""), 400, "invalid")


@pytest.mark.django_db(transaction=True)
def test_of_fifty_volunteers_a_code_for_five_lets_in_five(recognizer: Recognizer) -> None:
    _, code = invite(recognizer=recognizer, uses=5, days=1)

    def join(number: int) -> int:
        body = {"consent": True, "invitation": code}
        return int(APIClient().post("/api/v1/volunteers", body, format="json").status_code)

    assert Counter(together(50, join)) == {201: 5, 403: 45}
    assert Invitation.objects.get().uses_left == 0
    assert Membership.objects.count() == Volunteer.objects.count() == 5  # a wrong code leaves no volunteer behind


@pytest.mark.django_db(transaction=True)
def test_one_volunteer_who_redeems_twice_at_once_uses_one(recognizer: Recognizer, token: str) -> None:
    _, code = invite(recognizer=recognizer, uses=5, days=1)

    def join(number: int) -> int:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
        return int(redeem(client, code).status_code)

    assert together(8, join) == [200] * 8
    assert Invitation.objects.get().uses_left == 4


def test_guessing_is_limited_by_address_also_while_registering(api: APIClient, closed: Recognizer, settings: Any) -> None:
    settings.INVITATION_TRIES_PER_DAY = 3
    _, code = invite(recognizer=closed, uses=1, days=1)
    assert [redeem(api, "AAAA-AAAA-AAAA").status_code for _ in range(2)] == [403, 403]
    body = {"consent": True, "invitation": "BBBB-BBBB-BBBB"}
    assert APIClient().post("/api/v1/volunteers", body, format="json").status_code == 403
    assert_problem(redeem(api, code), 429, "limit-reached")
    assert_problem(APIClient().post("/api/v1/volunteers", body, format="json"), 429, "limit-reached")
    elsewhere = api.post("/api/v1/volunteers/me/invitations", {"code": code}, format="json", REMOTE_ADDR="192.0.2.77")
    assert elsewhere.status_code == 200


def test_a_closed_installation_takes_only_invited_volunteers(settings: Any, recognizer: Recognizer, api: APIClient) -> None:
    settings.REGISTRATION = "invited"
    before = Volunteer.objects.count()
    client = APIClient()
    assert_problem(client.post("/api/v1/volunteers", {"consent": True}, format="json"), 403, "invitation-required")
    _, code = invite(recognizer=None, uses=1, days=1)
    assert client.post("/api/v1/volunteers", {"consent": True, "invitation": code}, format="json").status_code == 201
    assert_problem(
        client.post("/api/v1/volunteers", {"consent": True, "invitation": code}, format="json"), 403, "invitation-not-valid"
    )
    assert Volunteer.objects.count() == before + 1
    _, other = invite(recognizer=None, uses=1, days=1)
    assert_problem(redeem(api, other), 403, "invitation-not-valid")  # it only lets somebody register, and uses nothing up
    assert Invitation.objects.order_by("pk").last().uses_left == 1  # type: ignore[union-attr]


def test_the_command_shows_a_code_that_works(api: APIClient, closed: Recognizer, capsys: Any) -> None:
    call_command("invite", recognizer="coins", uses=2, days=3, note="the Tuesday group")
    assert redeem(api, capsys.readouterr().out.strip()).status_code == 200
    row = Invitation.objects.get()
    assert (row.uses_left, str(row)) == (1, "the Tuesday group")
    with pytest.raises(CommandError, match="no recognizer 'none'"):
        call_command("invite", recognizer="none")
    with pytest.raises(CommandError, match="--uses goes from 1"):
        call_command("invite", uses=0)


def test_the_admin_makes_a_code_and_shows_it_once(admin_client: Client, api: APIClient, closed: Recognizer) -> None:
    form = {"recognizer": str(closed.pk), "uses_left": "1", "note": "for Ada", "expires_at_0": "", "expires_at_1": ""}
    page = admin_client.post(reverse("admin:collector_invitation_add"), form, follow=True).content.decode()
    code = page.partition("The invitation code is ")[2][:14]
    assert redeem(api, code).status_code == 200
    assert code not in admin_client.get(reverse("admin:collector_invitation_changelist")).content.decode()
