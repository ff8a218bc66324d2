"""SNAPSHOT → FINE-TUNE → EVALUATE → EXPORT → GATE → RELEASE: one night, as the list of its steps.

Runs in a process of its own (`training.process`); whatever loads TensorFlow is imported where it is needed, so that a night
with nothing new ends within a second. What a step comes to is kept (`training.checkpoints`): a killed night goes on behind it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np
from django.conf import settings

from training import (
    checkpoints,
    cluster,
    coreml,
    distrust,
    finish,
    fitness,
    groups,
    motion,
    plan,
    probe,
    release,
    runs,
    tiers,
    weights,
)
from training.aftermath import Features, ask_for_tomorrow, doubt, tell_conditions, tell_first_sights, tell_worth
from training.checkpoints import Result
from training.choose import Choice, Tried, choose
from training.confidence import cooled
from training.errors import EmptySnapshot, NothingHeldOut, TooFewPhotos
from training.evaluate import classify, inputs_outputs, latency_ms, report
from training.formats import INT8, INT8_SMALL, LITERT
from training.gate import Check, Verdict, judge
from training.images import Progress
from training.incumbent import comparable
from training.models import Run
from training.outcome import exported, news, tell_people
from training.photos import Photos, ready, without
from training.plan import Plan
from training.recipe import Recipe
from training.seen import Seen

REFUSALS = (EmptySnapshot, TooFewPhotos, NothingHeldOut)  # nothing is broken, there is only nothing to learn yet
REFIT = "refit"
SAME_PHOTOS = 16  # that are put to a file again and again, to see whether it answers the same


class Clock:
    """Records on the row which stage a run is at, and how many seconds each took."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.seconds: dict[str, float] = {}
        self._began = time.monotonic()

    def elapsed(self) -> float:
        """Seconds since this attempt began."""
        return time.monotonic() - self._began

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        runs.advance(self.run, name)
        began = time.monotonic()
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.monotonic() - began, 2)


def night(run: Run, *, progress: Progress) -> None:
    """Carry out a claimed run to its end: released, or kept with the reason. Raises FencedOff when the run was lost."""
    clock, tonight = Clock(run), None
    try:
        with clock.stage("snapshot"):
            tonight = plan.make(run)
        if plan.is_repetition(run):
            runs.finish(run, Run.State.KEPT, "No new photos since the last night, and the same recipe: nothing to learn.")
            return
        _gather(run, clock)
        with clock.stage("photos"):
            tonight, photos = ready(run, tonight, progress)
        with clock.stage("suspects"):
            tonight = _trusting(run, tonight, photos)
            photos = without(tonight, photos)
    except REFUSALS as refusal:
        said = filter(None, [tonight.left_out if tonight else "", refusal.detail, "The incumbent stays."])
        runs.finish(run, Run.State.KEPT, " ".join(said))
        return
    with clock.stage("training"):
        tried = _try_all(run, tonight, photos, clock, progress)
        choice = _choose(tonight, photos, tried)
    reasons = [*filter(None, [tonight.left_out, photos.divided]), *choice.reasons, *_not_tried(tonight, tried)]
    known = _known(tonight, photos, tried, reasons, clock)
    runs.write(run, metrics=run.metrics | known)
    if choice.name is None:
        _dismiss()
        with clock.stage("evaluating"):
            tell_first_sights(run, tonight, [photos.train, photos.validation, photos.test])
            _keep_incumbent(run, tonight, photos.test, reasons)
        _tidy(run)
        return
    chosen = tried[choice.name]
    recipe = next(way for way in tonight.recipes if way.name == choice.name)
    with clock.stage("refit"):
        final = _refit(run, tonight, recipe, photos, progress) if recipe.refit else chosen
    _dismiss()
    with clock.stage("exporting"):
        files = _export(run, tonight, final, chosen, photos)
    with clock.stage("evaluating"):
        measured, probabilities = _evaluate(run, tonight, photos.test, files.arrays, progress)
    with clock.stage("gate"):
        arrays, measured = _with_small(photos, files.arrays, probabilities, measured)
        files = replace(files, arrays=arrays)
        verdict = _judge(tonight, photos, arrays, probabilities, known["history"], measured)
    with clock.stage("values"):
        features = Features(files.arrays["features of learnable"][: len(photos.train)], files.arrays["features of test"])
        tell_worth(run, tonight, photos.train, photos.test, features, probabilities["incumbent"], probabilities["int8"])
        tell_conditions(run, photos.test)
        tell_first_sights(run, tonight, [photos.train, photos.validation, photos.test])
    facts = {
        "temperature": round(chosen.facts["temperature"], 3),
        "export": files.facts,
        "cpu_seconds": round(time.process_time(), 1),
        "seconds": clock.seconds,
    }
    runs.write(run, metrics=run.metrics | measured | facts, verdict=verdict.as_json())
    if verdict.passed:
        with clock.stage("core ml"):
            files = _with_coreml(run, tonight, final, chosen, files)
    with clock.stage("files"):
        tell_people(run, tonight, photos.test, chosen.facts["history"], files.arrays, measured, probabilities)
    if verdict.passed:
        runs.advance(run, "publishing")
        weights.keep(run, _weights_of(chosen))
        artifacts = exported(tonight, recipe, files, measured)
        release.publish(run=run, artifacts=artifacts, replaces=tonight.incumbent, message=news(tonight, measured))
    else:
        runs.finish(run, Run.State.KEPT, f"The gate refused the candidate. {verdict.reason()} {news(tonight, measured)}")
    in_use = "int8" if run.state == Run.State.RELEASED or probabilities["incumbent"] is None else "incumbent"
    ask_for_tomorrow(run, tonight, photos.test, measured[in_use], probabilities[in_use])
    _tidy(run)


