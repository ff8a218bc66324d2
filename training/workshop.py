"""SNAPSHOT … RELEASE for one person: how the photos stand, a night begun by hand and how far it is, and its files."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q

from collector.models import Photo, Recognizer
from training import formats, process, release, runs
from training.advice import Counted
from training.models import Artifact, Release, Run

# What each stage of a night (training.nightly) is for whoever waits; in their order.
STAGES = {
    "queued": "waiting for a worker",
    "starting": "starting",
    "snapshot": "listing the photos",
    "gathering": "waiting for other machines",
    "photos": "looking at the photos",
    "suspects": "looking for wrong labels",
    "training": "learning",
    "refit": "learning once more, from all photos",
    "exporting": "writing the files",
    "evaluating": "trying them on held-out photos",
    "gate": "judging",
    "values": "asking what each photo was worth",
    "files": "writing the report",
    "publishing": "publishing",
}
LABELS_FILE = "labels.txt"


@dataclass(frozen=True)
class Progress:
    """Where a run is: `says` for people; `done` of `total` of the step, 0 of 0 where nobody counts."""

    says: str
    done: int
    total: int
    ended: bool


def counted(recognizer: Recognizer) -> list[Counted]:
    """Every label in its order, with its photos and what the newest judged night made of it."""
    accepted = Q(photos__state=Photo.State.ACCEPTED)
    labels = list(
        recognizer.labels.annotate(
            accepted=Count("photos", filter=accepted),
            different=Count("photos__cluster", filter=accepted, distinct=True),
        )
    )
    waiting = dict(
        Photo.objects.filter(recognizer=recognizer, state=Photo.State.PENDING)
        .order_by()
        .values_list("claimed")
        .annotate(n=Count("pk"))
    )
    judged, names = _judged(recognizer), {label.slug: label.name for label in labels}
    found = []
    for label in labels:
        line = judged.get("per_label", {}).get(label.slug, {})
        taken = [pair for pair in judged.get("confusions", []) if pair["truth"] == label.slug]
        taken_for = max(taken, key=lambda pair: pair["n"])["predicted"] if taken else ""
        found.append(
            Counted(
                label.name,
                label.accepted,
                label.different,
                waiting.get(label.pk, 0),
                line.get("n", 0),
                line.get("right", 0),
                names.get(taken_for, ""),
            )
        )
    return found


def begin(recognizer: Recognizer) -> tuple[Run, bool]:
    """The recognizer's run that is under way, or a new one by hand; and whether it is new."""
    return runs.open_slot(recognizer=recognizer, slot=runs.slot_for_now(recognizer))


def newest(recognizer: Recognizer) -> Run | None:
    """The run that was begun last."""
    return Run.objects.filter(recognizer=recognizer).select_related("recognizer").order_by("-queued_at", "-pk").first()


def progress(run: Run) -> Progress:
    """How far a run is, as its row and, on this machine, its log tell."""
    if run.state in Run.FINISHED:
        return Progress(run.message, 1, 1, True)
    if run.state == Run.State.QUEUED:
        return Progress(STAGES["queued"], 0, 0, False)
    says = STAGES.get(run.stage, run.stage)
    step = process.last_progress(run)
    if step is None:
        return Progress(says, 0, 0, False)
    return Progress(f"{says}: {step[0]}", step[1], step[2], False)


def offered(recognizer: Recognizer) -> Release | None:
    """The release that all phones of the stable channel get or will get."""
    pointer = release.pointer(recognizer)
    return pointer.release if pointer else None


def file_name(model: Release, artifact: Artifact) -> str:
    """What a downloaded file is called: "coins-v3-int8.tflite"."""
    return f"{model}".replace(" ", "-") + f"-{artifact.format}{formats.named(artifact.format).ending}"


def _judged(recognizer: Recognizer) -> dict[str, Any]:
    """What the newest night that ran a file on held-out photos found: int8's report, or the incumbent's."""
    for run in Run.objects.filter(recognizer=recognizer, state__in=Run.FINISHED).order_by("-queued_at", "-pk")[:10]:
        if found := run.metrics.get("int8") or run.metrics.get("incumbent"):
            return dict(found)
    return {}
