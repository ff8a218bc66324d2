"""Where a model is weak: recalls of small cells, shrunk to what label and condition lead one to expect."""

import numpy as np
import pytest

from training.evaluate import report, wilson
from training.weakness import Cell, by_condition, by_label

LABELS = ["oats", "soy", "milk"]


def predicted(*labels: int) -> np.ndarray:
    return np.eye(3)[list(labels)]


def cells(rows: list[tuple[int, int, tuple[str, ...]]]) -> dict[tuple[str, str], Cell]:
    """Of photos (truth, predicted, conditions)."""
    truth, answers, named = zip(*rows, strict=True)
    found = by_condition(predicted(*answers), np.array(truth), LABELS, named)
    return {(cell.label, cell.condition): cell for cell in found}


def test_a_cell_counts_its_photos_and_names_what_it_was_taken_for():
    dark = [(0, 1, ("dark",)), (0, 1, ("dark", "far")), (0, 2, ("dark",)), (0, 0, ("dark",)), (0, 0, ())]
    found = cells(dark)
    cell = found["oats", "dark"]
    assert (cell.n, cell.right, cell.taken_for, cell.times) == (4, 1, "soy", 2)
    assert cell.interval == pytest.approx(wilson(1, 4), abs=1e-4)
    assert set(found) == {("oats", "dark"), ("oats", "far")}


def test_one_photo_that_failed_is_no_news_but_ten_are():
    easy = [(truth, truth, ()) for truth in (0, 1, 2) for _ in range(30)]
    found = cells([*easy, (0, 1, ("far",)), *[(1, 2, ("dark",))] * 7, *[(1, 1, ("dark",))] * 3])
    one, ten = found["oats", "far"], found["soy", "dark"]
    assert one.right / one.n < ten.right / ten.n
    assert ten.expected < one.expected  # although the raw recall of the one is lower


def test_a_cell_without_much_of_its_own_follows_its_label_and_its_condition():
    """Milk is weak, dark photos are: one dark photo of milk that went well does not make it a strong cell."""
    rows = [(0, 0, ())] * 20 + [(1, 1, ())] * 20 + [(2, 0, ())] * 10 + [(2, 2, ())] * 10
    rows += [(0, 0, ("dark",))] * 6 + [(0, 1, ("dark",))] * 6 + [(1, 1, ("dark",)), (2, 2, ("dark",))]
    found = cells(rows)
    assert found["milk", "dark"].expected < found["soy", "dark"].expected < 1


def test_labels_are_shrunk_too_and_carry_their_confusions():
    truth = np.array([0] * 10 + [1] + [2] * 10)
    answers = predicted(*[0] * 4, *[1] * 6, 0, *[2] * 10)
    found = {cell.label: cell for cell in by_label(report(answers, truth, LABELS))}
    assert (found["oats"].n, found["oats"].right, found["oats"].taken_for, found["oats"].times) == (10, 4, "soy", 6)
    assert found["oats"].right / 10 < found["oats"].expected < found["milk"].expected < 1
    assert found["soy"].expected > 0  # one photo, wrong: not nothing


@pytest.mark.parametrize("right", [0, 1])
def test_all_or_nothing_right_stays_a_number(right: int):
    found = cells([(0, 0 if right else 1, ("dark",))] * 3)
    assert 0 < found["oats", "dark"].expected < 1


def test_no_photos_are_no_cells():
    assert by_condition(np.zeros((0, 3)), np.zeros(0, int), LABELS, []) == []
    assert by_label({"per_label": {"oats": {"n": 0, "right": 0, "recall": None, "interval": [0, 1]}}}) == []


def test_a_cell_is_json_ready():
    import json

    cell = Cell("oats", "dark", 3, 1, 0.4, (0.1, 0.8), "soy", 2)
    told = json.loads(json.dumps(cell.as_json()))
    assert told["interval"] == [0.1, 0.8] and Cell(**told | {"interval": tuple(told["interval"])}) == cell
