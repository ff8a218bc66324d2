"""INBOX: nothing is sent twice, and every doubt is listed; shown at a real SMTP server on loopback."""

import socket
import threading
from collections import Counter
from datetime import timedelta

import pytest
import time_machine
from django.conf import settings as django_settings
from django.db import connection
from django.utils import timezone

from collector.erasure import withdraw
from config.duties import work_once
from newsletter import claims, mail, tasks
from newsletter.delivery import deliver, due, progress, sweep_stale
from newsletter.edition import compose, freeze
from newsletter.models import Delivery, Edition, Subscriber
from newsletter.transport import FolderTransport, Taken, nothing

pytestmark = pytest.mark.django_db
State = Delivery.State
both_ways = pytest.mark.parametrize("sink", [True, False], indirect=True, ids=["at once", "one by one"])  # of its commands


@pytest.fixture
def frozen(recognizer, live_photo):
    """`frozen(readers)` makes an edition of one photo that waits to be sent to so many readers."""

    def make(readers: int) -> Edition:
        photo = live_photo()
        edition = compose(recognizer=recognizer, day=timezone.now().date())
        assert edition.entries.get().photo_id == photo.pk
        Subscriber.objects.bulk_create(
            Subscriber(recognizer=recognizer, email=f"reader{number}@example.org", state="confirmed")
            for number in range(readers)
        )
        freeze(edition=edition)
        return edition

    return make


def states(edition: Edition) -> dict[str, int]:
    return {state: count for state, count in progress(edition=edition).items() if count and state != "total"}


def begun(edition: Edition) -> Delivery:
    """A row whose sender falls silent in the middle."""
    found = claims.claim(edition=edition)
    assert found is not None and claims.begin(found.rows[0]) == [] and claims.begin(found.rows[0]) is None
    return found.rows[0]


@both_ways
def test_every_reader_gets_one_mail_over_one_connection_and_the_edition_is_sent(frozen, sink) -> None:
    edition = frozen(5)
    assert due() == [edition.pk]
    assert deliver(edition_id=edition.pk) == 5
    assert sorted(sink.recipients) == [f"reader{number}@example.org" for number in range(5)]
    assert sink.connections == 1
    assert states(edition) == {"sent": 5}
    edition.refresh_from_db()
    assert edition.state == "sent" and edition.sent_at is not None
    row = Delivery.objects.get(subscriber__email="reader3@example.org")
    assert row.answer == "250 2.0.0 taken" and row.attempts == 1 and row.ended_at is not None
    message = next(message for recipient, message in sink.taken if recipient == "reader3@example.org")
    assert message["Message-ID"] == f"<{row.pk}@127.0.0.1>"
    assert due() == [] and deliver(edition_id=edition.pk) == 0 and len(sink.taken) == 5


def test_a_draft_is_not_sent(recognizer, live_photo, sink) -> None:
    live_photo()
    edition = compose(recognizer=recognizer, day=timezone.now().date())
    Subscriber.objects.create(recognizer=recognizer, email="reader@example.org", state="confirmed")
    assert due() == [] and deliver(edition_id=edition.pk) == 0 and not sink.taken


def test_an_edition_without_readers_is_sent_at_once(frozen, sink) -> None:
    edition = frozen(0)
    assert due() == [edition.pk]
    work_once()
    edition.refresh_from_db()
    assert edition.state == "sent" and not sink.taken


def test_a_new_connection_is_made_after_the_agreed_number_of_messages(frozen, sink, settings) -> None:
    settings.MAIL_PER_CONNECTION = 2
    assert deliver(edition_id=frozen(5).pk) == 5
    assert sink.connections == 3


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("workers", [2, 6])
def test_workers_on_the_same_edition_never_send_a_row_twice(frozen, sink, workers: int) -> None:
    edition = frozen(40)
    start, sent = threading.Barrier(workers), []

    def work() -> None:
        try:
            start.wait()
            sent.append(deliver(edition_id=edition.pk))
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(sink.recipients) == Counter(f"reader{number}@example.org" for number in range(40))
    assert sum(sent) == 40 and states(edition) == {"sent": 40}
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {1}
    edition.refresh_from_db()
    assert edition.state == "sent"


