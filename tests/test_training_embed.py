"""EVALUATE: how a trained network sees photos, from the cache or from pixels, and where it finds their labels."""

from dataclasses import replace

import numpy as np
import pytest

from training.seen import Seen

BOUNDARY = "block_12_add"


@pytest.fixture(scope="module")
def network():
    from training.network import build_backbone, find_backbone

    return build_backbone(find_backbone("none", decision_s=1), 96, alpha=0.35, bn_momentum=0.9)


def photos(truth: list[int]) -> Seen:
    pixels = np.random.default_rng(5).integers(0, 256, (len(truth), 96, 96, 3), dtype=np.uint8)
    ids = [str(row) for row in range(len(truth))]
    return Seen(ids, ids, np.array(truth, np.int64), pixels)


@pytest.mark.training
def test_photos_of_the_cache_are_seen_as_they_are_from_their_pixels(network):
    from training.embed import embed, logits
    from training.network import assemble, head, trunk_of

    plain, classifier = photos([0, 1, 2, 1]), head(1280, 3, dropout=0.0, seed=1)
    centre = trunk_of(network, BOUNDARY).predict_on_batch(plain.pixels.astype(np.float32))
    cached = replace(plain, pixels=np.zeros_like(plain.pixels), centre=centre)  # its pixels are not looked at again
    whole = embed(network, classifier, BOUNDARY, {"some": plain, "none": photos([])})
    behind = embed(network, classifier, BOUNDARY, {"some": cached, "none": photos([])})
    model, embedder = assemble(network, classifier)
    assert whole["some"].features.std() > 0.01
    np.testing.assert_allclose(whole["some"].features, embedder(plain.pixels.astype(np.float32)), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(behind["some"].features, whole["some"].features, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(behind["some"].peaks, whole["some"].peaks)
    expected = np.asarray(model(plain.pixels.astype(np.float32))).argmax(axis=1)
    np.testing.assert_array_equal(logits(classifier, behind["some"]).argmax(axis=1), expected)
    assert whole["none"].features.shape == (0, 1280) and whole["none"].peaks.shape == (0, 2)
    assert logits(classifier, whole["none"]).shape == (0, 3)


@pytest.mark.training
def test_a_peak_is_where_most_of_what_speaks_for_the_label_lies(network):
    from training.embed import embed
    from training.network import head, map_of

    plain, classifier = photos([0, 1, 2, 1]), head(1280, 3, dropout=0.0, seed=1)
    maps = np.asarray(map_of(network, "")(plain.pixels.astype(np.float32)))  # [4, 3, 3, 1280]
    kernel = classifier.layers[-1].kernel.numpy()
    found = embed(network, classifier, BOUNDARY, {"some": plain})["some"].peaks
    for row, label in enumerate(plain.truth):
        others = [other for other in range(3) if other != label]
        margin = (maps[row] @ (kernel[:, [label]] - kernel[:, others])).sum(axis=-1)  # of the logit, beyond the others'
        at = np.unravel_index(margin.argmax(), margin.shape)
        np.testing.assert_allclose(found[row], (np.array(at) + 0.5) / 3, rtol=1e-6)
    assert len(np.unique(found, axis=0)) > 1  # nothing that is the same for all
