"""INBOX: makes the mail of an edition: what all readers share once, what is one reader's own for each."""

import io
from dataclasses import dataclass
from email.mime.image import MIMEImage
from email.utils import format_datetime, parseaddr
from functools import cached_property, lru_cache
from typing import Any
from uuid import UUID

import structlog
from css_inline import CSSInliner
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.core.mail.message import sanitize_address
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import escape
from PIL import Image

from collector.storage import MissingObject, store
from newsletter import links
from newsletter.errors import EditionTooLong
from newsletter.models import Delivery, Edition, EditionEntry, Request, Subscriber
from newsletter.models.readers import Choices
from newsletter.personal import MOST_BYTES, PERSONAL_MARK, Personal, Place
from newsletter.reading import Fingerprint, Reading, fingerprint, read
from newsletter.sheet import Sheet, sheet, written
from newsletter.transport import PLAIN_ADDRESS, Begin, Call, Taken, Transport, at_once, nothing
from newsletter.words import one_line

# Stands in the shared text where each reader's own address goes. A host that can never exist (RFC 2606): were it ever left in
# a mail, it would lead nowhere.
LEAVE_MARK = "https://leave.invalid/"
SUBJECT_CHARS = 150
LEAVE_BYTES = 300  # a reader's own address in place of the mark; one has some 120
PICTURE_QUALITY = 80  # JPEG; at 640 px about 50 KB
PICTURE_CACHE = 32  # pictures of some 50 KB that a worker keeps between two batches of one edition

log = structlog.get_logger()
# at-rules stay in a <style> element: the dark colours are a media query, which cannot be inlined.
inliner = CSSInliner(load_remote_stylesheets=False, keep_at_rules=True)


# Whose mail is written down once for all: what stands there for this reader is exchanged for each. No such host can exist.
SOMEBODY = Subscriber(id=UUID(int=0), email="somebody@reader.invalid")
OWN_HEADERS = ("To", "Message-ID", "Date", "List-Unsubscribe")


@dataclass(frozen=True)
class Mailing:
    """What all mails of an edition share; `shows` changes when something of it must no longer be sent.

    `own_text` and `own_html` are `text` and `html` with a place for what is one reader's own.
    """

    edition: Edition
    subject: str
    text: str
    html: str
    pictures: tuple[MIMEImage, ...]
    shows: Fingerprint
    own_text: str = ""
    own_html: str = ""

    @cached_property
    def sheet(self) -> Sheet:
        """Somebody's mail as bytes, ready for each reader's own words."""
        return self._sheet(None)

    @cached_property
    def own_sheet(self) -> Sheet:
        """The same with a place for a reader's own lines."""
        return self._sheet(Place())

    def _sheet(self, personal: Personal | None) -> Sheet:
        somebody = Delivery(subscriber=SOMEBODY, edition=self.edition)
        written_once = message(mailing=self, delivery=somebody, personal=personal)
        return sheet(written_once.message(), headers=OWN_HEADERS, marks=[self.mark, PERSONAL_MARK])

    @cached_property
    def mark(self) -> str:
        """What each reader's own link to leave takes the place of."""
        return links.leave(SOMEBODY.pk)


def prepare(*, edition: Edition) -> Mailing:
    """Render, inline and encode once what every reader gets. Raises EditionTooLong."""
    shows = fingerprint(edition=edition)
    reading = read(edition=edition)
    pictures = {} if _hosted() else {entry.pk: found for entry in reading.pictured if (found := _picture(entry.view_sha256))}
    sources = _hosted_sources(reading) if _hosted() else {pk: f"cid:{_content_id(found)}" for pk, found in pictures.items()}
    html, own_html = (_html(reading, sources, personal=personal) for personal in (False, True))
    size = len(own_html.encode()) + MOST_BYTES + LEAVE_BYTES
    if size > settings.MAIL_HTML_MAX_BYTES:
        raise EditionTooLong(
            f"Its HTML can have {size:,} bytes, {settings.MAIL_HTML_MAX_BYTES:,} are allowed. "
            "Shorten the introduction or the captions.",
            bytes=size,
        )
    text, own_text = (
        render_to_string("newsletter/mail.txt", _context(reading, personal=personal)) for personal in (False, True)
    )
    return Mailing(edition, subject_of(edition), text, html, tuple(pictures.values()), shows, own_text, own_html)


