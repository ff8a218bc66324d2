"""EDITION: composes drafts ahead of their hour, and lets them go at it if nobody objects.

Two beats agree on a slot's row, unique by schedule, kind and local day; its state changes by conditional UPDATE. What was
missed while nothing ran goes late only within EDITION_LATE_MOST_S; later it stays a draft, and its slot says why.
"""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import structlog
from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from config.errors import Problem
from newsletter.edition import compose, freeze
from newsletter.errors import Contended, Held, NotADraft
from newsletter.models import Edition, Schedule, Slot

BACK_DAYS = 8  # local days that are looked through for the newest hour: a week, and one for a day that a zone left out
BY = "schedule"  # who freezes an edition that goes by itself

log = structlog.get_logger()
Kind, State = Edition.Kind, Slot.State


# ---- hours -------------------------------------------------------------------------------------------------------
def due_at(*, zone: ZoneInfo, day: date, hour: int) -> datetime | None:
    """The moment at which it is `hour` o'clock on this local day; None on a day that the zone left out.

    Of an hour that comes twice (clocks are set back) the first one; instead of an hour that does not come (clocks are set
    forward) the moment that many minutes later, as PEP 495 has it for fold=0.
    """
    moment = datetime.combine(day, time(hour), tzinfo=zone).astimezone(ZoneInfo("UTC"))
    return moment if moment.astimezone(zone).date() == day else None


def hours(schedule: Schedule) -> dict[str, tuple[int, int | None]]:
    """Kind → (hour, weekday or None for every day); kinds without an hour are left out."""
    every = {
        Kind.DAILY: (schedule.daily_hour, None),
        Kind.WEEKLY: (schedule.weekly_hour, schedule.weekly_weekday),
        Kind.REMINDER: (schedule.reminder_hour, None),
    }
    return {str(kind): (hour, weekday) for kind, (hour, weekday) in every.items() if hour is not None}


def newest(*, zone: ZoneInfo, hour: int, weekday: int | None, until: datetime) -> tuple[date, datetime] | None:
    """(local day, moment) of the newest hour that is not after `until`. `weekday`: 0 is Monday, None every day."""
    last = until.astimezone(zone).date()
    for back in range(BACK_DAYS):
        day = last - timedelta(days=back)
        if weekday in (None, day.weekday()):
            moment = due_at(zone=zone, day=day, hour=hour)
            if moment is not None and moment <= until:
                return day, moment
    return None


# ---- opening -----------------------------------------------------------------------------------------------------
def unopened() -> list[int]:
    """Schedules that have an hour to prepare for whose row is not there yet."""
    found = list(Schedule.objects.filter(recognizer__active=True))
    days = [slot.day for schedule in found for slot in _near(schedule)]
    if not days:
        return []
    there = set(Slot.objects.filter(schedule__in=found, day__gte=min(days)).values_list("schedule", "kind", "day"))
    return [each.pk for each in found if any((each.pk, slot.kind, slot.day) not in there for slot in _near(each))]


def open_slots(*, schedule_id: int) -> list[int]:
    """Make the missing rows; returns those that wait to be composed. Whoever comes second finds them made."""
    schedule = Schedule.objects.filter(pk=schedule_id).first()
    if schedule is None:
        return []
    for slot in _near(schedule):
        Slot.objects.get_or_create(schedule=schedule, kind=slot.kind, day=slot.day, defaults={"due_at": slot.due_at})
    return list(_uncomposed().filter(schedule=schedule).values_list("pk", flat=True))


def _near(schedule: Schedule) -> list[Slot]:
    """Unsaved: the newest hour of each kind for which a draft is to be there by now. Hours before the schedule was made, and
    all but the newest of those that passed while nothing ran, are nobody's."""
    zone = ZoneInfo(schedule.time_zone)
    until = timezone.now() + timedelta(hours=schedule.notice_h)
    near = []
    for kind, (hour, weekday) in hours(schedule).items():
        found = newest(zone=zone, hour=hour, weekday=weekday, until=until)
        if found is not None and found[1] > schedule.since:
            near.append(Slot(schedule=schedule, kind=kind, day=found[0], due_at=found[1]))
    return near


# ---- composing ---------------------------------------------------------------------------------------------------
def uncomposed() -> list[int]:
    """Slots whose draft is to be made now, or tried again."""
    return list(_uncomposed().values_list("pk", flat=True))


