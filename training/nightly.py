"""SNAPSHOT → FINE-TUNE → EVALUATE → EXPORT → GATE → RELEASE: one night, as the list of its steps.

Runs in a process of its own (`training.process`); whatever loads TensorFlow is imported where it is needed, so that a night
with nothing new ends within a second.
"""

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from collector.models import Photo
from collector.storage import MissingObject, store
from training import challenge, release, runs, snapshot
from training.backbone import Backbone, find_backbone
from training.errors import EmptySnapshot, NothingHeldOut, TooFewPhotos
from training.evaluate import classify, inputs_outputs, latency_ms, report
from training.gate import Verdict, judge
from training.images import INPUT_SPEC, Examples, Progress, load_examples
from training.models import Artifact, PhotoValue, Release, Run
from training.recipe import Recipe, pick
from training.value import knn_shapley

REFUSALS = (EmptySnapshot, TooFewPhotos, NothingHeldOut)  # nothing is broken, there is only nothing to learn yet
CALIBRATION_PHOTOS = 200  # for int8 ranges; more did not change them measurably and each costs a float inference


@dataclass(frozen=True)
class Plan:
    """What a night will do, before anything expensive is done."""

    entries: list[snapshot.Entry]
    classes: snapshot.Classes
    recipe: Recipe
    backbone: Backbone
    incumbent: Release | None


@dataclass(frozen=True)
class Photos:
    """The photos of tonight's classes, ready for the network."""

    train: Examples
    validation: Examples
    test: Examples


class Clock:
    """Records on the row which stage a run is at, and how many seconds each took."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        runs.advance(self.run, name)
        began = time.monotonic()
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.monotonic() - began, 2)


def night(run: Run, *, progress: Progress) -> None:
    """Carry out a claimed run to its end: released, or kept with the reason. Raises FencedOff when the run was lost."""
    clock = Clock(run)
    try:
        with clock.stage("snapshot"):
            plan = _plan(run)
        if _is_repetition(run):
            runs.finish(run, Run.State.KEPT, "No new photos since the last night, and the same recipe: nothing to learn.")
            return
        with clock.stage("photos"):
            plan, photos = _photos(run, plan, progress)
    except REFUSALS as refusal:
        runs.finish(run, Run.State.KEPT, f"{refusal.detail} The incumbent stays.")
        return

    with clock.stage("training"):
        from training.finetune import finetune

        labels = plan.classes.labels
        candidate = finetune(
            plan.recipe, plan.backbone, train=photos.train, validation=photos.validation, labels=labels, progress=progress
        )
    with clock.stage("exporting"):
        from training.export import export

        files = export(candidate.model, calibration=_evenly(photos.train.images, CALIBRATION_PHOTOS))
    with clock.stage("evaluating"):
        measured, probabilities = _evaluate(plan, photos.test, files, progress)
    with clock.stage("gate"):
        verdict = _judge(plan, photos.test, files, probabilities)
    with clock.stage("values"):
        _keep_values(run, candidate.embed, photos)

    facts = {
        "weights": plan.backbone.source,
        "note": plan.backbone.note,
        "seconds": clock.seconds,
        "history": candidate.history,
    }
    runs.write(run, metrics=measured | facts, verdict=verdict.as_json())
    if verdict.passed:
        runs.advance(run, "publishing")
        release.publish(
            run=run, artifacts=_exported(plan, files, measured), replaces=plan.incumbent, message=_news(plan, measured)
        )
    else:
        runs.finish(run, Run.State.KEPT, f"The gate refused the candidate. {verdict.reason()} {_news(plan, measured)}")
    _propose_challenge(run, plan, measured)


# ---- what to learn from, and with what ---------------------------------------------------------------------------
def _plan(run: Run) -> Plan:
    taken = snapshot.take(recognizer=run.recognizer)
    runs.write(run, snapshot=taken)
    entries = snapshot.read(taken)
    classes = snapshot.classes(entries, list(run.recognizer.labels.all()))
    backbone = find_backbone(settings.BACKBONE_WEIGHTS, decision_s=settings.DOWNLOAD_DECISION_S)
    recipe = pick(backbone.pretrained)
    # The classes too: another MIN_PHOTOS_PER_LABEL is another model of the same photos.
    facts = [taken.digest, recipe.digest(), backbone.digest, classes.labels]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    runs.write(run, recipe=recipe.as_json(), input_digest=digest)
    row = release.pointer(run.recognizer)
    return Plan(entries, classes, recipe, backbone, row.release if row else None)


def _is_repetition(run: Run) -> bool:
    ended = Run.objects.filter(recognizer=run.recognizer, state__in=(Run.State.RELEASED, Run.State.KEPT))
    last = ended.exclude(input_digest="").order_by("-finished_at").first()
    return last is not None and last.input_digest == run.input_digest


def _photos(run: Run, plan: Plan, progress: Progress) -> tuple[Plan, Photos]:
    """The plan's photos; as often as one was withdrawn since they were frozen, a new plan without it."""
    while True:
        try:
            return plan, _load(plan, progress)
        except MissingObject:
            again = _plan(run)
            if again.entries == plan.entries:
                raise  # not withdrawn: the store has lost it
            plan = again