def _trusting(run: Run, tonight: Plan, photos: Photos) -> Plan:
    """The plan, once labels that look wrong are kept for moderators, without the accounts that sent most of them."""
    parts = [photos.train, photos.validation, photos.test]
    return distrust.decide(run, tonight, parts, doubt(run, tonight, parts))


# ---- other machines ----------------------------------------------------------------------------------------------
def _gather(run: Run, clock: Clock) -> None:
    """Train together with the machines of TF_CONFIG, where this is the first of them and all are there.

    A second attempt does without: whatever went wrong among machines goes wrong once. Here and not where training begins,
    because TensorFlow joins a cluster before it does anything else.
    """
    machines = cluster.parse(settings.TF_CONFIG)
    if machines is not None and machines.is_chief and run.fence == 1:
        with clock.stage(cluster.GATHERING):
            cluster.gather(machines)


def _announce(tonight: Plan, recipe: Recipe, *, refit: bool) -> None:
    """Have the other machines train this as well. Raises ReplicasDiffer, ReplicaLost."""
    if team := cluster.team():
        team.announce({"recipe": recipe.name, "refit": refit})
        team.agree(tonight.digest, plan.ABOUT)


def _dismiss() -> None:
    """Nothing more is trained tonight: the other machines may go."""
    if team := cluster.team():
        team.announce(None)


# ---- learning ----------------------------------------------------------------------------------------------------
def _try_all(run: Run, tonight: Plan, photos: Photos, clock: "Clock", progress: Progress) -> dict[str, Result]:
    """Way → what it came to. Beyond RUN_BUDGET_S no further way is begun; the first one always is.

    Each attempt has this budget: what an earlier one kept takes no time of it.
    """
    tried: dict[str, Result] = {}
    for recipe in tonight.recipes:
        if not tried or clock.elapsed() < settings.RUN_BUDGET_S:
            tried[recipe.name] = _train(
                run, f"training {recipe.name}", tonight, recipe, photos.train, photos.validation, progress
            )
    return tried


def _not_tried(tonight: Plan, tried: dict[str, Result]) -> list[str]:
    names = [recipe.name for recipe in tonight.recipes if recipe.name not in tried]
    minutes = settings.RUN_BUDGET_S / 60
    return [f"Not begun after {minutes:.0f} minutes (RUN_BUDGET_S): {', '.join(names)}."] if names else []


def _train(run: Run, stage: str, tonight: Plan, recipe: Recipe, train: Seen, validation: Seen, progress: Progress) -> Result:
    def work() -> Result:
        from training.finetune import finetune

        _announce(tonight, recipe, refit=stage.startswith(REFIT))
        candidate = finetune(
            recipe, tonight.start, train=train, validation=validation, labels=tonight.classes.labels, progress=progress
        )
        facts = {"history": candidate.history, "seconds": candidate.seconds, "temperature": candidate.temperature}
        return Result(facts, {"weights": np.frombuffer(weights.as_bytes(candidate.weights), np.uint8)})

    return checkpoints.stage(run, stage, tonight.digest, work)


