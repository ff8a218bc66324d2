"""INBOX: how fast one domain's readers get their mails, whichever worker on whichever machine sends them.

The generic cell rate algorithm (ITU-T I.371): a domain's row keeps when its next mail is due; a burst may be ahead of that by
MAIL_BURST_S. A domain that answers 421 or 452 rests, twice as long each time, and is then tried with one mail.
Workers agree by rows, as they do on deliveries: Redis is optional here.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from newsletter.models import Delivery, DomainPace

FIELDS = ["next_at", "promised_at", "refusals", "closed_until"]


def domain_of(delivery: Delivery) -> str:
    return delivery.reader.email.rpartition("@")[2].lower()


@dataclass(frozen=True)
class Admitted:
    """Rows that may go now; rows that must wait, with the time until which; domains that are tried with one mail."""

    go: list[Delivery]
    wait: list[tuple[list[Delivery], datetime]]
    probed: frozenset[str]


def admit(rows: Sequence[Delivery]) -> Admitted:
    """Which of these rows their domains' pace lets go; call it in the transaction that claimed them."""
    now = timezone.now()
    groups: defaultdict[str, list[Delivery]] = defaultdict(list)
    for row in rows:
        groups[domain_of(row)].append(row)
    # PostgreSQL locks the rows, in one order so that two workers cannot wait for each other. SQLite ignores it and needs none:
    # a transaction there has the only writer's lock from its BEGIN.
    locked = DomainPace.objects.select_for_update().filter(domain__in=groups).order_by("domain")
    known = {pace.domain: pace for pace in locked}
    found, changed = Admitted([], [], frozenset(domain for domain, pace in known.items() if pace.refusals)), []
    for domain, members in sorted(groups.items()):
        pace = known.get(domain) or DomainPace(domain=domain, next_at=now, promised_at=now)
        if settings.MAIL_DOMAIN_PER_S or pace.refusals:
            changed.append(pace)
            number = _granted(pace, len(members), now)
        else:
            number = len(members)
        found.go.extend(members[:number])
        if left := members[number:]:
            found.wait.append((left, _promised(pace, len(left), now)))
    DomainPace.objects.bulk_create(changed, update_conflicts=True, update_fields=FIELDS, unique_fields=["domain"])
    return found


def slow_down(domain: str) -> datetime:
    """It answered 421 or 452: nothing goes there until the returned time, by anybody."""
    now = timezone.now()
    with transaction.atomic():
        DomainPace.objects.get_or_create(domain=domain, defaults={"next_at": now, "promised_at": now})
        pace = DomainPace.objects.select_for_update().get(domain=domain)
        pace.refusals = min(pace.refusals + 1, 30)  # 2³⁰ rests are more than the longest one: no need to count on
        pace.closed_until = until = now + _rest(pace.refusals)
        pace.save(update_fields=["refusals", "closed_until"])
    return until


def speed_up(domain: str) -> None:
    """It took a mail: it is as any other again."""
    DomainPace.objects.filter(domain=domain, refusals__gt=0).update(refusals=0, closed_until=None)


def _granted(pace: DomainPace, wanted: int, now: datetime) -> int:
    """How many of `wanted` mails may go now; notes them as gone."""
    if pace.refusals:
        if pace.closed_until is not None and pace.closed_until > now:
            return 0
        pace.closed_until = now + _rest(pace.refusals)  # one mail asks for all: the next worker waits for its answer
        wanted = 1
    if not settings.MAIL_DOMAIN_PER_S:
        return wanted
    interval = timedelta(seconds=1) / settings.MAIL_DOMAIN_PER_S
    due = max(pace.next_at, now)
    number = min(wanted, max(0, (now + timedelta(seconds=settings.MAIL_BURST_S) - due) // interval))
    pace.next_at = due + number * interval
    return number


def _promised(pace: DomainPace, number: int, now: datetime) -> datetime:
    """Until when `number` rows wait: behind those that were put off before, so that they come back as fast as they may go."""
    interval = timedelta(seconds=1) / (settings.MAIL_DOMAIN_PER_S or 10**6)
    opens = max(now, pace.next_at - timedelta(seconds=settings.MAIL_BURST_S)) + interval
    if pace.refusals and pace.closed_until is not None:
        opens = max(opens, pace.closed_until)
    until = max(opens, pace.promised_at)
    pace.promised_at = until + number * interval
    return until


def _rest(refusals: int) -> timedelta:
    return timedelta(seconds=min(settings.MAIL_BACKOFF_S * 2 ** (refusals - 1), settings.MAIL_BACKOFF_MAX_S))
