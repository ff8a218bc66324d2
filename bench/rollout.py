"""Rollouts in simulation: are shares kept, is a bad release halted soon, is a good one left alone, and how many must lie?

No server: the rules themselves (training/cohorts.py, training/sequential.py) on random device ids and on reports drawn from a
seed. Latencies are log-normal within a device model, one in twenty up to ten-fold on a busy phone; models differ by a factor of
twelve and are as unequally common as phones are. A device answers 36 canaries.
"""

import os
import random
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from bench._facts import claim, percentile, say, whole
from training.cohorts import CONTROL, TREATMENT, Candidate, Offer, Phone, arm_of, given
from training.sequential import LEAST_PAIRS, Report, compare

MODELS = {f"model {n}": 5 * 1.25**n for n in range(12)}  # median milliseconds: 5 to 58
SPREAD, BUSY, BUSY_FACTOR = 0.35, 0.05, 10  # of log-latency within a model; share of busy phones, and what that does at most
CANARIES, RIGHT, HARDWARE = 36, 0.88, 0.02  # asked of a device; share right; standard deviation of that share among devices
RISK, SOURCE_MOST = 0.02, 2  # as ROLLOUT_RISK_PERCENT and REPORTS_PER_SOURCE
LOOK_EVERY = 20  # reports of both sides together between two looks
DEVICES = 100_000
SOON = 500  # reports of both sides together


@dataclass(frozen=True)
class Planted:
    """How the candidate differs from the baseline."""

    name: str
    latency: float = 1.0  # factor
    accuracy: float = 0.0  # difference of the share right

    def report(self, rng: random.Random, number: int) -> Report:
        """What one device measures; each comes from an address of its own."""
        model = rng.choices(list(MODELS), [1 / (n + 1) for n in range(len(MODELS))])[0]
        busy = rng.uniform(1, BUSY_FACTOR) if rng.random() < BUSY else 1
        latency = MODELS[model] * self.latency * rng.lognormvariate(0, SPREAD) * busy
        share = min(1.0, max(0.0, rng.gauss(RIGHT + self.accuracy, HARDWARE)))
        right = sum(rng.random() < share for _ in range(CANARIES))
        corrected = sum(rng.random() < 1 - share for _ in range(40)) / 40
        values = {
            "latency_ms": latency,
            "cold_start_ms": 40 * latency * rng.lognormvariate(0, 0.3),
            "memory_mb": 90 * rng.lognormvariate(0, 0.2),
            "canary_accuracy": right / CANARIES,
            "corrections": corrected,
        }
        return Report((model, "int8"), str(number), values)


GOOD = Planted("no worse")
PLANTED = (
    GOOD,
    Planted("at the tolerance: latency × 1.1, canaries -1 point", latency=1.1, accuracy=-0.01),
    Planted("latency × 2", latency=2.0),
    Planted("latency × 1.3", latency=1.3),
    Planted("canaries -5 points", accuracy=-0.05),
)


def reports_until_halt(
    planted: Planted, seed: int, most: int, measures: tuple[str, ...] = (), look_every: int = LOOK_EVERY
) -> int | None:
    """One simulated arm: reports of both sides together when it is halted; None if it never is. `measures`: those that devices
    send; none named: all."""
    rng = random.Random(seed)
    ours: list[Report] = []
    theirs: list[Report] = []
    for number in range(1, most + 1):
        side, drawn = (ours, planted) if rng.random() < 0.5 else (theirs, GOOD)
        report = drawn.report(rng, number)
        sent = {name: value for name, value in report.values.items() if not measures or name in measures}
        side.append(replace(report, values=sent))
        looked = number % look_every == 0 and min(len(ours), len(theirs)) >= LEAST_PAIRS
        if looked and any(finding.halts for finding in compare(ours, theirs, risk=RISK, source_most=SOURCE_MOST)):
            return number
    return None


def addresses_to_halt(honest: int, seed: int) -> int:
    """How many addresses must lie as loudly as they can to have a good arm halted that so many devices report on honestly: the
    liars come first, send a report on each side, both as often as they count, and know the most common model."""
    rng = random.Random(seed)
    theirs = [GOOD.report(rng, number) for number in range(honest)]
    ours = [GOOD.report(rng, honest + number) for number in range(honest)]
    for liars in range(1, 2 * honest):
        lies = [_lie(f"liar {n}", 1e5) for n in range(liars) for _ in range(SOURCE_MOST)]
        bait = [_lie(f"liar {n}", 1e-3) for n in range(liars) for _ in range(SOURCE_MOST)]
        if any(finding.halts for finding in compare([*lies, *ours], [*bait, *theirs], risk=RISK, source_most=SOURCE_MOST)):
            return liars
    return 2 * honest


