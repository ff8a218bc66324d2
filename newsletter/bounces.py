"""INBOX, afterwards: reads the reports that mail servers send back to our address: RFC 3464 (bounces), RFC 5965 (complaints).

Anybody can write to that address. A report counts only if it returns the Message-ID of a delivery, which is random and known to
nobody but the mailbox, the servers between, and us; addresses that a report names are never looked at.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes, policy
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import BinaryIO

from django.conf import settings
from django.utils import timezone

from newsletter import suppression
from newsletter.events import OURS, delivery_of
from newsletter.models import MailEvent
from newsletter.suppression import kind_of_answer

Kind = MailEvent.Kind
PARTS = 50  # parts of a report that are looked at; one has three
ENVELOPE = re.compile(rb"^From \S+ .*\d{4}\r?\n")  # begins each message of a mailbox (RFC 4155)
LINE_BYTES = 64 * 2**10  # read at a time; a line of a mail has 998 at most (RFC 5322)


@dataclass(frozen=True)
class Report:
    """What one report says: of which of our mails (None: it names none), and what of it."""

    message_id: str | None
    kind: MailEvent.Kind | None
    date: str = ""


@dataclass
class Taken:
    """What a mailbox held. `kinds` counts events that were news; `strange` are mails that are no reports on ours."""

    mails: int = 0
    known: int = 0
    strange: int = 0
    too_long: int = 0
    kinds: dict[str, int] = field(default_factory=dict)


def take_in(*, mbox: BinaryIO, tick: Callable[[int], object] = lambda size: None) -> Taken:
    """Note every report of a mailbox; safe to repeat with the same file. `tick` gets the bytes of each mail. Raises nothing
    for what is in it; what lies beyond BOUNCES_MBOX_MAX_BYTES is not read."""
    taken = Taken()
    for data, whole in mails_of(mbox):
        taken.mails += 1
        if not whole:
            taken.too_long += 1  # its beginning is enough for a report; what else it is does not matter
        _note(read(data), taken)
        tick(len(data))
    return taken


def _note(report: Report, taken: Taken) -> None:
    delivery = delivery_of(report.message_id)
    if delivery is None or delivery.subscriber is None or report.kind is None:
        taken.strange += 1
        return
    news = suppression.hear(
        provider="report",
        event_id=f"{delivery.pk} {report.kind}",  # one of each kind is all that a delivery can have
        email=delivery.subscriber.email,
        kind=report.kind,
        happened_at=_time(report.date),
        recognizer=delivery.edition.recognizer,
    )
    if news:
        taken.kinds[report.kind] = taken.kinds.get(report.kind, 0) + 1
    else:
        taken.known += 1


def _time(date: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(date)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return found if timezone.is_aware(found) else None


# ---- one report --------------------------------------------------------------------------------------------------
def read(data: bytes) -> Report:
    """What any bytes say. Never raises: what cannot be read says nothing."""
    try:
        # compat32 parses headers lazily and as they are; the modern policy raises on some that strangers can write.
        mail = message_from_bytes(data[: settings.BOUNCE_MAX_BYTES], policy=policy.compat32)
        if mail.get_content_type() != "multipart/report":
            return Report(None, None)
        return _report(mail)
    except Exception:  # the library's parser meets what it never expected; there are too many ways to name
        return Report(None, None)


def _report(mail: Message) -> Report:
    kinds: list[MailEvent.Kind | None] = []
    message_id = None
    for part in list(_parts(mail))[:PARTS]:
        kind = part.get_content_type()
        if kind == "message/delivery-status":
            kinds.append(_bounce(part))
        elif kind == "message/feedback-report":
            kinds.append(_complaint(part))
        elif kind in ("text/rfc822-headers", "message/rfc822") and message_id is None:
            message_id = _returned_id(part)
    judged = next((kind for kind in kinds if kind is not None), None)
    return Report(message_id, judged, str(mail.get("Date", "")))


def _parts(mail: Message) -> Iterator[Message]:
    """The report's own parts, not those of the mail that it returns."""
    payload = mail.get_payload()
    yield from (part for part in payload if isinstance(part, Message)) if isinstance(payload, list) else ()


def _fields(part: Message) -> str:
    payload = part.get_payload()
    if isinstance(payload, list):  # the parser makes a message of each group of fields
        groups = [group for group in payload if isinstance(group, Message)]
        return "\n".join(f"{name}: {value}" for group in groups for name, value in group.items())
    return str(payload)


def _bounce(part: Message) -> MailEvent.Kind | None:
    """RFC 3464: only what has failed for good; "delayed" goes on, "delivered" and "relayed" are no bounces."""
    fields = _fields(part)
    if not re.search(r"^action:\s*failed\b", fields, re.I | re.M):
        return None
    status = re.search(r"^status:\s*([245]\.\d{1,3}\.\d{1,3})\b", fields, re.I | re.M)
    return kind_of_answer(status[1]) if status else None


def _complaint(part: Message) -> MailEvent.Kind | None:
    """RFC 5965: abuse and fraud are complaints; "not-spam", "virus" and "other" are none."""
    found = re.search(r"^feedback-type:\s*(abuse|fraud)\b", _fields(part), re.I | re.M)
    return Kind.COMPLAINT if found else None


def _returned_id(part: Message) -> str | None:
    payload = part.get_payload()
    returned = payload[0] if isinstance(payload, list) and payload else None
    if isinstance(returned, Message):
        return str(returned["Message-ID"])
    found = re.search(rf"^message-id:\s*({OURS.pattern})", str(payload), re.I | re.M)
    return found[1] if found else None


# ---- a mailbox ---------------------------------------------------------------------------------------------------
def mails_of(mbox: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """The mails of a mailbox (RFC 4155), and whether each is whole. One is kept in memory, BOUNCE_MAX_BYTES of it.

    The library's own mailbox reads a mail whole, and looks through the file twice.
    """
    kept, size, total, begun, new_line = bytearray(), 0, 0, False, True
    while total < settings.BOUNCES_MBOX_MAX_BYTES and (line := mbox.readline(LINE_BYTES)):
        total += len(line)
        if new_line and ENVELOPE.match(line):
            if begun:
                yield bytes(kept), size == len(kept)
            kept, size, begun = bytearray(), 0, True
        elif begun:
            size += len(line)
            kept += line[: max(0, settings.BOUNCE_MAX_BYTES - len(kept))]
        new_line = line.endswith(b"\n")
    if begun:
        yield bytes(kept), size == len(kept)
