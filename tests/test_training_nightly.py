"""The night: what ends it early, and the whole of it with a real, small network in a process of its own."""

import dataclasses
import datetime as dt
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from clients.manifest import Offer
from collector import second_looks
from collector.models import Challenge, Photo
from collector.moderation import decide
from collector.storage import store
from collector.volunteers import register
from tests.nights import COLOURS, accepted, claimed, coin, collected, mean_colours
from training import (
    benchmarks,
    canaries,
    challenge,
    distrust,
    evaluate,
    frames,
    groups,
    manifest,
    metadata,
    motion,
    network,
    nightly,
    photos,
    plan,
    process,
    release,
    runs,
    snapshot,
    weights,
)
from training.formats import LITERT
from training.images import INPUT_SPEC
from training.models import PhotoValue, Release, Run
from training.recipe import from_scratch


def silent(step: str, done: int, total: int) -> None:
    """Progress that nobody looks at."""


# ---- nights that end before anything is trained ------------------------------------------------------------------
def test_an_empty_night_keeps_the_incumbent_and_says_so(recognizer):
    run = claimed(recognizer)
    nightly.night(run, progress=silent)
    run.refresh_from_db()
    assert (run.state, run.stage, run.snapshot) == (Run.State.KEPT, "snapshot", None)
    assert run.message == "Coins has no accepted photo. Accept some in the review queue. The incumbent stays."


def test_a_night_with_too_few_photos_keeps_the_incumbent_and_counts_them(recognizer, volunteer):
    for _ in range(4):
        accepted(recognizer, volunteer, "gold")
    run = claimed(recognizer)
    nightly.night(run, progress=silent)
    run.refresh_from_db()
    assert run.state == Run.State.KEPT
    assert run.message == (
        "Each label needs 3 training photos, and only 1 of 3 has them: copper (0), silver (0). The incumbent stays."
    )
    assert run.snapshot.photos == 4  # what was there is on record


def finished_with_input_of(run: Run, state: Run.State) -> Run:
    """An earlier night with the same input."""
    plan.make(run)
    runs.finish(run, state, "An earlier night.")
    return run


def test_a_night_without_new_photos_trains_nothing(recognizer, volunteer):
    collected(recognizer, volunteer)
    before = finished_with_input_of(claimed(recognizer, "1"), Run.State.RELEASED)
    run = claimed(recognizer, "2")
    nightly.night(run, progress=silent)
    run.refresh_from_db()
    assert (run.state, run.input_digest) == (Run.State.KEPT, before.input_digest)
    assert run.message.startswith("No new photos since the last night")
    assert run.stage == "snapshot"


def repeats(recognizer) -> bool:
    """Would a night that begins now be a repetition?"""
    run = claimed(recognizer, f"slot {Run.objects.count()}")
    plan.make(run)
    answer = plan.is_repetition(run)
    runs.finish(run, Run.State.FAILED, "Only asked.")
    return answer


def test_what_makes_a_night_new(recognizer, volunteer, settings):
    photos = collected(recognizer, volunteer)
    finished_with_input_of(claimed(recognizer, "1"), Run.State.KEPT)
    assert repeats(recognizer)
    settings.MIN_PHOTOS_PER_LABEL = 2
    assert repeats(recognizer)  # the same classes come of it
    extra = accepted(recognizer, volunteer, "gold")
    assert not repeats(recognizer)
    Photo.objects.filter(pk=extra.pk).update(state=Photo.State.WITHDRAWN)
    assert repeats(recognizer)
    Photo.objects.filter(pk=photos[0].pk).update(label=recognizer.labels.get(slug="gold"))
    assert not repeats(recognizer)


def test_a_failed_night_is_tried_again_with_the_same_photos(recognizer, volunteer):
    collected(recognizer, volunteer)
    finished_with_input_of(claimed(recognizer, "1"), Run.State.FAILED)
    assert not repeats(recognizer)


# ---- tomorrow's challenge ----------------------------------------------------------------------------------------
def line(right: int, n: int, low: float) -> dict:
    return {"n": n, "right": right, "recall": right / n if n else None, "interval": [low, 1.0]}


REPORT = {"per_label": {"copper": line(9, 10, 0.6), "silver": line(5, 10, 0.2), "gold": line(0, 0, 0.0)}}


