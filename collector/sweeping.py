"""INTAKE, afterwards: removes objects that no row needs (collector.objects), left by a process that died between the two.

The store is looked at in parts: the objects of a kind whose digest begins with the same two hex digits, 4,000 of them at a
million photos; a kind of few objects is one part. Each part is a row that says when it is due, claimed by a conditional UPDATE.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog
from django.conf import settings
from django.utils import timezone

from collector.models import SweptFolder
from collector.objects import KINDS, discard, needed
from collector.storage import store
from config.files import PART

PREFIXES = [f"{number:02x}" for number in range(256)]
AT_ONCE = 32  # parts handed out by one look; every SWEEP_S seconds that is more than become due
log = structlog.get_logger()


@dataclass(frozen=True)
class Swept:
    """`seen`: objects listed; `removed`: keys that are gone now."""

    seen: int
    removed: list[str]


def parts() -> list[tuple[str, str]]:
    """All parts: kind and prefix, which is "" where the kind is one part."""
    return [(kind, prefix) for kind in KINDS for prefix in ([""] if KINDS[kind].few else PREFIXES)]


def due() -> list[str]:
    """Parts whose time has come, as "<kind>/<prefix>"; the first look of an installation spreads them over the period."""
    if SweptFolder.objects.filter(kind__in=KINDS).count() < len(parts()):
        _lay_out()
    rows = SweptFolder.objects.filter(kind__in=KINDS, due_at__lte=timezone.now()).order_by("due_at")[:AT_ONCE]
    return [f"{row.kind}/{row.prefix}" for row in rows]


def sweep_folder(*, folder: str) -> Swept | None:
    """Sweep one part if it is due and nobody else has it. A worker that dies leaves it due again after SWEEP_LEASE_S."""
    kind, _, prefix = folder.partition("/")
    now = timezone.now()
    lease = now + timedelta(seconds=settings.SWEEP_LEASE_S)
    row = SweptFolder.objects.filter(kind=kind, prefix=prefix)
    if not row.filter(due_at__lte=now).update(due_at=lease):
        return None
    swept = sweep(kind=kind, prefix=prefix, grace_s=settings.ORPHAN_GRACE_S)
    row.filter(due_at=lease).update(due_at=now + timedelta(seconds=settings.SWEEP_STORE_S))
    return swept


def sweep(*, kind: str, prefix: str, grace_s: float) -> Swept:
    """Remove what is older than `grace_s` seconds and named by no row, and what killed writers left unfinished.

    What comes in meanwhile is safe twice: `discard` looks again, and so does whoever writes the row (assure).
    """
    before = timezone.now() - timedelta(seconds=grace_s)
    listed = list(store().list(kind, prefix))
    old = [item.key for item in listed if item.written_at < before]
    named = needed(kind, prefix) if old else set()
    removed = []
    for key in old:
        digest = key.partition("/")[2]
        if digest.endswith(PART):
            store().delete(key)
            removed.append(key)
        # What is not named by a digest was not written by us.
        elif len(digest) == 64 and digest not in named and discard(key):
            removed.append(key)
    if removed:
        log.warning("removed what no row needs", kind=kind, prefix=prefix, objects=len(removed))
    return Swept(len(listed), removed)


def sweep_all(*, grace_s: float, progress: Callable[[int, int], None] = lambda done, total: None) -> Swept:
    """Every part, now."""
    every = parts()
    seen, removed = 0, list[str]()
    for done, (kind, prefix) in enumerate(every, start=1):
        swept = sweep(kind=kind, prefix=prefix, grace_s=grace_s)
        seen += swept.seen
        removed += swept.removed
        progress(done, len(every))
    return Swept(seen, removed)


def _lay_out() -> None:
    """Rows for all parts, due one after the other: a thousand looks at once would hold up the photos that come in."""
    every = sorted(parts(), key=lambda part: part[1])  # of one kind not all in a row
    step = timedelta(seconds=settings.SWEEP_STORE_S / len(every))
    first = timezone.now() + timedelta(seconds=settings.SWEEP_LEASE_S)
    rows = [SweptFolder(kind=kind, prefix=prefix, due_at=first + step * n) for n, (kind, prefix) in enumerate(every)]
    SweptFolder.objects.bulk_create(rows, ignore_conflicts=True)
