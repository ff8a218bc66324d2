"""FINE-TUNE, the top blocks: MobileNetV2 behind a layer, its frozen batch statistics folded into the convolutions before them.

The same function of the same variables as Keras' layers with `training=False`, with the same gradients, only cheaper: Keras
normalises in passes of their own over every activation, and a convolution of one pixel is a product of matrices, which is
faster said so. Forward and backward behind block_12_add (width 1.0, 224 pixels, one thread, oneDNN): 96 to 105 images per CPU
second instead of 78 to 82.
"""

from collections.abc import Callable

import keras
import tensorflow as tf


def folded(network: keras.Model, boundary: str) -> Callable[[tf.Tensor], tf.Tensor]:
    """Activations [n, h, w, c] of layer `boundary` → pooled features [n, d], in the layers' own precision.

    Variables are read whenever it is called: gradients reach kernels, gamma and beta.
    """
    names = [layer.name for layer in network.layers]  # in the order in which they follow from each other
    behind = network.layers[names.index(boundary) + 1 :]

    def forward(activations: tf.Tensor) -> tf.Tensor:
        seen = {boundary: tf.cast(activations, behind[0].compute_dtype)}
        for layer in behind:
            given = [seen[name] for name in _inputs(layer)]
            if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
                seen[layer.name] = given[0]  # applied with the statistics that follow it
            elif isinstance(layer, keras.layers.BatchNormalization):
                seen[layer.name] = _normalised(network.get_layer(_inputs(layer)[0]), layer, given[0])
            else:
                seen[layer.name] = layer(given if len(given) > 1 else given[0])
        return tf.reduce_mean(seen[behind[-1].name], axis=(1, 2))

    return forward


def _inputs(layer: keras.layers.Layer) -> list[str]:
    """Names of the layers whose outputs it takes."""
    return [tensor._keras_history.operation.name for tensor in keras.tree.flatten(layer.input)]


def _normalised(convolution: keras.layers.Layer, statistics: keras.layers.BatchNormalization, given: tf.Tensor) -> tf.Tensor:
    """What `convolution` makes of it, normalised: γ (w·x − μ) / σ + β = (w γ / σ) · x + (β − μ γ / σ)."""
    scale = statistics.gamma * tf.math.rsqrt(statistics.moving_variance + statistics.epsilon)
    bias = tf.cast(statistics.beta - statistics.moving_mean * scale, given.dtype)
    if isinstance(convolution, keras.layers.DepthwiseConv2D):
        kernel = tf.cast(convolution.kernel * scale[:, None], given.dtype)  # [h, w, c, 1]
        strides = (1, *convolution.strides, 1)
        return tf.nn.bias_add(tf.nn.depthwise_conv2d(given, kernel, strides, convolution.padding.upper()), bias)
    kernel = tf.cast(convolution.kernel * scale, given.dtype)  # [1, 1, c, d]: of one pixel, all that MobileNetV2 has here
    return tf.nn.bias_add(tf.einsum("nhwc,cd->nhwd", given, kernel[0, 0]), bias)