def test_tomorrow_asks_for_the_label_that_is_recognised_worst(recognizer):
    made = challenge.propose_weakest(recognizer=recognizer, day=dt.date(2026, 11, 23), report=REPORT, unknown={})
    assert [label.slug for label in made.labels.all()] == ["silver"]
    assert made.prompt == "Find Silver in dim light."
    assert made.proposed_because == "The model recognised Silver in 5 of 10 held-out photos."


def test_a_label_the_model_could_not_learn_is_the_weakest_of_all(recognizer):
    made = challenge.propose_weakest(recognizer=recognizer, day=dt.date(2026, 11, 23), report=REPORT, unknown={"gold": 2})
    assert [label.slug for label in made.labels.all()] == ["gold"]
    assert made.proposed_because == "The model cannot know Gold yet: it has 2 photos to learn from."


def test_an_editors_challenge_stands(recognizer):
    day = dt.date(2026, 11, 23)
    chosen = Challenge.objects.create(recognizer=recognizer, day=day, setting="at sea", prompt="Find gold at sea.")
    assert challenge.propose_weakest(recognizer=recognizer, day=day, report=REPORT, unknown={}) == chosen
    assert Challenge.objects.get().prompt == "Find gold at sea."


# ---- the command -------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_the_command_runs_tonights_slot_then_numbered_ones(recognizer, capsys):
    call_command("nightly", "--recognizer", "coins")
    assert "no accepted photo" in capsys.readouterr().out
    call_command("nightly", "--recognizer", "coins")
    day = runs.slot_for_tonight()
    assert set(Run.objects.values_list("slot", flat=True)) == {day, f"{day}.2"}
    with pytest.raises(CommandError, match=r"kept the incumbent.* Leave --slot out"):
        call_command("nightly", "--recognizer", "coins", "--slot", day)


def test_the_command_names_the_recognizers_there_are(recognizer):
    with pytest.raises(CommandError, match="There are: coins"):
        call_command("nightly", "--recognizer", "stamps")


# ---- whole nights, with networks that were trained before --------------------------------------------------------
DATA = Path(__file__).parent / "data"
SMALL = dataclasses.replace(from_scratch(), image_size=32, view_size=32, source_size=32)


SMALLER = 16  # pixels of what slow phones get, where a test asks for it


def resized(file: bytes) -> bytes:
    """The same network with an input of SMALLER pixels: it takes the mean colour."""
    model = metadata.opened(file)
    for tensor in model.subgraphs[0].tensors:
        if list(tensor.shape) == [1, 32, 32, 3]:
            tensor.shape = np.array([1, SMALLER, SMALLER, 3], np.int32)
    return metadata.written(model)


@pytest.fixture
def candidate(monkeypatch):
    """`candidate("good")`: from now on nights "train" this network: everything but fine-tuning and converting is real.
    `candidate("good", small="collapsed")`: with a smaller input it answers like that one.

    tests/data holds what `training.export` made of mean colour → dense → softmax: "good" was fitted to `coin`s of 32 pixels,
    "collapsed" gives one answer to everything.
    """
    monkeypatch.setattr(plan, "ways", lambda backbone, *, long, again: [SMALL])

    def choose(name: str, small: str = "") -> None:
        def finetune(recipe, start, *, train, validation, labels, progress):
            fit = weights.Fit(start.backbone.digest, start.backbone.digest, 0.35, 32, labels)
            judged = dict.fromkeys(validation.ids, True)
            trained = weights.Weights(fit, [np.zeros(1, np.float32)], [np.ones(1, np.float32)], judged)
            temperature = 0.5 if len(validation.ids) and validation.ids[0] not in train.ids else 9.0  # 9: of a refit
            return SimpleNamespace(weights=trained, history={"loss": [1.0]}, seconds={"all": 1.0}, temperature=temperature)

        files = {kind: (DATA / f"{name}-{kind}.tflite").read_bytes() for kind in ("float32", "int8")}
        files["float16"] = files["float32"]
        others = {kind: resized((DATA / f"{small or name}-{kind}.tflite").read_bytes()) for kind in ("float32", "int8")}
        others["float16"] = others["float32"]
        sizes = {32: files, SMALLER: others}
        export = SimpleNamespace(export=lambda model, *, calibration: sizes[calibration.shape[1]])
        start = lambda backbone, weights: SimpleNamespace(backbone=backbone, weights=weights)  # noqa: E731
        monkeypatch.setitem(sys.modules, "training.finetune", SimpleNamespace(finetune=finetune, Start=start))
        monkeypatch.setitem(sys.modules, "training.export", export)
        monkeypatch.setitem(sys.modules, "training.embed", SimpleNamespace(embed=mean_colours))
        monkeypatch.setattr(network, "restored", lambda weights, size=0: (weights, weights))
        monkeypatch.setattr(network, "assemble", lambda *parts: parts)

    return choose


