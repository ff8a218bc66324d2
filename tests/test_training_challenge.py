"""Tomorrow's challenge: the weakest label or label under a condition, in plain words, and never the day before's."""

import datetime as dt

import pytest

from collector.challenges import propose
from collector.models import Challenge, Label
from training import challenge, conditions
from training.weakness import Cell

pytestmark = pytest.mark.django_db
DAY = dt.date(2026, 11, 23)  # a Monday: in dim light, by the calendar


def line(right: int, n: int) -> dict:
    return {"n": n, "right": right, "recall": right / n, "interval": [0.1, 0.9]}


REPORT = {
    "per_label": {"copper": line(9, 10), "silver": line(5, 10), "gold": line(10, 10)},
    "confusions": [{"truth": "silver", "predicted": "gold", "n": 4}],
}


def made(recognizer, *cells: Cell, day: dt.date = DAY, **facts) -> Challenge:
    return challenge.propose_weakest(
        recognizer=recognizer, day=day, **({"report": REPORT, "unknown": {}, "cells": cells} | facts)
    )


def cell(label: str, condition: str, right: int, n: int, expected: float, taken_for: str = "", times: int = 0) -> Cell:
    return Cell(label, condition, n, right, expected, (0.12, 0.77), taken_for, times)


def asked(row: Challenge) -> list[str]:
    return [label.slug for label in row.labels.all()]


def test_the_weakest_cell_is_asked_for_in_plain_words(recognizer):
    row = made(recognizer, cell("copper", "far", 2, 5, 0.3, "gold", 3), cell("gold", "dark", 3, 5, 0.6))
    assert asked(row) == ["copper"]
    assert row.prompt == "Find Copper from far away: the model took it for Gold in 3 of 5 such photos."
    assert row.setting == "from far away"
    assert row.proposed_because == (
        "Of 5 held-out photos of Copper from far away the model recognised 2 (95 % interval: 12% to 77%)."
    )


def test_without_a_telling_confusion_the_prompt_counts_what_was_recognised(recognizer):
    row = made(recognizer, cell("copper", "blurred", 1, 3, 0.2, "gold", 1))
    assert row.prompt.endswith(": the model recognised it in 1 of 3 such photos.")


def test_a_cell_of_one_or_two_photos_says_nothing(recognizer):
    row = made(recognizer, cell("copper", "far", 0, 2, 0.1, "gold", 2))
    assert asked(row) == ["silver"] and row.prompt == "Find Silver in dim light."
    assert row.proposed_because == "The model recognised Silver in 5 of 10 held-out photos. It took it for Gold in 4 of them."


def test_a_cell_that_never_failed_claims_no_failure(recognizer):
    row = made(recognizer, cell("gold", "far", 4, 4, 0.1))
    assert row.prompt == "Find Gold from far away."


def test_the_label_of_the_day_before_is_passed_over_where_there_is_a_choice(recognizer):
    cells = cell("silver", "far", 0, 5, 0.1), cell("copper", "far", 1, 5, 0.2)
    first = made(recognizer, *cells)
    second = made(recognizer, *cells, day=DAY + dt.timedelta(days=1))
    third = made(recognizer, *cells, day=DAY + dt.timedelta(days=2))
    assert [asked(row) for row in (first, second, third)] == [["silver"], ["copper"], ["silver"]]


def test_so_is_a_label_that_cannot_be_learned_yet(recognizer):
    assert asked(made(recognizer, unknown={"gold": 0})) == ["gold"]
    assert asked(made(recognizer, unknown={"gold": 0}, day=DAY + dt.timedelta(days=1))) == ["silver"]


def test_with_one_label_there_is_no_choice(recognizer):
    report = {"per_label": {"silver": line(5, 10)}}
    for day in (DAY, DAY + dt.timedelta(days=1)):
        assert asked(made(recognizer, report=report, day=day)) == ["silver"]


def test_an_edited_challenge_is_not_overwritten_by_another_night(recognizer):
    row = made(recognizer)
    Challenge.objects.filter(pk=row.pk).update(prompt="Find silver in the rain.")
    again = made(recognizer, cell("copper", "far", 0, 5, 0.1))
    assert again == row and Challenge.objects.get().prompt == "Find silver in the rain."
    assert asked(again) == ["silver"]


def test_nothing_to_say_leaves_the_day_to_the_calendar(recognizer):
    assert made(recognizer, report={"per_label": {}}) is None
    assert not Challenge.objects.exists()


def test_long_names_cost_the_reason_never_half_a_sentence(recognizer):
    Label.objects.filter(slug__in=("copper", "gold")).update(name="C" * 80)
    row = made(recognizer, cell("copper", "blurred", 2, 5, 0.3, "gold", 3))
    assert row.prompt == f"Find {'C' * 80} with the phone in motion, so that it blurs a little."


def test_every_condition_has_words():
    assert set(challenge.CONDITION_SETTINGS) == set(conditions.NAMES)


def test_neighbours_on_both_sides_count(recognizer):
    silver = recognizer.labels.get(slug="silver")
    propose(recognizer=recognizer, day=DAY + dt.timedelta(days=1), labels=[silver], setting="", prompt="", because="")
    assert asked(made(recognizer)) == ["copper"]