def subject_of(edition: Edition) -> str:
    """One line, whatever an editor wrote into the title."""
    return one_line(f"{edition.title} (#{edition.number})" if edition.number else edition.title, SUBJECT_CHARS)


def message(*, mailing: Mailing, delivery: Delivery, personal: Personal | None = None) -> EmailMultiAlternatives:
    """One reader's mail. The Message-ID is fixed by the delivery: a copy made twice by a server can be told from two mails."""
    text = mailing.own_text.replace(PERSONAL_MARK, personal.text) if personal else mailing.text
    html = mailing.own_html.replace(PERSONAL_MARK, personal.html) if personal else mailing.html
    subscriber, edition = delivery.reader, mailing.edition
    leave = links.leave(subscriber.pk)
    mail = _mail(
        subscriber.email,
        mailing.subject,
        text.replace(LEAVE_MARK, leave),
        headers={
            **_own_headers(delivery, leave),
            "List-Id": f"<{edition.recognizer.slug}.newsletter.{domain()}>",
            "List-Archive": f"<{links.archive(edition.recognizer.slug)}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",  # RFC 8058
        },
    )
    mail.attach_alternative(html.replace(LEAVE_MARK, str(escape(leave))), "text/html")
    # The pictures belong to the HTML; as "mixed" they would be shown as attachments.
    mail.mixed_subtype = "related"  # type: ignore[attr-defined]  # documented, but not in the stubs
    for picture in mailing.pictures:
        mail.attach(picture)
    return mail


def filled(*, mailing: Mailing, delivery: Delivery, personal: Personal | None = None) -> bytes:
    """The same mail as `message` makes, as bytes, in a fraction of the time. Raises ValueError for an address that no header
    can carry."""
    mark, leave = mailing.mark, links.leave(delivery.reader.pk)
    own = _own_headers(delivery, leave) | {"To": _address(delivery.reader.email)}
    text, html = {mark: leave}, {mark: str(escape(leave))}
    if personal is None:
        return mailing.sheet.filled(headers=own, text=text, html=html)
    text, html = text | {PERSONAL_MARK: personal.text}, html | {PERSONAL_MARK: personal.html}
    return mailing.own_sheet.filled(headers=own, text=text, html=html)


def confirmation(*, request: Request) -> EmailMultiAlternatives:
    """The question whether this address really asked; plain text, nothing to load."""
    recognizer = request.subscriber.recognizer
    context = {
        "recognizer": one_line(recognizer.name, 80),
        "address": links.confirm(request),
        "days": settings.CONFIRM_VALID_S // 86_400,
        "chosen": [one_line(str(choice), 80) for choice in words_of(request)],
        # An account's name only: whoever did not ask sees that somebody else did, and whom to be linked with.
        "volunteer": one_line(request.volunteer.name, 60) if request.volunteer else "",
        "consent": request.subscriber.consent if request.volunteer is None else "",
    }
    subject = one_line(f"Please confirm: {recognizer.name} newsletter", SUBJECT_CHARS)
    text = render_to_string("newsletter/confirmation.txt", context)
    return _mail(request.subscriber.email, subject, text, headers=_named(confirmation_name(request)))


def words_of(choices: Choices) -> list[str]:
    """What was chosen, for a sentence."""
    words = {
        "an edition a day": choices.wants_daily,
        "an edition a week": choices.wants_weekly,
        "the challenge of the day": choices.wants_reminder,
    }
    return [word for word, wanted in words.items() if wanted]


def confirmation_name(request: Request) -> str:
    """Names one request to join; asking again later is another mail."""
    return f"confirm-{request.pk}-{request.asked_at:%Y%m%d%H%M%S%f}"


def send(*, over: Transport, name: str, mail: EmailMultiAlternatives) -> Taken:
    """Hand one mail to an open transport; returns the server's answer. Raises what the transport raises, ValueError for a
    mail that cannot be written down."""
    return hand_over(over=over, name=name, to=mail.to[0], data=as_bytes(mail))


def hand_over(*, over: Transport, name: str, to: str, data: bytes, begin: Begin = at_once, meanwhile: Call = nothing) -> Taken:
    """The same for a mail that is written down already; `begin` and `meanwhile` as the transport calls them."""
    sender, recipient = _sender(settings.MAIL_FROM), _address(to)
    return over.send(name=name, sender=sender, recipient=recipient, data=data, begin=begin, meanwhile=meanwhile)


