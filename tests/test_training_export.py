"""EXPORT: the bytes themselves, in LiteRT."""

import numpy as np
import pytest

from tests import colours
from training.evaluate import classify, inputs_outputs, interpreter

pytestmark = pytest.mark.training


def test_the_phones_file_takes_pixels_as_they_are_and_gives_bytes():
    io = inputs_outputs(colours.exported()["int8"])
    assert io["input"] == {"shape": [1, 32, 32, 3], "dtype": "uint8", "scale": 1.0, "zero_point": 0}
    assert (io["output"]["dtype"], io["output"]["shape"]) == ("uint8", [1, 3])


def test_the_reference_file_is_float_with_a_batch_of_one():
    io = inputs_outputs(colours.exported()["float32"])
    assert (io["input"]["dtype"], io["input"]["shape"]) == ("float32", [1, 32, 32, 3])
    assert io["output"]["dtype"] == "float32"


def test_weights_are_quantized_per_channel():
    details = interpreter(colours.exported()["int8"]).get_tensor_details()
    kernels = [d for d in details if d["dtype"] == np.int8 and list(d["shape"]) == [3, 3, 3, 3]]
    assert [len(d["quantization_parameters"]["scales"]) for d in kernels] == [3]


def test_no_tensor_inside_the_phones_file_is_float():
    details = interpreter(colours.exported()["int8"]).get_tensor_details()
    assert not [d["name"] for d in details if d["dtype"] in (np.float32, np.float16)]


def test_the_exported_files_answer_what_the_network_answers():
    images, _ = colours.photos(5, seed=2)
    wanted = colours.network().predict_on_batch(images.astype(np.float32))
    np.testing.assert_allclose(classify(colours.exported()["float32"], images), wanted, atol=1e-4)
    np.testing.assert_allclose(classify(colours.exported()["int8"], images), wanted, atol=0.04)


def test_the_same_network_and_calibration_give_the_same_bytes():
    from training.export import export

    again = export(colours.network(), calibration=colours.photos(4)[0])
    assert again["int8"] == colours.exported()["int8"]
