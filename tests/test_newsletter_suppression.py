"""INBOX, afterwards: what servers say suppresses whom it must and nobody else, whatever comes twice, late or in any order."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from collector.models import Recognizer
from newsletter import suppression
from newsletter.delivery import deliver, progress
from newsletter.edition import compose, freeze
from newsletter.models import MailEvent, Subscriber, Suppression
from newsletter.suppression import hear, kind_of_answer, suppress

Kind = MailEvent.Kind


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("550 5.1.1 <ada@example.org>: no such user", Kind.HARD),
        ("550-5.1.1 The email account that you tried to reach does not exist", Kind.HARD),
        ("550 5.1.10 RESOLVER.ADR.RecipientNotFound", Kind.HARD),
        ("554 5.2.1 mailbox disabled", Kind.HARD),
        ("552 5.2.2 mailbox full", Kind.SOFT),
        ("4.4.7", Kind.SOFT),
        ("550 no such user", Kind.SOFT),  # without a code it may as well be a block
        ("550 5.7.1 blocked by our list", None),  # of us, not of the mailbox
        ("553 5.1.8 sender address does not exist", None),
        ("550 5.1.7 bad sender", None),
        ("554 5.6.0 bad content from 15.5.1.1", None),
        ("554 transaction failed", None),
        ("5.1.11", None),
        ("", None),
    ],
)
def test_an_answer_is_judged_by_its_status_code(answer: str, kind: str | None) -> None:
    assert kind_of_answer(answer) == kind


@given(st.text(max_size=400))
def test_any_answer_is_judged_without_an_error(answer: str) -> None:
    assert kind_of_answer(answer) in (*Kind, None)


def bounce(kind: str = Kind.HARD, event_id: str = "1", email: str = "Ada@example.org", **more):
    return hear(provider="Postal", event_id=event_id, email=email, kind=kind, **{"happened_at": timezone.now(), **more})


def state(recognizer: Recognizer) -> str:
    return Subscriber.objects.get(recognizer=recognizer).state


@pytest.fixture
def reader(recognizer) -> Subscriber:
    long_ago = timezone.now() - timedelta(days=50)
    return Subscriber.objects.create(
        recognizer=recognizer, email="ada@example.org", state="confirmed", asked_at=long_ago, confirmed_at=long_ago
    )


@pytest.fixture
def stamps(recognizer, reader) -> Recognizer:
    """Another newsletter that the same address gets."""
    made = Recognizer.objects.create(slug="stamps", name="Stamps")
    Subscriber.objects.create(recognizer=made, email="ada@example.org", state="confirmed", confirmed_at=reader.confirmed_at)
    return made


@pytest.mark.django_db
@pytest.mark.parametrize(("kind", "reason"), [(Kind.HARD, "bounce"), (Kind.COMPLAINT, "complaint")])
def test_a_bounce_or_complaint_suppresses_an_address_in_all_newsletters_once(recognizer, stamps, kind, reason) -> None:
    assert bounce(kind) and not bounce(kind)
    assert state(recognizer) == state(stamps) == "suppressed"
    assert Suppression.objects.get().reason == reason and MailEvent.objects.count() == 1


@pytest.mark.django_db
def test_an_unsubscription_at_the_provider_leaves_the_newsletter_it_came_from_and_may_be_undone_by_the_form(
    recognizer, stamps
) -> None:
    bounce(Kind.UNSUBSCRIBED, recognizer=stamps)
    assert (state(recognizer), state(stamps)) == ("confirmed", "left") and suppression.may_be_asked("ada@example.org")
    bounce(Kind.UNSUBSCRIBED, event_id="2")
    assert state(recognizer) == "left"


@pytest.mark.django_db
def test_soft_bounces_suppress_at_the_limit_and_only_within_the_window(recognizer, reader, settings) -> None:
    start = timezone.now()
    for number in range(settings.SOFT_BOUNCES - 1):
        bounce(Kind.SOFT, event_id=str(number))
    for _ in range(5):
        bounce(Kind.SOFT, event_id="0")  # the same one again counts once
    assert state(recognizer) == "confirmed"
    with time_machine.travel(start + timedelta(seconds=settings.SOFT_BOUNCE_WINDOW_S + 60)):
        bounce(Kind.SOFT, event_id="late")
        assert state(recognizer) == "confirmed"
        for number in range(settings.SOFT_BOUNCES - 1):
            bounce(Kind.SOFT, event_id=f"again {number}")
    assert state(recognizer) == "suppressed" and Suppression.objects.get().reason == "faded"


@pytest.mark.django_db
def test_a_bounce_from_before_the_last_confirmation_changes_nothing_but_a_complaint_does(recognizer, reader) -> None:
    before = reader.confirmed_at - timedelta(days=1)
    assert bounce(happened_at=before) and state(recognizer) == "confirmed"
    assert bounce(Kind.COMPLAINT, event_id="2", happened_at=before) and state(recognizer) == "suppressed"


@pytest.mark.django_db
def test_an_event_that_is_older_than_its_kind_is_kept_is_not_believed(recognizer, reader, settings) -> None:
    Subscriber.objects.update(confirmed_at=None)
    old = timezone.now() - timedelta(seconds=settings.MAIL_EVENTS_KEPT_S + 1)
    assert not bounce(Kind.COMPLAINT, happened_at=old) and state(recognizer) == "confirmed"
    assert not MailEvent.objects.exists()


@pytest.mark.django_db
def test_a_clock_that_is_ahead_makes_no_event_younger_than_now(reader) -> None:
    bounce(happened_at=timezone.now() + timedelta(days=900))
    assert MailEvent.objects.get().happened_at <= timezone.now()


@pytest.mark.django_db
def test_who_left_stays_left_and_is_kept_out_all_the_same(recognizer, reader) -> None:
    Subscriber.objects.update(state="left")
    bounce()
    assert state(recognizer) == "left" and not suppression.may_be_asked("ada@example.org")


@pytest.mark.django_db
def test_in_whatever_order_reasons_come_the_strongest_stays() -> None:
    for reasons in (("complaint", "bounce", "erased"), ("erased", "bounce", "complaint"), ("bounce", "complaint", "faded")):
        Suppression.objects.all().delete()
        for reason in reasons:
            suppress(email="ada@example.org", reason=reason)
        assert Suppression.objects.get().reason == "complaint"


@pytest.mark.django_db
def test_neither_row_holds_the_address(reader) -> None:
    bounce()
    rows = [*Suppression.objects.values_list(), *MailEvent.objects.values_list()]
    assert "ada" not in str(rows) and "example.org" not in str(rows)


@pytest.mark.django_db
def test_a_mail_server_that_knows_no_such_mailbox_suppresses_it_and_one_that_blocks_us_does_not(
    recognizer,
    reader,
    live_photo,
    sink,
) -> None:
    for name in ("blocked", "fine"):
        Subscriber.objects.create(recognizer=recognizer, email=f"{name}@example.org", state="confirmed")
    live_photo()
    edition = compose(recognizer=recognizer, day=timezone.now().date())
    freeze(edition=edition)
    answers = {"ada@example.org": "550 5.1.1 unknown", "blocked@example.org": "550 5.7.1 go away"}
    sink.on["RCPT"] = answers.get
    deliver(edition_id=edition.pk)
    assert dict(Subscriber.objects.values_list("email", "state")) == {
        "ada@example.org": "suppressed",
        "blocked@example.org": "confirmed",
        "fine@example.org": "confirmed",
    }
    assert (progress(edition=edition)["failed"], progress(edition=edition)["sent"]) == (2, 1)
