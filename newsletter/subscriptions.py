"""INBOX: an address asks for the newsletter, says that it really did, and leaves again whenever it likes."""

from datetime import timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import Q
from django.utils import timezone

from collector.errors import LimitReached
from collector.limits import Limit, hashed, of_address, spend
from collector.models import Recognizer
from newsletter import links, mail
from newsletter.errors import ExpiredLink, NotAnAddress
from newsletter.models import Subscriber
from newsletter.transport import Later, Lost, Refused, Unreachable, transport

log = structlog.get_logger()
State = Subscriber.State


def subscribe(*, recognizer: Recognizer, email: str, address: str) -> Subscriber | None:
    """Note that somebody wants this newsletter, and have a confirmation mail sent to the mail address; no other mail goes to
    it before that. The caller rings `confirm` for what is returned and answers the same in any case: None means that no mail
    is due, because the address is confirmed, suppressed, or was written to CONFIRMATIONS_PER_DAY times today.

    `address` is the caller's network address. Raises NotAnAddress, LimitReached (for the network address).
    """
    email = clean_email(email)
    spend(of_address("subscriptions", address, settings.SUBSCRIPTIONS_PER_DAY))
    subscriber, _ = Subscriber.objects.get_or_create(recognizer=recognizer, email=email)
    try:
        spend(Limit("confirmations", hashed(email), settings.CONFIRMATIONS_PER_DAY))
    except LimitReached:
        return None  # silently: the form must not tell what it knows of an address
    now = timezone.now()
    joining = Subscriber.objects.filter(pk=subscriber.pk, state__in=[State.PENDING, State.LEFT])
    if not joining.update(state=State.PENDING, asked_at=now, confirmed_at=None, confirmation_due=now):
        return None
    subscriber.refresh_from_db()
    return subscriber


def clean_email(email: str) -> str:
    """Lower case, so that one mailbox subscribes once. Raises NotAnAddress."""
    cleaned = email.strip().lower()
    try:
        validate_email(cleaned)
    except ValidationError:
        raise NotAnAddress("Write it like name@example.org.") from None
    if len(cleaned) > 254:  # RFC 5321; the column's length
        raise NotAnAddress("It is longer than 254 characters.")
    return cleaned


def confirm(*, token: str) -> Subscriber:
    """The second half of the double opt-in. Confirming twice is fine. Raises BadLink, ExpiredLink."""
    subscriber = links.confirming(token)
    pending = Subscriber.objects.filter(pk=subscriber.pk, state=State.PENDING)
    pending.update(state=State.CONFIRMED, confirmed_at=timezone.now(), confirmation_due=None)
    subscriber.refresh_from_db()
    if subscriber.state != State.CONFIRMED:
        raise ExpiredLink("This address has left or is blocked since. Subscribe again: a new link comes by mail.")
    return subscriber


def leave(*, token: str) -> Subscriber:
    """Leave at once; leaving twice is fine. Deliveries that wait are suppressed when their turn comes. Raises BadLink."""
    subscriber = links.leaving(token)
    present = Subscriber.objects.filter(pk=subscriber.pk, state__in=[State.PENDING, State.CONFIRMED])
    present.update(state=State.LEFT, left_at=timezone.now(), confirmation_due=None)
    subscriber.refresh_from_db()
    return subscriber


def unasked() -> list[str]:
    """Subscribers whose confirmation mail is due."""
    due = Subscriber.objects.filter(confirmation_due__isnull=False, confirmation_due__lte=timezone.now())
    return [str(pk) for pk in due.order_by("confirmation_due").values_list("pk", flat=True)]


def ask(*, subscriber_id: UUID) -> bool:
    """Send one confirmation mail that is due; True if it was handed over.

    At most once: the claim empties the column first. A mail that is lost that way costs its owner a second try on the form.
    """
    now = timezone.now()
    due = Q(confirmation_due__isnull=False, confirmation_due__lte=now)
    if not Subscriber.objects.filter(due, pk=subscriber_id, state=State.PENDING).update(confirmation_due=None):
        return False
    subscriber = Subscriber.objects.select_related("recognizer").get(pk=subscriber_id)
    over = transport()
    try:
        over.open()
        mail.send(over=over, name=mail.confirmation_name(subscriber), mail=mail.confirmation(subscriber=subscriber))
    except (Later, Unreachable) as error:
        _try_again(subscriber, str(error))
    except Lost as error:
        if error.handed_over:
            log.warning("confirmation mail in doubt", subscriber=str(subscriber_id), answer=str(error))
        else:
            _try_again(subscriber, str(error))
    except (Refused, ValueError) as error:  # ValueError: an address that no header can carry
        log.warning("confirmation mail refused", subscriber=str(subscriber_id), answer=str(error))
    else:
        return True
    finally:
        over.close()
    return False


def _try_again(subscriber: Subscriber, answer: str) -> None:
    due = timezone.now() + timedelta(seconds=settings.CONFIRM_AGAIN_S)
    log.warning("confirmation mail not taken", subscriber=str(subscriber.pk), answer=answer)
    if due - subscriber.asked_at < timedelta(seconds=settings.CONFIRM_VALID_S):  # afterwards nobody waits for it any more
        waiting = Subscriber.objects.filter(pk=subscriber.pk, state=State.PENDING, confirmation_due__isnull=True)
        waiting.update(confirmation_due=due)
