"""FINE-TUNE, on paper."""

import json
import subprocess
import sys
from dataclasses import replace

from training.recipe import GENTLE, from_scratch, head_only, top_blocks, top_blocks_again, top_blocks_long


def test_every_number_counts_in_the_digest():
    recipe = top_blocks()
    assert recipe.digest() == top_blocks().digest()
    assert replace(recipe, top_rate=recipe.top_rate / 2).digest() != recipe.digest()
    gentler = replace(recipe.augmentation, turn=recipe.augmentation.turn / 2)
    assert replace(recipe, augmentation=gentler).digest() != recipe.digest()


def test_a_recipe_goes_through_json_unchanged():
    content = top_blocks().as_json()
    assert json.loads(json.dumps(content)) == content
    assert content["augmentation"]["zoom"] == list(top_blocks().augmentation.zoom)


def test_all_ways_that_learn_from_the_cache_look_at_photos_alike():
    looking = {
        (way.boundary, way.image_size, way.view_size, way.source_size, way.views, way.augmentation)
        for way in (head_only(), top_blocks(), top_blocks_again())
    }
    assert len(looking) == 1  # otherwise one night's views would be worth nothing to the next


def test_from_scratch_never_uses_keras_slow_batch_statistics():
    assert from_scratch().bn_momentum <= 0.9 and from_scratch().statistics
    assert not top_blocks_long().statistics


def test_turns_stay_within_45_degrees_and_each_range_can_be_switched_off():
    for way in (top_blocks(), top_blocks_long(), from_scratch()):
        assert way.augmentation.turn <= 45
    assert GENTLE.without({}) == GENTLE
    assert not GENTLE.without({"mirror": True}).flip and GENTLE.without({"mirror": True}).turn == GENTLE.turn
    still = GENTLE.without(dict.fromkeys(("crops", "turns", "mirror", "exposure", "blur"), True))
    assert still == replace(
        GENTLE, zoom=(1.0, 1.0), shift=0.0, stretch=0.0, turn=0.0, flip=False, brightness=0.0, contrast=0.0, tint=0.0, blur=0.0
    )


def test_recipe_gate_and_choice_load_neither_django_nor_tensorflow():
    code = (
        "import sys, training.recipe, training.gate, training.choose;"
        "sys.exit(any(m in sys.modules for m in ('django', 'tensorflow', 'keras')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
