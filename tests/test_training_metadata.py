"""EXPORT: what files say of themselves, and edits that change no integer."""

import numpy as np
import pytest

from tests import colours
from training.errors import ForeignModel
from training.evaluate import classify, inputs_outputs
from training.metadata import ALIGNED, attach, cooled, read, without_softmax

FACTS = {"labels": ["blue", "grün", "red"], "calibration": {"photos": 12, "sha256": "0" * 64}, "confidence": None}


@pytest.mark.training
@pytest.mark.parametrize("name", ["float32", "float16", "int8"])
def test_a_file_tells_what_was_attached_and_answers_as_before(name):
    file = colours.exported()[name]
    told = attach(file, FACTS)
    images, _ = colours.photos(4, seed=3)
    assert read(file) == {} and read(told) == FACTS
    np.testing.assert_array_equal(classify(told, images), classify(file, images))
    assert inputs_outputs(told) == inputs_outputs(file)


@pytest.mark.training
def test_the_same_facts_are_the_same_bytes_and_newer_ones_take_their_place():
    file = colours.exported()["int8"]
    assert attach(attach(file, {"run": "1"}), FACTS) == attach(file, FACTS)
    assert attach(file, dict(reversed(FACTS.items()))) == attach(file, FACTS)


@pytest.mark.training
def test_constants_lie_where_kernels_may_read_them():
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(attach(colours.exported()["int8"], FACTS), 0)
    buffers = [model.Buffers(number) for number in range(model.BuffersLength())]
    starts = [buffer._tab.Vector(buffer._tab.Offset(4)) for buffer in buffers if buffer.DataLength()]
    assert len(starts) > 3 and [start % ALIGNED for start in starts] == [0] * len(starts)


@pytest.mark.training
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_cooling_divides_the_logits_exactly_and_changes_no_answer(temperature):
    file = colours.exported()["int8"]
    images, _ = colours.photos(10, seed=4)
    before, after = (classify(without_softmax(each), images) for each in (file, cooled(file, temperature)))
    np.testing.assert_allclose(after * temperature, before, rtol=1e-5)
    powers = np.exp(after)
    np.testing.assert_allclose(
        classify(cooled(file, temperature), images), powers / powers.sum(axis=1, keepdims=True), atol=0.01
    )


def test_what_is_no_litert_file_is_refused():
    with pytest.raises(ForeignModel):
        read(b"never a model")
