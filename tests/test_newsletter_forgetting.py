"""INBOX, afterwards: an erased address is found nowhere, an edition's counts stay, and what is old goes by itself."""

import io
import json
import zipfile
from datetime import timedelta

import pytest
import time_machine
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from collector import takeout
from collector.erasure import erase as erase_account
from collector.models import Recognizer
from config.duties import work_once
from newsletter import forgetting, links, suppression
from newsletter.delivery import deliver, progress
from newsletter.edition import compose, freeze
from newsletter.models import Delivery, MailEvent, Request, Subscriber
from tests.test_newsletter_subscriptions import ask, press

pytestmark = pytest.mark.django_db
EMAIL = "ada.needle@example.org"


def everything() -> str:
    """Every column of every table, as text."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            found += [str(row) for row in cursor.fetchall()]
    return "\n".join(found)


@pytest.fixture
def readers(recognizer) -> list[Subscriber]:
    stamps = Recognizer.objects.create(slug="stamps", name="Stamps")
    rows = [(recognizer, EMAIL), (stamps, EMAIL), (recognizer, "refused@example.org"), (recognizer, "fine@example.org")]
    return [Subscriber.objects.create(recognizer=r, email=email, state="confirmed") for r, email in rows]


@pytest.fixture
def edition(recognizer, readers, live_photo, sink):
    """Sent; the server named an address in its answers."""
    live_photo()
    made = compose(recognizer=recognizer, day=timezone.now().date())
    freeze(edition=made)
    sink.on["RCPT"] = lambda to: None if to.startswith("fine") else f"550 5.7.1 <{to}> refused"
    deliver(edition_id=made.pk)
    return made


def test_a_reader_erases_their_address_by_the_link_and_it_is_found_nowhere(
    recognizer, readers, edition, settings, capfd, caplog
) -> None:
    suppression.hear(provider="Postal", event_id="1", email=EMAIL, kind="soft", happened_at=None)
    Request.objects.create(subscriber=readers[0])
    editor = User.objects.create_user("editor")
    kind = ContentType.objects.get_for_model(Subscriber)
    words = f"{EMAIL} (confirmed)"
    LogEntry.objects.create(user=editor, content_type=kind, object_id=readers[0].pk, object_repr=words, action_flag=CHANGE)
    assert everything().count(EMAIL) >= 4
    before = progress(edition=edition)
    browser = Client(enforce_csrf_checks=True)
    address = f"{links.leave(readers[0].pk)}/erase".removeprefix(settings.SITE_URL)
    page = browser.get(address).content.decode()
    assert "Coins, Stamps" in page and browser.head(address).status_code == 200 and browser.post(address).status_code == 403
    assert everything().count(EMAIL) >= 4  # neither a look nor a post without the page's token erases
    capfd.readouterr()
    assert press(browser, address).status_code == 200
    assert EMAIL not in everything() and "needle" not in everything()
    logs = capfd.readouterr()
    assert "needle" not in logs.out + logs.err + caplog.text
    assert progress(edition=edition) == before == {**before, "failed": 2, "sent": 1, "total": 3}
    assert set(Subscriber.objects.values_list("email", flat=True)) == {"refused@example.org", "fine@example.org"}
    for old in (address, address.removesuffix("/erase"), f"{address.removesuffix('/erase')}/preferences"):
        assert browser.get(old).status_code == 404


def test_an_erased_reader_in_the_queue_gets_nothing_and_is_counted_as_suppressed(recognizer, readers, live_photo, sink) -> None:
    live_photo()
    made = compose(recognizer=recognizer, day=timezone.now().date())
    freeze(edition=made)
    forgetting.erase(email=EMAIL)
    # One that was being sent, was refused for now, and comes back into the queue after its reader is gone.
    Delivery.objects.filter(subscriber=readers[2]).update(subscriber=None)
    deliver(edition_id=made.pk)
    assert sink.recipients == ["fine@example.org"]
    assert progress(edition=made)["suppressed"] == 2 and progress(edition=made)["total"] == 3
    made.refresh_from_db()
    assert made.state == "sent"


def test_who_was_erased_may_subscribe_again_by_their_own_word(recognizer, readers, sink) -> None:
    call_command("subscribers", "erase", EMAIL)
    browser = Client(enforce_csrf_checks=True)
    ask(browser, EMAIL)
    work_once()
    from tests.test_newsletter_subscriptions import link_in

    press(browser, link_in(sink.taken[-1][1]))
    assert Subscriber.objects.get(email=EMAIL).state == "confirmed" and suppression.standing(EMAIL) is None


def test_erasing_ends_no_complaint(recognizer, readers) -> None:
    suppression.suppress(email=EMAIL, reason="complaint")
    forgetting.erase(email=EMAIL)
    assert suppression.standing(EMAIL).reason == "complaint" and not suppression.may_be_asked(EMAIL)


def test_an_accounts_erasure_takes_along_what_was_confirmed_from_its_phone_and_nothing_else(
    recognizer, readers, volunteer
) -> None:
    Subscriber.objects.filter(pk=readers[0].pk).update(volunteer=volunteer)
    pending = Subscriber.objects.create(recognizer=recognizer, email="typo.needle@example.org")
    Request.objects.create(subscriber=pending, volunteer=volunteer)
    also = Subscriber.objects.create(recognizer=recognizer, email="shared@example.org")
    for who in (volunteer, None):
        Request.objects.create(subscriber=also, volunteer=who)
    erase_account(volunteer=volunteer)
    left = set(Subscriber.objects.values_list("recognizer__slug", "email"))
    assert left == {("stamps", EMAIL), ("coins", "refused@example.org"), ("coins", "fine@example.org"), ("coins", also.email)}
    assert Request.objects.count() == 1


def test_the_takeout_tells_a_volunteers_subscriptions_and_what_they_asked_for(recognizer, readers, volunteer) -> None:
    Subscriber.objects.filter(pk=readers[0].pk).update(volunteer=volunteer, wants_weekly=True)
    Request.objects.create(subscriber=readers[1], volunteer=volunteer, wants_reminder=True)
    archive = zipfile.ZipFile(io.BytesIO(b"".join(takeout.export(volunteer=volunteer))))
    own, asked = json.loads(archive.read("data.json"))["subscriptions"]
    assert (own["email"], own["state"], own["weekly"], own["mails"]) == (EMAIL, "confirmed", True, [])
    assert (asked["recognizer"], asked["state"], asked["reminder"]) == ("stamps", "asked", True)


def test_what_never_confirmed_and_old_requests_and_events_go_by_themselves(recognizer, settings) -> None:
    kept = {
        state: Subscriber.objects.create(recognizer=recognizer, email=f"{state}@e.org", state=state)
        for state in Subscriber.State.values
    }
    for row in kept.values():
        Request.objects.create(subscriber=row)
    suppression.hear(provider="Postal", event_id="1", email=EMAIL, kind="soft", happened_at=None)
    assert forgetting.overdue() == []
    with time_machine.travel(timezone.now() + timedelta(seconds=settings.PENDING_KEPT_S + 1)):
        young = Subscriber.objects.create(recognizer=recognizer, email="young@e.org")
        assert forgetting.overdue() == ["unconfirmed", "requests"]
        work_once()
        assert set(Subscriber.objects.values_list("state", flat=True)) == set(Subscriber.State.values)
        assert not Subscriber.objects.filter(pk=kept["pending"].pk).exists() and Subscriber.objects.filter(pk=young.pk).exists()
        assert not Request.objects.exists() and MailEvent.objects.exists() and forgetting.overdue() == []
    with time_machine.travel(timezone.now() + timedelta(seconds=settings.MAIL_EVENTS_KEPT_S + 1)):
        work_once()
        assert not MailEvent.objects.exists()


def test_more_old_rows_than_a_batch_go_in_several_turns(recognizer, monkeypatch, settings) -> None:
    monkeypatch.setattr(forgetting, "BATCH", 2)
    for number in range(5):
        Subscriber.objects.create(recognizer=recognizer, email=f"{number}@e.org")
    with time_machine.travel(timezone.now() + timedelta(seconds=settings.PENDING_KEPT_S + 1)):
        for left in (3, 1, 0):
            forgetting.forget_old(what="unconfirmed")
            assert Subscriber.objects.count() == left


def test_the_kept_retention_is_longer_than_a_link_works_and_a_soft_window(settings) -> None:
    assert settings.PENDING_KEPT_S > settings.CONFIRM_VALID_S
    assert settings.MAIL_EVENTS_KEPT_S > settings.SOFT_BOUNCE_WINDOW_S


def test_no_model_holds_an_address_but_subscriber() -> None:
    """A new column for addresses must be thought of in `forgetting`."""
    holders = {
        model._meta.label
        for model in apps.get_app_config("newsletter").get_models()
        for column in model._meta.concrete_fields
        if column.get_internal_type() == "CharField" and column.max_length == 254
    }
    # DomainPace has what follows the @ of some of them, without saying of whom.
    assert holders == {"newsletter.Subscriber", "newsletter.DomainPace"}
