"""The pictures of a night: text that can be read aloud, nothing that is fetched, and readable with many labels."""

import re
from xml.etree import ElementTree

import pytest

from tests.stories import account
from training import pictures

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: bytes) -> list[str]:
    return ["".join(each.itertext()).strip() for each in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_a_picture_has_a_name_and_a_description_and_its_text_is_text():
    for svg in (pictures.learning_curves(account()), pictures.confusion_matrix(account())):
        root = ElementTree.fromstring(svg)
        title, said = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
        assert root.get("role") == "img"
        assert root.get("aria-labelledby").split() == [title.get("id"), said.get("id")]
        assert title.text.endswith("of Coins, 2026-11-22") and len(said.text) > 40
        assert len(texts(svg)) > 8


def test_a_picture_asks_for_nothing_and_runs_nothing():
    for svg in (pictures.learning_curves(account()), pictures.confusion_matrix(account())):
        assert b"<!DOCTYPE" not in svg and b"<script" not in svg and b"data:" not in svg and b"<image" not in svg
        assert not re.findall(rb'(?:href|src)="(?!#)[^"]*"', svg)


def test_the_same_night_draws_the_same_bytes():
    assert pictures.confusion_matrix(account()) == pictures.confusion_matrix(account())
    assert pictures.learning_curves(account()) == pictures.learning_curves(account())


def test_the_matrix_shows_every_label_on_both_sides_and_every_count():
    told = account()
    shown = texts(pictures.confusion_matrix(told))
    assert all(shown.count(label) == 2 for label in told.labels)
    counts = [str(n) for n in told.confusion.ravel() if n]
    assert sorted(text for text in shown if text.isdigit()) == sorted(counts)


def test_eighty_one_labels_stay_readable():
    names = tuple(f"Sort-Of-Apple-{number:02}" for number in range(81))
    svg = pictures.confusion_matrix(account(names, photos=300))
    width = float(ElementTree.fromstring(svg).get("width").removesuffix("pt"))
    assert width / 0.75 / 81 > 18  # CSS pixels of a cell: its digits are 9 pixels high
    sizes = {float(size) for size in re.findall(rb"font-size: ?([\d.]+)px|font: ([\d.]+)px", svg) for size in size if size}
    assert sizes and min(sizes) >= 7
    assert texts(svg).count("Sort-Of-Apple-80") == 2
    assert len(svg) < 400_000


def test_names_of_labels_are_neither_formulas_nor_tags():
    svg = pictures.confusion_matrix(account(("5 $ and 7 $", "<script>", "a" * 80)))
    assert "5 $ and 7 $" in texts(svg) and "<script>" in texts(svg) and "a" * 29 + "…" in texts(svg)
    report = {"right": 1, "n": 2, "confusions": [{"truth": "<script>", "predicted": "b", "n": 1}]}
    assert "<script> taken for b (1)" in pictures.confusion_in_words(report)


def test_words_say_what_the_pictures_show():
    history = account().history
    assert pictures.curves_in_words(history) == (
        "Learning curves: head loss from 1.1 to 0.5 in 3 epochs; top accuracy from 0.7 to 0.8 in 2 epochs; "
        "top loss from 0.6 to 0.4 in 2 epochs; head accuracy 0.71 at the end."
    )
    assert ("head accuracy", "–", "0.71", "1") in pictures.curves_as_rows(history)
    assert ("head loss", "1.1", "0.5", "3") in pictures.curves_as_rows(history)


@pytest.mark.parametrize("history", [{}, {"head_accuracy": None}, {"loss": [], "top_loss": [float("nan")] * 3}])
def test_nothing_recorded_is_said_and_not_drawn(history):
    assert pictures.learning_curves(account(history=history)) is None
    assert pictures.curves_in_words(history) == "Learning curves: nothing was recorded."
    assert pictures.curves_as_rows(history) == []


def test_a_loss_that_was_once_no_number_leaves_a_gap():
    assert pictures.learning_curves(account(history={"loss": [1.0, float("nan"), 0.5], "accuracy": 0.5}))


def test_no_held_out_photo_no_matrix():
    assert pictures.confusion_matrix(account(photos=0)) is None
