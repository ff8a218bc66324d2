"""EVALUATE: the report's numbers, and any file on any folder."""

import hashlib
import json
import subprocess
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from collector.models import Recognizer
from tests import colours
from training.errors import ForeignModel
from training.evaluate import classify, inputs_outputs, latency_ms, report, wilson
from training.models import Artifact, Run

SURE, UNSURE = 0.95, 0.55


def scores(said: list[int], confidence: float = SURE) -> np.ndarray:
    """Probabilities over three labels."""
    rest = (1 - confidence) / 2
    return np.where(np.eye(3)[said] == 1, confidence, rest).astype(np.float32)


# ---- the report --------------------------------------------------------------------------------------------------
def test_wilson_agrees_with_published_intervals():
    # Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    published = {(81, 263): (0.2553, 0.3662), (15, 148): (0.0624, 0.1605), (0, 20): (0, 0.1611), (1, 29): (0.0061, 0.1718)}
    for (right, count), (low, high) in published.items():
        assert wilson(right, count) == pytest.approx((low, high), abs=1e-4)


def test_the_interval_of_nothing_is_everything():
    assert wilson(0, 0) == (0, 1)


def test_a_report_counts_per_label_and_names_the_confusions():
    truth = np.array([0, 0, 0, 0, 1, 1])
    found = report(scores([0, 0, 1, 1, 1, 0]), truth, ["a", "b", "c"])
    assert (found["n"], found["right"], found["accuracy"]) == (6, 3, 0.5)
    assert found["per_label"]["a"]["recall"] == 0.5
    assert (found["per_label"]["b"]["right"], found["per_label"]["b"]["n"]) == (1, 2)
    assert found["per_label"]["c"]["recall"] is None
    assert found["confusions"][0] == {"truth": "a", "predicted": "b", "n": 2}
    assert json.loads(json.dumps(found)) == found


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    truth = np.array([0] * 10)
    assert report(scores([0] * 10, 0.95), truth, "abc")["calibration_error"] == pytest.approx(0.05, abs=1e-3)
    assert report(scores([1] * 10, 0.95), truth, "abc")["calibration_error"] == pytest.approx(0.95, abs=1e-3)


def test_a_report_on_no_photos_says_so():
    found = report(np.zeros((0, 3), np.float32), np.zeros(0, int), ["a", "b", "c"])
    assert (found["n"], found["accuracy"], found["interval"]) == (0, None, [0, 1])


# ---- the file ----------------------------------------------------------------------------------------------------
def test_evaluation_never_loads_tensorflow():
    code = (
        "import os, sys, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'config.settings'; django.setup();"
        "from training.management.commands import evaluate; from training.evaluate import interpreter\n"
        "try: interpreter(b'x')\nexcept Exception: pass\n"
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("data", [b"", b"no model at all"])
def test_a_file_that_is_no_model_is_refused(data: bytes):
    with pytest.raises(ForeignModel):
        inputs_outputs(data)


@pytest.mark.training
def test_the_exported_bytes_classify_with_uint8_and_with_float_input():
    images, truth = colours.photos(6, seed=3)
    for data in colours.exported().values():
        answers = classify(data, images)
        assert (answers.argmax(axis=1) == truth).all()
        np.testing.assert_allclose(answers.sum(axis=1), 1, atol=0.02)


@pytest.mark.training
def test_latency_is_a_positive_number_of_milliseconds():
    assert 0 < latency_ms(colours.exported()["int8"]) < 100


# ---- the command -------------------------------------------------------------------------------------------------
@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.tflite"
    path.write_bytes(colours.exported()["int8"])
    return path


def evaluated(*arguments: object) -> str:
    out = StringIO()
    call_command("evaluate", *(str(argument) for argument in arguments), stdout=out)
    return out.getvalue()


@pytest.mark.training
@pytest.mark.django_db
def test_folders_named_like_the_labels_need_nothing_else(tmp_path: Path, model: Path):
    folder = colours.folder_of(tmp_path / "photos", {"red": 3, "green": 2, "blue": 1})
    text = evaluated("--model", model, folder)
    assert "6 of 6 photos right: 100.0% (95 %: 61.0% to 100.0%)" in text
    assert "the sorted folder names" in text


@pytest.mark.training
@pytest.mark.django_db
def test_labels_in_a_file_give_the_order_and_unknown_folders_are_named(tmp_path: Path, model: Path):
    folder = colours.folder_of(tmp_path / "photos", {"red": 3, "teapot": 2})
    order = tmp_path / "order.json"
    order.write_text(json.dumps(["blue", "green", "red"]))
    found = json.loads(evaluated("--model", model, "--labels", order, "--json", folder))
    assert (found["n"], found["right"], found["skipped"]) == (3, 3, {"teapot": 2})
    assert "skipped: teapot (2 photos)" in evaluated("--model", model, "--labels", order, folder)


@pytest.mark.training
@pytest.mark.django_db
def test_a_wrong_order_is_taken_at_its_word(tmp_path: Path, model: Path):
    folder = colours.folder_of(tmp_path / "photos", {"red": 2})
    model.with_name("labels.json").write_text(json.dumps(["red", "green", "blue"]))
    assert json.loads(evaluated("--model", model, "--json", folder))["right"] == 0


@pytest.mark.training
@pytest.mark.django_db
def test_a_file_that_was_exported_here_brings_its_labels(tmp_path: Path, model: Path):
    recognizer = Recognizer.objects.create(slug="colours", name="Colours")
    run = Run.objects.create(recognizer=recognizer, slot="2026-11-22", finished_at=timezone.now())
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    Artifact.objects.create(
        run=run, format="int8", sha256=digest, bytes=1, input_spec={}, labels=["blue", "green", "red"], metrics={}
    )
    folder = colours.folder_of(tmp_path / "photos", {"red": 2})
    text = evaluated("--model", model, folder)
    assert "2 of 2 photos right" in text
    assert "run 2026-11-22" in text


@pytest.mark.training
@pytest.mark.django_db
def test_another_number_of_labels_than_outputs_is_refused_with_both(tmp_path: Path, model: Path):
    folder = colours.folder_of(tmp_path / "photos", {"red": 1, "green": 1})
    with pytest.raises(CommandError, match="3 outputs and there are 2 labels"):
        evaluated("--model", model, folder)


@pytest.mark.training
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("counts", "message"),
    [({}, "holds no folders"), ({"teapot": 1}, "No folder in .* is named like one of the model's labels")],
)
def test_a_folder_without_fitting_photos_is_refused(tmp_path: Path, model: Path, counts: dict[str, int], message: str):
    folder = tmp_path / "photos"
    folder.mkdir()
    colours.folder_of(folder, counts)
    model.with_name("labels.json").write_text(json.dumps(["blue", "green", "red"]))
    with pytest.raises(CommandError, match=message):
        evaluated("--model", model, folder)


@pytest.mark.django_db
def test_files_that_cannot_be_read_are_named(tmp_path: Path):
    with pytest.raises(CommandError, match="cannot be read"):
        evaluated("--model", tmp_path / "missing.tflite", tmp_path)
    foreign = tmp_path / "foreign.tflite"
    foreign.write_bytes(b"no model")
    with pytest.raises(CommandError, match="LiteRT cannot run"):
        evaluated("--model", foreign, tmp_path)
    foreign.with_name("labels.json").write_text("{}")
    with pytest.raises(CommandError, match="no JSON list"):
        evaluated("--model", foreign, tmp_path)
