"""FINE-TUNE: a head on frozen features, then the top blocks, from cached activations; or everything from scratch."""

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from training.augment import random_views
from training.images import Examples, Progress
from training.inference import FixedNetwork
from training.network import Backbone, assemble, build_backbone, head, scaling, seen_by, top_of
from training.optimise import Batch, Phase
from training.recipe import Recipe

CHUNK = 64  # photos that are floats at one time: 37 MB at 224 pixels, and forward passes run at full speed from 32 on


@dataclass(frozen=True)
class Candidate:
    """A trained network. `history` per phase: losses and validation accuracy; `seconds` per phase, wall clock."""

    model: keras.Model  # pixels 0…255 float32 [n, s, s, 3] → softmax [n, classes]; always inference semantics
    history: dict[str, Any]
    seconds: dict[str, float]
    embed: Callable[[np.ndarray], np.ndarray]  # images uint8 [n, s, s, 3] → pooled features float32 [n, d]


def finetune(
    recipe: Recipe,
    backbone: Backbone,
    *,
    train: Examples,
    validation: Examples,
    labels: list[str],
    progress: Progress,
) -> Candidate:
    """Train by `recipe` from `backbone`; deterministic for one seed, machine and thread count.

    Memory: the cache of activations (see Recipe.cache_bytes), plus CHUNK photos as floats. Raises TrainingDiverged when a
    loss is no number.
    """
    keras.utils.set_random_seed(recipe.seed)
    alpha = backbone.alpha if backbone.pretrained else recipe.alpha
    network = build_backbone(backbone, recipe.image_size, alpha=alpha, bn_momentum=recipe.bn_momentum)
    classifier = head(network.output_shape[-1], len(labels), dropout=recipe.dropout, seed=recipe.seed)
    phases = _head_then_top if backbone.pretrained else _from_scratch
    history, seconds = phases(recipe, network, classifier, train, validation, progress)
    model, embedder = assemble(network, classifier)
    return Candidate(model, history, seconds, embed=partial(_embedded, embedder))


def _embedded(embedder: keras.Model, images: np.ndarray) -> np.ndarray:
    """Pooled features float32 [n, d] of uint8 [n, s, s, 3]."""
    features = np.empty((len(images), embedder.output_shape[-1]), np.float32)
    FixedNetwork(embedder).run(images, features)
    return features


# ---- with a pretrained backbone ----------------------------------------------------------------------------------
def _head_then_top(
    recipe: Recipe,
    network: keras.Model,
    classifier: keras.Model,
    train: Examples,
    validation: Examples,
    progress: Progress,
) -> tuple[dict[str, Any], dict[str, float]]:
    started = time.monotonic()
    top = top_of(network, recipe.boundary)
    cache, features = _seen(recipe, recipe.views, network, train, progress)
    held, held_features = _seen(recipe, 1, network, validation, progress)
    cached = time.monotonic()
    features = features.reshape(-1, features.shape[-1])
    truth = np.tile(train.truth, recipe.views)
    rng = np.random.default_rng(recipe.seed)

    def head_batches(epoch: int) -> Iterator[Batch]:
        # An epoch has as many steps as in the other phase, drawn from the photos of all views.
        for rows in _shuffled(len(truth), recipe.batch, rng, most=len(train)):
            yield features[rows], truth[rows]

    def top_batches(epoch: int) -> Iterator[Batch]:
        view = cache[epoch % recipe.views]
        for rows in _shuffled(len(train), recipe.batch, rng):
            yield view[rows], train.truth[rows]

    first = _phase("training the head", recipe, recipe.head_epochs, recipe.head_rate, len(train))
    history: dict[str, Any] = {
        "head_loss": first.run(partial(classifier, training=True), classifier.trainable_variables, head_batches, progress)
    }
    history["head_accuracy"] = _accuracy(classifier, (held_features[0], validation.truth))
    head_done = time.monotonic()

    def forward(activations: tf.Tensor) -> tf.Tensor:
        # Frozen batch statistics: a few hundred photos are too few to replace ImageNet's. Said here and not when the models are
        # put together, because Keras hands the outermost call's `training` down to every layer.
        return classifier(top(activations, training=False), training=True)

    second = _phase("training the top blocks", recipe, recipe.top_epochs, recipe.top_rate, len(train))
    learning = top.trainable_variables + classifier.trainable_variables
    history["top_loss"] = second.run(forward, learning, top_batches, progress)
    history["top_accuracy"] = _accuracy(classifier, (_in_chunks(top, held[0]), validation.truth))
    done = time.monotonic()
    return history, {"views": cached - started, "head": head_done - cached, "top": done - head_done}


