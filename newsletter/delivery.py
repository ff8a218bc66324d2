"""INBOX: sends a frozen edition, one claimed row after another. Nothing is sent twice; every doubt is listed as `unknown`."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db.models import Count, Exists, F, OuterRef
from django.utils import timezone

from newsletter import mail, personal
from newsletter.models import Delivery, Edition, Subscriber
from newsletter.reading import fingerprint
from newsletter.transport import ANSWER_CHARS, Later, Lost, Refused, Transport, Unreachable, transport

LOOKAHEAD = 50  # queued ids read at once; each is still claimed alone, so a longer list only costs more lost claims
LOSSES_IN_A_ROW = 2  # a server that breaks two conversations in a row is left alone until the sweeper rings again

log = structlog.get_logger()
State = Delivery.State


def due() -> list[int]:
    """Frozen editions with something to do: rows to send, claims gone stale, or nothing left so that they are finished."""
    now = timezone.now()
    rows = Delivery.objects.filter(edition=OuterRef("pk"))
    waiting = rows.filter(state=State.QUEUED, not_before__lte=now)
    stale = rows.filter(state=State.SENDING, claimed_at__lt=_stale_before(now))
    open_rows = rows.filter(state__in=[State.QUEUED, State.SENDING])
    frozen = Edition.objects.filter(state=Edition.State.FROZEN)
    found = frozen.filter(Exists(waiting) | Exists(stale) | ~Exists(open_rows))
    return list(found.order_by("frozen_at", "pk").values_list("pk", flat=True))


def deliver(*, edition_id: int, tick: Callable[[], object] = lambda: None) -> int:
    """Send what is due of a frozen edition for at most DELIVERY_BATCH_S; returns how many mails were handed over.

    Safe to call anywhere, any number of times, at the same time: each row is claimed by a conditional UPDATE. `tick` is called
    after each row. What is left waits for its `not_before` or the sweeper. Raises EditionTooLong.
    """
    edition = Edition.objects.select_related("recognizer").filter(pk=edition_id, state=Edition.State.FROZEN).first()
    if edition is None:
        return 0
    sweep_stale()
    over = transport()
    try:
        sent = _Batch(edition, over).run(tick)
    except Unreachable as error:  # no row was touched: the sweeper rings again
        log.warning("mail server unreachable", edition=edition_id, reason=str(error))
        return 0
    finally:
        over.close()
    finish(edition_id=edition_id)
    return sent


def sweep_stale() -> int:
    """Rows whose sender fell silent: nobody knows whether their mail left, so it is never sent again. Returns how many."""
    now = timezone.now()
    stale = Delivery.objects.filter(state=State.SENDING, claimed_at__lt=_stale_before(now))
    found = stale.update(state=State.UNKNOWN, ended_at=now, answer="the sender stopped before it noted an answer")
    if found:
        log.warning("deliveries in doubt", count=found)
    return found


def finish(*, edition_id: int) -> bool:
    """FROZEN → SENT once no row is queued or being sent; True for the one caller who did it."""
    left = Delivery.objects.filter(edition=OuterRef("pk"), state__in=[State.QUEUED, State.SENDING])
    done = Edition.objects.filter(~Exists(left), pk=edition_id, state=Edition.State.FROZEN)
    return bool(done.update(state=Edition.State.SENT, sent_at=timezone.now()))


def progress(*, edition: Edition) -> dict[str, int]:
    """Rows per state, every state named, and their `total`."""
    found = dict(edition.deliveries.order_by().values_list("state").annotate(Count("pk")))
    counts = {state: found.get(state, 0) for state in State.values}
    return counts | {"total": sum(counts.values())}


class _Batch:
    """One call of `deliver`: one open transport, one prepared mailing, a deadline."""

    def __init__(self, edition: Edition, over: Transport) -> None:
        self.edition = edition
        self.over = over
        self.deadline = timezone.now() + timedelta(seconds=settings.DELIVERY_BATCH_S)
        self.mailing: mail.Mailing | None = None
        self.own: dict[UUID, personal.Personal] = {}
        self.losses = 0
        self.sent = 0

    def run(self, tick: Callable[[], object]) -> int:
        for row_id in self._waiting():
            self.over.open()  # before the claim: an unreachable server must not cost a row one of its attempts
            mailing = self._mailing()
            delivery = _claim(row_id)
            if delivery is None:
                continue  # another worker has it
            if delivery.subscriber.state != Subscriber.State.CONFIRMED:
                _end(delivery, State.SUPPRESSED, "")
            else:
                self._send(delivery, mailing)
            tick()
            if self.losses >= LOSSES_IN_A_ROW:
                break
        return self.sent

    def _waiting(self) -> Iterator[UUID]:
        """Ids that were queued and due when read, until there are none or time is up."""
        while timezone.now() < self.deadline:
            rows = Delivery.objects.filter(edition=self.edition, state=State.QUEUED, not_before__lte=timezone.now())
            ids = list(rows.order_by("not_before", "pk").values_list("pk", flat=True)[:LOOKAHEAD])
            if not ids:
                return
            self.own = personal.of_deliveries(edition=self.edition, delivery_ids=ids)
            for row_id in ids:
                if timezone.now() >= self.deadline:
                    return
                yield row_id

    def _mailing(self) -> mail.Mailing:
        """Prepared once, and again when a photo or a name of it was taken back meanwhile."""
        if self.mailing is None or self.mailing.shows != fingerprint(edition=self.edition):
            self.mailing = mail.prepare(edition=self.edition)
        return self.mailing

    def _send(self, delivery: Delivery, mailing: mail.Mailing) -> None:
        lost = False
        try:
            message = mail.message(mailing=mailing, delivery=delivery, personal=self.own.get(delivery.pk))
            answer = mail.send(over=self.over, name=str(delivery.pk), mail=message)
        except Refused as error:
            _end(delivery, State.FAILED, str(error))
        except ValueError as error:  # an address that no header can carry (Django's BadHeaderError is one)
            _end(delivery, State.FAILED, f"not sent: {error}")
        except Later as error:
            _later(delivery, str(error))
        except Lost as error:
            lost = True
            if error.handed_over:
                _end(delivery, State.UNKNOWN, f"connection lost after the message: {error}")
            else:
                _later(delivery, f"connection lost before the message: {error}")
        else:
            _end(delivery, State.SENT, answer)
            self.sent += 1
        self.losses = self.losses + 1 if lost else 0


def _claim(row_id: UUID) -> Delivery | None:
    now = timezone.now()
    # The row count is the claim: of two workers who read the same id, one gets 1 and the other 0.
    free = Delivery.objects.filter(pk=row_id, state=State.QUEUED, not_before__lte=now)
    if not free.update(state=State.SENDING, claimed_at=now, attempts=F("attempts") + 1):
        return None
    return Delivery.objects.select_related("subscriber").get(pk=row_id)


def _end(delivery: Delivery, state: str, answer: str) -> None:
    _note(delivery, state=state, ended_at=timezone.now(), answer=answer[:ANSWER_CHARS])


def _later(delivery: Delivery, answer: str) -> None:
    """Back into the queue, further down the ladder each time; failed when the ladder ends."""
    if delivery.attempts > len(settings.MAIL_RETRY_S):
        _end(delivery, State.FAILED, f"given up after {delivery.attempts} tries: {answer}")
        return
    wait = timedelta(seconds=settings.MAIL_RETRY_S[delivery.attempts - 1])
    _note(delivery, state=State.QUEUED, claimed_at=None, not_before=timezone.now() + wait, answer=answer[:ANSWER_CHARS])


def _note(delivery: Delivery, **changes: object) -> None:
    # The attempt is the fence. A sender that was slower than the lease still knows better than the sweeper's `unknown`, and
    # as `unknown` is never claimed, nobody else can have touched the row.
    mine = Delivery.objects.filter(pk=delivery.pk, attempts=delivery.attempts, state__in=[State.SENDING, State.UNKNOWN])
    mine.update(**changes)


def _stale_before(now: datetime) -> datetime:
    return now - timedelta(seconds=settings.DELIVERY_LEASE_S)
