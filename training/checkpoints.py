"""The night's memory: what each stage came to, as one object in the store, so that a killed night goes on where it was."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import transaction

from collector.erasure import owe
from collector.storage import MissingObject, put_blob, store
from training import runs
from training.arrays import pack, unpack
from training.models import Checkpoint, Run

KIND = "checkpoints"
FORMAT = 3  # of what stages keep; whoever changes that raises it, and a night that an upgrade cut in two begins anew


@dataclass(frozen=True)
class Result:
    """What a stage came to: JSON-ready facts, and arrays by name."""

    facts: dict[str, Any]
    arrays: dict[str, np.ndarray]


def stage(run: Run, name: str, digest: str, work: Callable[[], Result]) -> Result:
    """The kept result of this stage, if it was done for the same input, which `digest` names (Plan.digest, of which FORMAT is a
    part); else do it and keep it. Raises FencedOff."""
    found = kept(run, name, digest)
    if found is None:
        found = work()
        _keep(run, name, digest, found)
    return found


def kept(run: Run, name: str, digest: str) -> Result | None:
    """The same where it was done, on whatever machine; None where it was not, or where the store lost it."""
    row = Checkpoint.objects.filter(run=run, stage=name, input_digest=digest).first()
    if row is None:
        return None
    try:
        data = store().get(f"{KIND}/{row.sha256}")
    except MissingObject:
        return None
    return Result(*unpack(data))


def left() -> list[int]:
    """Runs that have ended and still have checkpoints: their process died before it removed them, or they failed."""
    rows = Checkpoint.objects.filter(run__state__in=Run.FINISHED).order_by("run")
    return list(rows.values_list("run", flat=True).distinct())


def clear(run: Run) -> None:
    """Remove the run's checkpoints: it has ended."""
    with transaction.atomic():
        rows = Checkpoint.objects.filter(run=run)
        keys = [f"{KIND}/{digest}" for digest in rows.values_list("sha256", flat=True)]
        rows.delete()
        owe(keys)


def _keep(run: Run, name: str, input_digest: str, result: Result) -> None:
    digest = put_blob(KIND, pack(result.facts, result.arrays))
    with transaction.atomic():
        runs.renew(run.pk, run.fence)  # fenced: a process that lost its run leaves nothing behind
        before = list(Checkpoint.objects.filter(run=run, stage=name).values_list("sha256", flat=True))
        Checkpoint.objects.update_or_create(run=run, stage=name, defaults={"sha256": digest, "input_digest": input_digest})
        owe(f"{KIND}/{old}" for old in before)  # it may hold what was learned from a photo that was withdrawn since
