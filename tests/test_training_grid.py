"""EXPORT: weights that stay on the incumbent's grid, and biases that make up for what rounding shifts."""

import numpy as np
import pytest

from tests import colours
from training import grid
from training.evaluate import classify
from training.metadata import opened

pytestmark = pytest.mark.training


def files(shift: float) -> dict[str, bytes]:
    """The network of colours, the weights of its convolution moved by `shift` of their largest."""
    import keras

    from training.export import export

    model = colours.network()
    convolution = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    (kernel,) = convolution.get_weights()
    rng = np.random.default_rng(1)
    convolution.set_weights([kernel + shift * rng.uniform(-1, 1, kernel.shape) * (kernel < 1)])
    return export(model, calibration=colours.photos(4)[0])


def integers(file: bytes) -> list[np.ndarray]:
    model = opened(file)
    return [grid._values(model, op.inputs[1], np.int8) for op in grid._layers(model)]


def test_weights_that_hardly_moved_stay_to_the_integer_and_others_follow():
    calibration = colours.photos(4)[0]
    before, near, far = files(0.0), files(2 / 127), files(40 / 127)
    kept = grid.settled(near["int8"], near["float32"], calibration, before["int8"])
    moved = grid.settled(far["int8"], far["float32"], calibration, before["int8"])
    assert not np.array_equal(integers(near["int8"])[0], integers(before["int8"])[0])
    np.testing.assert_array_equal(integers(kept)[0], integers(before["int8"])[0])
    assert (integers(moved)[0] != integers(before["int8"])[0]).mean() > 0.5


def test_a_settled_file_answers_as_float_does():
    calibration, (images, _) = colours.photos(4)[0], colours.photos(10, seed=5)
    before, near = files(0.0), files(2 / 127)
    wanted = classify(near["float32"], images)
    for older in (None, before["int8"]):
        settled = grid.settled(near["int8"], near["float32"], calibration, older)
        np.testing.assert_allclose(classify(settled, images), wanted, atol=0.05)


def test_the_same_files_settle_to_the_same_bytes():
    calibration, near = colours.photos(4)[0], files(2 / 127)
    once = grid.settled(near["int8"], near["float32"], calibration, None)
    assert once == grid.settled(near["int8"], near["float32"], calibration, None)
