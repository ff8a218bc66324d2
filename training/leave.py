"""EVALUATE → people: what a night leaves: figures, pictures, a model card, a description of its photos, a TensorBoard log.

Everything here is for people. So whatever cannot be made is noted and left out; only losing the run itself ends it (FencedOff).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from collector.models import Photo
from collector.objects import discard
from collector.storage import put_blob
from config.files import write_whole
from training import card, croissant, curves, pictures, runs, tracking
from training.account import Account, History, Origin, confusion_of
from training.models import Run, RunFile
from training.snapshot import Entry

KIND = "runs"  # in the store
BATCH = 1000  # photos a statement carries
TENSORBOARD = "events.out.tfevents.night"  # TensorBoard reads files whose name has "tfevents" in it
T = TypeVar("T")
R = TypeVar("R")
log = structlog.get_logger()


@dataclass(frozen=True)
class Made:
    """A file to leave, not yet stored."""

    name: str
    content_type: str
    data: bytes


@dataclass(frozen=True)
class Left:
    """Names of the files that lie there now, and what went otherwise than usual, a sentence each, for the run."""

    files: list[str]
    notes: list[str]


def leave(
    run: Run,
    *,
    reports: Mapping[str, Mapping[str, Any] | None],
    probabilities: np.ndarray,
    truth: np.ndarray,
    labels: Sequence[str],
    history: History,
    entries: Sequence[Entry],
    backbone: Mapping[str, Any],
    artifacts: Sequence[Mapping[str, Any]],
) -> Left:
    """Make the files of a night and keep them as rows; an earlier attempt's are replaced. Before the run is finished.

    `reports`: "float", "int8" and "incumbent" (or None) of training.evaluate.report; `probabilities` float [n, labels] of the
    int8 file on the n held-out photos with label indices `truth` [n]; `backbone`: "source", "digest", "alpha", "note";
    `artifacts`: "format", "sha256", "bytes" of each exported file. The row must have its snapshot, recipe, metrics and verdict.
    Raises FencedOff; every other failure becomes a note.
    """
    account = account_of(
        run, reports, confusion_of(probabilities, truth, len(labels)), labels, history, entries, backbone, artifacts
    )
    notes: list[str] = []
    made = [file for make in MAKERS if (file := _attempt(make, account, notes))]
    stored = [row for file in made if (row := _attempt(lambda file: _store(run, file), file, notes))]
    keep(run, stored)
    _attempt(lambda files: _tensorboard(run, files), made, notes)
    if settings.MLFLOW_TRACKING_URI:
        files = {file.name: file.data for file in made}
        server, token = settings.MLFLOW_TRACKING_URI, settings.MLFLOW_TRACKING_TOKEN
        notes.append(tracking.track(account, files, server=server, token=token, limit_s=settings.MLFLOW_LIMIT_S))
    return Left([row.name for row in stored], notes)


def keep(run: Run, files: Sequence[RunFile]) -> None:
    """Make `files` the run's only ones, and remove objects that nobody names any more. Raises FencedOff, changing nothing."""
    with transaction.atomic():
        runs.renew(run.pk, run.fence)
        before = set(RunFile.objects.filter(run=run).values_list("sha256", flat=True))
        RunFile.objects.filter(run=run).delete()
        RunFile.objects.bulk_create(files)
    for digest in before - {file.sha256 for file in files}:
        _discard(digest)


def account_of(
    run: Run,
    reports: Mapping[str, Mapping[str, Any] | None],
    confusion: np.ndarray,
    labels: Sequence[str],
    history: History,
    entries: Sequence[Entry],
    backbone: Mapping[str, Any],
    artifacts: Sequence[Mapping[str, Any]],
) -> Account:
    """Everything in one record; asks the database where the photos came from."""
    assert run.snapshot is not None  # a night has one before it trains
    return Account(
        slug=run.recognizer.slug,
        name=run.recognizer.name,
        slot=run.slot,
        began=(run.started_at or timezone.now()).timestamp(),
        snapshot=run.snapshot.digest,
        counts=run.snapshot.counts,
        origins=origins(entries),
        labels=labels,
        reports=reports,
        confusion=confusion,
        history=history,
        verdict=run.verdict,
        recipe=run.recipe,
        input_digest=run.input_digest,
        backbone=backbone,
        artifacts=artifacts,
        metrics=run.metrics,
    )


def origins(entries: Sequence[Entry]) -> list[Origin]:
    """Under which licence and consent the photos of a snapshot came, and by which way; most first; withdrawn ones too."""
    found: dict[tuple[str, str, str], int] = {}
    keys = iter(entry.photo for entry in entries)
    while batch := list(islice(keys, BATCH)):
        rows = Photo.objects.filter(pk__in=batch).order_by().values_list("licence", "consent_version", "source")
        for *origin, count in rows.annotate(photos=Count("pk")):
            key = (origin[0], origin[1], origin[2])
            found[key] = found.get(key, 0) + count
    return [Origin(*key, photos=count) for key, count in sorted(found.items(), key=lambda item: (-item[1], item[0]))]


# ---- the files ---------------------------------------------------------------------------------------------------
def _metrics(account: Account) -> Made:
    text = json.dumps(account.as_json(), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return Made("metrics.json", "application/json", text.encode())


def _curves(account: Account) -> Made | None:
    drawn = pictures.learning_curves(account)
    return None if drawn is None else Made("learning-curves.svg", "image/svg+xml", drawn)


def _confusion(account: Account) -> Made | None:
    drawn = pictures.confusion_matrix(account)
    return None if drawn is None else Made("confusion.svg", "image/svg+xml", drawn)


def _card(account: Account) -> Made:
    return Made("model-card.md", "text/markdown; charset=utf-8", card.model_card(account))


def _croissant(account: Account) -> Made:
    return Made("croissant.json", "application/ld+json", croissant.describe(account, url=settings.SITE_URL))


def _events(account: Account) -> Made:
    return Made(TENSORBOARD, "application/octet-stream", curves.event_file(account))


MAKERS: tuple[Callable[[Account], Made | None], ...] = (_metrics, _card, _croissant, _events, _curves, _confusion)


# ---- where they lie ----------------------------------------------------------------------------------------------
def folder_of(run: Run) -> Path:
    """Where this run's TensorBoard log lies on this machine: `tensorboard --logdir var/runs` shows all of them."""
    return Path(settings.VAR_DIR) / "runs" / f"{run.recognizer.slug}-{run.slot}" / "tensorboard"


def _store(run: Run, file: Made) -> RunFile:
    digest = put_blob(KIND, file.data)
    return RunFile(run=run, name=file.name, content_type=file.content_type, sha256=digest, bytes=len(file.data))


def _tensorboard(run: Run, files: Sequence[Made]) -> None:
    for file in files:
        if file.name == TENSORBOARD:
            folder = folder_of(run)
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(folder / file.name, file.data)


def _discard(digest: str) -> None:
    """Remove an object that no row names. A store that is away keeps it: the sweeper comes later."""
    try:
        discard(f"{KIND}/{digest}")
    except Exception:
        log.exception("an old file of a run was not removed", digest=digest)


def _attempt(work: Callable[[T], R], given: T, notes: list[str]) -> R | None:
    """`work(given)`; what it raises is logged and noted: no picture is worth a night."""
    try:
        return work(given)
    except Exception as error:
        name = getattr(given, "name", "") if isinstance(given, Made) else getattr(work, "__name__", "").strip("_")
        log.exception("a night leaves less", what=name)
        notes.append(f"It could not leave its {name or 'files'} ({type(error).__name__}).")
        return None
