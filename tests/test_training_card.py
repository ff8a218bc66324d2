"""The model card: what a reader must find in it, and that no label breaks it."""

import re

import yaml

from tests.stories import account
from training.card import model_card

SECTIONS = ["Intended use", "Data", "Training", "How good it is", "The gate", "Limits", "How to verify"]


def card(**changes) -> str:
    return model_card(account(**changes)).decode()


def test_it_has_the_sections_of_a_model_card_in_order():
    assert re.findall("^## (.+)$", card(), re.MULTILINE) == SECTIONS


def test_its_head_is_what_the_hub_reads():
    told = account()
    head = yaml.safe_load(model_card(told).decode().split("---")[1])
    assert (head["pipeline_tag"], head["library_name"]) == ("image-classification", "tflite")
    result = head["model-index"][0]["results"][0]
    assert result["metrics"][0]["value"] == told.reports["int8"]["accuracy"]
    assert result["dataset"]["split"] == "test"


def test_figures_stand_with_their_intervals_and_counts():
    told = account()
    text, line = model_card(told).decode(), told.reports["int8"]["per_label"]["gold"]
    low, high = line["interval"]
    assert f"| gold | {line['recall']:.1%} ({low:.1%} to {high:.1%}) | {line['n']} |" in text
    assert "| CC-BY-4.0 | 2026-11 | phone | 12 |" in text and "| CC-BY-4.0 | – | import | 7 |" in text
    assert "| all | 15 | 2 | 2 |" in text
    assert "| held-out photos | passed | 40 | ≥ 30 | Enough &lt;b>photos&lt;/b>. |" in text


def test_it_says_how_to_verify_the_file_and_what_the_night_started_from():
    text = card()
    assert f"{'3d' * 32}  int8.tflite" in text and "sha256sum --check" in text
    assert all(digest * 32 in text for digest in ("5a", "1b", "2c"))


def test_a_refused_night_says_so_and_what_it_left_out():
    text = card(
        verdict={"passed": False, "checks": []},
        counts={"train": {"copper": 4, "brass": 1}},
        backbone={"source": "random", "digest": "random", "alpha": 0.35, "note": "No download."},
    )
    assert "It was refused by the gate" in text and "random weights" in text and "No download." in text
    assert "Not learned for too few photos: brass." in text
    assert "## The gate\n\nNone." in text


def test_a_label_that_was_no_photo_of_is_listed_last_and_without_a_figure():
    text = card(labels=("copper", "silver", "gold"), photos=0)
    assert "| gold | – | 0 |" in text


def test_no_label_ends_a_cell_or_begins_a_tag():
    text = card(labels=("a|b", "<img src=x>", "c\nd"))
    assert "| a\\|b |" in text and "| &lt;img src=x> |" in text and "| c d |" in text
    assert "<img" not in text