def _lie(source: str, latency_ms: float) -> Report:
    return Report(("model 0", "int8"), source, {"latency_ms": latency_ms})


def shares(devices: int) -> Iterator[tuple[str, float, str, bool]]:
    """(claim, value, goal, holds) about device ids."""
    ids = [f"device-{n}" for n in range(devices)]
    old, new = Candidate(1), Candidate(2)
    ramps = [Offer("coins/stable", new, percent, old, earlier=(old,)) for percent in (10, 50, 100)]
    versions = [[found.version if (found := given(ramp, Phone(each))) else 0 for each in ids] for ramp in ramps]
    share = 100 * versions[0].count(2) / devices
    yield f"share of {devices:,} ids in a ramp of 10 %, %", round(share, 3), "10 ± 0.5", abs(share - 10) <= 0.5
    dropped = sum(a > b for low, high in pairwise(versions) for a, b in zip(low, high, strict=True))
    yield "devices that lose the release from 10 to 50 to 100 %", dropped, "0", dropped == 0
    trial = Offer("coins/stable", old, arm=new, arm_percent=20, arm_number=1, earlier=())
    groups = [arm_of(trial, Phone(each)) for each in ids]
    part = [group for group in groups if group]
    treated = 100 * part.count(TREATMENT) / len(part)
    yield "treatment among those who take part in an arm, %", round(treated, 3), "50 ± 1", abs(treated - 50) <= 1
    inside = [
        group for group, version in zip(groups, versions[0], strict=True) if version == 2 and group in (TREATMENT, CONTROL)
    ]
    crossed = 100 * len(inside) / versions[0].count(2)
    yield (
        "take part in an arm of 20 %, of those in the ramp of 10 %, %",
        round(crossed, 3),
        "20 ± 1.5",
        abs(crossed - 20) <= 1.5,
    )


def measure() -> dict[str, object]:
    """Runs in some six minutes, BENCH_QUICK=1 in ten seconds."""
    rounds, most = whole("BENCH_ROUNDS", 200, 20), whole("BENCH_REPORTS", 2000, 500)
    rows: list[dict[str, object]] = []
    halted: dict[str, list[int]] = {}
    for planted in PLANTED:
        say(f"{rounds} rollouts: {planted.name}")
        measures = ("canary_accuracy",) if planted.accuracy and planted.latency == 1 else ()  # by the canaries alone
        taken = [reports_until_halt(planted, seed, most, measures) for seed in range(rounds)]
        found = halted[planted.name] = [count for count in taken if count is not None]
        rows.append(
            {
                "planted": planted.name,
                "rollouts": rounds,
                "halted": len(found),
                "reports_median": statistics.median(found) if found else "–",
                "reports_most": max(found) if found else "–",
            }
        )
    liars = {honest: addresses_to_halt(honest, 1) for honest in (50, 200, 500)}
    rows += [{"honest_reports_a_side": honest, "lying_addresses_that_halt_a_good_arm": n} for honest, n in liars.items()]
    claims = [dict(zip(("claim", "value", "goal", "holds"), found, strict=True)) for found in shares(DEVICES)]
    for name in ("latency × 2", "canaries -5 points"):

        def slowest(name: str = name) -> float:
            found = halted[name]
            return percentile([*found, *[float("inf")] * (rounds - len(found))], 1.0)

        claims.append(
            claim(f"reports of both sides until halted, the slowest of {rounds}: {name}", slowest, SOON, at_least=False)
        )
    good = 100 * len(halted[GOOD.name]) / rounds
    claims.append({"claim": f"good arms halted within {most} reports, %", "value": good, "goal": "< 5", "holds": good < 5})
    settings = {"rounds": rounds, "reports": most, "risk": RISK, "reports_per_source": SOURCE_MOST, "cores": os.cpu_count()}
    return {"part": "rollout", "settings": settings, "rows": rows, "claims": claims}
