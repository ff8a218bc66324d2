"""FINE-TUNE, on paper."""

import json
import subprocess
import sys
from dataclasses import replace

from training.recipe import from_scratch, head_then_top, pick


def test_a_backbone_with_weights_gets_a_head_then_top_and_one_without_is_trained_from_scratch():
    assert pick(pretrained=True) == head_then_top()
    assert pick(pretrained=False) == from_scratch()


def test_every_number_counts_in_the_digest():
    recipe = head_then_top()
    assert recipe.digest() == head_then_top().digest()
    assert replace(recipe, top_rate=recipe.top_rate / 2).digest() != recipe.digest()
    gentler = replace(recipe.augmentation, turn=recipe.augmentation.turn / 2)
    assert replace(recipe, augmentation=gentler).digest() != recipe.digest()


def test_a_recipe_goes_through_json_unchanged():
    content = head_then_top().as_json()
    assert json.loads(json.dumps(content)) == content
    assert content["augmentation"]["zoom"] == list(head_then_top().augmentation.zoom)


def test_from_scratch_never_uses_keras_slow_batch_statistics():
    assert from_scratch().bn_momentum <= 0.9


def test_recipe_and_gate_load_neither_django_nor_tensorflow():
    code = (
        "import sys, training.recipe, training.gate; sys.exit(any(m in sys.modules for m in ('django', 'tensorflow', 'keras')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
