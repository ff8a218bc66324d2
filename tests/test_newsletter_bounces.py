"""INBOX, afterwards: reports that come back by mail count if they return a Message-ID of ours; nothing in them is an error."""

import io
from email.message import EmailMessage
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from newsletter import bounces
from newsletter.edition import compose, freeze
from newsletter.models import Delivery, MailEvent, Subscriber, Suppression

ID = "4f6b1d1e-7a5c-4d0e-9d59-0c8d0d5a9d11"


def dsn(
    delivery: str = ID, *, status: str = "5.1.1", action: str = "failed", returned: str = "text/rfc822-headers", kind: str = ""
) -> bytes:
    """A report as Postfix writes it (RFC 3464), or a complaint (RFC 5965) where `kind` is its Feedback-Type."""
    if kind:
        subtype, fields = "feedback-report", f"Feedback-Type: {kind}\nUser-Agent: Somebody/1.0\nVersion: 1\n"
    else:
        subtype = "delivery-status"
        fields = (
            "Reporting-MTA: dns; mx.example.org\nX-Postfix-Queue-ID: 4D0E9\n\n"
            f"Final-Recipient: rfc822; somebody-else@example.org\nAction: {action}\nStatus: {status}\n"
            "Diagnostic-Code: smtp; 550 5.1.1 <somebody-else@example.org>: no such user\n"
        )
    headers = f"From: newsletter@photorally.example\nTo: ada@example.org\nMessage-ID: <{delivery}@photorally.example>\n"
    tail = "" if returned == "text/rfc822-headers" else "\nThe mail.\n"
    return (
        "From: MAILER-DAEMON@mx.example.org\nTo: newsletter@photorally.example\nSubject: Undelivered\n"
        f"Date: {timezone.now():%a, %d %b %Y %H:%M:%S} +0000\nMIME-Version: 1.0\n"
        f'Content-Type: multipart/report; report-type={subtype}; boundary="b"\n\n'
        "--b\nContent-Type: text/plain\n\nSorry.\n\n"
        f"--b\nContent-Type: message/{subtype}\n\n{fields}\n"
        f"--b\nContent-Type: {returned}\n\n{headers}{tail}\n--b--\n"
    ).encode()


def mbox(*mails: bytes) -> io.BytesIO:
    return io.BytesIO(b"".join(b"From MAILER-DAEMON Thu Nov 26 10:00:00 2026\n" + mail + b"\n" for mail in mails))


@pytest.mark.parametrize("returned", ["text/rfc822-headers", "message/rfc822"])
@pytest.mark.parametrize(
    ("report", "kind"),
    [
        ({}, "hard"),
        ({"status": "5.2.2"}, "soft"),
        ({"status": "4.4.7"}, "soft"),
        ({"status": "5.7.1"}, None),
        ({"action": "delayed", "status": "4.4.1"}, None),
        ({"action": "delivered", "status": "2.0.0"}, None),
        ({"kind": "abuse"}, "complaint"),
        ({"kind": "not-spam"}, None),
    ],
)
def test_a_report_is_read(returned: str, report: dict[str, str], kind: str | None) -> None:
    found = bounces.read(dsn(returned=returned, **report))
    assert found.kind == kind and ID in str(found.message_id)


def test_an_answer_of_a_person_is_no_report_even_if_it_quotes_one() -> None:
    mail = EmailMessage()
    mail.set_content(dsn().decode())
    assert bounces.read(mail.as_bytes()) == bounces.Report(None, None)


@given(st.binary(max_size=2000))
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    bounces.read(data)
    list(bounces.mails_of(io.BytesIO(data)))


@given(st.lists(st.tuples(st.integers(0, 1200), st.binary(max_size=6)), max_size=12))
def test_a_report_damaged_anywhere_is_read_without_an_error(cuts: list[tuple[int, bytes]]) -> None:
    data = bytearray(dsn())
    for at, piece in cuts:
        data[at : at + len(piece)] = piece
    bounces.read(bytes(data))


@given(st.lists(st.binary(max_size=300).map(lambda part: part.replace(b"From ", b"from ")), max_size=8))
def test_a_mailbox_comes_apart_into_the_mails_that_were_put_together(parts: list[bytes]) -> None:
    assert [data for data, whole in bounces.mails_of(mbox(*parts)) if whole] == [part + b"\n" for part in parts]


def test_a_mail_that_is_too_long_is_read_to_its_limit_and_the_mailbox_to_its_own(settings) -> None:
    settings.BOUNCE_MAX_BYTES = len(dsn()) + 1
    found = list(bounces.mails_of(mbox(dsn() + b"x" * 5000, dsn())))
    assert [whole for _, whole in found] == [False, True] and len(found[0][0]) == settings.BOUNCE_MAX_BYTES
    settings.BOUNCES_MBOX_MAX_BYTES = 100
    assert len(list(bounces.mails_of(mbox(*[dsn()] * 20)))) == 1


@pytest.fixture
def delivery(recognizer, live_photo) -> Delivery:
    for name in ("ada", "grace"):
        Subscriber.objects.create(recognizer=recognizer, email=f"{name}@example.org", state="confirmed")
    live_photo()
    freeze(edition=compose(recognizer=recognizer, day=timezone.now().date()))
    return Delivery.objects.get(subscriber__email="ada@example.org")


@pytest.mark.django_db
def test_a_mailbox_suppresses_the_readers_of_the_mails_that_came_back_and_nobody_whom_it_names(
    delivery, tmp_path: Path, capsys
) -> None:
    victim = Subscriber.objects.create(
        recognizer=delivery.edition.recognizer, email="somebody-else@example.org", state="confirmed"
    )
    file = tmp_path / "bounces.mbox"
    file.write_bytes(mbox(dsn(str(delivery.pk)), dsn(str(delivery.pk)), dsn(ID), b"Subject: hello\n\nHello\n").read())
    call_command("bounces", "--mbox", str(file))
    assert capsys.readouterr().out == "4 mails: 1 hard, 1 known already, 2 that are no reports on our mails.\n"
    call_command("bounces", "--mbox", str(file))
    assert capsys.readouterr().out.startswith("4 mails: nothing new, 2 known already")
    states = dict(Subscriber.objects.values_list("email", "state"))
    assert states == {"ada@example.org": "suppressed", "grace@example.org": "confirmed", victim.email: "confirmed"}
    assert MailEvent.objects.count() == Suppression.objects.count() == 1


@pytest.mark.django_db
def test_a_complaint_after_a_bounce_is_heard_too(delivery) -> None:
    bounces.take_in(mbox=mbox(dsn(str(delivery.pk)), dsn(str(delivery.pk), kind="abuse")))
    assert Suppression.objects.get().reason == "complaint"


@pytest.mark.django_db
def test_a_missing_mailbox_is_a_clear_word(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        call_command("bounces", "--mbox", str(tmp_path / "none"))
