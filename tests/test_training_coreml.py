"""EXPORT, for Apple's phones: what is converted holds what it should, and a failure costs the files alone."""

import pytest

from training import coreml, network
from training.backbone import find_backbone
from training.errors import ExportFailed
from training.weights import Fit, Weights, as_bytes

LABELS = ["copper", "silver", "gold"]
FACTS = {"temperature": 0.5, "labels": LABELS, "about": {"run": "1"}}


@pytest.fixture(scope="module")
def made() -> dict[str, bytes]:
    from django.conf import settings

    backbone = find_backbone("random", decision_s=1)
    small = network.build_backbone(backbone, 32, alpha=0.35, bn_momentum=0.9)
    head = network.head(small.output_shape[-1], 3, dropout=0.0, seed=0)
    weights = as_bytes(Weights(Fit("", "", 0.35, 32, LABELS), small.get_weights(), head.get_weights(), {}))
    before, settings.COREML_LIMIT_S = settings.COREML_LIMIT_S, 240
    try:
        packages, note = coreml.packages(weights, FACTS)
    finally:
        settings.COREML_LIMIT_S = before
    assert note == "", note
    return packages


@pytest.mark.training
def test_packages_take_an_image_name_the_labels_and_hold_the_weights_that_they_should(made):
    full = coreml.inspect(made["coreml-fp16"], LABELS, 32, eight_bits=False)
    eight = coreml.inspect(made["coreml-int8"], LABELS, 32, eight_bits=True)
    assert full["compressed"] == 0 and eight["compressed"] == eight["layers"] == full["layers"] > 50
    assert eight["bytes"] < 0.7 * full["bytes"]


@pytest.mark.training
def test_a_package_of_other_labels_size_or_weights_is_refused(made):
    for labels, size, eight in ((LABELS[::-1], 32, False), (LABELS, 64, False), (LABELS, 32, True)):
        with pytest.raises(ExportFailed):
            coreml.inspect(made["coreml-fp16"], labels, size, eight_bits=eight)


def test_a_conversion_that_fails_or_takes_too_long_leaves_a_note(settings):
    settings.COREML_LIMIT_S = 60
    packages, note = coreml.packages(b"no weights", FACTS)
    assert packages == {} and note.startswith("No Core ML files: ")
    settings.COREML_LIMIT_S = 0.01
    assert coreml.packages(b"no weights", FACTS) == (
        {}, "No Core ML files: making them took more than 0.01 s (COREML_LIMIT_S).",
    )  # fmt: skip
    settings.COREML_LIMIT_S = 0
    assert coreml.packages(b"", FACTS) == ({}, "")
