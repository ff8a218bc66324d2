"""RELEASE → PHONE: pictures with known answers, and phones that take no file which answers otherwise."""

import hashlib

import numpy as np
import pytest

from clients import refusals
from clients.canaries import Canaries, prove
from tests import colours
from training import canaries

pytestmark = pytest.mark.training


def told(**changes) -> Canaries:
    content = canaries.expected(colours.exported()["int8"], 32)
    sheet = canaries.sheet()
    blob = {"sha256": hashlib.sha256(sheet).hexdigest(), "bytes": len(sheet), "url": "https://x.example/blobs/1"}
    found = Canaries.of({**blob, **content, **changes}, 3)
    assert found is not None
    return found


def test_the_pictures_are_drawn_by_formula_and_never_change():
    assert canaries.sheet() == canaries.sheet()
    assert len(canaries.sheet()) < 200_000
    assert canaries.fed(96).shape == (canaries.TILES, 96, 96, 3)
    np.testing.assert_array_equal(canaries.fed(64)[:, ::2, ::2], canaries.tiles())


def test_the_released_file_answers_all_of_them_and_a_phone_takes_it(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(colours.exported()["int8"])
    assert len(told().expected) >= 8
    assert prove(told(), canaries.tiles(), path) == 1.0


def test_a_phone_that_computes_something_else_refuses_the_file(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(colours.exported()["int8"])
    with pytest.raises(refusals.WrongAnswers, match="answered rightly"):
        prove(told(), 255 - canaries.tiles(), path)  # as a runtime would that reads colours upside down
    path.write_bytes(b"TFL3 but no model")
    with pytest.raises(refusals.WrongAnswers, match="cannot run"):
        prove(told(), canaries.tiles(), path)


def test_a_score_may_differ_by_the_tolerance_and_no_more(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(colours.exported()["int8"])
    given = canaries.expected(colours.exported()["int8"], 32)["expected"]
    moved = [each | {"score": each["score"] - canaries.TOLERANCE * 0.9} for each in given]
    assert prove(told(expected=moved), canaries.tiles(), path) == 1.0
    moved = [each | {"score": each["score"] - canaries.TOLERANCE * 1.1} for each in given]
    with pytest.raises(refusals.WrongAnswers):
        prove(told(expected=moved), canaries.tiles(), path)


@pytest.mark.parametrize(
    "change",
    [{"sha256": "../etc"}, {"bytes": 10**9}, {"tile": 4096}, {"expected": [{"tile": 0, "index": 3, "score": 1.0}]}],
)
def test_canaries_that_reach_too_far_are_refused(change):
    with pytest.raises(ValueError):
        told(**change)
    assert Canaries.of(None, 3) is None