def nights(recognizer, slot: str) -> Run:
    run = claimed(recognizer, slot)
    nightly.night(run, progress=silent)
    return Run.objects.get(pk=run.pk)


def test_training_photos_that_are_set_aside_to_choose_by_are_probed_as_well(recognizer, volunteer, candidate, settings):
    settings.PROBE_INFERENCES, settings.VALIDATION_LEAST = 2000, 0.5
    candidate("good")
    collected(recognizer, volunteer, train=12, held=0)
    for label in ("copper", "silver", "gold"):
        for _ in range(12):
            accepted(recognizer, volunteer, label, "test")
    run = nights(recognizer, "1")
    assert run.state == Run.State.RELEASED, run.message
    assert run.metrics["photos"] == {"train": 18, "validation": 18, "test": 36}
    probed = next(check for check in run.verdict["checks"] if check["name"] == "planted patch")
    assert probed["value"] != "–"


def test_a_good_candidate_is_released_with_all_that_a_night_leaves(recognizer, volunteer, candidate):
    candidate("good")
    collected(recognizer, volunteer, train=5, held=12)
    run = nights(recognizer, "1")
    assert run.state == Run.State.RELEASED, run.message
    assert run.message.startswith("Released coins v1. int8 recognises ")
    assert run.verdict["passed"]
    metrics = run.metrics
    assert (metrics["held_out"], metrics["incumbent"], metrics["weights"]) == (36, None, "random")
    assert set(metrics["seconds"]) == {
        "snapshot",
        "photos",
        "suspects",
        "training",
        "refit",
        "exporting",
        "evaluating",
        "gate",
        "core ml",
        "values",
    }
    made = Release.objects.get()
    assert made.run == run
    assert metrics["int8_bytes"] == made.artifacts.get(format="int8").bytes
    assert metrics["float_bytes"] == made.artifacts.get(format="float32").bytes
    assert {artifact.format for artifact in made.artifacts.all()} == {*LITERT, "canaries"}
    for artifact in made.artifacts.exclude(format="canaries"):
        told = metadata.read(store().get(f"blobs/{artifact.sha256}"))
        assert (told["format"], told["run"], told["input"]) == (artifact.format, "1", artifact.input_spec)
        assert told["labels"] == artifact.labels == ["copper", "silver", "gold"]
        assert told["calibration"] == {"photos": 15, "sha256": metrics["export"]["sha256"]}
        assert artifact.metrics["held_out"] == 36
    phones = made.artifacts.get(format="int8")
    assert told["confidence"] == phones.answers["confidence"] == metrics["export"]["confidence"]
    assert phones.answers["canaries"] == canaries.expected(store().get(f"blobs/{phones.sha256}"), 32)
    values = PhotoValue.objects.filter(run=run)
    assert values.count() == 15
    assert set(values.values_list("photo__split", flat=True)) == {"train"}
    tomorrow = timezone.now().date() + dt.timedelta(days=1)
    assert Challenge.objects.get(day=tomorrow).proposed_because.startswith("The model recognised ")


def test_files_are_as_sure_as_photos_to_choose_by_allow_and_the_next_night_begins_with_the_weights_as_they_were(
    recognizer, volunteer, candidate, monkeypatch
):
    candidate("good")
    monkeypatch.setattr(plan, "ways", lambda backbone, *, long, again: [dataclasses.replace(SMALL, refit=True)])
    exported = []
    monkeypatch.setattr(network, "restored", lambda given, size=0: exported.append(given) or (given, given))
    collected(recognizer, volunteer, train=5, held=12)
    run = nights(recognizer, "1")
    assert run.metrics["temperature"] == 0.5  # not the refit's, which has learned these photos
    assert [given.head[0].tolist() for given in exported] == [[2.0], [2.0]]  # the refit's, and the chosen way's
    assert weights.load(run.weights_sha256).head[0].tolist() == [1.0]