def _load(plan: Plan, progress: Progress) -> Photos:
    index = {slug: position for position, slug in enumerate(plan.classes.labels)}

    def of(split: str) -> Examples:
        rows = [(e.photo, e.view, index[e.label]) for e in plan.entries if e.split == split and e.label in index]
        return load_examples(rows, read=store().get, size=plan.recipe.image_size, progress=progress)

    return Photos(of(Photo.Split.TRAIN), of(Photo.Split.VALIDATION), of(Photo.Split.TEST))


def _evenly(images: np.ndarray, most: int) -> np.ndarray:
    """At most `most` images, spread over all of them: which ones depends on the photos alone."""
    return images[np.unique(np.linspace(0, len(images) - 1, min(most, len(images))).astype(int))]


# ---- how good it is, by the exported bytes -----------------------------------------------------------------------
def _evaluate(plan: Plan, test: Examples, files: dict[str, bytes], progress: Progress) -> tuple[dict[str, Any], dict[str, Any]]:
    """(metrics, probabilities of "float32", "int8" and "incumbent"): each by running the file itself on the held-out photos."""
    incumbent = _comparable(plan)
    probabilities: dict[str, Any] = {name: classify(data, test.images, progress=progress) for name, data in files.items()}
    probabilities["incumbent"] = None
    if incumbent is not None:
        data = store().get(f"{release.KIND}/{incumbent.sha256}")
        probabilities["incumbent"] = classify(data, test.images, progress=progress)
    reports = {
        name: None if scores is None else report(scores, test.truth, plan.classes.labels)
        for name, scores in probabilities.items()
    }
    metrics = {
        "float": reports["float32"],
        "int8": reports["int8"],
        "incumbent": reports["incumbent"],
        "held_out": len(test),
        "float_bytes": len(files["float32"]),
        "int8_bytes": len(files["int8"]),
        "latency_ms": latency_ms(files["int8"]),
    }
    return metrics, probabilities


def _comparable(plan: Plan) -> Artifact | None:
    """The incumbent's int8 file, if the same held-out photos can be put to it: the same input size, and the same classes, to
    which new ones may have been added at the end.
    """
    artifact = _int8_of(plan.incumbent)
    if artifact is None or artifact.input_spec["width"] != plan.recipe.image_size:
        return None
    return artifact if plan.classes.labels[: len(artifact.labels)] == artifact.labels else None


def _int8_of(incumbent: Release | None) -> Artifact | None:
    """Of a published release: nobody has to be as good as a withdrawn one."""
    if incumbent is None or incumbent.state != Release.State.PUBLISHED:
        return None
    return incumbent.artifacts.filter(format=Artifact.Format.INT8).first()


