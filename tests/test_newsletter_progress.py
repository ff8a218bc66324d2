"""INBOX: a sending is paused, resumed and cancelled while workers are at it; its progress hides nothing."""

import threading
from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from config.duties import work_once
from newsletter import claims, delivery
from newsletter.delivery import deliver, due
from newsletter.errors import NotBeingSent
from newsletter.models import Delivery, Edition, Intervention, Subscriber
from newsletter.progress import cancel, pause, resume, standing

pytestmark = pytest.mark.django_db


@pytest.fixture
def edition(recognizer) -> Edition:
    """Frozen, for 20 readers."""
    now = timezone.now()
    made = Edition.objects.create(recognizer=recognizer, number=1, day=now.date(), title="T", state="frozen", frozen_at=now)
    readers = Subscriber.objects.bulk_create(
        Subscriber(recognizer=recognizer, email=f"reader{number}@example.org", state="confirmed") for number in range(20)
    )
    Delivery.objects.bulk_create(Delivery(edition=made, subscriber=reader) for reader in readers)
    return made


def counts(edition: Edition) -> dict[str, int]:
    return {state: count for state, count in standing(edition=edition).counts.items() if count and state != "total"}


def after(number: int, act) -> object:
    """A tick that acts once, after so many mails."""
    seen: list[int] = []

    def tick() -> None:
        seen.append(1)
        if len(seen) == number:
            act()

    return tick


def test_a_pause_stops_the_worker_after_the_mail_in_hand_and_resuming_sends_the_rest_and_only_the_rest(edition, sink) -> None:
    assert deliver(edition_id=edition.pk, tick=after(3, lambda: pause(edition=edition))) == 3
    assert counts(edition) == {"sent": 3, "queued": 17} and len(sink.taken) == 3
    assert due() == [] and deliver(edition_id=edition.pk) == 0
    resume(edition=edition)
    assert due() == [edition.pk] and deliver(edition_id=edition.pk) == 17
    assert sorted(sink.recipients) == sorted({f"reader{number}@example.org" for number in range(20)})
    edition.refresh_from_db()
    assert edition.state == "sent"


@pytest.mark.django_db(transaction=True)
def test_a_pause_is_noticed_by_every_worker_within_a_mail(edition, sink) -> None:
    told, go_on = threading.Event(), threading.Event()

    def hold(recipient: str) -> None:
        if len(sink.taken) == 4:
            told.set()
            go_on.wait(60)

    def work() -> None:
        try:
            deliver(edition_id=edition.pk)
        finally:
            connection.close()

    sink.on["RCPT"] = hold
    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    assert told.wait(60)
    pause(edition=edition)
    go_on.set()
    for worker in workers:
        worker.join()
    assert 5 <= len(sink.taken) <= 6  # what each of the two had in hand
    assert counts(edition) == {"sent": len(sink.taken), "queued": 20 - len(sink.taken)}


def test_cancelling_keeps_what_was_sent_and_sends_nothing_more(edition, sink) -> None:
    assert deliver(edition_id=edition.pk, tick=after(5, lambda: cancel(edition=edition))) == 5
    assert counts(edition) == {"sent": 5, "cancelled": 15} and len(sink.taken) == 5
    edition.refresh_from_db()
    assert edition.state == "cancelled" and due() == [] and deliver(edition_id=edition.pk) == 0
    for verb in (pause, resume, cancel):
        with pytest.raises(NotBeingSent, match="cancelled"):
            verb(edition=edition)


def test_a_mail_that_is_in_flight_while_somebody_cancels_ends_as_it_ends(edition, sink, settings) -> None:
    found = claims.claim(edition=edition)
    answered, refused, silent = found.rows[:3]
    for row in (answered, refused, silent):
        assert claims.begin(row) == []
    assert cancel(edition=edition) == 17
    claims.end(answered, "sent", "250 taken")
    claims.later(refused, "450 come back")  # would wait in the queue
    assert due() == [edition.pk]
    work_once()
    assert counts(edition) == {"sent": 1, "cancelled": 18, "sending": 1}
    with time_machine.travel(timezone.now() + timedelta(seconds=settings.DELIVERY_LEASE_S + 1)):
        assert due() == [edition.pk]
        work_once()
    assert counts(edition) == {"sent": 1, "cancelled": 18, "unknown": 1} and due() == []


def test_a_pause_that_meets_the_last_mail_ends_with_the_edition_sent(edition, sink) -> None:
    deliver(edition_id=edition.pk, tick=after(20, lambda: pause(edition=edition)))
    edition.refresh_from_db()
    assert edition.state == "paused" and counts(edition) == {"sent": 20}
    resume(edition=edition)
    assert edition.state == "sent"


def test_of_two_who_press_the_button_one_is_told_that_it_was_done(edition) -> None:
    other = Edition.objects.get()
    pause(edition=edition)
    with pytest.raises(NotBeingSent, match="paused"):
        pause(edition=other)
    assert Intervention.objects.count() == 1


def test_each_intervention_is_kept_with_who_when_and_what_it_met(edition) -> None:
    ada = User.objects.create_user("ada", is_staff=True)
    pause(edition=edition, by=ada)
    resume(edition=edition)
    cancel(edition=edition, by=ada)
    found = [(row.verb, row.by, row.note) for row in Intervention.objects.all()]
    assert found == [
        ("pause", ada, "20 queued, 20 total"),
        ("resume", None, "20 queued, 20 total"),
        ("cancel", ada, "20 queued, 20 total"),
    ]


def test_the_progress_names_every_state_the_rate_and_what_is_left(edition) -> None:
    now = timezone.now()
    ids = list(Delivery.objects.values_list("pk", flat=True))
    for state, some in {"sent": ids[:6], "failed": ids[6:8], "unknown": ids[8:9], "suppressed": ids[9:10]}.items():
        Delivery.objects.filter(pk__in=some).update(state=state, ended_at=now)
    found = standing(edition=edition)
    assert (found.open, found.per_s, found.left_s) == (10, 0.1, 100)
    assert found.says() == (
        "Of 20 deliveries: 10 queued, 6 sent, 2 failed, 1 unknown, 1 suppressed, 0.1 mails/s, about 2 minutes left."
    )
    assert delivery.progress(edition=edition)["total"] == 20