def test_a_worse_candidate_leaves_the_incumbent_where_it_is(recognizer, volunteer, candidate):
    candidate("good")
    collected(recognizer, volunteer, train=5, held=12)
    good = nights(recognizer, "1")
    candidate("collapsed")
    accepted(recognizer, volunteer, "gold")
    worse = nights(recognizer, "2")
    assert worse.state == Run.State.KEPT
    assert worse.message.startswith("The gate refused the candidate. It answers the same label to every photo: it collapsed.")
    assert worse.metrics["incumbent"] == good.metrics["int8"]  # the same bytes on the same photos
    refused = {check["name"] for check in worse.verdict["checks"] if not check["passed"]}
    assert {"loss against the incumbent", "labels it answers"} <= refused
    assert release.pointer(recognizer).release.run == good
    assert not worse.artifacts.exists()


def test_an_as_good_candidate_is_released_over_the_incumbent(recognizer, volunteer, candidate):
    candidate("good")
    collected(recognizer, volunteer, train=5, held=12)
    nights(recognizer, "1")
    accepted(recognizer, volunteer, "gold")
    second = nights(recognizer, "2")
    assert second.message.startswith("Released coins v2. ")
    assert "the incumbent" in second.message
    row = release.pointer(recognizer)
    assert (row.release.version, row.previous.version) == (2, 1)


def test_frames_are_joined_as_phones_that_have_the_release_before_say_they_must_be(
    recognizer, volunteer, candidate, monkeypatch
):
    candidate("good")
    collected(recognizer, volunteer, train=5, held=12)
    first = nights(recognizer, "1")
    assert "phones" not in first.metrics["export"]
    file = Release.objects.get().artifacts.get(format="int8")
    file.answers["confidence"]["frames"]["restless"] = 0.02
    file.save()
    for number in range(motion.DEVICES_LEAST):
        benchmarks.report(
            recognizer=recognizer,
            artifact_sha256=file.sha256,
            version=1,
            device=f"device-{number}",
            address=f"10.{number}.0.1",
            latency_ms=10.0,
            frames=1000,
            frame_changes=50,
        )
    asked, tune = [], frames.tune
    monkeypatch.setattr(frames, "tune", lambda *given, livelier, **more: asked.append(livelier) or tune(*given, **more))
    accepted(recognizer, volunteer, "gold")
    second = nights(recognizer, "2")
    assert second.metrics["export"]["phones"] == {"livelier": pytest.approx(2.5), "devices": motion.DEVICES_LEAST, "version": 1}
    assert asked == [pytest.approx(2.5)]


@pytest.fixture
def slow_phones(settings, monkeypatch):
    """Slow phones get a file of their own; how fast a file is goes by its input here, and not by the moment."""
    settings.TIER_LOW_PIXELS = SMALLER
    monkeypatch.setattr(nightly, "latency_ms", lambda file: float(evaluate.inputs_outputs(file)["input"]["shape"][1]))


def test_slow_phones_get_a_file_with_a_smaller_input_that_says_how_sure_it_is_itself(
    recognizer, volunteer, candidate, slow_phones
):
    candidate("good")
    collected(recognizer, volunteer, train=5, held=12)
    run = nights(recognizer, "1")
    assert run.metrics["small"] | {"n": 36, "latency_ms": 16.0} == run.metrics["small"]
    assert "Slow phones get a file with a smaller input, which recognises 100.0%." in run.message
    row = release.pointer(recognizer)
    files = {artifact.format: artifact for artifact in row.release.artifacts.all()}
    small, usual = files["int8-small"], files["int8"]
    assert small.input_spec == INPUT_SPEC(SMALLER) and small.metrics["executed"] is True
    data = store().get(f"blobs/{small.sha256}")
    told = metadata.read(data)
    assert (told["format"], told["input"], told["confidence"]) == (
        "int8-small",
        INPUT_SPEC(SMALLER),
        small.answers["confidence"],
    )
    assert small.answers["canaries"] == canaries.expected(data, SMALLER)
    budget = {check["name"]: check["value"] for check in run.verdict["checks"] if check["name"].startswith("budget")}
    assert budget["budget of low phones"].endswith(" 16.0 ms") and budget["budget of high phones"].endswith(" 32.0 ms")
    offered = manifest.payload(row, row.release, now=0)
    assert [(each["format"], each.get("tiers")) for each in offered["artifacts"] if "tiers" in each] == [
        ("int8-small", ["low"])
    ]
    assert {tier: Offer.of(offered, tier=tier).sha256 for tier in ("low", "high", "")} == {
        "low": small.sha256,
        "high": usual.sha256,
        "": usual.sha256,
    }
    assert Offer.of(offered, tier="low").size == SMALLER


