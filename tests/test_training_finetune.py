"""FINE-TUNE: it learns, it repeats itself, it leaves alone what is frozen, and it stops when the loss is no number."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests import colours
from tests.learning import LABELS, cached, pictures, quiet, small
from training.backbone import find_backbone
from training.errors import TrainingDiverged
from training.recipe import Augmentation, from_scratch, head_only, top_blocks, top_blocks_again

pytestmark = pytest.mark.training


def test_from_scratch_learns_to_tell_colours_apart():
    from training.finetune import Start, finetune
    from training.network import assemble, restored

    recipe = small(from_scratch(), top_epochs=10, top_rate=3e-3)
    steps: list[tuple[str, int, int]] = []
    candidate = finetune(
        recipe,
        Start(find_backbone("random", decision_s=1), None),
        train=pictures(32, 1),
        validation=pictures(4, 2),
        labels=LABELS,
        progress=lambda *step: steps.append(step),
    )
    held = pictures(10, 3)
    model, _ = assemble(*restored(candidate.weights))
    right = model.predict_on_batch(held.pixels.astype(np.float32)).argmax(axis=1) == held.truth
    assert right.mean() > 0.8
    assert candidate.history["loss"][-1] < candidate.history["loss"][0]
    assert steps[-1] == ("training every layer", 10, 10)
    judged = candidate.weights.judged
    assert len(judged) == 12
    assert candidate.history["accuracy"] == pytest.approx(sum(judged.values()) / 12, abs=1e-4)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import keras

    keras.utils.set_random_seed(1)
    path = tmp_path_factory.mktemp("weights") / "random.weights.h5"
    keras.applications.MobileNetV2(input_shape=(32, 32, 3), alpha=0.35, include_top=False, weights=None).save_weights(path)
    return path


def test_top_blocks_learn_the_trunk_and_the_batch_statistics_stay_and_a_night_repeats_itself(weights: Path):
    from training.finetune import Start, finetune
    from training.network import build_backbone, restored

    backbone = find_backbone(str(weights), decision_s=1)
    recipe = small(top_blocks(), views=2, head_epochs=2, top_epochs=3, mix=0.2)
    train, validation = cached(6, 1, recipe, weights), cached(3, 2, recipe, weights)

    def night():
        start = Start(backbone, None)
        return finetune(recipe, start, train=train, validation=validation, labels=LABELS, progress=quiet)

    first, second = night(), night()
    assert first.history == second.history
    assert set(first.seconds) == {"head", "top"}
    assert (first.weights.fit.trunk, first.weights.fit.base, first.weights.fit.alpha) == (
        backbone.digest,
        backbone.digest,
        0.35,
    )
    before = build_backbone(backbone, 32, alpha=0.35, bn_momentum=0.9)
    after, _ = restored(first.weights)
    boundary = [layer.name for layer in before.layers].index(recipe.boundary)
    for index, (old, new) in enumerate(zip(before.layers, after.layers, strict=True)):
        same = [np.array_equal(a, b) for a, b in zip(old.get_weights(), new.get_weights(), strict=True)]
        if index <= boundary:
            assert all(same), f"{old.name} lies before the boundary and has changed"
        elif "bn" in old.name.lower():
            assert same[2:] == [True, True], f"the statistics of {old.name} have changed"
        elif same:
            assert not any(same), f"{old.name} has not learned"

    # The next night begins with these weights; where every layer learns, the trunk has another name.
    again = small(top_blocks_again(), views=2, top_epochs=1)
    start = Start(backbone, first.weights)
    third = finetune(again, start, train=train, validation=validation, labels=LABELS, progress=quiet)
    assert (third.weights.fit.trunk, "head_loss" in third.history) == (backbone.digest, False)
    moved = max(np.abs(a - b).max() for a, b in zip(first.weights.head, third.weights.head, strict=True))
    assert 0 < moved < 0.05
    whole = small(replace(top_blocks(), learns="all"), top_epochs=1)
    every = finetune(whole, start, train=pictures(6, 1), validation=pictures(3, 2), labels=LABELS, progress=quiet)
    assert every.weights.fit.trunk not in ("", backbone.digest)
    assert not np.array_equal(every.weights.network[0], first.weights.network[0])


def test_a_head_alone_leaves_the_network_as_it_was(weights: Path):
    from training.finetune import Start, finetune, network_of

    backbone = find_backbone(str(weights), decision_s=1)
    recipe = small(head_only(), views=1, head_epochs=2)
    start = Start(backbone, None)
    found = finetune(
        recipe,
        start,
        train=cached(6, 1, recipe, weights),
        validation=cached(3, 2, recipe, weights),
        labels=LABELS,
        progress=quiet,
    )
    for old, new in zip(network_of(start, recipe, colours.SIZE).get_weights(), found.weights.network, strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_loss_that_is_no_number_stops_the_night():
    import keras

    from training.optimise import Phase

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    phase = Phase("a test", epochs=3, steps=2, rate=1e-3, weight_decay=0.0, label_smoothing=0.0)
    bad = np.full((4, 4), np.inf, np.float32)
    with pytest.raises(TrainingDiverged, match="epoch 1 of a test") as caught:
        phase.run(
            model, model.trainable_variables, lambda epoch: iter([(bad, np.eye(2, dtype=np.float32)[[0, 1, 0, 1]])] * 2), quiet
        )
    assert caught.value.facts == {"phase": "a test", "epoch": 1}


def test_the_optimizer_is_adamw_and_its_average_is_polyaks():
    import keras
    import tensorflow as tf

    from training.optimise import FlatAdamW

    start = np.random.default_rng(1).normal(size=(3, 2)).astype(np.float32)
    gradients = [np.random.default_rng(seed).normal(size=(3, 2)).astype(np.float32) for seed in range(5)]
    mine, theirs = tf.Variable(start), keras.Variable(start)
    flat = FlatAdamW([mine], weight_decay=0.1, average=0.5)
    reference = keras.optimizers.AdamW(0.01, weight_decay=0.1, global_clipnorm=1.0)
    mean = start
    for step, gradient in enumerate(gradients, start=1):
        flat.apply(tf.constant(gradient.ravel()), tf.constant(0.01))
        reference.apply([tf.constant(gradient)], [theirs])
        decay = min(0.5, (1 + step) / (10 + step))
        mean = decay * mean + (1 - decay) * mine.numpy()
    np.testing.assert_allclose(mine.numpy(), np.array(theirs), rtol=1e-4)
    flat.settle()
    np.testing.assert_allclose(mine.numpy(), mean, rtol=1e-5)


def test_a_variable_moves_by_its_share_of_the_rate_and_a_phase_that_was_begun_does_the_rest():
    import keras

    from training.optimise import Phase

    def moved(shares: list[float], begun: int = 0) -> tuple[float, float, int]:
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(2)])
        before = [np.array(variable) for variable in model.trainable_variables]
        phase = Phase("a test", 3, 2, 1e-3, weight_decay=0.0, label_smoothing=0.0, begun=begun)
        batch = np.ones((4, 4), np.float32), np.eye(2, dtype=np.float32)[[0, 1, 0, 0]]
        losses = phase.run(model, model.trainable_variables, lambda epoch: iter([batch] * 2), quiet, shares=shares)
        steps = [float(np.abs(np.array(v) - b).max()) for v, b in zip(model.trainable_variables, before, strict=True)]
        return steps[0], steps[2], len(losses)

    body, top, epochs = moved([1.0, 1.0, 0.0, 0.1])
    assert body > 1e-3 and top == 0 and epochs == 3
    assert moved([1.0, 1.0, 1.0, 1.0])[1] > 1e-3
    assert moved([1.0] * 4, begun=2)[2] == 1


IDENTITY = Augmentation(
    zoom=(1, 1), shift=1, turn=0, stretch=0, flip=False, brightness=0, contrast=0, tint=0, blur=0
)  # fmt: skip


def views_of(images: np.ndarray, ranges: Augmentation, size: int = colours.SIZE) -> np.ndarray:
    from training.augment import random_views

    rng = np.random.default_rng(1)
    return np.concatenate([random_views(image, 1, size, ranges, rng) for image in images])


def test_views_without_any_range_are_the_photos_themselves():
    images, _ = colours.photos(2)
    np.testing.assert_array_equal(views_of(images, IDENTITY), images)


def test_a_mirrored_view_is_mirrored_and_a_zoomed_one_shows_the_middle():
    ramp = np.tile(np.arange(32, dtype=np.uint8)[None, None, :, None] * 8, (20, 32, 1, 3))
    mirrored = views_of(ramp, replace(IDENTITY, flip=True))
    kinds = {bool(view[0, 0, 0] > view[0, -1, 0]) for view in mirrored}
    assert kinds == {True, False}
    zoomed = views_of(ramp, replace(IDENTITY, zoom=(0.5, 0.5), shift=0))[0, 16, :, 0]
    assert zoomed[0] == pytest.approx(8 * (15.5 - 7.75), abs=4)
    assert zoomed[-1] == pytest.approx(8 * (15.5 + 7.75), abs=4)


def test_views_of_a_larger_picture_show_the_same_at_the_networks_size():
    ramp = np.tile((np.arange(48, dtype=np.uint8) * 5)[None, None, :, None], (1, 48, 1, 3))
    view = views_of(ramp, IDENTITY, 32)[0, 16, :, 0].astype(int)
    assert view.shape == (32,)
    np.testing.assert_allclose(view, np.interp((np.arange(32) + 0.5) * 1.5 - 0.5, np.arange(48), np.arange(48) * 5), atol=6)


def test_a_blurred_view_has_softer_edges():
    edge = np.zeros((30, 32, 32, 3), np.uint8)
    edge[:, :, 16:] = 255
    steps = np.abs(np.diff(views_of(edge, replace(IDENTITY, blur=3.0)).astype(int)[:, 16, :, 0], axis=1)).max(axis=1)
    assert (steps == 255).sum() > 10 and (steps < 200).sum() > 3  # every third, and not the others


def test_views_stay_within_the_range_of_pixels():
    wild = replace(from_scratch().augmentation, brightness=0.9, contrast=0.9)
    views = views_of(colours.photos(10)[0], wild)
    assert views.dtype == np.uint8
    assert views.min() == 0 and views.max() == 255
