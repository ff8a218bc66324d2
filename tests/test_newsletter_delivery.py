"""INBOX: nothing is sent twice, and every doubt is listed; shown at a real SMTP server on loopback."""

import os
import smtplib
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.utils import timezone

from collector.erasure import withdraw
from config.duties import work_once
from newsletter import claims, mail, tasks
from newsletter.delivery import deliver, due, progress, sweep_stale
from newsletter.edition import compose, freeze
from newsletter.models import Delivery, Edition, Subscriber
from newsletter.transport import FolderTransport, Lost, Refused, SmtpTransport, Taken, Unreachable, server, transport
from tests.sink import Running, Sink

pytestmark = pytest.mark.django_db
State = Delivery.State


@pytest.fixture
def sink(settings, request) -> Iterator[Sink]:
    made = Sink(pipelining=getattr(request, "param", True))
    running = Running(made)
    running.start()
    settings.EMAIL_URL = running.url
    yield made
    running.stop()


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


@pytest.mark.parametrize("sink", [True, False], indirect=True, ids=["at once", "one by one"])
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


@pytest.mark.parametrize("sink", [True, False], indirect=True, ids=["at once", "one by one"])
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


@pytest.mark.parametrize("sink", [True, False], indirect=True, ids=["at once", "one by one"])
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


@pytest.mark.parametrize("sink", [True, False], indirect=True, ids=["at once", "one by one"])
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


@pytest.mark.parametrize("sink", [True, False], indirect=True, ids=["at once", "one by one"])
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


@pytest.mark.parametrize("sink", [True, False], indirect=True, ids=["at once", "one by one"])
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


def test_a_message_written_before_is_not_written_again(tmp_path) -> None:
    over = FolderTransport(tmp_path)
    over.open()
    for body in (b"first", b"second"):
        over.send(name="one", sender="a@example.org", recipient="b@example.org", data=body)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"first"]


def test_a_folder_that_cannot_be_written_is_told_apart_from_a_sent_mail(tmp_path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unreachable):
        FolderTransport(tmp_path / "file" / "mail").open()
    over = FolderTransport(tmp_path / "gone")
    with pytest.raises(Lost) as lost:
        over.send(name="one", sender="a@example.org", recipient="b@example.org", data=b"x")
    assert not lost.value.handed_over


def test_the_mail_servers_address_is_read_strictly(settings) -> None:
    found = server("smtp://us%40er:p%2Fw@mail.example.org:587?starttls=1")
    assert (found.host, found.port, found.user, found.password, found.tls, found.starttls) == (
        "mail.example.org",
        587,
        "us@er",
        "p/w",
        False,
        True,
    )
    assert server("smtps://mail.example.org").port == 465 and server("smtps://mail.example.org").tls
    for bad in ("smtp://", "smtp://host:port", "http://host"):
        with pytest.raises(ImproperlyConfigured, match="smtp://user:password@host"):
            server(bad)
    settings.EMAIL_URL = "smtp://mail.example.org"
    assert isinstance(transport(), SmtpTransport)


def test_a_server_that_wants_no_such_login_is_unreachable_not_a_refusal(sink, settings) -> None:
    settings.EMAIL_URL = settings.EMAIL_URL.replace("smtp://", "smtp://user:wrong@")
    with pytest.raises(Unreachable):
        transport().open()


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


def test_a_server_that_takes_commands_at_once_gets_them_at_once_and_nobody_an_empty_message(settings) -> None:
    """The peer answers nothing before it has MAIL, RCPT and DATA; it takes DATA even without a recipient (RFC 2920, 3.1)."""
    listener = socket.create_server(("127.0.0.1", 0))
    settings.EMAIL_URL = f"smtp://127.0.0.1:{listener.getsockname()[1]}"
    heard: list[bytes] = []

    def serve() -> None:
        peer, _ = listener.accept()
        peer.settimeout(5)  # seconds; a sender that says less than is waited for must not hang the test
        with peer, peer.makefile("rwb") as lines:

            def hear(count: int, *answers: bytes) -> None:
                heard.extend(lines.readline() for _ in range(count))
                lines.writelines(answer + b"\r\n" for answer in answers)
                lines.flush()

            hear(0, b"220 hello")
            hear(1, b"250-peer", b"250 PIPELINING")
            hear(3, b"250 fine", b"550 nobody", b"354 go on")
            hear(1, b"554 for whom?")
            hear(1, b"250 forgotten")
            hear(3, b"250 fine", b"250 fine", b"354 go on")
            hear(2, b"250 taken")
            hear(1, b"221 bye")

    thread = threading.Thread(target=serve)
    thread.start()
    settings.MAIL_TIMEOUT_S = 5
    over = transport()
    over.open()
    with pytest.raises(Refused, match="550 nobody"):
        over.send(name="one", sender="a@example.org", recipient="gone@example.org", data=b"first")
    assert over.send(name="two", sender="a@example.org", recipient="b@example.org", data=b"second").answer == "250 taken"
    over.close()
    thread.join()
    listener.close()
    envelope = b"MAIL FROM:<a@example.org>\r\n"
    assert heard[1:6] == [envelope, b"RCPT TO:<gone@example.org>\r\n", b"DATA\r\n", b".\r\n", b"rset\r\n"]
    assert heard[6:] == [envelope, b"RCPT TO:<b@example.org>\r\n", b"DATA\r\n", b"second\r\n", b".\r\n", b"quit\r\n"]


