"""INBOX, afterwards: an address is erased, by its owner, an operator or an account's erasure; what is old is forgotten.

What stays of an erased address is its keyed hash (Suppression), so that an import cannot bring it back, and deliveries that
name nobody, so that an edition's counts stay what they were.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from collector.models import Volunteer
from newsletter import links, suppression
from newsletter.models import Delivery, MailEvent, Request, Subscriber, Suppression

BATCH = 500  # rows that one call of a duty removes; what is left is due again at once


def names_of(*, token: str) -> tuple[Subscriber, list[str]]:
    """Whose link it is, and the names of all newsletters that the address is known to. Raises BadLink."""
    subscriber = links.leaving(token)
    mine = Subscriber.objects.filter(email=subscriber.email).select_related("recognizer").order_by("recognizer__name")
    return subscriber, [row.recognizer.name for row in mine]


def erase_own(*, token: str) -> int:
    """A reader erases their address, from the newsletters of all recognizers: the link came to that mailbox. Returns of how
    many. Raises BadLink, also where it was erased before."""
    return erase(email=links.leaving(token).email)


def erase(*, email: str) -> int:
    """Erase an address everywhere; returns from how many newsletters. An address that is unknown is kept out of imports too."""
    with transaction.atomic():
        suppression.suppress(email=email, reason=Suppression.Reason.ERASED)
        return _remove(Subscriber.objects.filter(email=email.strip().lower()))


def forget_volunteer(volunteer: Volunteer) -> int:
    """An account's erasure takes along the subscriptions that were confirmed from its phone, addresses and all: the answer to
    "erase everything" must not keep a name. What was asked from it and never confirmed goes too, unless somebody else asked
    for that address. Subscriptions made on the web are not known to be the same person's and stay.
    """
    others = Request.objects.filter(subscriber=OuterRef("pk")).exclude(volunteer=volunteer)
    only_asked = Q(state=Subscriber.State.PENDING, requests__volunteer=volunteer) & ~Exists(others)
    mine = Subscriber.objects.filter(Q(volunteer=volunteer) | only_asked).distinct()
    for email in mine.values_list("email", flat=True):
        suppression.suppress(email=email, reason=Suppression.Reason.ERASED)
    return _remove(mine)


def _remove(subscribers: QuerySet[Subscriber]) -> int:
    """Inside a transaction: the rows go, and what servers answered about them, which may hold the address."""
    keys = list(subscribers.values_list("pk", flat=True))
    deliveries = Delivery.objects.filter(subscriber__in=keys)
    # What is being sent now ends by itself, and finds no reader at its next try.
    deliveries.filter(state=Delivery.State.QUEUED).update(state=Delivery.State.SUPPRESSED, ended_at=timezone.now())
    deliveries.update(answer="", subscriber=None)
    # The admin's own log of earlier versions named a subscriber by the address.
    logged = LogEntry.objects.filter(content_type=ContentType.objects.get_for_model(Subscriber))
    logged.filter(object_id__in=[str(key) for key in keys]).update(object_repr="erased", change_message="")
    Subscriber.objects.filter(pk__in=keys).delete()
    return len(keys)


def told_to(volunteer: Volunteer) -> Iterator[dict[str, Any]]:
    """For the takeout: the subscriptions confirmed from this volunteer's phone, and what was asked and not confirmed."""
    for row in Subscriber.objects.filter(volunteer=volunteer).select_related("recognizer").order_by("asked_at").iterator():
        deliveries = row.deliveries.order_by("pk").values("edition__number", "state", "ended_at")
        yield _told(row, row) | {
            "state": row.state,
            "confirmed_at": row.confirmed_at,
            "left_at": row.left_at,
            "consent": row.consent,
            "mails": [{"edition": d["edition__number"], "state": d["state"], "at": d["ended_at"]} for d in deliveries],
        }
    asked = Request.objects.filter(volunteer=volunteer).exclude(subscriber__volunteer=volunteer)
    for request in asked.select_related("subscriber__recognizer").order_by("asked_at").iterator():
        yield _told(request.subscriber, request) | {"state": "asked"}


def _told(subscriber: Subscriber, choice: Subscriber | Request) -> dict[str, Any]:
    return {
        "recognizer": subscriber.recognizer.slug,
        "email": subscriber.email,
        "daily": choice.wants_daily,
        "weekly": choice.wants_weekly,
        "reminder": choice.wants_reminder,
        "asked_at": choice.asked_at,
    }


# ---- what is old -------------------------------------------------------------------------------------------------
def _unconfirmed() -> QuerySet[Any]:
    """Addresses that never confirmed. Who had left or was suppressed keeps that row: asking again changes no state."""
    return Subscriber.objects.filter(state=Subscriber.State.PENDING, asked_at__lt=_before(settings.PENDING_KEPT_S))


def _requests() -> QuerySet[Any]:
    return Request.objects.filter(asked_at__lt=_before(settings.PENDING_KEPT_S))


def _events() -> QuerySet[Any]:
    return MailEvent.objects.filter(noted_at__lt=_before(settings.MAIL_EVENTS_KEPT_S))


OLD: dict[str, Callable[[], QuerySet[Any]]] = {"unconfirmed": _unconfirmed, "requests": _requests, "events": _events}


def overdue() -> list[str]:
    """Which kinds of old rows there are."""
    return [what for what, rows in OLD.items() if rows().exists()]


def forget_old(*, what: str) -> int:
    """Remove the next BATCH of one kind; returns how many."""
    rows = OLD[what]()
    keys = list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH])
    with transaction.atomic():
        # Asked once more: an address may have been confirmed since.
        still = list(rows.filter(pk__in=keys).values_list("pk", flat=True))
        if what == "unconfirmed":
            return _remove(rows.filter(pk__in=still))
        rows.filter(pk__in=still).delete()
    return len(still)


def _before(seconds: int) -> Any:
    return timezone.now() - timedelta(seconds=seconds)
