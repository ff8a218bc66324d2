"""A night's row: one a slot, claimed with a lease and a fence, so that whoever was taken for dead can write nothing more."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from collector.models import Photo, Recognizer
from training.errors import AlreadyFinished, FencedOff
from training.models import Run

MESSAGE_LENGTH = 500  # characters, as in Run.message


def nights_due() -> list[int]:
    """Recognizers whose run of tonight is not there yet although its hour has come and there is a photo to learn from.

    Only photos accepted before tonight's hour count: the first photo of a new recognizer at noon starts no night of its own.
    """
    now = timezone.now()
    tonight = now.replace(hour=settings.NIGHT_HOUR_UTC, minute=0, second=0, microsecond=0)
    if now < tonight:
        return []
    ready = Photo.objects.filter(state=Photo.State.ACCEPTED, accepted_at__lt=tonight).values("recognizer")
    opened = Run.objects.filter(slot=slot_for_tonight()).values("recognizer")
    return list(Recognizer.objects.filter(active=True, pk__in=ready).exclude(pk__in=opened).values_list("pk", flat=True))


def open_slot(*, recognizer: Recognizer, slot: str, long: bool = False) -> tuple[Run, bool]:
    """The run of this slot, and whether it is new. Two beats that come together get the same row: the slot is unique.

    `long`: the long night; an open run stays what it is.
    """
    return Run.objects.get_or_create(recognizer=recognizer, slot=slot, defaults={"long": long})


def slot_for_tonight() -> str:
    """The slot that beats agree on: the day, in UTC."""
    return str(timezone.now().date())


def slot_for_now(recognizer: Recognizer) -> str:
    """Tonight's slot, "2026-11-22"; where that run is finished, the next by hand: "2026-11-22.2", ".3", …"""
    day = slot_for_tonight()
    finished = set(
        Run.objects.filter(recognizer=recognizer, slot__startswith=day, state__in=Run.FINISHED).values_list("slot", flat=True)
    )
    slot, number = day, 1
    while slot in finished:
        number += 1
        slot = f"{day}.{number}"
    return slot


def claimable() -> QuerySet[Run]:
    """Runs that wait, and runs whose process fell silent, oldest first."""
    silent = Q(state=Run.State.RUNNING, lease_until__lt=timezone.now())
    return Run.objects.filter(Q(state=Run.State.QUEUED) | silent).order_by("queued_at", "pk")


def running() -> QuerySet[Run]:
    """Runs whose process is alive as far as anyone knows."""
    return Run.objects.filter(state=Run.State.RUNNING, lease_until__gte=timezone.now())


def due() -> list[int]:
    """What a worker should start now: nothing while RUNS_AT_ONCE are running."""
    return [] if running().count() >= settings.RUNS_AT_ONCE else list(claimable().values_list("pk", flat=True))


def claim(run_id: int) -> int | None:
    """Take a waiting or silent run. Returns its new fence, or None where somebody else has it or it is done.

    The fence rises with each claim and counts them: after RUN_ATTEMPTS the run has failed. RUNS_AT_ONCE saves memory, not
    correctness: on PostgreSQL two claims of different runs in the same instant may both pass.
    """
    with transaction.atomic():
        run = claimable().filter(pk=run_id).first()
        if run is None or running().count() >= settings.RUNS_AT_ONCE:
            return None
        mine = claimable().filter(pk=run_id, fence=run.fence)  # the fence in the WHERE: of two claims one hits no row
        now = timezone.now()
        if run.fence >= settings.RUN_ATTEMPTS:
            message = f"Its process died {run.fence} times, last at “{run.stage or 'the start'}”. The incumbent stays."
            mine.update(state=Run.State.FAILED, message=message, finished_at=now, lease_until=None)
            return None
        lease = now + timedelta(seconds=settings.RUN_LEASE_S)
        taken = mine.update(
            state=Run.State.RUNNING, fence=F("fence") + 1, lease_until=lease, started_at=now, stage="starting", message=""
        )
        return run.fence + 1 if taken else None


def held(run_id: int, fence: int) -> Run:
    """The run, if this fence still holds it. Raises FencedOff."""
    run = _held(run_id, fence).select_related("recognizer").first()
    if run is None:
        raise FencedOff(run=run_id, fence=fence)
    return run


def renew(run_id: int, fence: int) -> None:
    """Say that the process is alive. Raises FencedOff."""
    if not _held(run_id, fence).update(lease_until=timezone.now() + timedelta(seconds=settings.RUN_LEASE_S)):
        raise FencedOff(run=run_id, fence=fence)


def write(run: Run, **fields: Any) -> None:
    """Set columns of a run that this process holds (`run.fence` is the claim's). Raises FencedOff, having written nothing."""
    if not _held(run.pk, run.fence).update(**fields):
        raise FencedOff(run=run.pk, fence=run.fence)
    for name, value in fields.items():
        setattr(run, name, value)


def advance(run: Run, stage: str) -> None:
    """Record the step that begins now. Raises FencedOff."""
    write(run, stage=stage)


def finish(run: Run, state: Run.State, message: str, **fields: Any) -> None:
    """End a run with one sentence. Raises FencedOff."""
    short = message if len(message) <= MESSAGE_LENGTH else message[: MESSAGE_LENGTH - 1] + "…"
    write(run, state=state, message=short, finished_at=timezone.now(), lease_until=None, **fields)


def give_back(run_id: int, fence: int) -> bool:
    """Let the next claim have the run at once, instead of after its lease: for whoever ended the process itself."""
    return bool(_held(run_id, fence).update(state=Run.State.QUEUED, lease_until=None))


def refuse_finished(run: Run) -> None:
    """Raises AlreadyFinished for a run that has ended: a slot has one result."""
    if run.state in Run.FINISHED:
        raise AlreadyFinished(f"The run of slot {run.slot} {run.get_state_display()}: {run.message}", slot=run.slot)


def _held(run_id: int, fence: int) -> QuerySet[Run]:
    return Run.objects.filter(pk=run_id, fence=fence, state=Run.State.RUNNING)