def _seen(
    recipe: Recipe, views: int, network: keras.Model, examples: Examples, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """(activations float16 [views, n, h, w, c], features float16 [views, n, d]): view 0 is the photo itself, the others random.

    float16 halves the cache; these values stay within ±100, where it is good to three digits.
    """
    seen, count = seen_by(network, recipe.boundary), len(examples)
    edge, pooled = seen.output_shape
    activations = _room((views, count, *edge[1:]), recipe.cache_bytes)
    features = _room((views, count, *pooled[1:]), recipe.cache_bytes)
    fixed, rng = FixedNetwork(seen), np.random.default_rng(recipe.seed)
    for view in range(views):
        for start in range(0, count, CHUNK):
            rows = slice(start, start + CHUNK)
            images = examples.images[rows]
            pixels = random_views(images, recipe.augmentation, rng) if view else images
            fixed.run(pixels, activations[view, rows], features[view, rows])
            progress("looking at photos", view * count + start + len(images), views * count)
    return activations, features


def _room(shape: tuple[int, ...], most_in_memory: int) -> np.ndarray:
    """An uninitialised float16 array; a large one lies in an unnamed temporary file that vanishes with the process."""
    if math.prod(shape) * 2 <= most_in_memory:
        return np.empty(shape, np.float16)
    with tempfile.TemporaryFile() as file:  # the mapping outlives the closed file
        return np.memmap(file, np.float16, "w+", shape=shape)


# ---- without any weights -----------------------------------------------------------------------------------------
def _from_scratch(
    recipe: Recipe,
    network: keras.Model,
    classifier: keras.Model,
    train: Examples,
    validation: Examples,
    progress: Progress,
) -> tuple[dict[str, Any], dict[str, float]]:
    started = time.monotonic()
    pixels = keras.Input(network.input_shape[1:])
    features = keras.layers.GlobalAveragePooling2D()(network(scaling()(pixels)))
    model = keras.Model(pixels, classifier(features))
    rng = np.random.default_rng(recipe.seed)

    def batches(epoch: int) -> Iterator[Batch]:
        for rows in _shuffled(len(train), recipe.batch, rng):
            yield random_views(train.images[rows], recipe.augmentation, rng), train.truth[rows]

    phase = _phase("training from scratch", recipe, recipe.top_epochs, recipe.top_rate, len(train))
    losses = phase.run(partial(model, training=True), model.trainable_variables, batches, progress)
    history = {"loss": losses, "accuracy": _accuracy(model, (validation.images, validation.truth))}
    return history, {"scratch": time.monotonic() - started}


# ---- both --------------------------------------------------------------------------------------------------------
def _phase(name: str, recipe: Recipe, epochs: int, rate: float, photos: int) -> Phase:
    return Phase(name, epochs, math.ceil(photos / recipe.batch), rate, recipe.weight_decay, recipe.label_smoothing)


def _accuracy(model: keras.Model, held: Batch) -> float | None:
    """Share of `held` that `model` (→ logits) gets right; None of nothing."""
    rows, truth = held
    return float((_in_chunks(model, rows).argmax(axis=1) == truth).mean()) if len(truth) else None


def _shuffled(count: int, batch: int, rng: np.random.Generator, most: int | None = None) -> Iterator[np.ndarray]:
    """Row numbers in random order, `batch` at a time; the last batch is filled up, for batch statistics need company."""
    order = rng.permutation(count)[: most or count]
    order = np.resize(order, math.ceil(len(order) / batch) * batch)
    yield from order.reshape(-1, batch)


def _in_chunks(model: keras.Model, rows: np.ndarray) -> np.ndarray:
    """model(rows) as float32, CHUNK rows at a time."""
    result = np.empty((len(rows), *model.output_shape[1:]), np.float32)
    for start in range(0, len(rows), CHUNK):
        result[start : start + CHUNK] = model.predict_on_batch(rows[start : start + CHUNK].astype(np.float32))
    return result