def _weights_of(result: Result) -> weights.Weights:
    return weights.from_bytes(result.arrays["weights"].tobytes())


def _choose(tonight: Plan, photos: Photos, tried: dict[str, Result]) -> Choice:
    """Which way goes on; against what the incumbent's weights got right of the same photos when they had not learned them."""
    validation = photos.validation
    before = tonight.weights.judged if tonight.weights else {}
    rows = [index for index, photo in enumerate(validation.ids) if photo in before]
    compare = len(rows) >= len(validation.ids) / 2  # of fewer, the comparison would be about other photos
    used = rows if compare else list(range(len(validation.ids)))
    ways = []
    for name, result in tried.items():
        judged = _weights_of(result).judged
        right = np.array([judged[validation.ids[row]] for row in used])
        ways.append(Tried(name, right, sum(result.facts["seconds"].values())))
    incumbent = np.array([before[validation.ids[row]] for row in used]) if compare and before else None
    return choose(ways, incumbent, photos.scenes[used])


def _refit(run: Run, tonight: Plan, recipe: Recipe, photos: Photos, progress: Progress) -> Result:
    """The chosen way once more, with the validation photos among those it learns from."""
    return _train(run, f"{REFIT} {recipe.name}", tonight, recipe, photos.learnable, photos.validation, progress)


def _known(tonight: Plan, photos: Photos, tried: dict[str, Result], reasons: list[str], clock: "Clock") -> dict[str, Any]:
    """What the row says of a night before anything is exported."""
    return {
        "weights": tonight.backbone.source,
        "note": tonight.backbone.note,
        "photos": {"train": len(photos.train), "validation": len(photos.validation), "test": len(photos.test)},
        "looked_at": photos.made,
        "machines": team.size if (team := cluster.team()) else 1,
        "reasons": reasons,
        "history": {f"{name}: {key}": part for name, way in tried.items() for key, part in way.facts["history"].items()},
        "cpu_seconds": round(time.process_time(), 1),
        "seconds": clock.seconds,
    }


def _keep_incumbent(run: Run, tonight: Plan, test: Seen, reasons: list[str]) -> None:
    """End the night without an export; tomorrow's challenge follows from what phones have."""
    file = comparable(tonight, tonight.recipes[-1].image_size)
    if file is None:
        runs.finish(run, Run.State.KEPT, " ".join(reasons))
        return
    scores = classify(file, test.pixels)
    measured = report(scores, test.truth, tonight.classes.labels)
    runs.write(run, metrics=run.metrics | {"incumbent": measured, "held_out": len(test)})
    tell_conditions(run, test)
    runs.finish(run, Run.State.KEPT, " ".join(reasons))
    ask_for_tomorrow(run, tonight, test, measured, scores)


def _tidy(run: Run) -> None:
    """The night is over: nothing will be resumed, and older weights than those that the next night may begin with go."""
    checkpoints.clear(run)
    weights.forget_old(recognizer=run.recognizer)


# ---- the files ---------------------------------------------------------------------------------------------------
def _export(run: Run, tonight: Plan, final: Result, chosen: Result, photos: Photos) -> Result:
    """The LiteRT files, final to the byte, and how the network sees the photos (embed.Embedded) that it could learn from and
    those of the test: "features of learnable", "features of test" float16 [n, d], and "peaks of learnable" float16 [n, 2].

    How sure the files are is found with the chosen way's weights: a refit has learned the photos that would tell it.
    """

    def work() -> Result:
        from training.embed import embed

        used = finish.calibration_rows(photos.train.ids)
        ids, pixels = [photos.train.ids[row] for row in used], photos.train.pixels[used]
        facts: dict[str, Any] = {
            "recognizer": run.recognizer.slug,
            "run": run.slot,
            "snapshot": run.snapshot.digest if run.snapshot else "",
            "labels": tonight.classes.labels,
            "calibration": {"photos": len(ids), "sha256": finish.calibration_digest(ids, pixels)},
        }
        phones = motion.observed(recognizer=run.recognizer)
        finished = partial(_finished, tonight, final, chosen, facts=facts, livelier=phones.livelier if phones else None)
        network, classifier, done = finished(pixels, photos.validation)
        known = _told(done) | facts["calibration"] | ({"phones": asdict(phones)} if phones else {})
        arrays = {name: np.frombuffer(data, np.uint8) for name, data in done.files.items()}
        if size := tiers.side(pixels.shape[1]):
            held = replace(photos.validation, pixels=tiers.smaller(photos.validation.pixels, size))
            _, _, done = finished(tiers.smaller(pixels, size), held, name=INT8_SMALL.name)
            known |= {"small": _told(done) | {"pixels": size}}
            arrays[INT8_SMALL.name] = np.frombuffer(done.files[INT8_SMALL.name], np.uint8)
        parts = {"learnable": photos.learnable, "test": photos.test}
        seen = embed(network, classifier, tonight.recipes[-1].boundary, parts)
        arrays |= {f"features of {name}": found.features.astype(np.float16) for name, found in seen.items()}
        return Result(known, arrays | {"peaks of learnable": seen["learnable"].peaks.astype(np.float16)})

    return checkpoints.stage(run, "exporting", tonight.digest, work)


