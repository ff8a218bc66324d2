"""INBOX: an address asks for the newsletter, says that it really did, chooses what comes, and leaves whenever it likes."""

from dataclasses import asdict, dataclass
from datetime import timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from collector.errors import LimitReached
from collector.limits import Limit, hashed, of_address, spend
from collector.models import Recognizer, Volunteer
from newsletter import links, mail, suppression
from newsletter.errors import ExpiredLink, NotAnAddress, NothingChosen, NotSubscribed
from newsletter.models import Request, Subscriber
from newsletter.models.readers import Choices
from newsletter.transport import Later, Lost, Refused, Unreachable, transport

log = structlog.get_logger()
State = Subscriber.State


@dataclass(frozen=True)
class Wanted:
    """What somebody chose."""

    wants_daily: bool = True
    wants_weekly: bool = False
    wants_reminder: bool = False

    def __bool__(self) -> bool:
        return self.wants_daily or self.wants_weekly or self.wants_reminder


def wanted_by(row: Choices) -> Wanted:
    return Wanted(row.wants_daily, row.wants_weekly, row.wants_reminder)


# ---- asking ------------------------------------------------------------------------------------------------------
def subscribe(
    *, recognizer: Recognizer, email: str, address: str, wanted: Wanted | None = None, volunteer: Volunteer | None = None
) -> Request:
    """Note that somebody wants this newsletter, so, and have a confirmation mail sent to the mail address where one is due.

    Nothing of it is true before that mailbox confirms: neither the choice nor whose address it is. What is returned, and what
    the caller answers, is the same for every address. No mail is due where nothing would change (confirmed by the form
    before), where the address is suppressed, or was written to CONFIRMATIONS_PER_DAY times today.

    `address` is the caller's network address; `volunteer` whose phone it is. Raises NotAnAddress, NothingChosen, LimitReached
    (for the network address).
    """
    email = clean_email(email)
    wanted = Wanted() if wanted is None else wanted
    if not wanted:
        raise NothingChosen("Choose at least one kind of mail: each day, each week, or the challenge.")
    spend(of_address("subscriptions", address, settings.SUBSCRIPTIONS_PER_DAY))
    now = timezone.now()
    with transaction.atomic():
        subscriber, _ = Subscriber.objects.get_or_create(recognizer=recognizer, email=email, defaults=asdict(wanted))
        Subscriber.objects.filter(pk=subscriber.pk, state=State.PENDING).update(asked_at=now)
        choice = {**asdict(wanted), "asked_at": now}
        request, _ = Request.objects.update_or_create(subscriber=subscriber, volunteer=volunteer, defaults=choice)
        if volunteer is not None:  # one subscription to a newsletter: the last address counts
            mine = Request.objects.filter(volunteer=volunteer, subscriber__recognizer=recognizer)
            mine.exclude(pk=request.pk).delete()
        if is_own(request):  # proven before: a choice of one's own needs no mail
            Subscriber.objects.filter(pk=subscriber.pk).update(**asdict(wanted))
    if _asks_something(subscriber, volunteer) and _may_write_to(email):
        request.confirmation_due = now
        request.save(update_fields=["confirmation_due"])
    return request


def is_own(request: Request) -> bool:
    """Whether the mailbox has confirmed that it belongs to the volunteer who asks."""
    subscriber = request.subscriber
    return (
        request.volunteer_id is not None
        and subscriber.volunteer_id == request.volunteer_id
        and subscriber.state == State.CONFIRMED
    )


def _asks_something(subscriber: Subscriber, volunteer: Volunteer | None) -> bool:
    """The form asks nothing of a confirmed address: a stranger must not change what it gets, nor have it bothered."""
    if subscriber.state != State.CONFIRMED:
        return True
    return volunteer is not None and subscriber.volunteer_id != volunteer.pk


def _may_write_to(email: str) -> bool:
    if not suppression.may_be_asked(email):
        return False
    try:
        spend(Limit("confirmations", hashed(email), settings.CONFIRMATIONS_PER_DAY))
    except LimitReached:
        return False  # silently: the form must not tell what it knows of an address
    return True


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
    request = links.confirming(token)
    subscriber, volunteer = request.subscriber, request.volunteer
    changes = {**asdict(wanted_by(request)), "state": State.CONFIRMED, "confirmed_at": timezone.now()}
    # A link that is opened again changes nothing: what was chosen since stays.
    done = Q(state=State.CONFIRMED) if volunteer is None else Q(state=State.CONFIRMED, volunteer=volunteer)
    with transaction.atomic():
        if volunteer is not None:
            changes["volunteer"] = volunteer
            # Who confirms a new address leaves with the old one: both are theirs, and one gets the mails.
            _end(Subscriber.objects.filter(volunteer=volunteer, recognizer=subscriber.recognizer).exclude(pk=subscriber.pk))
        # left_at: a departure that happened since the link was read is not undone.
        Subscriber.objects.filter(pk=subscriber.pk, left_at=subscriber.left_at).exclude(done).update(**changes)
        Request.objects.filter(pk=request.pk).update(confirmation_due=None)
        subscriber.refresh_from_db()
        # After the row was written: a bounce that is being noted now waits for it, or is seen here.
        if subscriber.state != State.CONFIRMED or not suppression.lift_by_confirming(subscriber.email):
            raise ExpiredLink("This address has left or is blocked since. Subscribe again: a new link comes by mail.")
    return subscriber


