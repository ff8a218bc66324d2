"""EDITION → INBOX: an editor looks at the mail itself, in parts and in bytes, and sends one to their own address."""

import base64
import re
import uuid
from dataclasses import dataclass, replace
from email import message_from_bytes, policy
from email.message import EmailMessage

from django.conf import settings
from django.utils import timezone

from collector import limits
from newsletter import links, mail
from newsletter.errors import NoAddress, NotSent
from newsletter.models import Delivery, Edition, Subscriber
from newsletter.personal import EXAMPLE
from newsletter.transport import Later, Lost, Refused, Unreachable, transport
from newsletter.words import one_line

READER = "reader@example.org"  # to whom a preview is addressed; example.org never takes mail (RFC 2606)
SCHEMES = ("light", "dark")
SHOWN_HEADERS = 40  # a mail of ours has fourteen

# What a picture frame may do: show the mail's own pictures and styles. No scripts, no forms, nothing loaded from elsewhere.
POLICY = "default-src 'none'; img-src data: {media}; style-src 'unsafe-inline'; sandbox; frame-ancestors 'self'"
_DARK_QUERY = re.compile(r"@media\s*\(\s*prefers-color-scheme:\s*dark\s*\)")


@dataclass(frozen=True)
class Preview:
    """One mail as it would go out: its parts, its headers in order, the whole size and that of the HTML in bytes."""

    html: str
    text: str
    headers: list[tuple[str, str]]
    size: int
    html_size: int


def preview(*, edition: Edition, personal: bool = False) -> Preview:
    """The mail of an edition as it stands, read back from the bytes that would be sent. `personal`: with made-up lines where a
    volunteer's own would be. Raises EditionTooLong."""
    reader = Subscriber(email=READER, recognizer=edition.recognizer)
    delivery = Delivery(edition=edition, subscriber=reader)
    mailing = mail.prepare(edition=edition)
    data = mail.as_bytes(mail.message(mailing=mailing, delivery=delivery, personal=EXAMPLE if personal else None))
    whole = message_from_bytes(data, policy=policy.default)
    text, html = (_body(whole, kind) for kind in ("plain", "html"))
    headers = [(name, str(value)) for name, value in whole.items()][:SHOWN_HEADERS]
    pictures = {part["Content-ID"].strip("<>"): part.get_content() for part in whole.walk() if part["Content-ID"]}
    return Preview(_with_pictures(html, pictures), text, headers, len(data), len(html.encode()))


def forced(html: str, scheme: str) -> str:
    """The mail in one colour scheme, whatever the browser's own: the dark colours' media query always holds, or never."""
    shown = _DARK_QUERY.sub("@media all" if scheme == "dark" else "@media not all", html)
    return shown.replace('name="color-scheme" content="light dark"', f'name="color-scheme" content="{scheme}"')


def content_policy() -> str:
    """The Content-Security-Policy under which a preview is shown."""
    return POLICY.format(media=settings.MEDIA_SITE_URL or settings.SITE_URL)


def send_test(*, edition: Edition, to: str, editor: str) -> str:
    """Send the mail to the editor's own address, now: marked as a test, with no delivery row and nobody's link to leave.
    Returns the mail server's answer. Raises NoAddress, LimitReached, EditionTooLong, NotSent."""
    if not to:
        raise NoAddress("Write one into your account, or ask whoever manages accounts.")
    limits.spend(limits.Limit("test mails", limits.hashed(f"editor {editor}"), settings.EDITION_TESTS_PER_DAY))
    mailing, archive = mail.prepare(edition=edition), links.archive(edition.recognizer.slug)
    nobody = replace(
        mailing,
        own_text=mailing.own_text.replace(mail.LEAVE_MARK, archive),
        own_html=mailing.own_html.replace(mail.LEAVE_MARK, archive),
        subject=one_line(f"[Test] {mailing.subject}", mail.SUBJECT_CHARS),
    )
    delivery = Delivery(id=uuid.uuid4(), edition=edition, subscriber=Subscriber(email=to, recognizer=edition.recognizer))
    message = mail.message(mailing=nobody, delivery=delivery, personal=EXAMPLE)
    for name in ("List-Unsubscribe", "List-Unsubscribe-Post"):
        message.extra_headers.pop(name)
    name = f"test-{edition.pk}-{timezone.now():%Y%m%d%H%M%S%f}"
    over = transport()
    try:
        over.open()
        return mail.send(over=over, name=name, mail=message).answer
    except (Refused, Later, Lost, Unreachable, ValueError) as error:  # ValueError: an address that no header can carry
        raise NotSent(f"It says: {error}", edition=edition.pk) from error
    finally:
        over.close()


def _body(whole: EmailMessage, kind: str) -> str:
    part = whole.get_body([kind])
    assert part is not None, f"a mail of ours has a {kind} part"
    return str(part.get_content())


def _with_pictures(html: str, pictures: dict[str, bytes]) -> str:
    """The attached pictures put where they are shown: a browser finds nothing by cid:."""
    for name, data in pictures.items():
        html = html.replace(f"cid:{name}", f"data:image/jpeg;base64,{base64.b64encode(data).decode()}")
    return html