def as_bytes(mail: EmailMultiAlternatives) -> bytes:
    """The message as it travels, with CRLF line ends."""
    return written(mail.message())


def domain() -> str:
    """What follows the @ in our sender address."""
    return _domain(settings.MAIL_FROM)


def _mail(to: str, subject: str, text: str, *, headers: dict[str, str]) -> EmailMultiAlternatives:
    automatic = {"Auto-Submitted": "auto-generated"}  # RFC 3834: an out-of-office reply to it would help nobody
    return EmailMultiAlternatives(subject, text, settings.MAIL_FROM, [to], headers=automatic | headers)


@lru_cache(maxsize=1)
def _sender(sender: str) -> str:
    return _address(parseaddr(sender)[1])


@lru_cache(maxsize=1)
def _domain(sender: str) -> str:
    return parseaddr(sender)[1].rpartition("@")[2] or "localhost"


def _address(email: str) -> str:
    """As headers and SMTP take it. Raises ValueError for one that they cannot carry."""
    if PLAIN_ADDRESS.fullmatch(email):
        return email
    if not email.rpartition("@")[0].isascii():  # Django would write it like a name, which is another mailbox
        raise ValueError("what stands before the @ is not ASCII, which takes SMTPUTF8")
    return sanitize_address(email, "utf-8")


def _own_headers(delivery: Delivery, leave: str) -> dict[str, str]:
    return _named(str(delivery.pk)) | {"List-Unsubscribe": f"<{leave}>"}


def _named(name: str) -> dict[str, str]:
    return {"Message-ID": f"<{name}@{domain()}>", "Date": format_datetime(timezone.now())}


def _html(reading: Reading, sources: dict[int, str], *, personal: bool) -> str:
    pictured = [(entry, sources.get(entry.pk), _width(entry)) for entry in reading.entries]
    own = [(entry, sources.get(entry.pk), _width(entry)) for entry in reading.pictured[len(reading.entries) :]]
    context = {**_context(reading, personal=personal), "pictured": pictured, "own_pictured": own}
    return inliner.inline(render_to_string("newsletter/mail.html", context))


def _context(reading: Reading, *, personal: bool) -> dict[str, Any]:
    edition = reading.edition
    return {
        "reading": reading,
        "edition": edition,
        "online": links.edition(edition) if edition.number else None,
        "archive": links.archive(edition.recognizer.slug),
        "fame": links.fame(edition.recognizer.slug),
        "leave": LEAVE_MARK,
        "preferences": links.preferences(LEAVE_MARK),
        "personal": PERSONAL_MARK if personal else None,
    }


def _hosted() -> bool:
    return bool(settings.MAIL_IMAGES == "hosted")


def _hosted_sources(reading: Reading) -> dict[int, str]:
    """The public addresses of the pictures: the same for every reader, so that loading one tells of nobody."""
    return {entry.pk: links.media(entry.view_sha256) for entry in reading.pictured if entry.view_sha256}


def _width(entry: EditionEntry) -> int:
    """Pixels, for programs that know no max-width: what MAIL_PHOTO_SIDE leaves of the photo's width."""
    longest = max(entry.photo.width, entry.photo.height, 1)
    return max(1, round(entry.photo.width * min(1.0, settings.MAIL_PHOTO_SIDE / longest)))


@lru_cache(maxsize=PICTURE_CACHE)
def _picture(view_sha256: str) -> MIMEImage | None:
    """The photo at mail size, ready to attach: base64 is done once, not per reader. None if the store lost its bytes."""
    try:
        data = store().get(f"views/{view_sha256}")
    except MissingObject:
        log.error("a printed photo has no bytes; its mail goes out without the picture", view=view_sha256)
        return None
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as view:
        side = settings.MAIL_PHOTO_SIDE
        view.draft("RGB", (side, side))
        view.thumbnail((side, side))
        view.convert("RGB").save(buffer, "JPEG", quality=PICTURE_QUALITY, optimize=True)
    picture = MIMEImage(buffer.getvalue(), "jpeg")
    picture["Content-ID"] = f"<{view_sha256[:32]}@{domain()}>"
    picture["Content-Disposition"] = f'inline; filename="{view_sha256[:12]}.jpg"'
    return picture


def _content_id(picture: MIMEImage) -> str:
    return str(picture["Content-ID"]).strip("<>")