@both_ways
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
def test_a_permanent_refusal_fails_one_row_with_the_servers_answer_and_no_other(frozen, sink, verb: str) -> None:
    edition = frozen(3)
    refused: list[str] = []

    def once(recipient: str) -> str | None:
        if refused:
            return None
        refused.append(recipient)
        return "550 5.1.1 no such person"

    sink.on[verb] = once
    assert deliver(edition_id=edition.pk) == 2
    assert states(edition) == {"sent": 2, "failed": 1}
    assert Delivery.objects.get(state=State.FAILED).answer == "550 5.1.1 no such person"
    edition.refresh_from_db()
    assert edition.state == "sent" and len(sink.taken) == 2 and sink.connections == 1


@both_ways
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
def test_a_temporary_refusal_climbs_the_ladder_and_fails_at_its_end(frozen, sink, verb: str) -> None:
    edition = frozen(1)
    sink.on[verb] = lambda recipient: "451 4.7.1 come back later"
    now = timezone.now()
    with time_machine.travel(now, tick=False) as clock:
        for tries, wait in enumerate(django_settings.MAIL_RETRY_S, start=1):
            deliver(edition_id=edition.pk)
            row = Delivery.objects.get()
            assert (row.state, row.attempts, row.claimed_at) == (State.QUEUED, tries, None)
            assert row.not_before == timezone.now() + timedelta(seconds=wait) and "451" in row.answer
            clock.shift(wait - 1)
            assert due() == [] and deliver(edition_id=edition.pk) == 0
            assert Delivery.objects.get().attempts == tries
            clock.shift(1)
            assert due() == [edition.pk]
        deliver(edition_id=edition.pk)
    row = Delivery.objects.get()
    assert row.state == State.FAILED and row.attempts == 5 and "given up after 5 tries: 451" in row.answer
    assert not sink.taken


def test_a_mail_that_was_put_off_is_sent_when_its_time_comes(frozen, sink) -> None:
    edition = frozen(1)
    sink.on["RCPT"] = lambda recipient: "450 4.2.0 greylisted"
    deliver(edition_id=edition.pk)
    sink.on.clear()
    with time_machine.travel(timezone.now() + timedelta(minutes=6), tick=False):
        work_once()
    assert states(edition) == {"sent": 1} and len(sink.taken) == 1


def test_a_connection_lost_after_the_message_leaves_a_doubt_that_is_never_sent_again(frozen, sink) -> None:
    edition = frozen(3)
    broken: list[str] = []

    def once(recipient: str) -> str | None:
        broken.append(recipient)
        return "close" if len(broken) == 1 else None

    sink.on["DATA"] = once
    assert deliver(edition_id=edition.pk) == 2
    assert states(edition) == {"sent": 2, "unknown": 1}
    doubtful = Delivery.objects.get(state=State.UNKNOWN)
    assert doubtful.subscriber.email == broken[0] and "after the message" in doubtful.answer
    with time_machine.travel(timezone.now() + timedelta(days=2)):
        work_once()
        assert deliver(edition_id=edition.pk) == 0
    assert Counter(sink.recipients).most_common(1)[0][1] == 1 and sink.connections == 2


@both_ways
@pytest.mark.parametrize("verb", ["MAIL", "RCPT"])
def test_a_connection_lost_before_the_message_puts_the_row_back(frozen, sink, verb: str) -> None:
    edition = frozen(2)
    broken: list[str] = []

    def once(recipient: str) -> str | None:
        broken.append(recipient)
        return "close" if len(broken) == 1 else None

    sink.on[verb] = once
    assert deliver(edition_id=edition.pk) == 1
    assert states(edition) == {"sent": 1, "queued": 1}
    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        assert deliver(edition_id=edition.pk) == 1
    assert sorted(sink.recipients) == ["reader0@example.org", "reader1@example.org"]


def test_a_server_that_keeps_breaking_off_is_left_alone_after_two_rows(frozen, sink) -> None:
    edition = frozen(6)
    sink.on["MAIL"] = lambda recipient: "close"
    assert deliver(edition_id=edition.pk) == 0
    assert sorted(Delivery.objects.values_list("attempts", flat=True)) == [0, 0, 0, 0, 1, 1]


