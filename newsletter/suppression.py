"""INBOX: addresses that are not written to: they bounced, complained, or their owner had them erased.

A row of Suppression is the keyed hash of an address and a reason; it needs no subscriber and outlives one. Subscribers of a
suppressed address are in the state `suppressed`, which is what a sender looks at.
"""

import re
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Max, Q
from django.utils import timezone

from collector.limits import hashed
from collector.models import Recognizer
from newsletter.models import Delivery, MailEvent, Request, Subscriber, Suppression

State, Reason, Kind = Subscriber.State, Suppression.Reason, MailEvent.Kind
STRENGTH = [Reason.ERASED, Reason.FADED, Reason.BOUNCE, Reason.OPERATOR, Reason.COMPLAINT]  # a stronger one stays
# A reader who confirms again ends these: the confirmation has just arrived. A complaint or an operator's word only an operator.
LIFTED_BY_CONFIRMING = (Reason.ERASED, Reason.FADED, Reason.BOUNCE)
# RFC 3463. 5.1: the address (but 5.1.7 and 5.1.8 are about the sender's); 5.2.1: the mailbox is disabled.
NO_MAILBOX = re.compile(r"(?<![\d.])5\.(?:1\.(?:0|1|2|3|4|6|10)|2\.1)(?![\d.])")
ENHANCED = re.compile(r"(?<![\d.])[45]\.\d{1,3}\.\d{1,3}(?![\d.])")
# 4.x of a report that gave up, and 5.2: full, or too small for this mail. 5.3 to 5.7 speak of servers and of our reputation,
# and must never cost a reader the newsletter: a provider that blocks our address would otherwise empty our list.
MAY_PASS = re.compile(r"(?<![\d.])(?:4\.\d{1,3}\.\d{1,3}|5\.2\.\d{1,3})(?![\d.])")
MAILBOX_REPLIES = re.compile(r"(?<!\d)55[0123](?!\d)")  # RFC 5321, 4.2.3: they concern the mailbox
READ_CHARS = 2000  # of an answer that are looked at

log = structlog.get_logger()


def digest_of(email: str) -> str:
    """What stands for an address where it must not be kept: an HMAC under SECRET_KEY, 32 hex digits."""
    return hashed(email.strip().lower())


def standing(email: str) -> Suppression | None:
    """Why an address is not written to, None if it is."""
    return Suppression.objects.filter(digest=digest_of(email)).first()


def may_be_asked(email: str) -> bool:
    """Whether a confirmation mail may go to this address. A bounce forbids it for BOUNCE_REST_S."""
    return not Suppression.objects.filter(_binding(), digest=digest_of(email)).exists()


def _binding() -> Q:
    """Suppressions that a confirmation does not end now."""
    rested = Q(since__lte=timezone.now() - timedelta(seconds=settings.BOUNCE_REST_S)) | Q(reason=Reason.ERASED)
    return ~Q(reason__in=LIFTED_BY_CONFIRMING) | ~rested


def lift_by_confirming(email: str) -> bool:
    """Inside the transaction that confirms an address: end what confirming ends; False if something else forbids mail."""
    rows = Suppression.objects.filter(digest=digest_of(email))
    rows.exclude(_binding()).delete()  # by its condition and not by a row read before: a bounce of this moment stays
    return not rows.exists()


def suppress(*, email: str, reason: Suppression.Reason) -> None:
    """Write to this address no more, in no newsletter. The same reason again begins its time anew; a weaker one is nothing."""
    with transaction.atomic():
        now = timezone.now()
        row, made = Suppression.objects.get_or_create(digest=digest_of(email), defaults={"reason": reason, "since": now})
        if not made:
            weaker = STRENGTH[: STRENGTH.index(reason) + 1]
            Suppression.objects.filter(pk=row.pk, reason__in=weaker).update(reason=reason, since=now)
        if reason == Reason.ERASED:
            return  # it stops imports; its subscribers are gone, or about to be
        mine = Subscriber.objects.filter(email=email.strip().lower())
        mine.filter(state__in=[State.PENDING, State.CONFIRMED]).update(state=State.SUPPRESSED)
        Request.objects.filter(subscriber__in=mine).update(confirmation_due=None)


