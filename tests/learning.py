"""What tests of training share: photos of colours as a night has them, and recipes that are small enough for tests."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from tests import colours
from training.backbone import find_backbone
from training.looks import NOTHING
from training.recipe import Recipe
from training.seen import Seen

LABELS = list(colours.COLOURS)


def pictures(each: int, seed: int) -> Seen:
    """Photos of colours as a night from pixels has them."""
    images, truth = colours.photos(each, seed)
    ids = [f"{seed}-{i}" for i in range(len(truth))]
    return Seen(ids, ids, truth, pixels=images, sources=images)


def cached(each: int, seed: int, recipe: Recipe, weights: Path) -> Seen:
    """The same as the frozen part of the network sees them: `views` copies of the photo."""
    from training.finetune import Start, network_of
    from training.network import features_of, trunk_of

    plain = pictures(each, seed)
    network = network_of(Start(find_backbone(str(weights), decision_s=1), None), recipe, recipe.view_size)
    activations = trunk_of(network, recipe.boundary).predict_on_batch(plain.pixels.astype(np.float32))
    features = features_of(network).predict_on_batch(plain.pixels.astype(np.float32)).astype(np.float16)
    seen = np.repeat(activations[:, None], recipe.views, axis=1).astype(np.float16)
    return replace(plain, centre=activations.astype(np.float16), activations=seen, features=features, sources=NOTHING)


def quiet(step: str, done: int, total: int) -> None:
    """Nobody watches."""


def small(recipe: Recipe, **changes: object) -> Recipe:
    return replace(
        recipe, image_size=colours.SIZE, view_size=colours.SIZE, source_size=colours.SIZE, batch=12, average=0.0, **changes
    )