def _finished(
    tonight: Plan,
    final: Result,
    chosen: Result,
    calibration: np.ndarray,
    validation: Seen,
    *,
    facts: dict[str, Any],
    livelier: float | None,
    name: str = INT8.name,
) -> tuple[Any, Any, finish.Final]:
    """(network, head, final files) for an input as large as the pictures of `calibration` and `validation`; of a format `name`
    that is not int8, the int8 file alone goes by that name."""
    before = comparable(tonight, calibration.shape[1], name)
    network, classifier, files = _converted(final, chosen, calibration, before)
    judged_by = None if final is chosen else _converted(chosen, chosen, calibration, before)[2][INT8.name]
    done = finish.finish(
        files if name == INT8.name else {name: files[INT8.name]},
        judged_by=judged_by,
        photos=validation,
        labels=tonight.classes.labels,
        facts=facts,
        livelier=livelier,
        asked=name,
    )
    return network, classifier, done


def _told(done: finish.Final) -> dict[str, Any]:
    return {"confidence": done.confidence, "int8_temperature": round(done.temperature, 3)}


def _converted(
    trained: Result, chosen: Result, calibration: np.ndarray, before: bytes | None
) -> tuple[Any, Any, dict[str, bytes]]:
    """(network, head, LiteRT files) of trained weights, cooled by the chosen way's temperature; int8 near `before`."""
    from training.network import assemble, restored

    weights_ = _weights_of(trained)
    cold = replace(weights_, head=cooled(weights_.head, chosen.facts["temperature"]))
    network, classifier = restored(cold, calibration.shape[1])
    return network, classifier, finish.converted(assemble(network, classifier)[0], calibration=calibration, before=before)


def _with_coreml(run: Run, tonight: Plan, final: Result, chosen: Result, files: Result) -> Result:
    """The files with Core ML's beside them; without, where they could not be made, which the run notes."""
    facts = {
        "temperature": chosen.facts["temperature"],
        "labels": tonight.classes.labels,
        "about": {"recognizer": run.recognizer.slug, "run": run.slot, "confidence": files.facts["confidence"]},
    }
    made, note = coreml.packages(final.arrays["weights"].tobytes(), facts)
    if note:
        runs.write(run, metrics=run.metrics | {"coreml": note})
    return Result(files.facts, files.arrays | {name: np.frombuffer(data, np.uint8) for name, data in made.items()})


