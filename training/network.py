"""FINE-TUNE, the network: MobileNetV2 with its scaling inside the graph, cut at a layer into a frozen part and a top.

Keras is imported inside the functions: `find_backbone` is asked by processes that must not load TensorFlow.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from training.backbone import Backbone, find_backbone, is_keras3
from training.errors import ForeignWeights

if TYPE_CHECKING:
    import keras

    from training.weights import Weights

__all__ = [
    "Backbone",
    "assemble",
    "build_backbone",
    "eye_of",
    "features_of",
    "find_backbone",
    "head",
    "map_of",
    "restored",
    "scaling",
    "top_of",
    "trunk_of",
]


def build_backbone(backbone: Backbone, size: int, *, alpha: float, bn_momentum: float) -> keras.Model:
    """RGB −1…1 float32 [n, size, size, 3] → feature map float32 [n, size/32, size/32, d]; weights loaded if there are any.

    `bn_momentum` is for training that learns batch statistics anew.
    """
    import keras

    network = _mobilenet(size, alpha)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = bn_momentum
    if backbone.weights:
        with _named_for_keras(Path(backbone.weights)) as path:
            try:
                network.load_weights(path)
            except (ValueError, KeyError) as error:
                raise ForeignWeights(
                    f"{backbone.weights!r} does not fit MobileNetV2 of width {alpha} ({error}). "
                    "Set BACKBONE_WEIGHTS to another file, to imagenet or to none.",
                    path=backbone.weights,
                ) from error
    return network


def _mobilenet(size: int, alpha: float) -> keras.Model:
    import keras

    return keras.applications.MobileNetV2(
        input_shape=(size, size, 3), alpha=alpha, include_top=False, weights=None, name="backbone"
    )


@contextlib.contextmanager
def _named_for_keras(weights: Path) -> Iterator[str]:
    """The file under the ending by which Keras chooses its reader: it looks at the name, not at what is inside."""
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder, "backbone.weights.h5" if is_keras3(weights) else "backbone.h5")
        link.symlink_to(weights.resolve())
        yield str(link)


def trunk_of(network: keras.Model, boundary: str) -> keras.Model:
    """The part up to layer `boundary`, with the scaling in front: pixels 0…255 [n, s, s, 3] → activations [n, h, w, c]."""
    import keras

    pixels = keras.Input(network.input_shape[1:], name="pixels")
    front = keras.Model(network.inputs, network.get_layer(boundary).output)
    return keras.Model(pixels, front(scaling()(pixels)), name="trunk")


def eye_of(network: keras.Model, boundary: str) -> keras.Model:
    """Pixels 0…255 [n, s, s, 3] → what `trunk_of` gives, [n, h, w, c], and what `features_of` gives, [n, d]."""
    import keras

    trunk = trunk_of(network, boundary)
    return keras.Model(trunk.input, [trunk.output, top_of(network, boundary)(trunk.output)], name="eye")


def features_of(network: keras.Model) -> keras.Model:
    """Pixels 0…255 float32 [n, s, s, 3] → pooled features [n, d]; what its caller says of `training` holds for every layer."""
    return _pooled(map_of(network, ""), "embedder")


def top_of(network: keras.Model, boundary: str) -> keras.Model:
    """The part behind layer `boundary`, sharing its layers: activations [n, h, w, c] → pooled features [n, d].

    Call it with `training=False` to keep the batch statistics; gamma and beta learn all the same.
    """
    return _pooled(map_of(network, boundary), "top")


def _pooled(seen: keras.Model, name: str) -> keras.Model:
    import keras

    return keras.Model(seen.input, keras.layers.GlobalAveragePooling2D(name="features")(seen.output), name=name)


def map_of(network: keras.Model, boundary: str) -> keras.Model:
    """What `top_of` pools: activations [n, h, w, c] → feature map [n, h', w', d]; with boundary "" of pixels, `features_of`."""
    import keras

    if not boundary:
        pixels = keras.Input(network.input_shape[1:], name="pixels")
        return keras.Model(pixels, network(scaling()(pixels)), name="map")
    edge = network.get_layer(boundary).output
    activations = keras.Input(edge.shape[1:], name="activations")
    return keras.Model(activations, keras.Model(edge, network.output)(activations), name="map")


def head(features: int, classes: int, *, dropout: float, seed: int, replica: int = 0) -> keras.Sequential:
    """Pooled features [n, features] → logits [n, classes]. Replicas begin alike and drop other features."""
    import keras

    return keras.Sequential(
        [
            keras.Input((features,)),
            keras.layers.Dropout(dropout, seed=seed + replica),
            keras.layers.Dense(classes, kernel_initializer=keras.initializers.GlorotUniform(seed=seed), name="logits"),
        ],
        name="head",
    )


def scaling() -> keras.layers.Rescaling:
    """0…255 → −1…1, a layer of the exported graph: an app feeds plain pixels."""
    import keras

    return keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scaling")


def restored(weights: Weights, size: int = 0) -> tuple[keras.Model, keras.Sequential]:
    """(network, head) that hold these weights, for pictures of `size` pixels; 0: of the size that phones feed."""
    network = _mobilenet(size or weights.fit.image_size, weights.fit.alpha)
    network.set_weights(weights.network)
    classifier = head(network.output_shape[-1], len(weights.fit.labels), dropout=0.0, seed=0)
    classifier.set_weights(weights.head)
    return network, classifier


def assemble(network: keras.Model, classifier: keras.Model) -> tuple[keras.Model, keras.Model]:
    """(model, embedder), both from pixels 0…255 float32 [n, s, s, 3]: softmax [n, classes] and pooled features [n, d].

    Both share the given layers. For inference only: called with `training=True`, Keras would hand that down to every layer.
    """
    import keras

    embedder = features_of(network)
    probabilities = keras.layers.Softmax(name="probabilities")(classifier(embedder.output))
    return keras.Model(embedder.input, probabilities, name="photorally"), embedder
