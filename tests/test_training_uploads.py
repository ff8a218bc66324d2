"""How small a phone's photo may be: told from the recognizer's own photos by the very file that phones run."""

import io
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from tests.nights import accepted, coin, released
from training import uploads
from training.uploads import Size, shrunk, smallest

INT8 = (Path(__file__).parent / "data" / "good-int8.tflite").read_bytes()  # tells coins apart by their mean colour


def of(side: int, quality: int, size: int, loss: float = 0.0, error: float = 0.0) -> Size:
    return Size(side, quality, size, np.ones(1, bool), loss, error)


@pytest.fixture
def judged(recognizer, volunteer, monkeypatch):
    """A released model and twelve held-out coins of 96 pixels; eight are enough to measure by."""
    monkeypatch.setattr(uploads, "LEAST_PHOTOS", 8)
    monkeypatch.setattr(uploads, "SIDES", (8, 16))
    monkeypatch.setattr(uploads, "QUALITIES", (1, 85))
    monkeypatch.setattr(uploads, "CHUNK", 5)
    released(recognizer, INT8)
    for label in ("copper", "silver", "gold"):
        for seed in range(4):
            accepted(recognizer, volunteer, label, "test", data=coin(label, seed, 96))
    accepted(recognizer, volunteer, "gold", "train")
    return recognizer


def told(*words: str) -> str:
    out = io.StringIO()
    call_command("upload_size", "--recognizer", "coins", *words, stdout=out)
    return out.getvalue()


# ---- a photo as an app would make it smaller ---------------------------------------------------------------------
@pytest.mark.parametrize(("size", "becomes"), [((400, 300), (133, 100)), ((300, 400), (100, 133)), ((90, 500), (90, 500))])
def test_the_shorter_side_shrinks_and_never_grows(size, becomes):
    file = io.BytesIO()
    Image.new("RGB", size, "tan").save(file, "PNG")
    with Image.open(io.BytesIO(shrunk(file.getvalue(), 100, 80))) as small:
        assert (small.size, small.format) == (becomes, "JPEG")


def test_what_is_no_photo_is_said_to_be_none():
    with pytest.raises(uploads.UnreadablePhoto):
        shrunk(b"nothing", 100, 80)


# ---- which is enough ---------------------------------------------------------------------------------------------
def test_the_smallest_is_taken_only_where_larger_and_finer_ones_are_enough_too():
    sizes = [of(288, 50, 10, 0.001), of(288, 85, 20, 0.05), of(512, 50, 15), of(512, 85, 30)]
    found = smallest(sizes)
    assert found is not None
    assert (found.side, found.quality) == (512, 50)  # 288 at 50 is better than 288 at 85 by chance


def test_a_loss_that_may_be_two_points_is_too_much():
    assert of(288, 50, 10, 0.01, 0.01).enough
    assert not of(288, 50, 10, 0.01, 0.011).enough
    assert smallest([of(288, 50, 10, 0.0, 0.03)]) is None


# ---- measured, and told to phones --------------------------------------------------------------------------------
def test_sizes_are_judged_by_the_released_file_on_held_out_photos_alone(judged):
    steps = []
    as_stored, sizes = uploads.measure(judged, lambda *step: steps.append(step[1:]))
    assert as_stored == 1
    assert [(each.side, each.quality) for each in sizes] == [(8, 1), (8, 85), (16, 1), (16, 85)]
    assert all(len(each.right) == 12 for each in sizes)
    fine, coarse = sizes[3], sizes[2]
    assert (fine.loss, fine.error, fine.enough) == (0, 0, True)
    assert coarse.loss > 0.2
    assert not coarse.enough
    assert coarse.bytes < fine.bytes
    assert steps[-1] == (60, 60)


def test_phones_are_told_what_is_enough_once_somebody_says_so(judged, client):
    assert "Enough: 8 pixels at quality 85" in told()
    assert client.get("/api/v1/recognizers").json()[0]["upload"] is None
    assert "Phones are told so from now on." in told("--tell")
    assert client.get("/api/v1/recognizers").json()[0]["upload"] == {"shorter_side": 8, "quality": 85}


def test_where_none_is_enough_phones_send_photos_as_they_are(judged, client, monkeypatch):
    uploads.tell(judged, of(288, 50, 10))
    monkeypatch.setattr(uploads, "QUALITIES", (1,))
    assert "None is enough" in told("--tell")
    assert client.get("/api/v1/recognizers").json()[0]["upload"] is None


def test_nothing_released_and_too_few_photos_are_said(recognizer, volunteer):
    with pytest.raises(CommandError, match="no channel"):
        told()
    released(recognizer, INT8)
    accepted(recognizer, volunteer, "gold", "test")
    with pytest.raises(CommandError, match="1 photos are held out, 50 are needed"):
        told()
    with pytest.raises(CommandError, match="no recognizer 'tins'"):
        call_command("upload_size", "--recognizer", "tins")
