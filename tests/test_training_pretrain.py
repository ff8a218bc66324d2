"""FINE-TUNE, long before: the starter backbone, how it is made, and the one that ships."""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training import drawn
from training.backbone import NONE, RANDOM, STARTER_FILE, find_backbone, width_of
from training.recipe import Recipe, from_scratch, from_starter, starter

pytestmark = pytest.mark.training


class Interrupted(Exception):
    """Somebody pressed Ctrl-C."""


def small() -> Recipe:
    return replace(starter(), image_size=32, view_size=32, source_size=32, batch=8, top_epochs=3)


def test_an_interrupted_pretraining_goes_on_behind_its_last_epoch(tmp_path: Path):
    from training.pretrain import pretrain

    target, told = tmp_path / "new.weights.h5", []

    def told_until(last: int):
        def progress(step: str, done: int, total: int) -> None:
            told.append(done)
            if done == last:
                raise Interrupted

        return progress

    for last in (1, 2):
        with pytest.raises(Interrupted):
            pretrain(target, small(), things=3, epoch=16, progress=told_until(last))
        assert not target.exists()
    share = pretrain(target, small(), things=3, epoch=16, progress=told_until(0))
    assert told == [1, 2, 3]
    assert 0 <= share <= 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [target.name]
    assert width_of(target) == 0.35


def test_what_another_recipe_came_to_is_not_gone_on_with(tmp_path: Path):
    from training.pretrain import pretrain

    target, told = tmp_path / "new.weights.h5", []

    def progress(step: str, done: int, total: int) -> None:
        told.append(done)
        if len(told) == 1:
            raise Interrupted

    with pytest.raises(Interrupted):
        pretrain(target, small(), things=3, epoch=16, progress=progress)
    pretrain(target, replace(small(), top_rate=1e-3), things=3, epoch=16, progress=progress)
    assert told == [1, 1, 2, 3]


def test_the_starter_that_ships_is_small_and_fits_the_small_network():
    assert STARTER_FILE.stat().st_size <= 2.5e6
    found = find_backbone(NONE, decision_s=1)
    assert (found.source, found.alpha, found.knows_photos) == ("none", from_scratch().alpha, False)


def features(setting: str, pictures: np.ndarray) -> np.ndarray:
    from training.network import build_backbone, features_of

    backbone = find_backbone(setting, decision_s=1)
    network = build_backbone(backbone, pictures.shape[1], alpha=backbone.alpha, bn_momentum=0.9)
    found: np.ndarray = features_of(network).predict_on_batch(pictures.astype(np.float32))
    return found


def told_apart(setting: str) -> float:
    """The share of pictures of twenty things that nobody has learned from that are nearest to their thing's other pictures."""
    rng, things, each = random.Random(4), range(drawn.THINGS, drawn.THINGS + 20), 8
    pictures = np.stack([drawn.picture(number, from_starter().image_size, rng) for number in things for _ in range(2 * each)])
    found = features(setting, pictures)
    found = (found - found.mean(axis=0)) / (found.std(axis=0) + 1e-3)
    halves = found.reshape(len(things), 2 * each, -1)
    middles, others = halves[:, :each].mean(axis=1), halves[:, each:].reshape(len(things) * each, -1)
    unit, far = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (middles, others))
    return float(((far @ unit.T).argmax(axis=1) == np.repeat(np.arange(len(things)), each)).mean())


def test_the_starter_that_ships_tells_new_things_apart_that_random_weights_cannot():
    assert told_apart(NONE) > told_apart(RANDOM) + 0.1  # of twenty things; when it was made: 27 against 10 %
