"""The TensorBoard log: its own reader finds every number."""

import sys
import types
from pathlib import Path

import pytest

from tests.stories import account
from training import curves


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """TensorBoard's reader, without TensorFlow in this process (`notf` is its own switch for that)."""
    monkeypatch.setitem(sys.modules, "tensorboard.compat.notf", types.ModuleType("notf"))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def of(told) -> dict[str, list[tuple[int, float]]]:
        (tmp_path / "events.out.tfevents.night").write_bytes(curves.event_file(told))
        reader = EventAccumulator(str(tmp_path))
        reader.Reload()
        return {tag: [(e.step, round(e.value, 4)) for e in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}

    return of


def test_every_epoch_of_every_curve_is_read_back(read):
    told = account()
    found = read(told)
    assert found["train/head_loss"] == [(1, 1.1), (2, 0.7), (3, 0.5)]
    assert found["train/top_accuracy"] == [(1, 0.7), (2, 0.8)]
    assert found["train/head_accuracy"] == [(1, 0.71)]
    assert found["held_out/int8_accuracy"] == [(0, round(told.reports["int8"]["accuracy"], 4))]
    assert "held_out/incumbent_accuracy" not in found


def test_a_night_without_curves_leaves_a_log_that_can_be_read(read):
    assert set(read(account(history={}))) == {"held_out/float_accuracy", "held_out/int8_accuracy"}
