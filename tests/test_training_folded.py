"""FINE-TUNE, the top blocks: folded statistics change neither what is answered nor what is learned."""

import numpy as np
import pytest

from training.backbone import find_backbone

BOUNDARY = "block_12_add"


@pytest.mark.training
@pytest.mark.parametrize("boundary", [BOUNDARY, "block_5_add"])
def test_it_is_the_function_that_keras_layers_are_and_so_are_its_gradients(boundary):
    import tensorflow as tf

    from training.folded import folded
    from training.network import build_backbone, top_of

    network = build_backbone(find_backbone("none", decision_s=1), 64, alpha=0.35, bn_momentum=0.9)
    theirs, mine = top_of(network, boundary), folded(network, boundary)
    rng = np.random.default_rng(3)
    x = tf.constant(rng.normal(size=(4, *theirs.input_shape[1:])), tf.float32)
    weigh = tf.constant(rng.normal(size=(4, 1280)), tf.float32)
    variables = [variable.value for variable in theirs.trainable_variables]
    found = []
    for forward in (lambda: theirs(x, training=False), lambda: mine(x)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            answer = forward()
            total = tf.reduce_sum(answer * weigh)
        found.append((answer, *tape.gradient(total, [x, *variables])))
    assert len(found[0]) > 14 and float(tf.math.reduce_std(found[0][0])) > 0.01
    for expected, got in zip(*found, strict=True):
        scale = float(tf.reduce_max(tf.abs(expected)))
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4 * scale)


@pytest.mark.training
def test_it_computes_in_the_precision_of_its_layers_and_what_was_learned_counts_at_once():
    import keras
    import tensorflow as tf

    from training.folded import folded

    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        network = keras.applications.MobileNetV2(input_shape=(64, 64, 3), alpha=0.35, include_top=False, weights=None)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    forward = folded(network, BOUNDARY)
    x = tf.ones((2, *network.get_layer(BOUNDARY).output.shape[1:]))
    before = forward(x)
    assert before.dtype == tf.bfloat16
    network.get_layer("Conv_1_bn").beta.assign_add(tf.ones(1280))
    assert float(tf.reduce_mean(tf.cast(forward(x) - before, tf.float32))) > 0.5