@both_ways
def test_a_server_that_shuts_down_with_421_gets_other_domains_mail_over_a_new_connection(frozen, sink) -> None:
    edition = frozen(2)
    Subscriber.objects.filter(email="reader0@example.org").update(email="reader0@example.net")
    told: list[str] = []

    def once(recipient: str) -> str | None:
        told.append(recipient)
        return "421 4.3.2 closing" if len(told) == 1 else None

    sink.on["RCPT"] = once
    assert deliver(edition_id=edition.pk) == 1
    assert states(edition) == {"sent": 1, "queued": 1} and sink.connections == 2


def test_an_unreachable_server_costs_no_row_an_attempt(frozen, settings) -> None:
    edition = frozen(2)
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        settings.EMAIL_URL = f"smtp://127.0.0.1:{taken.getsockname()[1]}"
        assert deliver(edition_id=edition.pk) == 0
    assert states(edition) == {"queued": 2} and set(Delivery.objects.values_list("attempts", flat=True)) == {0}
    assert due() == [edition.pk]


def test_a_claim_whose_sender_fell_silent_becomes_unknown_and_is_never_sent(frozen, sink, settings) -> None:
    edition = frozen(2)
    assert begun(edition).pk
    Delivery.objects.filter(state="queued").update(not_before=timezone.now())  # the claim's lease is over
    deliver(edition_id=edition.pk)
    assert states(edition) == {"sent": 1, "sending": 1}
    assert due() == [] and sweep_stale() == 0
    edition.refresh_from_db()
    assert edition.state == "frozen"
    with time_machine.travel(timezone.now() + timedelta(seconds=settings.DELIVERY_LEASE_S + 1)):
        assert due() == [edition.pk]
        work_once()
    assert states(edition) == {"sent": 1, "unknown": 1} and len(sink.taken) == 1
    edition.refresh_from_db()
    assert edition.state == "sent"


def test_a_sender_slower_than_its_lease_still_corrects_the_doubt(frozen, sink, settings) -> None:
    claimed = begun(frozen(1))
    Delivery.objects.update(claimed_at=timezone.now() - timedelta(seconds=settings.DELIVERY_LEASE_S + 1))
    assert sweep_stale() == 1 and Delivery.objects.get().state == State.UNKNOWN
    claims.end(claimed, State.SENT, "250 late but sure")
    assert Delivery.objects.get().state == State.SENT


def test_who_left_or_was_suppressed_meanwhile_gets_nothing(frozen, sink) -> None:
    edition = frozen(3)
    Subscriber.objects.filter(email="reader0@example.org").update(state="left")
    Subscriber.objects.filter(email="reader1@example.org").update(state="suppressed")
    assert deliver(edition_id=edition.pk) == 1
    assert sink.recipients == ["reader2@example.org"] and states(edition) == {"sent": 1, "suppressed": 2}


def test_a_photo_withdrawn_between_two_mails_is_in_the_first_only(frozen, sink, volunteer) -> None:
    edition = frozen(2)

    def withdraw_after_first() -> None:
        if len(sink.taken) == 1:
            withdraw(photo_id=edition.entries.get().photo_id, volunteer=volunteer)

    assert deliver(edition_id=edition.pk, tick=withdraw_after_first) == 2
    pictures = [sum(part.get_content_type() == "image/jpeg" for part in message.walk()) for _, message in sink.taken]
    assert pictures == [1, 0] and set(Delivery.objects.values_list("attempts", flat=True)) == {1}
    assert "no longer" not in sink.taken[0][1].get_body(["plain"]).get_content()


def test_a_batch_stops_at_its_time_limit_and_the_sweeper_goes_on(frozen, sink, settings) -> None:
    settings.DELIVERY_BATCH_S = 60
    edition = frozen(3)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        assert deliver(edition_id=edition.pk, tick=lambda: clock.shift(61)) == 1
        assert states(edition) == {"sent": 1, "queued": 2}
        assert due() == [edition.pk]
        work_once()
    assert len(sink.taken) == 3 and states(edition) == {"sent": 3}


