"""INTAKE: limits that hold under concurrency: the database counts, in one statement for all the limits of a call.

`spend(of_volunteer(…), of_address(…))` counts one use of each, or none of any. docs/how-limits-work.md says how and why.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.crypto import salted_hmac

from collector.addresses import network
from collector.errors import LimitReached
from collector.models import Allowance, Volunteer

MINUTE, DAY = 60, 86_400  # seconds; windows begin at whole multiples since 1970, so a day is a day of UTC
WINDOWS = {MINUTE: "a minute", DAY: "a day"}
COUNT = """
    INSERT INTO collector_allowance (subject, window_s, ends_at, most, used) VALUES {rows}
    ON CONFLICT (subject, window_s, ends_at) DO UPDATE SET used = collector_allowance.used + 1, most = excluded.most
    WHERE collector_allowance.used < excluded.most
    RETURNING subject, window_s
"""


@dataclass(frozen=True, order=True)
class Limit:
    """At most `most` (≥ 1) uses of `name` (plural: "photos") by `subject` in each window of `window_s` seconds."""

    name: str
    subject: str
    most: int
    window_s: int = DAY

    @property
    def key(self) -> tuple[str, int]:
        return f"{self.name}:{self.subject}", self.window_s

    def ends_at(self, now: datetime) -> datetime:
        """When the window that holds `now` ends."""
        return datetime.fromtimestamp((now.timestamp() // self.window_s + 1) * self.window_s, tz=UTC)


def of_volunteer(name: str, volunteer: Volunteer, most: int, window_s: int = DAY) -> Limit:
    return Limit(name, str(volunteer.pk), most, window_s)


def of_address(name: str, address: str, most: int, window_s: int = DAY) -> Limit:
    """A limit for a network address as `collector.addresses.client_address` gives it."""
    return Limit(name, hashed(network(address)), most, window_s)


def hashed(secret: str) -> str:
    """A keyed hash (HMAC, SECRET_KEY), 32 hex digits: the four billion plain hashes of IPv4 are made in minutes."""
    return salted_hmac("collector.limits", secret, algorithm="sha256").hexdigest()[:32]


def spend(*limits: Limit) -> None:
    """Count one use against every limit, or raise LimitReached and count none. Inside a transaction that is rolled back,
    nothing was spent.

    One statement: the row's first use makes it, and `used < most` stands where the database counts, so fifty threads cannot
    pass together what one of them may. Rows are named in sorted order: two calls that share two rows lock them in the same
    order, or PostgreSQL would have to end one of them as a deadlock.
    """
    now = timezone.now()
    ordered = sorted(limits, key=lambda limit: limit.key)
    values = [(*limit.key, connection.ops.adapt_datetimefield_value(limit.ends_at(now)), limit.most, 1) for limit in ordered]
    statement = COUNT.format(rows=", ".join(["(%s, %s, %s, %s, %s)"] * len(values)))
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(statement, [value for row in values for value in row])
            counted = {(subject, window_s) for subject, window_s in cursor.fetchall()}
        if refused := [limit for limit in ordered if limit.key not in counted]:
            raise _reached(refused, now)  # inside the transaction: what was counted beside it is taken back


def check(*limits: Limit) -> None:
    """Raise LimitReached when nothing is left of one; counts nothing. For refusing before an expensive body is read."""
    now = timezone.now()
    rows = " OR ".join(["subject = %s AND window_s = %s AND ends_at = %s AND used >= %s"] * len(limits))
    values = [(*limit.key, connection.ops.adapt_datetimefield_value(limit.ends_at(now)), limit.most) for limit in limits]
    with connection.cursor() as cursor:
        statement = f"SELECT subject, window_s FROM collector_allowance WHERE {rows}"  # noqa: S608  only placeholders are joined
        cursor.execute(statement, [part for row in values for part in row])
        reached = set(cursor.fetchall())
    if full := [limit for limit in limits if limit.key in reached]:
        raise _reached(full, now)


def past() -> list[int]:
    """Windows (seconds) that have rows to be removed."""
    return list(_past().order_by().values_list("window_s", flat=True).distinct())


def forget(*, window_s: int) -> int:
    """Remove the rows of windows that ended ALLOWANCE_KEPT_S ago; returns how many."""
    return _past().filter(window_s=window_s).delete()[0]


def _past() -> QuerySet[Allowance]:
    return Allowance.objects.filter(ends_at__lt=timezone.now() - timedelta(seconds=settings.ALLOWANCE_KEPT_S))


def _reached(full: list[Limit], now: datetime) -> LimitReached:
    """The one that lasts longest: after its end none of the others stands in the way."""
    last = max(full, key=lambda limit: limit.window_s)
    ends_at = last.ends_at(now)
    again = "at midnight UTC" if last.window_s == DAY else f"at {ends_at:%H:%M} UTC"
    return LimitReached(
        f"{last.most} {last.name} {WINDOWS[last.window_s]} are allowed; the count starts again {again}.",
        retry_after_s=int((ends_at - now).total_seconds()) + 1,  # the first whole second of the next window
        limit=last.most,
        counted=last.name,
        window_s=last.window_s,
        again_at=ends_at.isoformat(),
    )
