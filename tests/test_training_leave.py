"""What a night leaves: rows and bytes that agree, replaced by another attempt, and never a reason to lose the night."""

import hashlib
import json
from pathlib import Path

import pytest

from collector.storage import store
from collector.sweeping import sweep_all
from tests.nights import claimed, collected
from tests.stories import answers
from training import leave, pictures, runs, snapshot
from training.errors import FencedOff
from training.evaluate import report
from training.models import Run, RunFile

pytestmark = pytest.mark.django_db
LABELS = ["copper", "silver", "gold"]
NAMES = ["confusion.svg", "croissant.json", leave.TENSORBOARD, "learning-curves.svg", "metrics.json", "model-card.md"]


@pytest.fixture(autouse=True)
def own_folder(settings, tmp_path: Path) -> None:
    settings.STORE_DIR = tmp_path / "store"
    settings.VAR_DIR = tmp_path


@pytest.fixture
def night(recognizer, volunteer) -> Run:
    collected(recognizer, volunteer)
    run = claimed(recognizer)
    runs.write(run, snapshot=snapshot.take(recognizer=recognizer), metrics={"seconds": {"training": 9.5}}, input_digest="1b")
    return run


def left(run: Run, **changes) -> leave.Left:
    probabilities, truth = answers()
    int8 = report(probabilities, truth, LABELS)
    facts = {
        "reports": {"float": int8, "int8": int8, "incumbent": None},
        "probabilities": probabilities,
        "truth": truth,
        "labels": LABELS,
        "history": {"head_loss": [1.1, 0.7], "head_accuracy": 0.7},
        "entries": snapshot.read(run.snapshot),
        "backbone": {"source": "none", "digest": "none", "alpha": 0.35, "note": ""},
        "artifacts": [{"format": "int8", "sha256": "3d" * 32, "bytes": 4}],
    }
    return leave.leave(run, **(facts | changes))


def test_every_file_is_a_row_whose_bytes_lie_in_the_store(night):
    done = left(night)
    assert (sorted(done.files), done.notes) == (sorted(NAMES), [])
    for row in RunFile.objects.all():
        data = store().get(f"runs/{row.sha256}")
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (row.sha256, row.bytes)
    assert (leave.folder_of(night) / leave.TENSORBOARD).read_bytes()


def test_the_metrics_hold_the_whole_matrix_and_are_strict_json(night):
    left(night, history={"loss": [float("nan"), 0.5, 0.4]})
    row = RunFile.objects.get(name="metrics.json")
    content = json.loads(store().get(f"runs/{row.sha256}"), parse_constant=lambda name: pytest.fail(name))
    assert sum(count for _, _, count in content["confusion"]) == 40
    assert content["history"]["loss"] == [None, 0.5, 0.4]
    assert content["seconds"] == {"training": 9.5}


def test_nobody_is_named_in_any_file(night, volunteer):
    left(night)
    secrets = [volunteer.name, str(volunteer.pk), *(entry.photo for entry in snapshot.read(night.snapshot))]
    for row in RunFile.objects.all():
        data = store().get(f"runs/{row.sha256}")
        assert not [secret for secret in secrets if secret.encode() in data], row.name


def test_another_attempt_replaces_what_the_first_left(night):
    left(night)
    before = dict(RunFile.objects.values_list("name", "sha256"))
    left(night)
    assert dict(RunFile.objects.values_list("name", "sha256")) == before
    left(night, history={"head_loss": [9.0, 8.0]})
    after = dict(RunFile.objects.values_list("name", "sha256"))
    assert after["confusion.svg"] == before["confusion.svg"] and after["metrics.json"] != before["metrics.json"]
    assert store().size(f"runs/{before['metrics.json']}") is None
    assert all(store().size(f"runs/{digest}") for digest in after.values())


def test_a_process_that_lost_its_run_changes_nothing(night):
    left(night)
    before = set(RunFile.objects.values_list("pk", "sha256"))
    zombie = Run.objects.get(pk=night.pk)
    Run.objects.filter(pk=night.pk).update(fence=night.fence + 1)
    with pytest.raises(FencedOff):
        left(zombie, history={"head_loss": [9.0, 8.0]})
    assert set(RunFile.objects.values_list("pk", "sha256")) == before
    assert all(store().size(f"runs/{digest}") for _, digest in before)


def test_a_picture_that_cannot_be_drawn_is_noted_and_the_rest_is_left(night, monkeypatch):
    monkeypatch.setattr(pictures, "confusion_matrix", lambda account: 1 / 0)
    done = left(night)
    assert sorted(done.files) == sorted(set(NAMES) - {"confusion.svg"})
    assert done.notes == ["It could not leave its confusion (ZeroDivisionError)."]


def test_a_full_disk_is_noted(night, monkeypatch):
    def full(kind, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(leave, "put_blob", full)
    done = left(night)
    assert done.files == [] and len(done.notes) == len(NAMES)
    assert "It could not leave its metrics.json (OSError)." in done.notes


def test_the_sweeper_leaves_the_files_alone(night):
    left(night)
    sweep_all(grace_s=-60)
    assert all(store().size(f"runs/{digest}") for digest in RunFile.objects.values_list("sha256", flat=True))


def test_a_tracking_server_that_is_away_costs_a_note(night, settings):
    settings.MLFLOW_TRACKING_URI = "http://127.0.0.1:9"
    done = left(night)
    assert sorted(done.files) == sorted(NAMES)
    assert done.notes == ["MLflow did not take the figures (ConnectionError); they are kept here alone."]
