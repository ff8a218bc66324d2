"""EXPORT → GATE: the file with a smaller input that slow phones get."""

import numpy as np
import pytest

from tests.drawing import jpeg
from training import tiers
from training.gate import Check
from training.images import prepare

SAME, NOT_SAME = (Check("sameness", "", "", passed, "It answers by chance.") for passed in (True, False))
GROUPS = [str(number) for number in range(400)]


def recognised(count: int, seed: int = 1) -> np.ndarray:
    """bool [400], so many of them true."""
    return np.random.default_rng(seed).permutation(400) < count


def refused(full=350, small=350, before=None, *, same=SAME, latency_ms=(10.0, 5.0)) -> str:
    known = None if before is None else recognised(before)
    return tiers.refused(recognised(full), recognised(small), known, groups=GROUPS, same=same, latency_ms=latency_ms)


@pytest.mark.parametrize(
    ("full", "pixels", "side"), [(256, 160, 160), (224, 160, 160), (160, 160, 0), (96, 160, 0), (256, 0, 0)]
)
def test_there_is_a_smaller_input_where_the_usual_one_is_larger(settings, full, pixels, side):
    settings.TIER_LOW_PIXELS = pixels
    assert tiers.side(full) == side


def test_pictures_get_smaller_nearly_as_a_phone_makes_them_from_the_photo():
    photo = jpeg(3, size=(400, 300))
    once, twice = prepare(photo, 48), tiers.smaller(prepare(photo, 96)[None], 48)[0]
    assert twice.shape == once.shape and twice.dtype == np.uint8
    assert np.abs(once.astype(int) - twice.astype(int)).mean() < 3  # levels


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ({}, ""),
        ({"small": 345}, ""),  # 1.25 points
        ({"small": 315}, "The smaller input costs 8.8% ("),
        ({"small": 345, "before": 347}, ""),
        ({"small": 345, "before": 365}, "It recognises 5.0% ("),
        ({"same": NOT_SAME}, "It answers by chance."),
        ({"latency_ms": (10.0, 10.0)}, "It is no faster: 10.0 ms beside 10.0 ms."),
    ],
)
def test_it_is_left_out_where_it_serves_nobody_and_the_reason_is_said(case, said):
    assert refused(**case).startswith(said) and bool(refused(**case)) == bool(said)


def test_how_much_it_may_lose_is_the_operators(settings):
    settings.TIER_LOW_LOSS_PERCENT = 12
    assert refused(small=315) == ""


def test_all_reasons_are_said():
    assert refused(small=300, before=350, same=NOT_SAME, latency_ms=(5.0, 6.0)).count(".") > 4
