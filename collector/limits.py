"""Daily limits that hold under concurrency: the database counts, in one conditional UPDATE."""

from datetime import date, datetime, time, timedelta

from django.db.models import F
from django.utils import timezone

from collector.errors import LimitReached
from collector.models import Allowance


def spend(subject: str, limit: int) -> None:
    """Count one use of `subject` ("photos:<id>", …) today (UTC); raise LimitReached when `limit` uses are counted already."""
    day = timezone.now().date()
    if _count_one(subject, day, limit):
        return
    Allowance.objects.get_or_create(subject=subject, day=day)  # the first use of a day makes the row
    if not _count_one(subject, day, limit):
        raise _reached(subject, limit)


def check(subject: str, limit: int) -> None:
    """Raise LimitReached when nothing is left; counts nothing. For refusing before an expensive body is read."""
    if Allowance.objects.filter(subject=subject, day=timezone.now().date(), used__gte=limit).exists():
        raise _reached(subject, limit)


def _count_one(subject: str, day: date, limit: int) -> bool:
    # `used < limit` stands in the UPDATE itself: fifty threads cannot pass together what one of them may.
    return Allowance.objects.filter(subject=subject, day=day, used__lt=limit).update(used=F("used") + 1) == 1


def _reached(subject: str, limit: int) -> LimitReached:
    now = timezone.now()
    midnight = datetime.combine(now.date() + timedelta(days=1), time.min, tzinfo=now.tzinfo)
    return LimitReached(
        f"{limit} {subject.partition(':')[0]} a day are allowed; the count starts again at midnight UTC.",
        retry_after_s=int((midnight - now).total_seconds()) + 1,
        limit=limit,
    )
