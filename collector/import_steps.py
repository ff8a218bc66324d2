"""INTAKE for owners of photos, in the worker: a zip is taken apart member by member, in steps that may be killed anywhere."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from collector.archives import Zip
from collector.import_jobs import plan_of, shown, stop
from collector.importing import BeingDecoded, NothingToImport, import_one
from collector.models import ImportJob, ImportRefusal
from collector.pieces import Pieces, key_of
from collector.storage import MissingObject, store
from config.errors import Problem


class GivenUp(Problem):
    status, code, title = 422, "given-up", "The import of this file did not end."


def waiting() -> list[str]:
    """Imports whose zip lies ready and that nobody is working on."""
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=timezone.now())
    ids = ImportJob.objects.filter(free, state=ImportJob.State.WORKING).order_by("confirmed_at").values_list("id", flat=True)
    return [str(job_id) for job_id in ids]


def step(*, job_id: UUID) -> bool:
    """Import the next IMPORT_STEP_FILES members of a zip, from where the row says it is. Returns whether more are left.

    Each member ends in one fenced UPDATE of count and place. A worker that dies leaves a lease that runs out; the next one
    meets the same member again and finds its photo known. After IMPORT_ATTEMPTS a member is refused as the killer of workers.
    """
    job = _claim(job_id)
    if job is None:
        return False
    try:
        with _opened(job) as archive:
            return _work(job, archive)
    except MissingObject:
        _end(job, ImportJob.State.FAILED, "Its zip is gone from the store. Send it again; what is known is not taken twice.")
    except Problem as problem:
        _end(job, ImportJob.State.FAILED, problem.detail)
    return False


def _work(job: ImportJob, archive: Zip) -> bool:
    if not archive.names:
        raise NothingToImport("The zip holds no files. It should hold one folder per label, with photos in it.")
    _ours(job).update(total=len(archive.names))
    last = min(job.done + settings.IMPORT_STEP_FILES, len(archive.names))
    for number in range(job.done, last):
        try:
            counted = _member(job, archive, number)
        except BeingDecoded:  # a worker has seen the photo between its row and us: no attempt of ours, and no need to wait here
            _release(job, timedelta(seconds=1))
            return False
        if not counted:  # stopped, or our lease ran out and another worker goes on
            return False
    if last == len(archive.names):
        _end(job, ImportJob.State.DONE, "")
        return False
    _release(job, timedelta(0))
    return True


def _member(job: ImportJob, archive: Zip, number: int) -> bool:
    """One member and its place in the row, in one transaction; False where the row is ours no more."""
    why, counts = "", {}
    try:
        if job.attempts > settings.IMPORT_ATTEMPTS:
            raise GivenUp(f"Its import did not end in {settings.IMPORT_ATTEMPTS} attempts.")
        outcome = import_one(plan=plan_of(job), name=archive.names[number], body=archive.read(number))
        counts = {"new": outcome.new, "known": not outcome.new, "accepted": outcome.accepted}
    except BeingDecoded:
        raise
    except Problem as problem:
        why, counts = problem.detail, {"refused": True}
    job.attempts = 1  # the next member has had no other attempt than this one
    with transaction.atomic():
        ours = _ours(job).update(
            done=number + 1,
            attempts=1,
            lease_until=timezone.now() + timedelta(seconds=settings.IMPORT_LEASE_S),
            **{name: F(name) + int(count) for name, count in counts.items()},
        )
        if ours and why:
            ImportRefusal.objects.create(job=job, name=shown(archive.names[number]), why=why[:300])
    return ours == 1


def _claim(job_id: UUID) -> ImportJob | None:
    now = timezone.now()
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=now)
    claimed = ImportJob.objects.filter(free, pk=job_id, state=ImportJob.State.WORKING).update(
        fence=F("fence") + 1, attempts=F("attempts") + 1, lease_until=now + timedelta(seconds=settings.IMPORT_LEASE_S)
    )
    # Who reads a higher number than it claimed has been overtaken already, which takes longer than a lease.
    return ImportJob.objects.get(pk=job_id) if claimed else None


def _ours(job: ImportJob) -> QuerySet[ImportJob]:
    # The fence: a worker that slept through its lease, or whose import was stopped, writes nothing.
    return ImportJob.objects.filter(pk=job.pk, state=ImportJob.State.WORKING, fence=job.fence)


def _release(job: ImportJob, pause: timedelta) -> None:
    _ours(job).update(attempts=0, lease_until=timezone.now() + pause if pause else None)


def _end(job: ImportJob, state: ImportJob.State, problem: str) -> None:
    _ours(job).update(state=state, problem=problem[:300], ended_at=timezone.now(), lease_until=None)


def untidy() -> list[str]:
    """Ended imports whose zip still lies in the store, and open ones that are older than IMPORT_KEEP_S."""
    late = Q(state__in=ImportJob.OPEN, confirmed_at__lt=timezone.now() - timedelta(seconds=settings.IMPORT_KEEP_S))
    ended = Q(pieces__gt=0) & ~Q(state__in=ImportJob.OPEN)
    return [str(job_id) for job_id in ImportJob.objects.filter(late | ended).values_list("id", flat=True)[:500]]


def tidy(*, job_id: UUID) -> None:
    """Stop an import that was left lying, and remove its zip."""
    job = ImportJob.objects.get(pk=job_id)
    if job.open and job.confirmed_at < timezone.now() - timedelta(seconds=settings.IMPORT_KEEP_S):
        stop(job=job, why="It did not end within a day. Import the same again: what is known is not taken twice.")
        job.refresh_from_db()
    if job.open:
        return
    for number in range(job.pieces + 1):  # one more: a process may have died between a piece and its row
        store().delete(key_of(job.pk, number))
    ImportJob.objects.filter(pk=job_id).update(pieces=0)


@contextmanager
def _opened(job: ImportJob) -> Iterator[Zip]:
    with io.BufferedReader(Pieces(job.pk, job.zip_bytes)) as file:
        yield Zip(file)
