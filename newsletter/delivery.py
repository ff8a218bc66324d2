"""INBOX: sends a frozen edition, row after row. Nothing is sent twice; every doubt is listed as `unknown`."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import structlog
from django.conf import settings
from django.db.models import Count, Exists, OuterRef, Q
from django.utils import timezone

from config.rows import Statement, together
from newsletter import claims, mail, pace, personal, suppression
from newsletter.models import Delivery, Edition
from newsletter.reading import asking, told
from newsletter.transport import Call, Later, Lost, NotBegun, Refused, Transport, Unreachable, nothing, transport

LOSSES_IN_A_ROW = 2  # a server that breaks two conversations in a row is left alone until the sweeper rings again
HELD_BACK = [Edition.State.PAUSED, Edition.State.CANCELLED]

log = structlog.get_logger()
State = Delivery.State
sleep = time.sleep


def due() -> list[int]:
    """Editions with something to do: rows to send, doubts gone stale, rows of a cancelled one, or nothing left at all."""
    now = timezone.now()
    rows = Delivery.objects.filter(edition=OuterRef("pk"))
    queued = rows.filter(state=State.QUEUED)
    stale = rows.filter(state=State.SENDING, claimed_at__lt=claims.stale_before(now))
    open_rows = rows.filter(state__in=[State.QUEUED, State.SENDING])
    frozen = Q(state=Edition.State.FROZEN) & (Exists(queued.filter(not_before__lte=now)) | Exists(stale) | ~Exists(open_rows))
    cancelled = Q(state=Edition.State.CANCELLED) & Exists(queued)
    found = Edition.objects.filter(frozen | cancelled | (Q(state__in=HELD_BACK) & Exists(stale)))
    return list(found.order_by("frozen_at", "pk").values_list("pk", flat=True))


def deliver(*, edition_id: int, tick: Callable[[], object] = lambda: None) -> int:
    """Send what is due of a frozen edition for at most DELIVERY_BATCH_S; returns how many mails were handed over.

    Safe to call anywhere, any number of times, at the same time: rows are claimed by a conditional UPDATE. `tick` is called
    after each row. What is left waits for its `not_before` or the sweeper. Raises EditionTooLong.
    """
    sweep_stale()
    edition = Edition.objects.select_related("recognizer").filter(pk=edition_id, state=Edition.State.FROZEN).first()
    if edition is None:
        cancel_queued(edition_id=edition_id)
        return 0
    over = transport()
    try:
        sent = _Batch(edition, over).run(tick)
    except Unreachable as error:  # no row lost an attempt: the sweeper rings again
        log.warning("mail server unreachable", edition=edition_id, reason=str(error))
        return 0
    finally:
        over.close()
    cancel_queued(edition_id=edition_id)  # what was in flight while somebody cancelled may have come back into the queue
    finish(edition_id=edition_id)
    return sent


def sweep_stale() -> int:
    """Rows whose sender fell silent: nobody knows whether their mail left, so it is never sent again. Returns how many."""
    now = timezone.now()
    stale = Delivery.objects.filter(state=State.SENDING, claimed_at__lt=claims.stale_before(now))
    found = stale.update(state=State.UNKNOWN, ended_at=now, answer="the sender stopped before it noted an answer")
    if found:
        log.warning("deliveries in doubt", count=found)
    return found


def cancel_queued(*, edition_id: int) -> int:
    """Rows of a cancelled edition that were not begun get no mail; returns how many."""
    cancelled = Edition.objects.filter(pk=OuterRef("edition"), state=Edition.State.CANCELLED)
    rows = Delivery.objects.filter(Exists(cancelled), edition=edition_id, state=State.QUEUED)
    return rows.update(state=State.CANCELLED, ended_at=timezone.now(), claim=None)


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
        self.mailing: mail.Mailing | None = None  # prepared once, and again when something of it may no longer be shown
        self.asking = asking(edition=edition)  # how that is found out
        self.rows: list[Delivery] = []  # claimed, not begun
        self.begun: Delivery | None = None  # the last one
        self.answer: Statement | None = None  # the last answer, not yet noted
        self.opens: datetime | None = None  # the pace lets rows go again then
        self.probed: frozenset[str] = frozenset()  # domains that rested and get one mail on trial
        self.written: tuple[object, object, bytes] = None, None, b""  # of which row, which mailing, its bytes
        self.own: dict[UUID, personal.Personal] = {}  # readers' own lines, of the claimed rows
        self.losses = 0
        self.sent = 0

    def run(self, tick: Callable[[], object]) -> int:
        try:
            while self._more():
                self._one(tick)
        finally:
            self._note()
            claims.put_off(self.rows, timezone.now())
        return self.sent

    def _more(self) -> bool:
        """Whether a claimed row is at hand and may be begun; claims more, and waits for the pace, as long as time is left."""
        while timezone.now() < self.deadline and self.losses < LOSSES_IN_A_ROW:
            if self.rows:
                return True
            self._note()  # claiming may wait for other workers: the answer is kept before
            found = claims.claim(edition=self.edition)
            if found is None and not self._linger():
                return False
            if found is not None:
                self.rows, self.probed = found.rows, self.probed | found.probed
                self.own = personal.of_deliveries(edition=self.edition, delivery_ids=[row.pk for row in self.rows])
                self.opens = min(filter(None, (self.opens, found.opens)), default=None)
        return False

    def _linger(self) -> bool:
        """Nothing is due: wait for what the pace put off, if that is near."""
        wait = (self.opens - timezone.now()).total_seconds() if self.opens else settings.DELIVERY_LINGER_S + 1
        self.opens = None
        if wait > settings.DELIVERY_LINGER_S:
            return False
        sleep(max(wait, 0.01))
        return True

    def _one(self, tick: Callable[[], object]) -> None:
        self.over.open()  # an unreachable server must not cost a row one of its attempts
        if self.mailing is None:
            self.mailing = mail.prepare(edition=self.edition)
        mailing, delivery = self.mailing, self.rows.pop()
        try:
            self._send(delivery, mailing)
        except NotBegun:
            if not claims.drop_departed(delivery) and not self._allowed():
                self.rows.append(delivery)  # and is given back with them; else another worker has it
        tick()

    def _allowed(self) -> bool:
        """Whether the edition may still be sent; when not, the batch is over."""
        allowed = Edition.objects.filter(pk=self.edition.pk, state=Edition.State.FROZEN).exists()
        if not allowed:
            self.deadline = timezone.now()
        return allowed

    def _send(self, delivery: Delivery, mailing: mail.Mailing) -> None:
        lost = False
        try:
            taken = mail.hand_over(
                over=self.over,
                name=str(delivery.pk),
                to=delivery.reader.email,
                data=self._written(delivery, mailing),
                begin=partial(self._begin, delivery, mailing),
                meanwhile=partial(self._write_next, mailing),
            )
        except Refused as error:
            claims.end(delivery, State.FAILED, str(error))
            suppression.refused(delivery=delivery, answer=str(error))
        except ValueError as error:  # an address that no header can carry (Django's BadHeaderError is one)
            if self.begun is not delivery:
                self._begin(delivery, mailing, nothing)
            claims.end(delivery, State.FAILED, f"not sent: {error}")
        except Later as error:
            claims.later(delivery, str(error))
            if error.slow_down:
                self._slow_down(pace.domain_of(delivery))
        except Unreachable as error:
            claims.untried(delivery, str(error))
            raise
        except Lost as error:
            lost = True
            if error.handed_over:
                claims.end(delivery, State.UNKNOWN, f"connection lost after the message: {error}")
            else:
                claims.later(delivery, f"connection lost before the message: {error}")
        else:
            self.answer = claims.ended(delivery, State.SENT, taken.answer, taken.provider_id)
            self.sent += 1
            self._speed_up(pace.domain_of(delivery))
        self.losses = self.losses + 1 if lost else 0

    def _begin(self, delivery: Delivery, mailing: mail.Mailing, meanwhile: Call) -> None:
        """One commit for what became of the last mail, for this one's beginning, and for a look at what may be shown now."""
        found = claims.begin(delivery, after=self.answer, asking=[self.asking], meanwhile=meanwhile)
        self.answer = None
        if found is None:
            raise NotBegun
        if told(*found) != mailing.shows:  # a photo or a name was taken back meanwhile: nobody gets what is written down
            self.mailing = None
            claims.untried(delivery, "")
            raise NotBegun
        self.begun = delivery

    def _written(self, delivery: Delivery, mailing: mail.Mailing) -> bytes:
        for_row, of_mailing, data = self.written
        if for_row == delivery.pk and of_mailing is mailing:
            return data
        return self._filled(delivery, mailing)

    def _write_next(self, mailing: mail.Mailing) -> None:
        """While database and server are busy with one mail, the next one is written."""
        if self.rows:
            with suppress(ValueError):  # its own turn comes to that
                self.written = self.rows[-1].pk, mailing, self._filled(self.rows[-1], mailing)

    def _filled(self, delivery: Delivery, mailing: mail.Mailing) -> bytes:
        return mail.filled(mailing=mailing, delivery=delivery, personal=self.own.get(delivery.pk))

    def _note(self) -> None:
        if self.answer is not None:
            together([self.answer])
        self.answer = None

    def _slow_down(self, domain: str) -> None:
        """The domain rests; its rows that wait here go back, the others go on."""
        until = pace.slow_down(domain)
        theirs = [row for row in self.rows if pace.domain_of(row) == domain]
        claims.put_off(theirs, until)
        self.rows = [row for row in self.rows if pace.domain_of(row) != domain]

    def _speed_up(self, domain: str) -> None:
        if domain in self.probed:
            pace.speed_up(domain)
            self.probed -= {domain}
