"""INBOX: whose turn a delivery row is, and what became of it.

A claim is a lease on queued rows, many at once; nobody outside has heard of them. From `begin` on a row is in doubt, until its
answer is noted. It comes once for each mail, so that a sender who is killed leaves one doubt and no more.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from config.rows import Found, Statement, key, together
from newsletter import pace
from newsletter.models import Delivery, Edition, Subscriber
from newsletter.transport import ANSWER_CHARS, Call, nothing

State = Delivery.State
# The two statements that every mail needs, by hand: Django takes a millisecond to compose each, half as long as sending takes.
# The row's own columns stay outside of sub-queries: PostgreSQL asks only those again after it waited for another's lock.
BEGIN = """
UPDATE newsletter_delivery SET state = 'sending', claimed_at = %s, attempts = attempts + 1
WHERE id = %s AND claim = %s AND state = 'queued'
AND EXISTS (SELECT 1 FROM newsletter_edition e WHERE e.id = edition_id AND e.state = 'frozen')
AND EXISTS (SELECT 1 FROM newsletter_subscriber s WHERE s.id = subscriber_id AND s.state = 'confirmed')
"""
# The attempt is the fence. A sender that was slower than the lease still knows better than the sweeper's `unknown`, and as
# `unknown` is never claimed, nobody else can have touched the row.
END = """
UPDATE newsletter_delivery SET state = %s, ended_at = %s, answer = %s, provider_id = %s
WHERE id = %s AND attempts = %s AND state IN ('sending', 'unknown')
"""


@dataclass(frozen=True)
class Claimed:
    """Rows that this worker alone may begin, when the first of those that the pace put off comes back, domains on trial."""

    rows: list[Delivery]
    opens: datetime | None
    probed: frozenset[str]


def claim(*, edition: Edition) -> Claimed | None:
    """Up to DELIVERY_CLAIM queued rows that are due; None when none is. The rows may all have been put off."""
    while True:
        now, token = timezone.now(), uuid.uuid4()
        waiting = Delivery.objects.filter(edition=edition, state=State.QUEUED, not_before__lte=now)
        ids = list(waiting.order_by("not_before", "pk").values_list("pk", flat=True)[: settings.DELIVERY_CLAIM])
        if not ids:
            return None
        with transaction.atomic():
            # The lease is the row's own `not_before`: a dead worker's rows are due again without any sweeper.
            lease = now + timedelta(seconds=settings.DELIVERY_CLAIM_S)
            if not waiting.filter(pk__in=ids).update(claim=token, not_before=lease):
                continue  # another worker was faster with every one of them; the next look finds others
            rows = list(Delivery.objects.filter(pk__in=ids, claim=token).select_related("subscriber"))
            for row in rows:
                if row.subscriber is None:  # the address was erased since
                    drop_departed(row)
            rows = [row for row in rows if row.subscriber is not None]
            admitted = pace.admit(rows)
            for late, until in admitted.wait:
                put_off(late, until)
        return Claimed(admitted.go, min((until for _, until in admitted.wait), default=None), admitted.probed)


def begin(
    delivery: Delivery, *, after: Statement | None = None, asking: Sequence[Statement] = (), meanwhile: Call = nothing
) -> list[Found] | None:
    """From now on the row is in doubt. None, and it is as it was: its claim ran out, its reader left, or nobody may send.

    In the same commit `after` is run before it (`ended`, of the mail before this one) and `asking` after it, whose rows are
    returned. A mail cannot do with fewer commits: with one for two of them, a sender that is killed leaves two in doubt.
    `meanwhile` is called while the database is at it.
    """
    assert delivery.claim is not None  # it came out of `claim`
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    first = [after] if after else []
    found = together([*first, (BEGIN, [now, key(delivery.pk), key(delivery.claim)]), *asking], meanwhile)[len(first) :]
    if not found[0].number:
        return None
    delivery.attempts += 1
    return found[1:]


def drop_departed(delivery: Delivery) -> bool:
    """A claimed row whose reader has left, or was suppressed, meanwhile gets no mail; True if that was so."""
    mine = Delivery.objects.filter(pk=delivery.pk, claim=delivery.claim, state=State.QUEUED)
    reader = Subscriber.objects.filter(pk=OuterRef("subscriber"), state=Subscriber.State.CONFIRMED)
    return bool(mine.filter(~Exists(reader)).update(state=State.SUPPRESSED, ended_at=timezone.now(), claim=None))


def put_off(rows: list[Delivery], until: datetime) -> None:
    """Claimed rows that were not begun go back to the queue; those that somebody else has by now stay as they are."""
    if rows:
        mine = Delivery.objects.filter(pk__in=[row.pk for row in rows], claim=rows[0].claim, state=State.QUEUED)
        mine.update(claim=None, not_before=until)


def ended(delivery: Delivery, state: str, answer: str, provider_id: str = "") -> Statement:
    """The last word on a row that was begun, as a statement: `begin` runs it together with its own."""
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    return END, [state, now, answer[:ANSWER_CHARS], provider_id, key(delivery.pk), delivery.attempts]


def end(delivery: Delivery, state: str, answer: str) -> None:
    together([ended(delivery, state, answer)])


def later(delivery: Delivery, answer: str) -> None:
    """Back into the queue, further down the ladder each time; failed when the ladder ends."""
    if delivery.attempts > len(settings.MAIL_RETRY_S):
        end(delivery, State.FAILED, f"given up after {delivery.attempts} tries: {answer}")
        return
    wait = timedelta(seconds=settings.MAIL_RETRY_S[delivery.attempts - 1])
    _back(delivery, timezone.now() + wait, answer)


def untried(delivery: Delivery, answer: str) -> None:
    """Back into the queue as if it had not been begun: nobody took mail at all, which says nothing about this one."""
    _back(delivery, timezone.now(), answer, attempts=delivery.attempts - 1)


def stale_before(now: datetime) -> datetime:
    """Rows that were begun before this are in doubt for good."""
    return now - timedelta(seconds=settings.DELIVERY_LEASE_S)


def _back(delivery: Delivery, until: datetime, answer: str, **more: object) -> None:
    mine = Delivery.objects.filter(pk=delivery.pk, attempts=delivery.attempts, state__in=[State.SENDING, State.UNKNOWN])
    mine.update(state=State.QUEUED, claim=None, claimed_at=None, not_before=until, answer=answer[:ANSWER_CHARS], **more)
