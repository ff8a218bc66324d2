"""INBOX: one mail, as its reader and every program on its way see it."""

import io
import uuid
from datetime import date
from email import message_from_bytes, policy
from email.utils import parsedate_to_datetime
from smtplib import quoteaddr

import pytest
import time_machine
from django.core.mail import EmailMultiAlternatives
from django.core.mail.message import sanitize_address
from django.utils import timezone
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from collector.erasure import withdraw
from collector.models import Recognizer
from collector.storage import store
from newsletter import links, mail, previews
from newsletter.edition import compose, freeze
from newsletter.models import Delivery, Edition, Subscriber
from newsletter.sheet import sheet
from newsletter.transport import PLAIN_ADDRESS
from newsletter.words import DIRECTION_MARKS, one_line


@pytest.fixture
def delivery(recognizer, live_photo) -> Delivery:
    for label in ("copper", "gold"):
        live_photo(label)
    Subscriber.objects.create(recognizer=recognizer, email="reader@example.org", state="confirmed")
    with time_machine.travel("2026-11-22T20:00:00Z", tick=False):
        edition = compose(recognizer=recognizer, day=timezone.now().date())
    freeze(edition=edition)
    return Delivery.objects.select_related("subscriber", "edition__recognizer").get()


@pytest.fixture(autouse=True)
def in_november(request):
    """Photos are accepted on the day of the edition."""
    with time_machine.travel("2026-11-22T20:00:00Z", tick=False):
        yield


def written(delivery: Delivery):
    mailing = mail.prepare(edition=delivery.edition)
    data = mail.as_bytes(mail.message(mailing=mailing, delivery=delivery))
    return message_from_bytes(data, policy=policy.default)


@pytest.mark.django_db
def test_the_headers_say_who_what_and_how_to_leave(delivery) -> None:
    message = written(delivery)
    leave = links.leave(delivery.subscriber_id)
    assert message["To"] == "reader@example.org"
    assert message["From"] == "Photorally <newsletter@127.0.0.1>"
    assert message["Subject"] == "Coins: the best finds of 22 November 2026 (#1)"
    assert message["Message-ID"] == f"<{delivery.pk}@127.0.0.1>"
    assert message["List-Id"] == "<coins.newsletter.127.0.0.1>"
    assert message["List-Unsubscribe"] == f"<{leave}>" and leave.startswith("http://127.0.0.1:8000/newsletter/leave/")
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Auto-Submitted"] == "auto-generated"
    assert parsedate_to_datetime(message["Date"]) == timezone.now()


@pytest.mark.django_db
def test_the_message_id_is_the_same_however_often_the_mail_is_made(delivery) -> None:
    assert written(delivery)["Message-ID"] == written(delivery)["Message-ID"]


@pytest.mark.django_db
def test_the_plain_text_alone_tells_the_story(delivery) -> None:
    text = written(delivery).get_body(["plain"]).get_content()
    leave = links.leave(delivery.subscriber_id)
    for words in (
        "the best finds of 22 November 2026",
        "1 volunteer sent 2 photos",
        "Gold, photographed by Ada",
        "FAME",
        leave,
    ):
        assert words in text
    assert links.edition(delivery.edition) in text
    assert mail.LEAVE_MARK not in text and "<" not in text and "&" not in text


@pytest.mark.django_db
def test_the_html_shows_each_photo_from_the_mail_itself_with_its_alternative_text(delivery) -> None:
    message = written(delivery)
    assert message.get_content_type() == "multipart/related"
    html = message.get_body(["html"]).get_content()
    pictures = [part for part in message.walk() if part.get_content_type() == "image/jpeg"]
    assert len(pictures) == 2
    for part in pictures:
        assert f'src="cid:{part["Content-ID"].strip("<>")}"' in html
        assert part.get_content_disposition() == "inline"
        with Image.open(io.BytesIO(part.get_content())) as picture:
            assert picture.format == "JPEG" and max(picture.size) <= 640
            assert not picture.getexif()
    assert 'alt="Gold, photographed by Ada"' in html
    assert "<script" not in html and mail.LEAVE_MARK not in html and links.leave(delivery.subscriber_id) in html


@pytest.mark.django_db
def test_the_style_is_inlined_and_the_dark_colours_stay_a_media_query(delivery) -> None:
    html = mail.prepare(edition=delivery.edition).html
    assert '<h1 style="' in html
    assert '<main style="max-width: 640px' in html and "prefers-color-scheme: dark" in html
    assert len(html.encode()) < 20_000


@pytest.mark.django_db
def test_the_html_reads_in_order_for_a_screen_reader(delivery) -> None:
    html = mail.prepare(edition=delivery.edition).html
    assert '<html lang="en">' in html and html.count("<h1") == 1 and html.count("<main") == 1
    assert html.index("<h1") < html.index("The photos</h2>") < html.index("Fame</h2>")
    assert "<table" not in html and html.count("<img") == html.count('alt="')