def test_a_smaller_input_that_recognises_too_little_is_left_out_and_the_rest_is_released(
    recognizer, volunteer, candidate, slow_phones
):
    candidate("good", small="collapsed")
    collected(recognizer, volunteer, train=5, held=12)
    run = nights(recognizer, "1")
    assert run.state == Run.State.RELEASED
    assert run.metrics["small"]["left_out"].startswith("The smaller input costs 66.7% (")
    assert "Slow phones: The smaller input costs" in run.message
    assert not release.pointer(recognizer).release.artifacts.filter(format="int8-small").exists()


def test_slow_phones_keep_nothing_worse_than_what_they_have(recognizer, volunteer, candidate, slow_phones, settings):
    settings.TIER_LOW_LOSS_PERCENT = 100
    candidate("good")
    collected(recognizer, volunteer, train=5, held=12)
    nights(recognizer, "1")
    candidate("good", small="collapsed")
    accepted(recognizer, volunteer, "gold")
    second = nights(recognizer, "2")
    assert second.state == Run.State.RELEASED
    assert second.metrics["small"]["left_out"].startswith("It recognises 66.7% (")


def test_a_candidate_of_other_classes_is_not_compared_and_says_so(recognizer, volunteer, candidate):
    candidate("good")
    collected(recognizer, volunteer, train=5, held=12)
    old = release.Exported("int8", b"never run", INPUT_SPEC(32), ["copper", "bronze", "gold"], {})
    release.publish(run=claimed(recognizer, "0"), artifacts=[old], replaces=None, message="")
    run = nights(recognizer, "1")
    assert run.state == Run.State.RELEASED
    assert "Its classes differ from coins v1's (+ silver, − bronze)." in run.message
    assert "It could not be compared with coins v1 on the same photos." in run.message


def test_labels_that_were_left_out_are_named_and_asked_for(recognizer, volunteer, candidate):
    from collector.models import Label

    Label.objects.create(recognizer=recognizer, slug="tin", name="Tin", position=3)
    candidate("good")
    collected(recognizer, volunteer, train=5, held=12)
    run = nights(recognizer, "1")
    assert run.message.endswith("Left out for too few training photos: tin (0).")
    assert [label.slug for label in Challenge.objects.get().labels.all()] == ["tin"]


def test_a_rollback_during_the_night_is_not_undone_by_it(recognizer, volunteer, candidate, monkeypatch):
    candidate("good")
    collected(recognizer, volunteer, train=5, held=12)
    nights(recognizer, "1")
    accepted(recognizer, volunteer, "gold")
    nights(recognizer, "2")
    accepted(recognizer, volunteer, "gold")
    run = claimed(recognizer, "3")
    during = nightly.judge

    def judge_while_an_operator_rolls_back(**facts):
        release.rollback(recognizer=recognizer)
        return during(**facts)

    monkeypatch.setattr(nightly, "judge", judge_while_an_operator_rolls_back)
    assert process.execute(run.pk, run.fence, lambda held: nightly.night(held, progress=silent)) == process.FAILED
    run.refresh_from_db()
    assert run.message.startswith("It failed at “publishing”: stable no longer offers coins v2.")
    assert release.pointer(recognizer).release.version == 3
    assert Release.objects.count() == 3


