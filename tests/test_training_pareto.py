"""Which network a phone can afford: what no other beats, and the fastest that is as good as the best within a budget."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.front_picture import as_picture, in_words
from training.pareto import Network, best, front

SCENES = np.arange(100)


def network(right: int, latency_ms: float, size: int = 1_000_000, width: float = 1.0) -> Network:
    return Network(width, 224, "int8", np.arange(100) < right, size, latency_ms)


def test_what_another_beats_in_everything_is_not_on_the_front():
    good, fast, worse = network(90, 5), network(80, 2), network(79, 5)
    assert front([worse, good, fast]) == [fast, good]


def test_a_smaller_file_alone_keeps_a_network_on_the_front():
    assert len(front([network(90, 5), network(90, 5, size=900_000)])) == 1
    assert len(front([network(90, 5), network(90, 6, size=900_000)])) == 2


def test_the_budget_excludes_before_anything_is_compared():
    slow, large, fits = network(99, 30), network(98, 5, size=9_000_000), network(50, 5)
    assert best([slow, large, fits], most_bytes=3e6, most_ms=25, scenes=SCENES) is fits
    assert best([slow, large], most_bytes=3e6, most_ms=25, scenes=SCENES) is None


def test_of_networks_within_a_standard_error_the_fastest_is_taken():
    most, nearly, clearly_less = network(90, 20), network(89, 10), network(70, 1)
    assert best([most, nearly, clearly_less], most_bytes=1e9, most_ms=1e9, scenes=SCENES) is nearly


def test_photos_of_one_scene_are_one_draw():
    """Twenty photos for one network and five for the other are evidence, if they are not two scenes."""
    most = network(80, 20)
    less = replace(most, right=most.right & (SCENES >= 20) | (SCENES >= 95), latency_ms=10)
    two_scenes = np.where(SCENES < 20, 0, np.where(SCENES >= 95, 95, SCENES))
    assert best([most, less], most_bytes=1e9, most_ms=1e9, scenes=SCENES) is most
    assert best([most, less], most_bytes=1e9, most_ms=1e9, scenes=two_scenes) is less


found = st.builds(network, st.integers(0, 100), st.integers(1, 5).map(float), st.integers(1, 5))


@given(st.lists(found, min_size=1, max_size=12))
def test_every_network_is_on_the_front_or_beaten_by_one_that_is(networks):
    kept = front(networks)
    assert kept
    for each in networks:
        if not any(each is one for one in kept):
            assert any(
                one.accuracy >= each.accuracy and one.bytes <= each.bytes and one.latency_ms <= each.latency_ms for one in kept
            )
    assert kept == sorted(kept, key=lambda each: (each.latency_ms, each.bytes))


def test_the_picture_says_in_words_what_it_shows():
    networks = [network(90, 5), network(80, 2, width=0.35), network(70, 6)]
    words = in_words(networks)
    assert words == (
        "Of 3 networks no other beats width 0.35, 224 px, int8: 80.0% in 2.00 ms, 1.00 MB; "
        "width 1, 224 px, int8: 90.0% in 5.00 ms, 1.00 MB."
    )
    drawn = as_picture(networks, "Tea & <cake>").decode()
    assert f'<desc id="description">{words}</desc>' in drawn
    assert "Networks that were tried for Tea &amp; &lt;cake&gt;" in drawn
    assert as_picture(networks, "Tea") == as_picture(networks, "Tea")


def test_nothing_tried_is_said():
    assert in_words([]) == "No network was tried."
    with pytest.raises(StopIteration):
        next(iter(front([])))
