"""FINE-TUNE: a head on frozen features, then everything behind the boundary from cached views; or every layer, from pixels."""

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from training import cluster, devices, embed
from training.augment import random_views
from training.confidence import temperature
from training.folded import folded
from training.images import Progress
from training.network import build_backbone, features_of, head, restored, top_of
from training.optimise import Batch, Phase, phase
from training.recipe import Recipe
from training.replicas import Alone
from training.seen import Seen
from training.weights import Fit, Start, Weights

AHEAD = 3  # batches of random views that are made while the network learns from another
MIXED = 0.7  # of the batches, where a recipe mixes: the network must see plain photos as well


@dataclass(frozen=True)
class Candidate:
    """Trained weights. `history` per phase: losses and validation accuracy; `seconds` of CPU per phase of this process;
    `temperature` by which its logits are to be divided for an honest confidence (`training.confidence`)."""

    weights: Weights
    history: dict[str, Any]
    seconds: dict[str, float]
    temperature: float


def finetune(
    recipe: Recipe, start: Start, *, train: Seen, validation: Seen, labels: list[str], progress: Progress
) -> Candidate:
    """Train by `recipe` from `start`; deterministic for one seed, machine and thread count. Raises what `learn` raises."""
    network, classifier, history, seconds = learn(recipe, start, train=train, labels=labels, progress=progress)
    trained = Weights(_fit(recipe, start, network, labels), network.get_weights(), classifier.get_weights(), {})
    answers = _answers(trained, recipe.boundary, validation)
    right = answers.argmax(axis=1) == validation.truth
    history["accuracy"] = round(float(right.mean()), 4) if len(right) else None
    judged = dict(zip(validation.ids, right.tolist(), strict=True))
    return Candidate(replace(trained, judged=judged), history, seconds, temperature(answers, validation.truth))


def learn(
    recipe: Recipe, start: Start, *, train: Seen, labels: list[str], progress: Progress
) -> tuple[keras.Model, keras.Sequential, dict[str, Any], dict[str, float]]:
    """(network, head, losses and seconds of each phase): what every machine does, where several train together.

    Raises TrainingDiverged when a loss is no number, UnknownDevice, and where several train UnevenBatch, ReplicaLost,
    ReplicasDiffer.
    """
    together = cluster.team()
    replicas = together or Alone()
    keras.utils.set_random_seed(recipe.seed)
    with devices.precision(recipe.device):
        network, classifier = _begin(recipe, start, labels, replicas.index)
    if together:
        together.agree(_what(recipe, network, classifier, train, labels), "weights, photos or recipe")
    train_by = _all_layers if recipe.learns == "all" else behind_the_boundary
    with devices.on(recipe.device):
        history, seconds = train_by(recipe, network, classifier, train, progress, replicas)
    return network, classifier, history, seconds


def _what(recipe: Recipe, network: keras.Model, classifier: keras.Model, train: Seen, labels: list[str]) -> str:
    """Names what a training begins with: machines that say the same will do the same."""
    weights = _digest(network.get_weights() + classifier.get_weights())
    return json.dumps([recipe.digest(), weights, labels, train.ids, train.truth.tolist()])


def _answers(trained: Weights, boundary: str, photos: Seen) -> np.ndarray:
    """Logits float32 [n, labels] for photos as phones feed them: at another size than the network has learned from."""
    network, classifier = restored(trained)
    return embed.logits(classifier, embed.embed(network, classifier, boundary, {"photos": photos})["photos"])


def network_of(start: Start, recipe: Recipe, size: int) -> keras.Model:
    """The network that training would begin with, for pictures of `size` pixels."""
    if start.weights is not None:
        return restored(start.weights, size)[0]
    return build_backbone(start.backbone, size, alpha=_width(recipe, start), bn_momentum=recipe.bn_momentum)


def _width(recipe: Recipe, start: Start) -> float:
    """The earlier weights' or the backbone's, which the recipe cannot change; its own where there is neither."""
    if start.weights is not None:
        return start.weights.fit.alpha
    return start.backbone.alpha if start.backbone.weights else recipe.alpha


def _begin(recipe: Recipe, start: Start, labels: list[str], replica: int) -> tuple[keras.Model, keras.Sequential]:
    network = network_of(start, recipe, recipe.view_size)
    classifier = head(network.output_shape[-1], len(labels), dropout=recipe.dropout, seed=recipe.seed, replica=replica)
    if start.weights is not None and start.weights.fit.labels == labels:
        classifier.set_weights(start.weights.head)
    return network, classifier


def _fit(recipe: Recipe, start: Start, network: keras.Model, labels: list[str]) -> Fit:
    """`trunk` stays what it was unless every layer learned: then it is named by these very weights."""
    base = start.backbone.digest
    trunk = start.weights.fit.trunk if start.weights else base
    if recipe.learns == "all":
        trunk = _digest(network.get_weights())
    return Fit(base, trunk, _width(recipe, start), recipe.image_size, labels)


def _digest(arrays: list[np.ndarray]) -> str:
    whole = hashlib.sha256()
    for array in arrays:
        whole.update(np.ascontiguousarray(array).tobytes())
    return whole.hexdigest()


