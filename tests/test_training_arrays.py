"""What several steps keep in the store: it comes back as it was, and other bytes are refused."""

import numpy as np
import pytest

from training.arrays import FACTS, listed, named, pack, unpack

FACT = {"name": "Zoë", "seconds": {"b": 1.5, "a": None}}
ARRAYS = {"weights": np.arange(6, dtype=np.float16).reshape(2, 3), "none": np.empty((0, 4), np.uint8)}


def test_facts_and_arrays_come_back_as_they_were_and_are_the_same_bytes_again():
    data = pack(FACT, ARRAYS)
    facts, arrays = unpack(data)
    assert facts == FACT and list(facts["seconds"]) == ["b", "a"]
    assert arrays.keys() == ARRAYS.keys() and FACTS not in arrays
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype and arrays[name].shape == array.shape
        np.testing.assert_array_equal(arrays[name], array)
    assert pack(facts, arrays) == data


def test_lists_of_arrays_come_back_in_their_order():
    lists = {"network": [np.full(2, number) for number in range(12)], "network-top": [np.zeros(1)], "head": []}
    _, arrays = unpack(pack({}, named(lists)))
    for name, some in lists.items():
        found = listed(arrays, name)
        assert len(found) == len(some)
        for one, other in zip(found, some, strict=True):
            np.testing.assert_array_equal(one, other)


def single(**arrays: np.ndarray) -> bytes:
    import io

    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no archive",
        pack(FACT, ARRAYS)[:-40],
        single(weights=np.zeros(2)),
        single(facts=np.frombuffer(b"{", np.uint8)),
        single(facts=np.array([{}], dtype=object)),
    ],
    ids=["empty", "text", "cut off", "without facts", "facts that are no JSON", "a pickle"],
)
def test_other_bytes_are_refused(data: bytes):
    with pytest.raises(ValueError):
        unpack(data)