@pytest.mark.django_db
def test_a_large_view_is_made_small_once_for_all_readers(delivery) -> None:
    big = io.BytesIO()
    Image.linear_gradient("L").resize((1024, 768)).convert("RGB").save(big, "JPEG")
    entry = delivery.edition.entries.first()
    entry.view_sha256 = "ab" * 32
    entry.save()
    store().put(f"views/{entry.view_sha256}", big.getvalue())
    first, second = (mail.prepare(edition=delivery.edition) for _ in range(2))
    with Image.open(io.BytesIO(first.pictures[0].get_payload(decode=True))) as picture:
        assert picture.size == (640, 480)
    assert first.pictures[0] is second.pictures[0]


@pytest.mark.django_db
def test_a_withdrawn_photo_is_in_no_mail_made_afterwards(delivery, volunteer) -> None:
    before = mail.prepare(edition=delivery.edition)
    withdraw(photo_id=delivery.edition.entries.first().photo_id, volunteer=volunteer)
    after = mail.prepare(edition=delivery.edition)
    assert (len(before.pictures), len(after.pictures)) == (2, 1)
    assert before.shows != after.shows
    assert "Gold" not in after.text or "Copper" not in after.text


@pytest.mark.django_db
def test_a_photo_whose_bytes_are_lost_is_told_in_words(delivery) -> None:
    entry = delivery.edition.entries.first()
    entry.view_sha256 = "cd" * 32
    entry.save()
    mailing = mail.prepare(edition=delivery.edition)
    assert len(mailing.pictures) == 1 and f"<p>{entry.alt}</p>" in mailing.html


@pytest.mark.django_db
def test_an_editors_preview_needs_no_attachments(delivery) -> None:
    html = previews.preview(edition=delivery.edition).html
    assert "cid:" not in html and html.count("data:image/jpeg;base64,") == 2


@pytest.mark.django_db
def test_names_are_escaped_in_html_and_plain_in_text(delivery) -> None:
    delivery.edition.entries.update(credit="<b>&'\"", caption="Fish & <chips>")
    mailing = mail.prepare(edition=delivery.edition)
    assert "<b>" not in mailing.html and "Fish &amp; &lt;chips&gt;" in mailing.html
    assert "Fish & <chips>" in mailing.text and "<b>&'\"" in mailing.text


def unsaved(name: str, title: str) -> tuple[mail.Mailing, Delivery]:
    edition = Edition(recognizer=Recognizer(slug="coins", name=name), number=1, day=date(2026, 11, 22), title=title)
    reader = Subscriber(email="reader@example.org", id=uuid.UUID(int=1))
    mailing = mail.Mailing(edition, mail.subject_of(edition), "text", "<p>html</p>", (), None)
    return mailing, Delivery(id=uuid.UUID(int=2), subscriber=reader)


HEADERS = [
    *("auto-submitted", "content-type", "date", "from", "list-archive", "list-id", "list-unsubscribe"),
    *("list-unsubscribe-post", "message-id", "mime-version", "subject", "to"),
]
hostile = st.text(st.characters() | st.sampled_from("\r\n\u2028\u2029\u202e\u2066\x00\x85:<>@\"',;"), max_size=400)


@given(hostile, hostile)
@example("a\r\nBcc: all@example.org", "b\n\nbody")
@example("\u202egnp.exe", "long " * 200)
@example("\udfff", "\ud800")
@hypothesis_settings(max_examples=150, deadline=None)
def test_no_name_can_add_a_header_a_recipient_or_turn_the_reading_direction(name: str, title: str) -> None:
    mailing, delivery = unsaved(name, title)
    message = message_from_bytes(mail.as_bytes(mail.message(mailing=mailing, delivery=delivery)), policy=policy.default)
    assert sorted(key.lower() for key in message) == HEADERS
    assert message["To"] == "reader@example.org" and message["Bcc"] is None
    assert len(str(message["Subject"])) <= mail.SUBJECT_CHARS and not DIRECTION_MARKS & set(str(message["Subject"]))
    assert all(len(line) <= 998 for line in message.as_bytes().splitlines())


