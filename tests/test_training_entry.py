"""EXPORT: int8's quicker beginning answers as the slower one did."""

import numpy as np
import pytest

from tests import colours
from training.entry import quickened
from training.evaluate import classify, inputs_outputs
from training.metadata import opened

pytestmark = pytest.mark.training
SIDE = 64


def pictures(count: int) -> np.ndarray:
    """uint8 [count, SIDE, SIDE, 3]: smooth ones, with bright and dark edges, where padding shows."""
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 256, (count, 8, 8, 3))
    return np.kron(coarse, np.ones((1, SIDE // 8, SIDE // 8, 1))).astype(np.uint8)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """The starter's network with twelve answers that nobody has taught it."""
    import keras

    from training.backbone import find_backbone
    from training.export import export
    from training.network import assemble, build_backbone, head

    keras.utils.set_random_seed(1)
    network = build_backbone(find_backbone("none", decision_s=1), SIDE, alpha=0.35, bn_momentum=0.9)
    classifier = head(network.output_shape[-1], 12, dropout=0.0, seed=1)
    kernel, bias = classifier.get_weights()
    classifier.set_weights([kernel * 5, bias])
    return export(assemble(network, classifier)[0], calibration=pictures(20))


def test_it_answers_as_before_and_no_farther_from_float32(files):
    seen = pictures(60)
    exact, before = (classify(files[name], seen) for name in ("float32", "int8"))
    after = classify(quickened(files["int8"]), seen)
    assert len(np.unique(exact.argmax(axis=1))) > 3
    assert (after.argmax(axis=1) == before.argmax(axis=1)).mean() > 0.9
    distance = [np.abs(answers - exact).sum(axis=1).mean() for answers in (before, after)]
    assert distance[1] < 1.2 * distance[0], distance


def test_pixels_go_into_the_first_convolution_two_at_a_time_and_are_fed_as_bytes(files):
    quick = quickened(files["int8"])
    graph = opened(quick).subgraphs[0]
    assert len(graph.operators) == len(opened(files["int8"]).subgraphs[0].operators) - 1
    assert list(graph.tensors[graph.operators[2].inputs[0]].shape) == [1, SIDE, SIDE // 2, 6]
    fed, before = (inputs_outputs(file)["input"] for file in (quick, files["int8"]))
    assert (
        [fed[name] for name in ("shape", "dtype")]
        == [before[name] for name in ("shape", "dtype")]
        == [[1, SIDE, SIDE, 3], "uint8"]
    )
    assert abs(len(quick) - len(files["int8"])) < 4000


def test_what_begins_otherwise_stays_as_it_is(files):
    quick = quickened(files["int8"])
    assert quickened(quick) == quick
    assert quickened(files["float32"]) == files["float32"]
    plain = colours.exported()["int8"]  # its convolution has a stride of 1
    assert quickened(plain) == plain