def lift(*, email: str) -> bool:
    """An operator's word: this address may be asked again, whatever was; it subscribes nobody. True if it was suppressed."""
    return bool(Suppression.objects.filter(digest=digest_of(email)).delete()[0])


# ---- what servers and providers say ------------------------------------------------------------------------------
def hear(
    *,
    provider: str,
    event_id: str,
    email: str,
    kind: MailEvent.Kind,
    happened_at: datetime | None,
    recognizer: Recognizer | None = None,
) -> bool:
    """Note one event of one address and do what follows from it; True if it is news.

    An event is a row, unique by (provider, id, address): told twice it changes nothing. What is older than MAIL_EVENTS_KEPT_S
    is not believed. A bounce from before the last confirmation is noted and has no effect. `recognizer` is where the
    mail came from, if that is known; an unsubscription concerns it alone.
    """
    now = timezone.now()
    happened = min(happened_at or now, now)  # a provider's clock must not keep an event young for ever
    if happened < now - timedelta(seconds=settings.MAIL_EVENTS_KEPT_S):
        return False
    with transaction.atomic():
        _, made = MailEvent.objects.get_or_create(
            provider=provider[:40],
            event_id=event_id if len(event_id) <= 128 and event_id.isprintable() else hashed(event_id),
            digest=digest_of(email),
            defaults={"kind": kind, "happened_at": happened, "noted_at": now},
        )
        if made:
            _follow(email.strip().lower(), kind, happened, recognizer)
    return made


def _follow(email: str, kind: MailEvent.Kind, happened: datetime, recognizer: Recognizer | None) -> None:
    mine = Subscriber.objects.filter(email=email)
    if kind == Kind.COMPLAINT:
        suppress(email=email, reason=Reason.COMPLAINT)
    elif kind == Kind.UNSUBSCRIBED:
        # Their own will, and not against us: they may come back by the form, as after our own link.
        gone = mine if recognizer is None else mine.filter(recognizer=recognizer)
        present = gone.filter(state__in=[State.PENDING, State.CONFIRMED]).exclude(confirmed_at__gt=happened)
        present.update(state=State.LEFT, left_at=timezone.now())
        Request.objects.filter(subscriber__in=gone, asked_at__lte=happened).update(confirmation_due=None)
    elif mine.filter(state=State.CONFIRMED, confirmed_at__gt=happened).exists():
        log.info("a bounce from before the last confirmation")
    elif kind == Kind.HARD:
        suppress(email=email, reason=Reason.BOUNCE)
    elif _soft_bounces(email) >= settings.SOFT_BOUNCES:
        suppress(email=email, reason=Reason.FADED)


def _soft_bounces(email: str) -> int:
    """Those within the window and since the last confirmation."""
    since = timezone.now() - timedelta(seconds=settings.SOFT_BOUNCE_WINDOW_S)
    confirmed = Subscriber.objects.filter(email=email).aggregate(last=Max("confirmed_at"))["last"]
    since = max(since, confirmed or since)
    return MailEvent.objects.filter(digest=digest_of(email), kind=Kind.SOFT, happened_at__gte=since).count()


def refused(*, delivery: Delivery, answer: str) -> None:
    """A mail server refused a delivery for good while we talked to it."""
    kind = kind_of_answer(answer)
    if kind is not None and delivery.subscriber is not None:
        email = delivery.subscriber.email
        hear(provider="smtp", event_id=str(delivery.pk), email=email, kind=kind, happened_at=timezone.now())


def kind_of_answer(answer: str) -> MailEvent.Kind | None:
    """HARD, SOFT, or None for what says nothing of the mailbox, by the enhanced status code in a server's words (RFC 3463).

    Without such a code the replies 550 to 553 count as SOFT: they are also given to senders that are blocked.
    """
    words = answer[:READ_CHARS]
    if NO_MAILBOX.search(words):
        return Kind.HARD
    if MAY_PASS.search(words):
        return Kind.SOFT
    if ENHANCED.search(words):
        return None
    return Kind.SOFT if MAILBOX_REPLIES.search(words) else None
