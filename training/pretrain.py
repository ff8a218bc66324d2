"""FINE-TUNE, long before: the starter backbone, which learns to see from pictures by formula alone (training.drawn).

It ships with the project (training.backbone.STARTER_FILE) for places without ImageNet's weights. Making it anew takes about an
hour of two cores; it can be interrupted at any time and goes on behind the last epoch.
"""

import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from training.arrays import listed, named, pack, unpack
from training.backbone import RANDOM, find_backbone
from training.drawn import THINGS, picture
from training.finetune import ahead, everything
from training.images import Progress
from training.network import build_backbone, features_of, head
from training.optimise import Batch, phase
from training.recipe import Recipe

EPOCH = 12_800  # pictures between two reports, and between two states that an interrupted run can go on from
EXAMINED = 2000  # pictures that it is examined by, in the end; nothing was learned from them
EXAM = 10**9  # the seed of their first; those that are learned from have seeds drawn from 2**63


@dataclass(frozen=True)
class State:
    """How far it is: the arrays of network and head (Keras' order) after `epoch` epochs."""

    epoch: int
    network: list[np.ndarray]
    classifier: list[np.ndarray]


def pretrain(target: Path, recipe: Recipe, *, things: int = THINGS, epoch: int = EPOCH, progress: Progress) -> float:
    """Write a backbone's weights (Keras 3's `.weights.h5`) to `target`; returns the share of new pictures it names rightly.

    `<target>.part` holds what an interrupted run came to; one of another recipe is begun anew. Raises TrainingDiverged.
    """
    part = target.with_name(f"{target.name}.part")
    name = json.dumps([recipe.digest(), things, epoch])
    state = _resumed(part, name)
    keras.utils.set_random_seed(recipe.seed)
    network, classifier = _network(recipe, things, state)
    body, answers = features_of(network), np.eye(things, dtype=np.float32)
    learning, shares = everything(network, classifier, recipe)

    def batches(at: int) -> Iterator[Batch]:
        seeds = np.random.default_rng([recipe.seed, at])
        order = (seeds.integers(things, size=recipe.batch) for _ in range(math.ceil(epoch / recipe.batch)))
        for numbers, pictures in ahead(order, partial(_drawn, recipe.view_size), seeds):
            yield pictures.astype(np.float32), answers[numbers]

    def forward(batch: tf.Tensor) -> tf.Tensor:
        return classifier(body(batch, training=True), training=True)

    def done(step: str, so_far: int, total: int) -> None:
        _keep(part, name, State(so_far, network.get_weights(), classifier.get_weights()))
        progress(step, so_far, total)

    begun = state.epoch if state else 0
    plan = phase(recipe.name, recipe, epochs=recipe.top_epochs, rate=recipe.top_rate, photos=epoch, begun=begun)
    plan.run(forward, learning, batches, done, shares=shares)
    written = target.with_name(f".{target.name}")  # Keras looks at the ending
    network.save_weights(written)
    written.replace(target)
    part.unlink(missing_ok=True)
    return _examined(network, classifier, recipe.view_size, things)


def _network(recipe: Recipe, things: int, state: State | None) -> tuple[keras.Model, keras.Sequential]:
    nothing = find_backbone(RANDOM, decision_s=0)
    network = build_backbone(nothing, recipe.view_size, alpha=recipe.alpha, bn_momentum=recipe.bn_momentum)
    classifier = head(network.output_shape[-1], things, dropout=recipe.dropout, seed=recipe.seed)
    if state:
        network.set_weights(state.network)
        classifier.set_weights(state.classifier)
    return network, classifier


def _drawn(size: int, numbers: np.ndarray, seed: int) -> np.ndarray:
    rng = random.Random(seed)  # noqa: S311  pictures, no secrets
    return np.stack([picture(int(number), size, rng) for number in numbers])


def _examined(network: keras.Model, classifier: keras.Sequential, size: int, things: int) -> float:
    """The share of EXAMINED new pictures that are named rightly."""
    body, right = features_of(network), 0
    numbers = np.arange(EXAMINED) % things
    for at in range(0, EXAMINED, 100):
        pictures = _drawn(size, numbers[at : at + 100], EXAM + at).astype(np.float32)
        answers = np.asarray(classifier(body(pictures, training=False), training=False)).argmax(axis=1)
        right += int((answers == numbers[at : at + 100]).sum())
    return right / EXAMINED


# ---- what an interrupted run came to -----------------------------------------------------------------------------
def _keep(part: Path, name: str, state: State) -> None:
    arrays = named({"network": state.network, "classifier": state.classifier})
    written = part.with_name(f".{part.name}")
    written.write_bytes(pack({"name": name, "epoch": state.epoch}, arrays))
    written.replace(part)


def _resumed(part: Path, name: str) -> State | None:
    try:
        facts, arrays = unpack(part.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    if facts["name"] != name:
        return None
    return State(facts["epoch"], listed(arrays, "network"), listed(arrays, "classifier"))
