"""INBOX, afterwards: what a mail provider tells of a mail, in anymail's words, judged: does it concern the mailbox, and how?"""

import json
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

from anymail.signals import AnymailTrackingEvent, EventType, RejectReason
from django.utils import timezone

from collector.limits import hashed
from newsletter import suppression
from newsletter.models import Delivery, MailEvent

Kind = MailEvent.Kind
OURS = re.compile(r"<?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})@")  # our Message-ID is the delivery's id
SPARKPOST_SOFT = {"20", "21", "22", "23", "24", "40", "70", "100"}  # bounce classes: its documentation calls them soft
# anymail says "bounced" of both kinds; which it was stands in what the provider sent.
SOFT: dict[str, Callable[[Any, str], bool]] = {
    "Amazon SES": lambda raw, description: not description.startswith("Permanent"),
    "Brevo": lambda raw, description: raw.get("event") == "soft_bounce",
    "Mailjet": lambda raw, description: not raw.get("hard_bounce"),
    "Postmark": lambda raw, description: raw.get("Type") == "SoftBounce",
    "SparkPost": lambda raw, description: _sparkpost_class(raw) in SPARKPOST_SOFT,
}


def hear(*, event: AnymailTrackingEvent, provider: str) -> bool:
    """Note an event that concerns a mailbox; True if it is news. Deliveries, openings and clicks are not kept: who reads what
    is nobody's business, and a late "delivered" must not end a suppression."""
    kind = kind_of(event, provider)
    if kind is None or not isinstance(event.recipient, str) or not event.recipient:
        return False
    delivery = delivery_of(event.message_id)
    return suppression.hear(
        provider=provider,
        event_id=str(event.event_id or f"hash {hashed(_canonical(event.esp_event))}"),
        email=event.recipient,
        kind=kind,
        happened_at=event.timestamp if event.timestamp and timezone.is_aware(event.timestamp) else None,
        recognizer=delivery.edition.recognizer if delivery else None,
    )


def kind_of(event: AnymailTrackingEvent, provider: str) -> MailEvent.Kind | None:
    """HARD, SOFT, COMPLAINT, UNSUBSCRIBED, or None where nothing follows for the address."""
    if event.event_type == EventType.COMPLAINED:
        return Kind.COMPLAINT
    if event.event_type == EventType.UNSUBSCRIBED:
        return Kind.UNSUBSCRIBED
    if event.event_type == EventType.BOUNCED:
        return _bounce(event, provider)
    if event.event_type == EventType.REJECTED:  # the provider's own list: what it had learned before
        by_reason = {
            RejectReason.SPAM: Kind.COMPLAINT,
            RejectReason.UNSUBSCRIBED: Kind.UNSUBSCRIBED,
            RejectReason.BOUNCED: Kind.HARD,
            RejectReason.INVALID: Kind.HARD,
        }
        return by_reason.get(event.reject_reason or "")
    return None


def _bounce(event: AnymailTrackingEvent, provider: str) -> MailEvent.Kind | None:
    """The receiving server's own status code says most; without one, what the provider made of its words."""
    words = str(event.mta_response or "")
    if suppression.ENHANCED.search(words):
        judged = suppression.kind_of_answer(words)
        # A provider that tries again later reports a refusal of the moment, whatever code came with it.
        return Kind.SOFT if judged == Kind.HARD and _soft(event, provider) else judged
    if event.reject_reason in (RejectReason.BOUNCED, RejectReason.INVALID):
        return Kind.SOFT if _soft(event, provider) else Kind.HARD
    return Kind.SOFT if event.reject_reason == RejectReason.TIMED_OUT else None


def _soft(event: AnymailTrackingEvent, provider: str) -> bool:
    raw = event.esp_event if hasattr(event.esp_event, "get") else {}
    judge = SOFT.get(provider)
    return judge is not None and judge(raw, str(event.description or ""))


def _sparkpost_class(raw: Any) -> str:
    found = raw.get("msys") or {}
    inner: Any = next(iter(found.values()), {}) if isinstance(found, dict) else {}
    return str(inner.get("bounce_class", "")) if isinstance(inner, dict) else ""


def delivery_of(message_id: str | None) -> Delivery | None:
    """The delivery that a Message-ID of ours names, or the provider's own name of it; None for any other text."""
    rows = Delivery.objects.select_related("subscriber", "edition__recognizer")
    found = OURS.search(message_id or "")
    if found is not None:
        return rows.filter(pk=UUID(found[1])).first()
    named = rows.filter(provider_id=message_id).exclude(provider_id="") if message_id else rows.none()
    return named.first()


def _canonical(sent: Any) -> str:
    return json.dumps(sent, sort_keys=True, default=str)
