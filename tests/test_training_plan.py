"""SNAPSHOT → FINE-TUNE: what a night will do, and two nights in a row with a real, small network from cached views."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest
from django.utils import timezone

from collector.erasure import withdraw
from collector.models import Photo
from tests.nights import accepted, claimed, collected
from training import looks, nightly, plan, receipts, weights
from training.backbone import find_backbone
from training.gate import Verdict
from training.models import CachedView, Checkpoint, Run, Suspect, ViewLimits
from training.recipe import head_only, top_blocks, top_blocks_again, top_blocks_long_again


def silent(step: str, done: int, total: int) -> None:
    """Progress that nobody looks at."""


def names(setting: str, *, long: bool, again: bool) -> list[str]:
    return [recipe.name for recipe in plan.ways(find_backbone(setting, decision_s=1), long=long, again=again)]


def test_which_ways_a_night_tries(backbone):
    assert names("random", long=False, again=False) == names("random", long=True, again=True) == ["from scratch"]
    assert names("none", long=False, again=False) == names("none", long=True, again=True) == ["from the starter"]
    assert names(backbone, long=False, again=False) == ["head", "top blocks"]
    assert names(backbone, long=False, again=True) == ["top blocks, from the incumbent"]
    assert names(backbone, long=True, again=False) == ["top blocks, long"]
    assert names(backbone, long=True, again=True) == ["top blocks, long, from the incumbent"]


def ended(recognizer, slot: str, *, long: bool, days_ago: int, kept: str = "a" * 64) -> Run:
    return Run.objects.create(
        recognizer=recognizer,
        slot=slot,
        long=long,
        state=Run.State.RELEASED,
        weights_sha256=kept,
        queued_at=timezone.now() - dt.timedelta(days=days_ago),
    )


def test_the_long_night_comes_once_a_week_and_not_before_there_is_a_model(recognizer, settings):
    assert not plan.long_is_due(recognizer)
    ended(recognizer, "first", long=False, days_ago=1)
    assert plan.long_is_due(recognizer)
    ended(recognizer, "long", long=True, days_ago=6)
    assert not plan.long_is_due(recognizer)
    settings.LONG_NIGHT_EVERY_DAYS = 5
    assert plan.long_is_due(recognizer)


def test_a_recognizers_limits_of_views_are_in_its_recipes_and_make_a_night_new(recognizer, volunteer):
    collected(recognizer, volunteer)
    before = claimed(recognizer, "1")
    plan.make(before)
    ViewLimits.objects.create(recognizer=recognizer, mirror=True)
    Run.objects.filter(pk=before.pk).update(state=Run.State.KEPT)
    after = claimed(recognizer, "2")
    plan.make(after)
    assert before.input_digest != after.input_digest
    assert not any(way["augmentation"]["flip"] for way in after.recipe["ways"])


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Random weights of width 0.35: enough to tell colours apart."""
    import keras

    keras.utils.set_random_seed(1)
    path: Path = tmp_path_factory.mktemp("weights") / "random.weights.h5"
    keras.applications.MobileNetV2(input_shape=(32, 32, 3), alpha=0.35, include_top=False, weights=None).save_weights(path)
    return str(path)


SIZES = {"image_size": 40, "view_size": 32, "source_size": 48, "views": 2, "batch": 8}
WAYS = {
    (False, False): [replace(head_only(), **SIZES), replace(top_blocks(), **SIZES, top_epochs=1)],
    (False, True): [replace(top_blocks_again(), **SIZES, top_epochs=1)],
    (True, True): [replace(top_blocks_long_again(), **SIZES, top_epochs=1)],
}


@pytest.mark.training
def test_the_second_night_begins_where_the_first_ended_and_looks_at_the_new_photos_alone(
    recognizer, volunteer, backbone, settings, monkeypatch, django_capture_on_commit_callbacks
):
    settings.BACKBONE_WEIGHTS = backbone
    settings.PROBE_INFERENCES = 500
    monkeypatch.setattr(plan, "ways", lambda backbone, *, long, again: WAYS[long, again])
    # Random features teach a network nothing in two passes: what is tested here is the way of a night, not its gate.
    monkeypatch.setattr(nightly, "judge", lambda **facts: Verdict(True, []))
    photos = collected(recognizer, volunteer, train=8, held=12)

    def night(slot: str, *, long: bool = False) -> Run:
        run = claimed(recognizer, slot)
        Run.objects.filter(pk=run.pk).update(long=long)
        run.long = long
        with django_capture_on_commit_callbacks(execute=True):
            nightly.night(run, progress=silent)
        return Run.objects.get(pk=run.pk)

    first = night("1")
    assert first.state == Run.State.RELEASED, first.message
    assert first.metrics["looked_at"] == CachedView.objects.count() == len(photos) == 96
    assert [way["name"] for way in first.recipe["ways"]] == ["head", "top blocks"]
    assert len(first.metrics["reasons"]) >= 2
    assert weights.load(first.weights_sha256).fit.labels == ["copper", "silver", "gold"]
    assert not Checkpoint.objects.exists()
    assert set(first.files.values_list("name", flat=True)) >= {"metrics.json", "model-card.md", "confusion.svg"}
    assert first.metrics["suspects"] == Suspect.objects.filter(run=first).count()

    accepted(recognizer, volunteer, "gold")
    new = accepted(recognizer, volunteer, "silver")
    monkeypatch.setattr("training.choose.paired", lambda before, after, groups: (1.0, 0.1))  # the candidate is clearly better
    second = night("2")
    assert second.state == Run.State.RELEASED, second.message
    assert second.metrics["looked_at"] == 2
    assert second.started_from == first
    judged = weights.load(second.weights_sha256).judged
    assert set(judged) == {str(pk) for pk in Photo.objects.filter(split="validation").values_list("pk", flat=True)}

    # Withdrawn: what was seen of it leaves, the receipt names both nights, and the long night begins at the backbone again.
    with django_capture_on_commit_callbacks(execute=True):
        erasure = withdraw(photo_id=photos[0].pk, volunteer=volunteer)
    assert not CachedView.objects.filter(photo=photos[0]).exists()
    assert {run.pk for run in receipts.learned_from(erasure.receipt["snapshots"]).runs} == {first.pk, second.pk}
    only_new = receipts.learned_from(erasure.receipt["snapshots"][:1]).runs
    assert second in only_new  # it began with what the first had learned
    monkeypatch.setitem(WAYS, (True, False), [replace(top_blocks(), **SIZES, top_epochs=1, refit=True)])
    third = night("3", long=True)
    assert third.started_from is None
    assert third.metrics["looked_at"] == 0
    assert {"refit"} <= set(third.metrics["seconds"])
    assert looks.current(recognizer).cut == CachedView.objects.get(photo=new).cut