@given(hostile, st.integers(1, 300))
def test_one_line_is_one_line_of_the_asked_length(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit and len(line.splitlines()) <= 1
    assert not DIRECTION_MARKS & set(line) and line == line.strip()
    line.encode()  # no half characters
    assert one_line(line, limit) == line


def test_one_line_keeps_what_people_write() -> None:
    assert one_line("Zoë  Ångström\tنورا 山田 👩‍👩‍👧", 80) == "Zoë Ångström نورا 山田 👩‍👩‍👧"
    assert one_line("abcdef", 4) == "abc…"


def flat(message) -> list[tuple]:
    """What a reader's program sees of each part."""
    parts = []
    for part in message.walk():
        headers = [(name, value) for name, value in part.items() if name != "Content-Transfer-Encoding"]
        headers = [(name, value.partition("boundary=")[0]) for name, value in headers]
        body = None if part.is_multipart() else part.get_payload(decode=True).replace(b"\r\n", b"\n")
        parts.append((headers, body))
    return parts


@pytest.mark.django_db
@pytest.mark.parametrize("title", ["Plain", "Größte Münzen 🪙 \u202e", "x" * 10_000, ".\n.\r\nBcc: all@example.org"])
def test_a_filled_sheet_is_the_mail_that_django_would_have_written_down(delivery, title: str) -> None:
    delivery.edition.title = title[:120]
    delivery.edition.introduction = f"{title}\n.\nA line with blanks at its end  \n" + "long words " * 300
    mailing = mail.prepare(edition=delivery.edition)
    filled = mail.filled(mailing=mailing, delivery=delivery)
    ours = message_from_bytes(filled, policy=policy.default)
    djangos = message_from_bytes(mail.as_bytes(mail.message(mailing=mailing, delivery=delivery)), policy=policy.default)
    assert flat(ours) == flat(djangos)
    assert links.leave(delivery.subscriber_id) in ours.get_body(["plain"]).get_content()
    assert filled.isascii() and b"\n" not in filled.replace(b"\r\n", b"")
    texts = [part.get_payload() for part in message_from_bytes(filled).walk() if part.get_content_maintype() == "text"]
    assert len(texts) == 2 and all(len(line) <= 76 for text in texts for line in text.splitlines())
    assert b"somebody" not in filled and mail.LEAVE_MARK.encode() not in filled


@pytest.mark.django_db
def test_a_sheet_is_filled_anew_for_each_reader_and_keeps_nothing_of_the_last_one(delivery) -> None:
    other = Subscriber.objects.create(recognizer=delivery.edition.recognizer, email="other@example.net", state="confirmed")
    theirs = Delivery.objects.create(edition=delivery.edition, subscriber=other)
    mailing = mail.prepare(edition=delivery.edition)
    first, second, again = (mail.filled(mailing=mailing, delivery=row) for row in (delivery, theirs, delivery))
    assert first == again != second
    assert b"reader@example.org" not in second and links.leave(delivery.subscriber_id).encode() not in second


@given(words=st.text(max_size=300), before=st.text(max_size=200), after=st.text(max_size=200))
@example(words="=", before="x" * 76, after=" ")
@example(words="a\r\nb\rc", before="trailing ", after="\n")
def test_words_put_into_a_sheet_are_read_as_they_were_written(words: str, before: str, after: str) -> None:
    made = EmailMultiAlternatives("s", f"{before}MARK-1{after}", "a@example.org", ["b@example.org"], headers={"X-Own": "x"})
    made.attach_alternative(f"{before}MARK-1{after}MARK-1", "text/html")
    data = sheet(made.message(), headers=["X-Own"], marks=["MARK-1"]).filled(
        headers={"X-Own": "mine"}, text={"MARK-1": words}, html={"MARK-1": f"<{words}>"}
    )
    read = message_from_bytes(data, policy=policy.default)
    plain, html = (part.get_payload(decode=True).decode() for part in read.iter_parts())
    lines = lambda text: text.replace("\r\n", "\n").replace("\r", "\n")  # noqa: E731
    assert lines(plain).rstrip("\n") == lines(before + words + after).rstrip("\n")
    assert lines(html).rstrip("\n") == lines(f"{before}<{words}>{after}<{words}>").rstrip("\n")
    assert read["X-Own"] == "mine" and all(len(line) <= 76 for line in data.split(b"\r\n\r\n", 1)[1].split(b"\r\n"))


@pytest.mark.parametrize("value", ["a\r\nBcc: all@example.org", "a\nb", "ü", "\x00"])
def test_a_header_of_a_readers_own_is_one_line_of_ascii_or_there_is_no_mail(value: str) -> None:
    made = EmailMultiAlternatives("s", "t", "a@example.org", ["b@example.org"], headers={"X-Own": "x"})
    with pytest.raises(ValueError, match="one line"):
        sheet(made.message(), headers=["X-Own"], marks=["MARK"]).filled(headers={"X-Own": value}, text={}, html={})


@given(st.from_regex(PLAIN_ADDRESS, fullmatch=True))
def test_an_address_that_is_taken_for_plain_stands_for_itself(email: str) -> None:
    assert sanitize_address(email, "utf-8") == email and quoteaddr(email) == f"<{email}>"


@pytest.mark.parametrize("email", ["a b@x.org", "a@x.org\r\nRCPT TO:<b@x.org>", "ä@x.org", '"a"@x.org', "a@x.org>"])
def test_any_other_address_is_not(email: str) -> None:
    assert not PLAIN_ADDRESS.fullmatch(email)
