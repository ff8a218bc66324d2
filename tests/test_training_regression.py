"""The linear classifier: it finds what can be told by a line, whatever the features' scale, and answers in probabilities."""

import numpy as np
import pytest

from training.regression import fit, softmax


def clouds(seed: int, *, scale: float = 1.0, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Features float32 [90, 8] of three clouds, and whose they are."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(3), 30)
    features = rng.normal(0, 0.5, (90, 8))
    features[np.arange(90), truth] += 3
    return (features * scale + shift).astype(np.float32), truth


def test_clouds_are_told_apart_also_new_ones():
    fitted = fit(*clouds(0), 3)
    features, truth = clouds(1)
    probabilities = fitted.probabilities(features)
    assert (probabilities.argmax(axis=1) == truth).all()
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(90), abs=1e-5)


def test_the_scale_and_origin_of_features_do_not_matter():
    plain = fit(*clouds(0), 3).probabilities(clouds(1)[0])
    far = fit(*clouds(0, scale=1000, shift=5000), 3).probabilities(clouds(1, scale=1000, shift=5000)[0])
    assert far == pytest.approx(plain, abs=0.02)


def test_a_feature_that_never_changes_breaks_nothing():
    features, truth = clouds(0)
    features[:, 7] = 1
    assert np.isfinite(fit(features, truth, 3).kernel).all()


def test_shares_of_large_logits_are_finite():
    assert softmax(np.array([[1e4, 0.0]])).tolist() == [[1.0, 0.0]]