@both_ways
def test_an_address_that_no_header_can_carry_fails_alone(frozen, sink) -> None:
    edition = frozen(2)
    Subscriber.objects.filter(email="reader0@example.org").update(email="a@example.org\r\nBcc: all@example.org")
    assert deliver(edition_id=edition.pk) == 1
    assert sink.recipients == ["reader1@example.org"] and states(edition) == {"sent": 1, "failed": 1}


def test_lines_that_begin_with_a_dot_arrive_as_they_were_written(frozen, sink) -> None:
    edition = frozen(1)
    Edition.objects.update(introduction=".\n.hidden\n..two dots\nend")
    deliver(edition_id=edition.pk)
    assert "\n.\n.hidden\n..two dots\nend" in sink.taken[0][1].get_body(["plain"]).get_content().replace("\r\n", "\n")
    assert b"\n" not in sink.raw[0].replace(b"\r\n", b"")


def test_mail_to_a_folder_is_one_file_a_delivery_without_leftovers(frozen, settings, tmp_path) -> None:
    settings.EMAIL_URL = f"file://{tmp_path / 'out'}"
    edition = frozen(3)
    assert deliver(edition_id=edition.pk) == 3
    assert sorted(path.stem for path in (tmp_path / "out").iterdir()) == sorted(str(row.pk) for row in Delivery.objects.all())
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".eml"}


def test_garbage_in_place_of_an_answer_after_the_message_is_a_doubt(frozen, settings) -> None:
    """A peer that answers the whole message with something that is no SMTP reply has told us nothing."""
    edition = frozen(1)
    listener = socket.create_server(("127.0.0.1", 0))
    settings.EMAIL_URL = f"smtp://127.0.0.1:{listener.getsockname()[1]}"

    def serve() -> None:
        peer, _ = listener.accept()
        with peer, peer.makefile("rwb") as lines:
            lines.write(b"220 hello\r\n")
            lines.flush()
            for line in lines:
                if line.upper().startswith(b"DATA"):
                    lines.write(b"354 go on\r\n")
                elif line == b".\r\n":
                    lines.write(b"what?\r\n")
                    lines.flush()
                    return
                elif not line.upper().startswith((b"EHLO", b"MAIL", b"RCPT")):
                    continue  # the body
                else:
                    lines.write(b"250 fine\r\n")
                lines.flush()

    thread = threading.Thread(target=serve)
    thread.start()
    deliver(edition_id=edition.pk)
    thread.join()
    listener.close()
    assert states(edition) == {"unknown": 1}


def test_a_name_that_only_smtputf8_could_carry_fails_alone_and_no_other_mailbox_is_tried(frozen, sink) -> None:
    edition = frozen(3)
    Subscriber.objects.filter(email="reader1@example.org").update(email="läser@example.org")
    assert deliver(edition_id=edition.pk) == 2 and len(sink.taken) == 2
    row = Delivery.objects.get(subscriber__email="läser@example.org")
    assert states(edition) == {"sent": 2, "failed": 1} and row.attempts == 1 and "SMTPUTF8" in row.answer


def test_what_cannot_be_written_down_after_its_beginning_fails_once(frozen, settings, tmp_path, monkeypatch) -> None:
    class Choosy(FolderTransport):
        def send(self, *, name, begin, **message) -> Taken:
            begin(nothing)
            raise ValueError("no such header")

    edition = frozen(2)
    monkeypatch.setattr("newsletter.delivery.transport", lambda: Choosy(tmp_path))
    assert deliver(edition_id=edition.pk) == 0
    assert set(Delivery.objects.values_list("state", "attempts", "answer")) == {("failed", 1, "not sent: no such header")}


def test_the_worker_and_the_command_share_the_verb(frozen, sink) -> None:
    edition = frozen(1)
    tasks.deliver.perform(edition.pk)
    assert len(sink.taken) == 1
    assert tasks.deliver.queue == tasks.ask.queue == "mail"
    assert mail.domain() == "127.0.0.1"
