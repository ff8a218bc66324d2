"""What an erasure's receipt says of models: the runs that learned from some snapshots, their releases, and when those left."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TypeVar

from django.db.models import QuerySet

from training.models import Release, Run, Snapshot

T = TypeVar("T")
BATCH = 500  # keys a statement carries


@dataclass(frozen=True)
class Learned:
    """Runs and releases, oldest first. `open`: some of it may still be, or become, a model that phones are offered."""

    runs: list[Run]
    releases: list[Release]

    @property
    def open(self) -> bool:
        unfinished = any(run.state not in Run.FINISHED for run in self.runs)
        return unfinished or any(release.left_at is None for release in self.releases)

    def free_at(self, since: datetime) -> datetime | None:
        """When the last release left, at the earliest `since`; None while one is offered or a run goes on."""
        return None if self.open else max([since, *(each.left_at for each in self.releases if each.left_at)])


def learned_from(snapshots: Sequence[str]) -> Learned:
    """What came of these snapshots (digests) until now. A run that took a new snapshot meanwhile is no longer among them."""
    runs = _with_followers([run for batch in _batches(snapshots) for run in _runs(batch)])
    releases = Release.objects.filter(run__in=[run.pk for run in runs]).select_related("recognizer")
    return Learned(sorted(runs, key=lambda run: run.pk), list(releases.order_by("recognizer", "version")))


def _with_followers(found: list[Run]) -> list[Run]:
    """And the runs that began with what these had learned, and those that began with theirs: they know of the photos too."""
    known = {run.pk: run for run in found}
    newest = list(known)
    while newest:
        followers = [
            run
            for batch in _batches(newest)
            for run in Run.objects.filter(started_from__in=batch).select_related("recognizer")
            if run.pk not in known
        ]
        known |= {run.pk: run for run in followers}
        newest = [run.pk for run in followers]
    return list(known.values())


def name(run: Run) -> str:
    return f"{run.recognizer.slug} {run.slot}"


def _runs(digests: Sequence[str]) -> QuerySet[Run]:
    return Run.objects.filter(snapshot__in=Snapshot.objects.filter(digest__in=digests)).select_related("recognizer")


def _batches(keys: Sequence[T]) -> Iterator[list[T]]:
    left = iter(keys)
    while batch := list(islice(left, BATCH)):
        yield batch