@pytest.mark.parametrize(
    "sender, recipient",
    [
        ("a@example.org\r\nRCPT TO:<all@example.org>", "b@example.org"),
        ("a@example.org", "b@example.org\nDATA"),
        ("a@example.org", "läser@example.org"),
    ],
)
def test_an_address_that_smtp_cannot_carry_is_no_command(sink, monkeypatch, sender: str, recipient: str) -> None:
    monkeypatch.setattr("newsletter.transport._quoted", lambda address: f"<{address}>")  # it would cut them off before
    over, begun = transport(), []
    over.open()
    with pytest.raises(ValueError):
        over.send(name="x", sender=sender, recipient=recipient, data=b"x", begin=lambda: begun.append(1))
    assert not sink.taken and not begun


def test_a_name_that_only_smtputf8_could_carry_fails_alone_and_no_other_mailbox_is_tried(frozen, sink) -> None:
    edition = frozen(3)
    Subscriber.objects.filter(email="reader1@example.org").update(email="läser@example.org")
    assert deliver(edition_id=edition.pk) == 2 and len(sink.taken) == 2
    row = Delivery.objects.get(subscriber__email="läser@example.org")
    assert states(edition) == {"sent": 2, "failed": 1} and row.attempts == 1 and "SMTPUTF8" in row.answer


def test_what_cannot_be_written_down_after_its_beginning_fails_once(frozen, settings, tmp_path, monkeypatch) -> None:
    class Choosy(FolderTransport):
        def send(self, *, name, begin, **message) -> Taken:
            begin()
            raise ValueError("no such header")

    edition = frozen(2)
    monkeypatch.setattr("newsletter.delivery.transport", lambda: Choosy(tmp_path))
    assert deliver(edition_id=edition.pk) == 0
    assert set(Delivery.objects.values_list("state", "attempts", "answer")) == {("failed", 1, "not sent: no such header")}


def test_a_peer_that_vanishes_in_the_middle_of_the_body_has_not_taken_the_mail(settings) -> None:
    """The end mark was never sent, so nothing may be delivered: sending again is safe."""
    listener = socket.create_server(("127.0.0.1", 0))
    settings.EMAIL_URL = f"smtp://127.0.0.1:{listener.getsockname()[1]}"
    settings.MAIL_TIMEOUT_S = 5

    def serve() -> None:
        peer, _ = listener.accept()
        with peer, peer.makefile("rwb") as lines:
            lines.write(b"220 hello\r\n")
            lines.flush()
            for line in lines:
                lines.write(b"354 go on\r\n" if line.upper().startswith(b"DATA") else b"250 fine\r\n")
                lines.flush()
                if line.upper().startswith(b"DATA"):
                    # Close with unread bytes waiting: the kernel resets the connection under the sender.
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
                    return

    thread = threading.Thread(target=serve)
    thread.start()
    over = transport()
    over.open()
    with pytest.raises(Lost) as lost:
        over.send(name="one", sender="a@example.org", recipient="b@example.org", data=os.urandom(2**25))
    thread.join()
    listener.close()
    assert not lost.value.handed_over
    assert isinstance(lost.value.__cause__, OSError | smtplib.SMTPException)


def test_the_worker_and_the_command_share_the_verb(frozen, sink) -> None:
    edition = frozen(1)
    tasks.deliver.perform(edition.pk)
    assert len(sink.taken) == 1
    assert tasks.deliver.queue == tasks.ask.queue == "mail"
    assert mail.domain() == "127.0.0.1"