# ---- choosing and leaving ----------------------------------------------------------------------------------------
def choose(*, token: str, wanted: Wanted) -> Subscriber:
    """Change what comes. Nothing at all is a choice too: no mail comes then, the subscription stays and can be changed back
    by the same link; leaving and erasing are said by their own buttons. Raises BadLink, NotSubscribed.
    """
    subscriber = links.leaving(token)
    if not Subscriber.objects.filter(pk=subscriber.pk, state=State.CONFIRMED).update(**asdict(wanted)):
        raise NotSubscribed("Subscribe again on the page of the newsletter; a link then comes by mail.")
    subscriber.refresh_from_db()
    return subscriber


def leave(*, token: str) -> Subscriber:
    """Leave at once; leaving twice is fine. Deliveries that wait are suppressed when their turn comes. Raises BadLink."""
    subscriber = links.leaving(token)
    _end(Subscriber.objects.filter(pk=subscriber.pk))
    subscriber.refresh_from_db()
    return subscriber


def of_volunteer(*, recognizer: Recognizer, volunteer: Volunteer) -> tuple[str, str, Wanted] | None:
    """(address, state, choice) of this volunteer's own subscription, None where there is none.

    "asked" is all that is said of an address which has not confirmed that it is theirs.
    """
    mine = Subscriber.objects.filter(recognizer=recognizer, volunteer=volunteer).exclude(state=State.LEFT).first()
    if mine is not None:
        return mine.email, mine.state, wanted_by(mine)
    asked = Request.objects.filter(volunteer=volunteer, subscriber__recognizer=recognizer).select_related("subscriber").first()
    return (asked.subscriber.email, "asked", wanted_by(asked)) if asked else None


def leave_as(*, recognizer: Recognizer, volunteer: Volunteer) -> None:
    """A volunteer leaves by phone, and withdraws what they asked for. Doing it twice is fine."""
    with transaction.atomic():
        Request.objects.filter(volunteer=volunteer, subscriber__recognizer=recognizer).delete()
        _end(Subscriber.objects.filter(recognizer=recognizer, volunteer=volunteer))


def _end(subscribers: QuerySet[Subscriber]) -> None:
    """Leave: also what was asked and not yet confirmed, whose links the new `left_at` ends."""
    now = timezone.now()
    keys = list(subscribers.filter(state__in=[State.PENDING, State.CONFIRMED]).values_list("pk", flat=True))
    leaving = Subscriber.objects.filter(pk__in=keys, state__in=[State.PENDING, State.CONFIRMED])
    leaving.update(state=State.LEFT, left_at=now)
    Request.objects.filter(subscriber__in=keys).update(confirmation_due=None)


# ---- the confirmation mail ---------------------------------------------------------------------------------------
def unasked() -> list[str]:
    """Requests whose confirmation mail is due."""
    due = Request.objects.filter(confirmation_due__isnull=False, confirmation_due__lte=timezone.now())
    return [str(pk) for pk in due.order_by("confirmation_due").values_list("pk", flat=True)]


def ask(*, request_id: UUID) -> bool:
    """Send one confirmation mail that is due; True if it was handed over.

    At most once: the claim empties the column first. A mail that is lost that way costs its owner a second try on the form.
    """
    due = Request.objects.filter(confirmation_due__isnull=False, confirmation_due__lte=timezone.now())
    if not due.filter(pk=request_id).update(confirmation_due=None):
        return False
    request = Request.objects.select_related("subscriber__recognizer", "volunteer").filter(pk=request_id).first()
    if request is None:  # erased meanwhile
        return False
    over = transport()
    try:
        over.open()
        mail.send(over=over, name=mail.confirmation_name(request), mail=mail.confirmation(request=request))
    except (Later, Unreachable) as error:
        _try_again(request, str(error))
    except Lost as error:
        if error.handed_over:
            log.warning("confirmation mail in doubt", request=str(request_id), answer=str(error))
        else:
            _try_again(request, str(error))
    except (Refused, ValueError) as error:  # ValueError: an address that no header can carry
        log.warning("confirmation mail refused", request=str(request_id), answer=str(error))
    else:
        return True
    finally:
        over.close()
    return False


def _try_again(request: Request, answer: str) -> None:
    due = timezone.now() + timedelta(seconds=settings.CONFIRM_AGAIN_S)
    log.warning("confirmation mail not taken", request=str(request.pk), answer=answer)
    if due - request.asked_at < timedelta(seconds=settings.CONFIRM_VALID_S):  # afterwards nobody waits for it any more
        Request.objects.filter(pk=request.pk, confirmation_due__isnull=True).update(confirmation_due=due)