# ---- how good it is, by the exported bytes -----------------------------------------------------------------------
def _evaluate(
    run: Run, tonight: Plan, test: Seen, files: dict[str, np.ndarray], progress: Progress
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(metrics, probabilities of each LiteRT format, and of "incumbent" and "small incumbent" where there are such): each by
    running the file itself on the test photos."""
    small = INT8_SMALL.name

    def work() -> Result:
        arrays = {name: classify(files[name].tobytes(), test.pixels, progress=progress) for name in LITERT}
        incumbent = comparable(tonight, test.pixels.shape[1])
        if incumbent is not None:
            arrays["incumbent"] = classify(incumbent, test.pixels, progress=progress)
        latencies = {"latency_ms": latency_ms(files["int8"].tobytes())}
        if small in files:
            size = tiers.side(test.pixels.shape[1])
            pixels = tiers.smaller(test.pixels, size)
            arrays[small] = classify(files[small].tobytes(), pixels, progress=progress)
            if (incumbent := comparable(tonight, size, small)) is not None:
                arrays["small incumbent"] = classify(incumbent, pixels, progress=progress)
            latencies["small"] = latency_ms(files[small].tobytes())
        return Result(latencies, arrays)

    found = checkpoints.stage(run, "evaluating", tonight.digest, work)
    reports = {name: report(scores, test.truth, tonight.classes.labels) for name, scores in found.arrays.items()}
    metrics = {
        "float": reports["float32"],
        "float16": {name: reports["float16"][name] for name in ("n", "right", "accuracy", "interval")},
        "int8": reports["int8"],
        "incumbent": reports.get("incumbent"),
        "held_out": len(test),
        "float_bytes": len(files["float32"]),
        "int8_bytes": len(files["int8"]),
        "latency_ms": found.facts["latency_ms"],
        "small": None,
    }
    if small in files:
        told = {name: reports[small][name] for name in ("n", "right", "accuracy", "interval")}
        metrics["small"] = told | {"bytes": len(files[small]), "latency_ms": found.facts["small"]}
    return metrics, {"incumbent": None, "small incumbent": None, **found.arrays}


def _with_small(
    photos: Photos, files: dict[str, np.ndarray], probabilities: dict[str, Any], measured: dict[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(files, what is measured), without the file of the smaller input where slow phones would not be served by it."""
    name = INT8_SMALL.name
    if name not in files:
        return files, measured
    test, size = photos.test, tiers.side(photos.test.pixels.shape[1])

    def right(of: str) -> np.ndarray:
        return np.asarray(probabilities[of].argmax(axis=1) == test.truth)

    why = tiers.refused(
        right(INT8.name),
        right(name),
        right("small incumbent") if probabilities["small incumbent"] is not None else None,
        groups=[groups.cluster(group) for group in test.groups],
        same=fitness.same_answers(files[name].tobytes(), tiers.smaller(test.pixels[:SAME_PHOTOS], size)),
        latency_ms=(measured["latency_ms"], measured["small"]["latency_ms"]),
    )
    if not why:
        return files, measured
    kept = {key: array for key, array in files.items() if key != name}
    return kept, measured | {"small": measured["small"] | {"left_out": why}}


def _judge(
    tonight: Plan,
    photos: Photos,
    files: dict[str, np.ndarray],
    probabilities: dict[str, Any],
    history: dict[str, Any],
    measured: dict[str, Any],
) -> Verdict:
    int8 = files["int8"].tobytes()
    files_of = dict.fromkeys(settings.PHONE_TIERS, (len(int8), measured["latency_ms"]))
    if INT8_SMALL.name in files:
        small = len(files[INT8_SMALL.name]), measured["small"]["latency_ms"]
        files_of |= dict.fromkeys(INT8_SMALL.tiers, small)
    return judge(
        float_probabilities=probabilities["float32"],
        int8_probabilities=probabilities["int8"],
        incumbent_probabilities=probabilities["incumbent"],
        truth=photos.test.truth,
        labels=tonight.classes.labels,
        io=inputs_outputs(int8),
        groups=[groups.cluster(group) for group in photos.test.groups],
        history=history,
        further=[
            *fitness.budgets(files_of, tiers=settings.PHONE_TIERS),
            fitness.same_answers(int8, photos.test.pixels[:SAME_PHOTOS]),
            _probed(tonight, photos, int8, files["peaks of learnable"]),
        ],
    )


def _probed(tonight: Plan, photos: Photos, int8: bytes, peaks: np.ndarray) -> Check:
    """Does a small patch turn photos into one label? The incumbent says what is usual, `peaks` [n, 2] what parts of photos are
    tried."""
    before = comparable(tonight, photos.test.pixels.shape[1])
    learnable = photos.learnable  # also what was set aside to choose by: a refit learns it
    place = {photo: row for row, photo in enumerate(learnable.ids)}
    found = probe.probe(
        answer=partial(classify, int8),
        incumbent=partial(classify, before) if before else None,
        images=photos.test.pixels,
        truth=photos.test.truth,
        labels=tonight.classes.labels,
        candidates=probe.in_order([row for row in tonight.training.kept if row.photo in place]),
        load=lambda row: (learnable.pixels[place[row.photo]], peaks[place[row.photo]]),
        budget=settings.PROBE_INFERENCES,
    )
    return probe.as_check(found)