# ---- accounts that are not learned from --------------------------------------------------------------------------
@pytest.fixture
def looking(monkeypatch, candidate):
    """Nights that have features of an untrained network (the mean colour) and learn once more with the photos to choose by.

    Gives (way, ids learned from, ids chosen by) of each training as it comes.
    """
    candidate("good")
    monkeypatch.setattr(plan, "ways", lambda backbone, *, long, again: [dataclasses.replace(SMALL, refit=True)])
    monkeypatch.setattr(plan.Plan, "cached", property(lambda tonight: True))
    monkeypatch.setattr(photos, "_trunk", lambda run, tonight, recipe: None)
    monkeypatch.setattr(photos.looks, "forget_others", lambda trunk: 0)

    def from_cache(trunk, wanted, recipe, *, held_out, progress):
        seen = photos.from_pictures(wanted, recipe, held_out=held_out, progress=progress)
        return dataclasses.replace(seen, features=seen.pixels.mean(axis=(1, 2)).astype(np.float16)), len(seen)

    monkeypatch.setattr(photos, "from_cache", from_cache)
    really, trained = sys.modules["training.finetune"].finetune, []

    def finetune(recipe, start, *, train, validation, labels, progress):
        trained.append((recipe.name, list(train.ids), list(validation.ids)))
        return really(recipe, start, train=train, validation=validation, labels=labels, progress=progress)

    monkeypatch.setattr(sys.modules["training.finetune"], "finetune", finetune)
    return trained


@pytest.fixture
def lied(recognizer, looking):
    """Four honest accounts, photos of which all splits have some, and one that calls each thing something else: its photos."""
    honest = {"train": (10, 10), "validation": (6,), "test": (12,)}
    for split, counts in honest.items():
        for each in counts:
            sender = register(consent=True, handle=None, address="192.0.2.1")[0]
            for label in COLOURS:
                for _ in range(each):
                    accepted(recognizer, sender, label, split, source="phone")
    liar = register(consent=True, handle=None, address="192.0.2.1")[0]
    says = {"copper": "silver", "silver": "gold", "gold": "copper"}
    return [
        accepted(recognizer, liar, says[label], split, source="phone", data=coin(label, seed))
        for label in COLOURS
        for seed, split in enumerate(["train", "train", "train", "train", "validation", "test"])
    ]


def test_what_a_liar_sent_is_neither_learned_from_nor_chosen_by_and_the_run_says_so(recognizer, lied, looking):
    run = nights(recognizer, "1")
    assert run.state == Run.State.RELEASED, run.message
    theirs = {str(photo.pk) for photo in lied}
    assert [(len(train), len(validation)) for _, train, validation in looking] == [(60, 18), (78, 18)]  # and the refit
    assert not any(theirs & {*train, *validation} for _, train, validation in looking)
    told = run.metrics["distrusted"]
    assert (told["accounts"], told["photos"]) == (1, 18) and 12 <= told["suspects"] <= 18
    said = f"One account's photos (18) were not learned from: {told['suspects']} of them look mislabelled; "
    said += "look at them in the queue."
    assert run.metrics["reasons"][0] == f"{said} 3 are held out and judge until a moderator decides."
    assert said in run.message
    assert run.metrics["held_out"] == 39
    assert not PhotoValue.objects.filter(photo__in=lied).exists()
    queued = theirs & {str(look.photo_id) for look in second_looks.wanted(recognizer=recognizer)}
    assert len(queued) >= told["suspects"]  # what is not clear is asked about as well
    pseudonym = groups.volunteer(snapshot._group(lied[0]))
    files = [store().get(f"runs/{row.sha256}") for row in run.files.all()]
    assert files and not any(pseudonym.encode() in data for data in files)
    assert pseudonym not in str((run.metrics, run.verdict, run.message, run.recipe))