def compose_slot(*, slot_id: int) -> Edition | None:
    """The draft of a slot. None where there is nothing to print yet: it is tried every EDITION_AGAIN_S until it is too late."""
    slot = _uncomposed().filter(pk=slot_id).select_related("schedule__recognizer").first()
    if slot is None:
        return None
    now = timezone.now()
    day = slot.day if slot.kind == Kind.REMINDER else slot.day - timedelta(days=1)
    try:
        edition = compose(recognizer=slot.schedule.recognizer, day=day, kind=Kind(slot.kind), asks=slot.due_at.date(), by=BY)
    except Contended:
        return None  # the next sweep finds what the others made
    except Problem as problem:
        state = State.MISSED if now > _latest(slot) else State.WAITING
        _waiting(slot).update(state=state, tried_at=now, why=f"{problem.title} {problem.detail}"[:300])
        return None
    state, why = State.COMPOSED if edition.state == Edition.State.DRAFT else State.GONE, ""
    # An editor's time to object is as long where it was composed late.
    goes_at = now + timedelta(hours=slot.schedule.notice_h) if _is_late(slot, now) else slot.due_at
    if state == State.COMPOSED and goes_at > _latest(slot):
        state, why = State.MISSED, _too_late(slot, goes_at)
    _waiting(slot).update(state=state, edition=edition, goes_at=goes_at, tried_at=now, why=why)
    return edition


def _uncomposed() -> QuerySet[Slot]:
    again = timezone.now() - timedelta(seconds=settings.EDITION_AGAIN_S)
    waiting = Slot.objects.filter(state=State.WAITING, schedule__recognizer__active=True)
    return waiting.filter(Q(tried_at=None) | Q(tried_at__lt=again)).order_by("due_at", "pk")


def _waiting(slot: Slot) -> QuerySet[Slot]:
    return Slot.objects.filter(pk=slot.pk, state=State.WAITING)


def _is_late(slot: Slot, now: datetime) -> bool:
    planned = slot.due_at - timedelta(hours=slot.schedule.notice_h)
    return now > planned + timedelta(seconds=settings.EDITION_AGAIN_S)


def _too_late(slot: Slot, when: datetime) -> str:
    hours_late, most = (when - slot.due_at).total_seconds() / 3600, settings.EDITION_LATE_MOST_S / 3600
    return f"It could go only {hours_late:.1f} hours after its hour; {most:g} are allowed. Approve it if it is still wanted."


def _latest(slot: Slot) -> datetime:
    return slot.due_at + timedelta(seconds=settings.EDITION_LATE_MOST_S)


# ---- going -------------------------------------------------------------------------------------------------------
def ripe() -> list[int]:
    """Slots whose draft goes by itself now: its hour has come and nobody holds it."""
    return list(_ripe().values_list("pk", flat=True))


def let_go(*, slot_id: int) -> Edition | None:
    """Freeze the draft of a slot whose hour has come. Returns the edition, for the caller to ring `deliver`; None where an
    editor or another beat was faster, or it is too late: then it stays a draft and the slot says why."""
    slot = _ripe().filter(pk=slot_id).select_related("edition__recognizer").first()
    if slot is None or slot.edition is None:
        return None
    if (now := timezone.now()) > _latest(slot):
        _miss(slot, _too_late(slot, now))
        return None
    try:
        freeze(edition=slot.edition, by=BY)
    except (NotADraft, Held):
        return None  # an editor or another beat has just frozen or held it
    except Problem as problem:
        _miss(slot, f"{problem.title} {problem.detail}")
        return None
    return slot.edition


def _ripe() -> QuerySet[Slot]:
    composed = Slot.objects.filter(state=State.COMPOSED, goes_at__lte=timezone.now(), schedule__goes_by_itself=True)
    free = composed.filter(edition__state=Edition.State.DRAFT, edition__held_by="", schedule__recognizer__active=True)
    return free.order_by("due_at", "pk")


def _miss(slot: Slot, why: str) -> None:
    log.warning("an edition stays a draft", slot=slot.pk, why=why)
    Slot.objects.filter(pk=slot.pk, state=State.COMPOSED).update(state=State.MISSED, why=why[:300])
