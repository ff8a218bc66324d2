"""The search for a network: real small networks are trained and exported, the best is named, and nothing is done twice."""

import io
from dataclasses import replace

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from tests.nights import accepted, coin, collected
from training import search
from training.backbone import find_backbone
from training.pareto import Network
from training.recipe import head_only, top_blocks

pytestmark = pytest.mark.training


def told(*words: str) -> str:
    out = io.StringIO()
    call_command("search", "--recognizer", "coins", "--weights", "random", "--quick", *words, stdout=out, stderr=out)
    return out.getvalue()


def test_a_recipe_of_another_size_keeps_the_proportions_of_a_night():
    backbone = find_backbone("none", decision_s=1)
    usual = replace(top_blocks(), alpha=backbone.alpha)
    assert search.recipe_of(backbone, usual.image_size, quick=False) == usual
    small = search.recipe_of(backbone, 128, quick=True)
    assert (small.image_size, small.view_size, small.source_size) == (128, 112, 144)
    assert small.learns == head_only().learns == "head"


@pytest.mark.django_db
def test_networks_are_tried_once_drawn_and_the_best_is_named(recognizer, volunteer, settings, monkeypatch):
    collected(recognizer, volunteer, train=6, held=2)
    text = told("--size", "64", "--size", "96", "--megabytes", "1")
    assert "Best within the budget: width 0.35, " in text
    picture = settings.VAR_DIR / "search" / "coins.svg"
    assert b"Networks that were tried for Coins" in picture.read_bytes()

    monkeypatch.setattr(search, "_tried", lambda *_: pytest.fail("it was done before"))
    assert told("--size", "96", "--size", "64", "--megabytes", "1") == text
    monkeypatch.undo()

    with pytest.raises(CommandError, match=r"None is within the budget; the fastest is width 0\.35, (64|96) px"):
        told("--size", "64", "--size", "96", "--megabytes", "0.001")

    tried = []

    def instead(photos, backbone, recipe, *_):
        tried.append(recipe.image_size)
        return [Network(0.35, recipe.image_size, "int8", np.ones(len(photos.test), bool), 1000, 1.0)]

    accepted(recognizer, volunteer, "gold", data=coin("gold", 99))
    monkeypatch.setattr(search, "_tried", instead)
    assert "100.0% (6/6)" in told("--size", "64")
    assert tried == [64]  # of other photos nothing was known


@pytest.mark.django_db
def test_what_cannot_be_searched_is_said(recognizer):
    with pytest.raises(CommandError, match="has no accepted photo"):
        told("--size", "64")
    with pytest.raises(CommandError, match="--size 32 is too small: pass 64 pixels or more"):
        told("--size", "32")
    with pytest.raises(CommandError, match="no recognizer 'tins'"):
        call_command("search", "--recognizer", "tins")