def test_an_attempt_that_goes_on_leaves_the_same_accounts_out_whatever_moderators_said_meanwhile(
    recognizer, lied, looking, moderator, monkeypatch
):
    run, really = claimed(recognizer), nightly._export

    def dies(*facts):
        raise InterruptedError

    monkeypatch.setattr(nightly, "_export", dies)
    with pytest.raises(InterruptedError):
        nightly.night(run, progress=silent)
    monkeypatch.setattr(nightly, "_export", really)
    # A machine that trains along comes to the same photos, in the same order, by itself.
    along = distrust.heard(run, plan.of(run))
    loaded = photos.without(along, photos.load(run, along, silent))
    assert (loaded.train.ids, loaded.validation.ids) == looking[0][1:]
    assert loaded.learnable.ids == looking[1][1]
    assert along.digest != plan.of(run).digest

    for photo in lied:
        decide(photo_id=photo.pk, moderator=moderator, verdict="accept")
    Run.objects.filter(pk=run.pk).update(lease_until=timezone.now() - dt.timedelta(seconds=1))
    again = runs.held(run.pk, runs.claim(run.pk))
    nightly.night(again, progress=silent)
    assert again.state == Run.State.RELEASED, again.message
    assert len(looking) == 2  # neither way is trained once more
    assert again.metrics["distrusted"]["accounts"] == 1
    assert (again.metrics["photos"]["train"], again.metrics["photos"]["validation"]) == (60, 18)


def test_what_moderators_have_confirmed_since_speaks_against_nobody_and_the_next_night_learns_it(
    recognizer, lied, looking, moderator
):
    nights(recognizer, "1")
    assert repeats(recognizer)
    for photo in lied:
        decide(photo_id=photo.pk, moderator=moderator, verdict="accept")
    run = nights(recognizer, "2")
    assert run.metrics["distrusted"] == {"accounts": 0, "photos": 0, "suspects": 0}
    assert {str(photo.pk) for photo in lied if photo.split == "train"} <= set(looking[-1][1])
    assert repeats(recognizer)  # once is enough


def test_where_the_others_have_nothing_to_choose_by_the_incumbent_stays_and_the_run_says_who_was_left_out(
    recognizer, lied, looking
):
    recognizer.photos.filter(split="validation").exclude(volunteer=lied[0].volunteer).update(split="train")
    run = nights(recognizer, "1")
    assert run.state == Run.State.KEPT and looking == []
    assert run.message.startswith("One account's photos (18) were not learned from: ")
    assert run.message.endswith("fill the validation split. The incumbent stays.")


# ---- whole nights, with a real network in a real process ---------------------------------------------------------
TINY = """
import sys, dataclasses, django
django.setup()
from training import nightly, plan, process, recipe
small = dataclasses.replace(recipe.from_starter(), image_size=32, view_size=32, source_size=32, top_epochs=int(sys.argv[3]))
plan.ways = lambda backbone, *, long, again: [small]
work = lambda run: nightly.night(run, progress=process.write_progress)
sys.exit(process.execute(int(sys.argv[1]), int(sys.argv[2]), work))
"""


def tiny_night(run: Run, *, epochs: int) -> "subprocess.Popen[str]":
    """The process of a whole night by the recipe from the starter, only smaller: 32 pixels, `epochs` passes.

    16 of them told all of 36 such coins apart in each of eight trainings; 30 from random weights 64 to 92 % of them.
    """
    command = [sys.executable, "-c", TINY, str(run.pk), str(run.fence), str(epochs)]
    environment = {**os.environ, "BACKBONE_WEIGHTS": "none"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def ended(run: Run, child: "subprocess.Popen[str]") -> Run:
    output, _ = child.communicate(timeout=900)
    run.refresh_from_db()
    assert run.state in Run.FINISHED, output
    return run


@pytest.mark.training
@pytest.mark.django_db(transaction=True)
def test_a_killed_night_is_finished_by_the_next_attempt(recognizer, volunteer):
    collected(recognizer, volunteer, train=16, held=12)
    run = claimed(recognizer, "1")
    with tiny_night(run, epochs=16) as killed:
        while run.stage != "training":
            assert killed.poll() is None
            run.refresh_from_db()
        killed.kill()
    assert run.state == Run.State.RUNNING
    Run.objects.filter(pk=run.pk).update(lease_until=timezone.now() - dt.timedelta(seconds=1))  # its lease has passed
    assert runs.claim(run.pk) == 2
    run = ended(runs.held(run.pk, 2), tiny_night(runs.held(run.pk, 2), epochs=16))

    assert run.state == Run.State.RELEASED, run.message
    assert Release.objects.get().run == run
    assert run.metrics["int8_bytes"] < run.metrics["float_bytes"]
    assert len(run.metrics["history"]) > 0
    for artifact in run.artifacts.all():
        assert hashlib.sha256(store().get(f"blobs/{artifact.sha256}")).hexdigest() == artifact.sha256
