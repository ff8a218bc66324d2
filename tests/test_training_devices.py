"""Where the steps run: a recipe names it. Mixed precision is forced onto the CPU here; nothing of this has seen a GPU."""

from dataclasses import replace

import numpy as np
import pytest

from tests.learning import LABELS, pictures, quiet, small
from training.backbone import find_backbone
from training.errors import UnknownDevice
from training.recipe import Recipe, from_scratch
from training.weights import Weights

pytestmark = pytest.mark.training
RECIPE = small(from_scratch(), top_epochs=14, top_rate=3e-3)


def trained(recipe: Recipe) -> tuple[Weights, float]:
    """(weights, share of photos that they get right)."""
    from training.finetune import Start, finetune

    start = Start(find_backbone("random", decision_s=1), None)
    found = finetune(recipe, start, train=pictures(32, 1), validation=pictures(20, 2), labels=LABELS, progress=quiet)
    return found.weights, found.history["accuracy"]


@pytest.fixture(scope="module")
def usual() -> tuple[Weights, float]:
    return trained(RECIPE)


def test_a_named_device_trains_the_same(usual: tuple[Weights, float]):
    named, accuracy = trained(replace(RECIPE, device="/CPU:0"))
    assert accuracy == usual[1]
    for mine, theirs in zip(usual[0].network + usual[0].head, named.network + named.head, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("device", ["/GPU:7", "/CPU:1", "the fast one"])
def test_a_device_that_is_not_there_is_refused_with_what_is(device: str):
    with pytest.raises(UnknownDevice, match=r"it has /CPU:0\. Set the recipe's device to one of these") as caught:
        trained(replace(RECIPE, device=device))
    assert caught.value.facts == {"device": device}


def test_mixed_precision_learns_as_well_and_leaves_float32_weights_and_files(
    usual: tuple[Weights, float], monkeypatch: pytest.MonkeyPatch
):
    import keras

    from training import devices
    from training.network import assemble, restored

    monkeypatch.setattr(devices, "policy", lambda device: "mixed_bfloat16")
    mixed, accuracy = trained(RECIPE)
    assert accuracy > usual[1] - 0.1
    assert any((mine != theirs).any() for mine, theirs in zip(mixed.network, usual[0].network, strict=True))  # it did reckon so
    assert {array.dtype for array in mixed.network + mixed.head} == {np.dtype(np.float32)}
    assert keras.config.dtype_policy().name == "float32"
    model, _ = assemble(*restored(mixed))
    assert {layer.compute_dtype for layer in model._flatten_layers()} == {"float32"}


@pytest.mark.parametrize(
    ("device", "capabilities", "expected"),
    [
        ("", [], "float32"),
        ("", [(9, 0)], "mixed_bfloat16"),
        ("", [(7, 5)], "float32"),  # has float16 alone, whose losses would need scaling
        ("/CPU:0", [(9, 0)], "float32"),
        ("/GPU:1", [(7, 0), (8, 6)], "mixed_bfloat16"),
        ("/GPU:1", [(9, 0)], "float32"),  # not there
        ("the fast one", [(9, 0)], "float32"),
    ],
)
def test_a_gpu_that_can_reckons_in_mixed_precision(
    device: str, capabilities: list[tuple[int, int]], expected: str, monkeypatch: pytest.MonkeyPatch
):
    import tensorflow as tf

    from training import devices

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: capabilities)
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: {"compute_capability": gpu})
    assert devices.policy(device) == expected
