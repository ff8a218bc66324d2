"""What the bench takes out of networks, it takes out of the right place."""

import numpy as np
import pytest

from bench import smaller

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def network():
    import keras

    keras.utils.set_random_seed(1)
    made = keras.applications.MobileNetV2(input_shape=(32, 32, 3), alpha=0.35, include_top=False, weights=None)
    for layer in made.layers:  # statistics as if it had learned: none of them is 0 or 1
        if layer.name.endswith(("BN", "bn")):
            rng = np.random.default_rng(len(layer.name))
            layer.set_weights([rng.uniform(0.5, 1.5, part.shape) for part in layer.get_weights()])
    return made


def answers(network) -> np.ndarray:
    pixels = np.random.default_rng(2).uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)
    return np.asarray(network.predict_on_batch(pixels))


def test_with_all_channels_nothing_changes(network):
    np.testing.assert_allclose(answers(smaller.pruned(network, 1.0)), answers(network), rtol=1e-4, atol=1e-4)


def test_channels_that_give_nothing_are_taken_out_first_and_nothing_changes(network):
    import keras

    dead = keras.models.clone_model(network)
    dead.set_weights(network.get_weights())
    for block in smaller.HIDDEN:
        depthwise, statistics = (dead.get_layer(f"block_{block}_depthwise{end}") for end in ("", "_BN"))
        (kernel,), (gamma, beta, mean, variance) = depthwise.get_weights(), statistics.get_weights()
        kernel[:, :, ::2], beta[::2], mean[::2] = 0, 0, 0
        depthwise.set_weights([kernel])
        statistics.set_weights([gamma, beta, mean, variance])
    half = smaller.pruned(dead, 0.5)
    stay = smaller._strongest(dead.get_layer(smaller.LAST), dead.get_layer(f"{smaller.LAST}_bn"), 0.5)
    np.testing.assert_allclose(answers(half), answers(dead)[..., stay], rtol=1e-4, atol=1e-4)
    assert half.get_layer("block_14_expand").filters * 2 == dead.get_layer("block_14_expand").filters
    assert half.count_params() < 0.8 * dead.count_params()


def test_a_clustered_file_has_so_many_values_a_layer_and_answers_nearly_the_same():
    from tests import colours
    from training.evaluate import classify
    from training.metadata import opened

    file = colours.exported()["int8"]
    fewer = smaller.clustered(file, 4)
    model = opened(fewer)
    for op in model.subgraphs[0].operators:
        if model.operatorCodes[op.opcodeIndex].builtinCode in (3, 4, 9):
            weights = model.buffers[model.subgraphs[0].tensors[op.inputs[1]].buffer].data
            assert len(np.unique(weights)) <= 4
    pixels, truth = colours.photos(5)
    assert (classify(fewer, pixels).argmax(axis=1) == truth).mean() > 0.9  # it still tells colours apart
