"""The sequential test: bad arms are halted soon, good ones hardly ever, and nobody decides alone."""

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.rollout import GOOD, PLANTED, RISK, SOON, SOURCE_MOST, addresses_to_halt, reports_until_halt
from training.sequential import LEAST_PAIRS, MEASURES, Report, compare, e_value, median_interval

BAD = {planted.name: planted for planted in PLANTED}
LATENCY = MEASURES[0]


def one(value: float, source: str = "s", model: str = "a", name: str = "latency_ms") -> Report:
    return Report((model, "int8"), source, {name: value})


def of(findings, name: str = "latency_ms"):
    return next(finding for finding in findings if finding.measure == name)


@pytest.mark.parametrize(("name", "measures"), [("latency × 2", ()), ("canaries -5 points", ("canary_accuracy",))])
def test_a_planted_bad_arm_is_halted_within_500_reports_of_both_sides(name, measures):
    taken = [reports_until_halt(BAD[name], seed, SOON, measures, look_every=50) for seed in range(20)]
    assert None not in taken, taken


def test_a_good_arm_is_hardly_ever_halted():
    halted = [seed for seed in range(200) if reports_until_halt(GOOD, 1000 + seed, SOON, look_every=100) is not None]
    assert len(halted) < 0.05 * 200, halted


def test_the_risk_holds_at_the_tolerance_however_often_one_looks():
    """Fair coins of ±1 are the worst case of the null: scores of mean 0. A look after each of 400."""
    rng, risk = random.Random(1), 0.05
    halted = 0
    for _ in range(400):
        logs = [0.0] * 10
        for _ in range(400):
            score = rng.choice((-1, 1))
            logs = [log + math.log1p((2 * n + 1) / 20 * score) for n, log in enumerate(logs)]
            if statistics.mean(math.exp(log) for log in logs) >= 1 / risk:
                halted += 1
                break
    assert halted / 400 <= risk + 2 * math.sqrt(risk * (1 - risk) / 400)


@given(st.lists(st.floats(-1, 1), max_size=60))
def test_the_e_value_is_what_the_bets_have_become(scores):
    expected = statistics.mean(math.prod(1 + (2 * n + 1) / 20 * score for score in scores) for n in range(10))
    assert e_value(scores) == pytest.approx(expected, rel=1e-6)
    assert e_value([*scores, 1.0]) <= 2 * e_value(scores) * (1 + 1e-9)  # one report at the most doubles it


@given(st.floats(1e-9, 1e9), st.floats(1e-9, 1e9))
def test_exchanged_reports_do_not_speak_against_the_candidate(a, b):
    for measure in MEASURES:
        assert measure.score(a, b) + measure.score(b, a) <= 1e-9  # the tolerance can only help it


def test_a_single_address_cannot_halt_a_good_arm():
    assert addresses_to_halt(50, seed=3) >= 10
    shouting = [one(1e5) for _ in range(1000)]
    finding = of(compare(shouting, [one(1, str(n)) for n in range(1000)], risk=RISK, source_most=SOURCE_MOST))
    assert (finding.pairs, finding.halts) == (SOURCE_MOST, False)


def test_reports_are_compared_within_a_device_model_only():
    slow = [one(100, str(n), "old phone") for n in range(100)]
    fast = [one(10, str(n), "new phone") for n in range(100)]
    assert of(compare(slow, fast, risk=RISK, source_most=SOURCE_MOST)).pairs == 0
    finding = of(compare(slow, [one(10, str(n), "old phone") for n in range(60)], risk=RISK, source_most=SOURCE_MOST))
    assert (finding.pairs, finding.worse, finding.halts) == (60, 60, True)


def test_a_tenth_slower_is_no_reason_and_fewer_than_the_least_pairs_are_none():
    baseline = [one(10, str(n)) for n in range(500)]
    for value, count, halts in ((10.9, 500, False), (13, 500, True), (100, LEAST_PAIRS - 1, False), (100, LEAST_PAIRS, True)):
        candidate = [one(value, str(n)) for n in range(count)]
        assert of(compare(candidate, baseline, risk=RISK, source_most=SOURCE_MOST)).halts == halts, (value, count)


def test_higher_is_better_for_canaries():
    high, low = ([one(value, str(n), name="canary_accuracy") for n in range(100)] for value in (0.9, 0.8))
    assert of(compare(low, high, risk=RISK, source_most=1), "canary_accuracy").halts
    assert not of(compare(high, low, risk=RISK, source_most=1), "canary_accuracy").halts


def test_an_interval_of_the_median_holds_it_as_often_as_it_says():
    rng = random.Random(2)
    for n in (6, 15, 80):
        found = [median_interval([rng.lognormvariate(0, 1) for _ in range(n)]) for _ in range(600)]
        assert sum(low <= 1 <= high for _, low, high in found) / 600 >= 0.93
    assert median_interval([]) is None
    assert median_interval([3.0]) == (3.0, 3.0, 3.0)
    assert median_interval([4.0, 1.0, 3.0, 2.0])[0] == 2.5
