"""What makes a network smaller or faster without costing too much: a smaller input or width, fewer channels, fewer weights.

`PHOTOS=<folder with train/<label>/ and val/<label>/> BACKBONE_WEIGHTS=<file> SMALLER_WEIGHTS=<file> make bench PART=smaller`

Each network learns what is behind the boundary by a first night's recipe on one centre view of each photo, and is exported as
int8. Pruned: the channels inside of the blocks behind the boundary with the smallest weights are taken out before it learns
(structured pruning by magnitude; Li et al., "Pruning filters for efficient ConvNets", ICLR 2017). Clustered: a trained file's
weights get so many distinct values a layer (Han et al., "Deep compression", ICLR 2016), which makes no file smaller but its
download. SMALLER_WEIGHTS are those of a smaller width.
"""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench._facts import QUICK, machine, needed, say
from bench._nights import Photos

SHARES = (0.75, 0.5, 0.25)  # of the channels that stay
VALUES = (64, 32, 16)  # of an int8 layer's weights
HIDDEN = range(13, 17)  # MobileNetV2's blocks behind block_12_add
LAST = "Conv_1"


def measure() -> dict[str, Any]:
    """Half an hour of CPU with 2,640 photos and a network of width 1."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    from training import process

    os.environ.update({**process.ENVIRONMENT, **os.environ})  # a night's own, read when TensorFlow is loaded
    folder, weights = Path(needed("PHOTOS", "smaller")), needed("BACKBONE_WEIGHTS", "smaller")
    photos = Photos(folder, weights)
    whole_network, spent = _learned(photos, lambda network: network)
    files = {"as it is": (whole_network["int8"], spent)}
    for name, size in photos.small.items():
        files[f"input of {size} pixels"] = whole_network[name], spent
    for share in SHARES[-1:] if QUICK else SHARES:
        say(f"pruned to {share:.0%}")
        fewer, spent = _learned(photos, partial(pruned, share=share))
        files[f"{share:.0%} of the channels"] = fewer["int8"], spent
    for values in VALUES:
        files[f"{values} values a layer"] = clustered(files["as it is"][0], values), files["as it is"][1]
    narrow = Photos(folder, needed("SMALLER_WEIGHTS", "smaller"))
    fewer, spent = _learned(narrow, lambda network: network)
    files[f"width {narrow.backbone.alpha}"] = fewer["int8"], spent
    return {
        "part": "smaller",
        "settings": {**machine(), "photos": len(photos.train), "held out": len(photos.truth), "pixels": photos.size},
        "rows": [_row(name, file, spent, photos) for name, (file, spent) in files.items()],
        "claims": [],  # figures to choose by, and no goal
    }


def _row(name: str, file: bytes, spent: float, photos: Photos) -> dict[str, Any]:
    from training.deltas import compressed
    from training.evaluate import latency_ms

    return {
        "network": name,
        "bytes": len(file),
        "download": len(compressed(file)),
        "ms": latency_ms(file),
        "recognised_%": round(100 * float(photos.hits(file).mean()), 2),
        "training_cpu_s": round(spent),
    }


def _learned(photos: Photos, change: Callable[[Any], Any]) -> tuple[dict[str, bytes], float]:
    """(int8 files by format, CPU seconds of training) of the backbone with `change` made to it."""
    import keras

    from training import finish, tiers
    from training.finetune import behind_the_boundary, network_of
    from training.network import assemble, head, top_of
    from training.replicas import Alone
    from training.weights import Start

    recipe, start = replace(photos.recipe, **({"top_epochs": 1} if QUICK else {})), Start(photos.backbone, None)
    keras.utils.set_random_seed(recipe.seed)
    network = change(network_of(start, recipe, recipe.view_size))
    top = top_of(network, recipe.boundary)
    given = photos.train.activations[:, 0]
    seen = [top.predict_on_batch(given[at : at + 64].astype(np.float32)) for at in range(0, len(given), 64)]
    train = replace(photos.train, features=np.concatenate(seen).astype(np.float16))
    classifier = head(network.output_shape[-1], len(photos.labels), dropout=recipe.dropout, seed=recipe.seed)
    began = time.process_time()
    behind_the_boundary(recipe, network, classifier, train, lambda *_: None, Alone())
    spent = time.process_time() - began
    calibration = train.pixels[finish.calibration_rows(train.ids)]
    files = {}
    for name, size in {"int8": photos.size, **photos.small}.items():
        fed = change(network_of(start, recipe, size))
        fed.set_weights(network.get_weights())
        pixels = calibration if size == photos.size else tiers.smaller(calibration, size)
        files[name] = finish.converted(assemble(fed, classifier)[0], calibration=pixels, before=None)["int8"]
    return files, spent


# ---- fewer channels ----------------------------------------------------------------------------------------------
def pruned(network: Any, share: float) -> Any:
    """The network with this share of the channels inside of HIDDEN blocks, and of those that LAST gives: what a block gives to
    the next one stays as wide, for it is added up with what went around it."""
    import keras

    stays = {LAST: _strongest(network.get_layer(LAST), network.get_layer(f"{LAST}_bn"), share)}
    for block in HIDDEN:
        depthwise, statistics = (network.get_layer(f"block_{block}_depthwise{end}") for end in ("", "_BN"))
        stays[f"block_{block}_expand"] = _strongest(depthwise, statistics, share)

    def narrowed(layer: Any) -> Any:
        config = layer.get_config()
        if layer.name in stays:
            config["filters"] = len(stays[layer.name])
        return layer.__class__.from_config(config)

    narrow = keras.models.clone_model(network, clone_function=narrowed)
    for layer in network.layers:
        weights, name = layer.get_weights(), layer.name
        if not weights:
            continue
        if name.startswith(LAST):
            weights = [part[..., stays[LAST]] for part in weights]
        elif (block := "_".join(name.split("_")[:2]) + "_expand") in stays:
            kept = stays[block]
            if "_project" not in name:
                axis = 2 if name.endswith("_depthwise") else -1
                weights = [np.take(part, kept, axis=axis) for part in weights]
            elif not name.endswith("_BN"):
                weights = [part[:, :, kept] for part in weights]
        narrow.get_layer(name).set_weights(weights)
    return narrow


def _strongest(convolution: Any, statistics: Any, share: float) -> np.ndarray:
    """int [share of the channels], sorted: those with the largest weights after their normalisation."""
    kernel = convolution.get_weights()[0]
    kernel = kernel[..., 0] if kernel.shape[-1] == 1 else kernel
    gamma, _, _, variance = statistics.get_weights()
    size = np.abs(kernel).sum(axis=(0, 1) if kernel.ndim == 3 else (0, 1, 2)) * np.abs(gamma) / np.sqrt(variance + 1e-3)
    return np.sort(np.argsort(-size)[: max(1, round(share * len(size)))])


# ---- fewer values ------------------------------------------------------------------------------------------------
def clustered(int8: bytes, values: int) -> bytes:
    """The file with at most so many distinct values in each layer's weights, by k-means."""
    from scipy.cluster.vq import kmeans2

    from training.metadata import opened, written

    model = opened(int8)
    for op in model.subgraphs[0].operators:
        if model.operatorCodes[op.opcodeIndex].builtinCode not in (3, 4, 9):  # CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED
            continue
        buffer = model.buffers[model.subgraphs[0].tensors[op.inputs[1]].buffer]
        weights = np.asarray(buffer.data, np.uint8).view(np.int8)
        begun = np.quantile(weights, (np.arange(values) + 0.5) / values).astype(float)
        centres, which = kmeans2(weights.astype(float), begun, minit="matrix", missing="warn", seed=1)
        buffer.data = np.round(centres[which]).astype(np.int8).view(np.uint8)
    return written(model)