def _judge(plan: Plan, test: Examples, files: dict[str, bytes], probabilities: dict[str, Any]) -> Verdict:
    return judge(
        float_probabilities=probabilities["float32"],
        int8_probabilities=probabilities["int8"],
        incumbent_probabilities=probabilities["incumbent"],
        truth=test.truth,
        labels=plan.classes.labels,
        io=inputs_outputs(files["int8"]),
    )


def _keep_values(run: Run, embed: Any, photos: Photos) -> None:
    """What each training photo was worth, judged on the validation photos; an earlier attempt's values are replaced."""
    values = knn_shapley(
        embed(photos.train.images), photos.train.truth, embed(photos.validation.images), photos.validation.truth
    )
    living = Photo.objects.filter(recognizer=run.recognizer).exclude(state=Photo.State.WITHDRAWN)
    there = {str(key) for key in living.values_list("pk", flat=True)}
    rows = [
        PhotoValue(run=run, photo_id=photo_id, value=float(value))
        for photo_id, value in zip(photos.train.ids, values, strict=True)
        if photo_id in there  # not withdrawn or deleted while the night ran
    ]
    with transaction.atomic():
        runs.renew(run.pk, run.fence)  # fenced: a process that lost its run replaces nobody's values
        PhotoValue.objects.filter(run=run).delete()
        PhotoValue.objects.bulk_create(rows, batch_size=1000)


# ---- what came of it ---------------------------------------------------------------------------------------------
def _exported(plan: Plan, files: dict[str, bytes], measured: dict[str, Any]) -> list[release.Exported]:
    spec, labels = INPUT_SPEC(plan.recipe.image_size), plan.classes.labels
    accuracy = {"float32": measured["float"]["accuracy"], "int8": measured["int8"]["accuracy"]}
    return [
        release.Exported(name, data, spec, labels, {"accuracy": accuracy[name], "held_out": measured["held_out"]})
        for name, data in files.items()
    ]


def _news(plan: Plan, measured: dict[str, Any]) -> str:
    """Accuracy, and everything about this candidate that is not as usual, in short sentences."""
    int8, incumbent = measured["int8"], measured["incumbent"]
    before = f", the incumbent {incumbent['accuracy']:.1%}" if incumbent else ""
    news = [f"int8 recognises {int8['accuracy']:.1%} of {measured['held_out']} held-out photos{before}."]
    artifact = _int8_of(plan.incumbent)
    if artifact and artifact.labels != plan.classes.labels:
        news.append(f"Its classes differ from {plan.incumbent}'s ({_difference(artifact.labels, plan.classes.labels)}).")
    if artifact and incumbent is None:
        news.append(f"It could not be compared with {plan.incumbent} on the same photos.")
    if plan.classes.dropped:
        news.append(f"Left out for too few training photos: {snapshot.too_few(plan.classes.dropped)}.")
    if plan.backbone.note:
        news.append(plan.backbone.note)
    return " ".join(news)


def _difference(old: list[str], new: list[str]) -> str:
    added, removed = [slug for slug in new if slug not in old], [slug for slug in old if slug not in new]
    parts = [f"{sign} {slug}" for sign, slugs in (("+", added), ("−", removed)) for slug in slugs]
    if not parts:
        return "another order"
    return ", ".join(parts[:6]) + (f" and {len(parts) - 6} more" if len(parts) > 6 else "")


def _propose_challenge(run: Run, plan: Plan, measured: dict[str, Any]) -> None:
    in_use = measured["int8"] if run.state == Run.State.RELEASED else measured["incumbent"] or measured["int8"]
    tomorrow = timezone.now().date() + timedelta(days=1)
    challenge.propose_weakest(recognizer=run.recognizer, day=tomorrow, report=in_use, unknown=plan.classes.dropped)