# ---- from cached views -------------------------------------------------------------------------------------------
def behind_the_boundary(
    recipe: Recipe, network: keras.Model, classifier: keras.Model, train: Seen, progress: Progress, replicas: Alone
) -> tuple[dict[str, Any], dict[str, float]]:
    began = time.process_time()
    mine = replicas.share(recipe.batch)
    rng = np.random.default_rng(recipe.seed)
    answers = np.eye(classifier.output_shape[-1], dtype=np.float32)[train.truth]
    history: dict[str, Any] = {}
    if recipe.head_epochs:
        features = train.features.astype(np.float32)

        def head_batches(epoch: int) -> Iterator[Batch]:
            for rows in _shuffled(len(train), recipe.batch, rng):
                yield features[rows[mine]], answers[rows[mine]]

        first = phase("training the head", recipe, epochs=recipe.head_epochs, rate=recipe.head_rate, photos=len(train))
        forward = partial(classifier, training=True)
        history["head_loss"] = first.run(forward, classifier.trainable_variables, head_batches, progress, replicas)
    head_done = time.process_time()
    if not recipe.top_epochs:
        return history, {"head": head_done - began}
    top = folded(network, recipe.boundary)  # frozen batch statistics: a few hundred photos are too few to replace ImageNet's

    def forward_top(activations: tf.Tensor) -> tf.Tensor:
        return classifier(top(activations), training=True)

    def top_batches(epoch: int) -> Iterator[Batch]:
        for rows in _shuffled(len(train), recipe.batch, rng):
            views = rng.integers(0, train.activations.shape[1], len(rows))
            x, wanted = _mixed(train.activations[rows, views].astype(np.float32), answers[rows], recipe, rng)
            yield x[mine], wanted[mine]

    second = _long_phase("training the top blocks", recipe, len(train))
    learning = top_of(network, recipe.boundary).trainable_variables + classifier.trainable_variables
    history["top_loss"] = second.run(forward_top, learning, top_batches, progress, replicas)
    return history, {"head": head_done - began, "top": time.process_time() - head_done}


def _mixed(x: np.ndarray, wanted: np.ndarray, recipe: Recipe, rng: np.random.Generator) -> Batch:
    """Mixup (Zhang et al., ICLR 2018), of activations as well (Verma et al., ICML 2019): convex combinations of two photos."""
    if not recipe.mix or rng.random() >= MIXED:
        return x, wanted
    share = rng.beta(recipe.mix, recipe.mix, len(x)).astype(np.float32)
    share = np.maximum(share, 1 - share)
    other = rng.permutation(len(x))
    wide = share.reshape(-1, *[1] * (x.ndim - 1))
    return x * wide + x[other] * (1 - wide), wanted * share[:, None] + wanted[other] * (1 - share[:, None])


# ---- from pixels -------------------------------------------------------------------------------------------------
def _all_layers(
    recipe: Recipe, network: keras.Model, classifier: keras.Model, train: Seen, progress: Progress, replicas: Alone
) -> tuple[dict[str, Any], dict[str, float]]:
    began = time.process_time()
    mine = replicas.share(recipe.batch)
    body = features_of(network)
    answers = np.eye(classifier.output_shape[-1], dtype=np.float32)[train.truth]
    rng = np.random.default_rng(recipe.seed)

    def batches(epoch: int) -> Iterator[Batch]:
        order = (rows[mine] for rows in _shuffled(len(train), recipe.batch, rng))
        make = partial(_views_of, train.sources, recipe, replicas.index)
        for rows, views in ahead(order, make, rng):
            yield _mixed(views.astype(np.float32), answers[rows], recipe, rng)

    def forward(batch: tf.Tensor) -> tf.Tensor:
        return classifier(body(batch, training=recipe.statistics), training=True)

    every = _long_phase("training every layer", recipe, len(train))
    learning, shares = everything(network, classifier, recipe)
    history = {"loss": every.run(forward, learning, batches, progress, replicas, shares)}
    if recipe.statistics:
        replicas.level(network.non_trainable_variables)
    return history, {"all": time.process_time() - began}


def everything(network: keras.Model, classifier: keras.Sequential, recipe: Recipe) -> tuple[list[keras.Variable], list[float]]:
    """(what learns where every layer does, each one's share of the rate)."""
    body, top = network.trainable_variables, classifier.trainable_variables
    return [*body, *top], [1.0] * len(body) + [recipe.head_share] * len(top)


def _views_of(sources: np.ndarray, recipe: Recipe, replica: int, rows: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed + replica)
    size, ranges = recipe.view_size, recipe.augmentation
    return np.concatenate([random_views(sources[row], 1, size, ranges, rng) for row in rows])


def ahead(
    order: Iterator[np.ndarray], make: Callable[[np.ndarray, int], np.ndarray], rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each of `order` with what `make` makes of it by a seed, AHEAD of them at a time: Pillow holds no interpreter lock."""
    with ThreadPoolExecutor(min(AHEAD, os.cpu_count() or 1)) as pool:
        waiting: list[tuple[np.ndarray, Future[np.ndarray]]] = []
        for rows in order:
            waiting.append((rows, pool.submit(make, rows, int(rng.integers(2**63)))))
            if len(waiting) > AHEAD:
                ready, views = waiting.pop(0)
                yield ready, views.result()
        for ready, views in waiting:
            yield ready, views.result()


# ---- both --------------------------------------------------------------------------------------------------------
def _long_phase(name: str, recipe: Recipe, photos: int) -> Phase:
    """The phase that most of the time goes into, and whose running average is kept."""
    epochs, rate, average = recipe.top_epochs, recipe.top_rate, recipe.average
    return phase(name, recipe, epochs=epochs, rate=rate, photos=photos, average=average)


def _shuffled(count: int, batch: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Row numbers in random order, `batch` at a time; the last batch is filled up, for batch statistics need company."""
    order = rng.permutation(count)
    yield from np.resize(order, math.ceil(count / batch) * batch).reshape(-1, batch)
