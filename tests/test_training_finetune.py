"""FINE-TUNE: it learns, it repeats itself, it leaves alone what is frozen, and it stops when the loss is no number."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests import colours
from training.backbone import find_backbone
from training.errors import TrainingDiverged
from training.images import Examples
from training.recipe import Augmentation, Recipe, from_scratch, head_then_top

pytestmark = pytest.mark.training
LABELS = list(colours.COLOURS)


def examples(each: int, seed: int) -> Examples:
    images, truth = colours.photos(each, seed)
    return Examples([str(i) for i in range(len(truth))], images, truth)


def quiet(step: str, done: int, total: int) -> None:
    """Nobody watches."""


def small(recipe: Recipe, **changes: object) -> Recipe:
    return replace(recipe, image_size=colours.SIZE, batch=12, **changes)


def test_from_scratch_learns_to_tell_colours_apart():
    from training.finetune import finetune

    recipe = small(from_scratch(), top_epochs=10, top_rate=3e-3)
    steps: list[tuple[str, int, int]] = []
    candidate = finetune(
        recipe,
        find_backbone("none", decision_s=1),
        train=examples(32, 1),
        validation=examples(4, 2),
        labels=LABELS,
        progress=lambda *step: steps.append(step),
    )
    held = examples(10, 3)
    right = candidate.model.predict_on_batch(held.images.astype(np.float32)).argmax(axis=1) == held.truth
    assert right.mean() > 0.8
    assert candidate.history["loss"][-1] < candidate.history["loss"][0]
    assert steps[-1] == ("training from scratch", 10, 10)
    features = candidate.embed(held.images)
    assert (features.shape, features.dtype) == ((30, 1280), np.float32)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import keras

    keras.utils.set_random_seed(1)
    path = tmp_path_factory.mktemp("weights") / "random.weights.h5"
    keras.applications.MobileNetV2(input_shape=(32, 32, 3), alpha=0.35, include_top=False, weights=None).save_weights(path)
    return path


def test_top_blocks_learn_the_trunk_and_the_batch_statistics_stay_and_a_night_repeats_itself(weights: Path):
    from training.finetune import finetune
    from training.network import build_backbone

    backbone = find_backbone(str(weights), decision_s=1)
    recipe = small(head_then_top(), views=2, head_epochs=2, top_epochs=3, cache_bytes=1)  # 1: the cache lies in a file

    def night():
        return finetune(recipe, backbone, train=examples(6, 1), validation=examples(3, 2), labels=LABELS, progress=quiet)

    first, second = night(), night()
    assert first.history == second.history
    assert set(first.seconds) == {"views", "head", "top"}
    before = build_backbone(backbone, 32, alpha=0.35, bn_momentum=0.9)
    after = first.model.get_layer("backbone")
    boundary = [layer.name for layer in before.layers].index("block_12_add")
    for index, (old, new) in enumerate(zip(before.layers, after.layers, strict=True)):
        same = [np.array_equal(a, b) for a, b in zip(old.get_weights(), new.get_weights(), strict=True)]
        if index <= boundary:
            assert all(same), f"{old.name} lies before the boundary and has changed"
        elif "bn" in old.name.lower():
            assert same[2:] == [True, True], f"the statistics of {old.name} have changed"
        elif same:
            assert not any(same), f"{old.name} has not learned"


def test_a_loss_that_is_no_number_stops_the_night():
    import keras

    from training.optimise import Phase

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    phase = Phase("a test", epochs=3, steps=2, rate=1e-3, weight_decay=0.0, label_smoothing=0.0)
    bad = np.full((4, 4), np.inf, np.float32)
    with pytest.raises(TrainingDiverged, match="epoch 1 of a test") as caught:
        phase.run(model, model.trainable_variables, lambda epoch: iter([(bad, np.zeros(4, int))] * 2), quiet)
    assert caught.value.facts == {"phase": "a test", "epoch": 1}


def test_the_optimizer_is_adamw():
    import keras
    import tensorflow as tf

    from training.optimise import _FlatAdamW

    start = np.random.default_rng(1).normal(size=(3, 2)).astype(np.float32)
    gradients = [np.random.default_rng(seed).normal(size=(3, 2)).astype(np.float32) for seed in range(5)]
    mine, theirs = tf.Variable(start), keras.Variable(start)
    flat, reference = _FlatAdamW([mine], weight_decay=0.1), keras.optimizers.AdamW(0.01, weight_decay=0.1, global_clipnorm=1.0)
    for gradient in gradients:
        flat.apply([tf.constant(gradient)], tf.constant(0.01))
        reference.apply([tf.constant(gradient)], [theirs])
    np.testing.assert_allclose(mine.numpy(), np.array(theirs), rtol=1e-4)


IDENTITY = Augmentation(zoom=(1, 1), shift=1, turn=0, flip=False, brightness=0, contrast=0, tint=0, erase=0)


def test_views_without_any_range_are_the_photos_themselves():
    from training.augment import random_views

    images, _ = colours.photos(2)
    np.testing.assert_allclose(random_views(images, IDENTITY, np.random.default_rng(1)), images, atol=0)


def test_a_mirrored_view_is_mirrored_and_a_zoomed_one_shows_the_middle():
    from training.augment import random_views

    ramp = np.tile(np.arange(32, dtype=np.uint8)[None, None, :, None] * 8, (20, 32, 1, 3))
    mirrored = random_views(ramp, replace(IDENTITY, flip=True), np.random.default_rng(1))
    kinds = {bool(view[0, 0, 0] > view[0, -1, 0]) for view in mirrored}
    assert kinds == {True, False}
    zoomed = random_views(ramp, replace(IDENTITY, zoom=(0.5, 0.5), shift=0), np.random.default_rng(1))[0, 16, :, 0]
    assert zoomed[0] == pytest.approx(8 * (15.5 - 7.75), abs=4)
    assert zoomed[-1] == pytest.approx(8 * (15.5 + 7.75), abs=4)


def test_views_stay_within_the_range_of_pixels():
    from training.augment import random_views

    wild = replace(from_scratch().augmentation, brightness=0.9, contrast=0.9, erase=1.0)
    views = random_views(colours.photos(10)[0], wild, np.random.default_rng(1))
    assert views.dtype == np.float32
    assert views.min() >= 0
    assert views.max() <= 255
