"""PHONE → RELEASE: is the new release worse on the phones? A test that may be looked at after every report.

Each report on the candidate is paired with one on the baseline by the same device model and format, in the order they came,
each report in one pair at most. A pair is *worse* where the candidate's value is beyond the baseline's by more than a
tolerance. If the candidate is no worse, the two reports could as well have been exchanged, so a pair is worse with probability
at most 1/2, whatever the distribution of latencies: no mean and no shape is assumed, and one report, however wild, is one sign.

Against that stands a bet. Who stakes the share b of the capital on "worse" at even odds has multiplied it by
(1+b)^worse·(1-b)^rest; spread evenly over b in [0, 1] that is the e-value below (Robbins' one-sided mixture of the sequential
probability ratio test; Robbins 1970, Annals of Mathematical Statistics 41; as testing by betting: Waudby-Smith & Ramdas 2023,
JRSS B 86; always-valid inference: Howard, Ramdas, McAuliffe & Sekhon 2021, Annals of Statistics 49). If the candidate is no
worse, this is a supermartingale that begins at 1: by Ville's inequality it ever reaches 1/risk with probability at most `risk`,
however often and whenever one looks. So looking after each report costs nothing.

Assumed: devices were assigned by hash (cohorts), so that reports of a device model on both files differ by the file alone;
reports come from different devices. The second is enforced as far as that can be: `source_most`.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """What is compared. `relative`: the tolerance is a share of the baseline's value, else a difference."""

    name: str
    tolerance: float
    relative: bool
    higher_is_worse: bool

    def worse(self, candidate: float, baseline: float) -> bool:
        """Beyond the tolerance. What is within it is not worth a roll-back, however surely it is there."""
        if not self.higher_is_worse:
            candidate, baseline = -candidate, -baseline
        return candidate > (baseline * (1 + self.tolerance) if self.relative else baseline + self.tolerance)


MEASURES = (
    Measure("latency_ms", 0.10, relative=True, higher_is_worse=True),  # a tenth: other apps on a phone do as much
    Measure("cold_start_ms", 0.25, relative=True, higher_is_worse=True),
    Measure("memory_mb", 0.25, relative=True, higher_is_worse=True),  # of the whole app, of which the model is a part
    Measure("canary_accuracy", 0.01, relative=False, higher_is_worse=False),  # a point: what the gate allows int8 too
    Measure("corrections", 0.02, relative=False, higher_is_worse=True),  # share of answers: two more in a hundred
)


LEAST_PAIRS = 40  # before anything is halted, however clear it looks: the first who report may all be one person


@dataclass(frozen=True)
class Report:
    """One device's report: `stratum` is what it is compared within (device model and format), `source` a bucket of network
    addresses, `values` measure → value; what was not measured is missing."""

    stratum: tuple[str, str]
    source: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class Finding:
    """The state of one measure's test. `e_value` reaches `halts_at` by chance with probability at most 1/`halts_at`."""

    measure: str
    pairs: int
    worse: int
    e_value: float
    halts_at: float

    @property
    def halts(self) -> bool:
        return self.pairs >= LEAST_PAIRS and self.e_value >= self.halts_at

    def sentence(self) -> str:
        name = self.measure.replace("_", " ")
        return f"{name}: worse in {self.worse} of {self.pairs} pairs, e-value {self.e_value:.3g} of {self.halts_at:.3g}"


def compare(candidate: Iterable[Report], baseline: Iterable[Report], *, risk: float, source_most: int) -> list[Finding]:
    """One finding a measure. Reports come in the order they arrived; `risk` (0 to 1) is that of halting a candidate that is no
    worse, over all measures and looks; `source_most` (≥ 1) reports of one source count on each side.
    """
    ours, theirs = capped(candidate, source_most), capped(baseline, source_most)
    halts_at = len(MEASURES) / risk  # each measure may err with its share of the risk (Bonferroni)
    findings = []
    for measure in MEASURES:
        pairs = _pairs(ours, theirs, measure.name)
        worse = sum(measure.worse(new, old) for new, old in pairs)
        findings.append(Finding(measure.name, len(pairs), worse, e_value(worse, len(pairs)), halts_at))
    return findings


def e_value(worse: int, pairs: int) -> float:
    """∫₀¹ (1+b)^worse (1-b)^(pairs-worse) db, in closed form: Σ_{k≤worse} C(pairs+1, k) / ((pairs+1) C(pairs, worse)). 1 for no
    pairs; at most the largest float."""
    tail = _log_sum([_log_choose(pairs + 1, k) for k in range(worse + 1)])
    log = tail - math.log(pairs + 1) - _log_choose(pairs, worse)
    return math.exp(min(log, 700.0))  # exp(709) is the largest float


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float] | None:
    """(median, low, high) by order statistics, for any distribution: the interval holds the true median with at least this
    confidence. From 6 values on at 95 %; below that the ends are the smallest and the largest. None without values.
    """
    if not values:
        return None
    ordered, n = sorted(values), len(values)
    middle = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
    below, rank = 2.0**-n if n < 1000 else 0.0, 0
    while below <= (1 - confidence) / 2 and rank < n // 2:  # P(fewer than rank+1 of n below the median)
        rank += 1
        below += math.exp(_log_choose(n, rank) - n * math.log(2))
    place = max(rank - 1, 0)
    return middle, ordered[place], ordered[n - 1 - place]


def capped(reports: Iterable[Report], most: int) -> list[Report]:
    """At most so many of a source, the first that came: one address cannot outvote the others."""
    counts: dict[str, int] = defaultdict(int)
    kept = []
    for report in reports:
        counts[report.source] += 1
        if counts[report.source] <= most:
            kept.append(report)
    return kept


def _pairs(candidate: list[Report], baseline: list[Report], name: str) -> list[tuple[float, float]]:
    waiting: dict[tuple[str, str], list[float]] = defaultdict(list)
    for report in reversed(baseline):  # the first that came is taken from the end
        if name in report.values:
            waiting[report.stratum].append(report.values[name])
    return [
        (report.values[name], waiting[report.stratum].pop())
        for report in candidate
        if name in report.values and waiting.get(report.stratum)
    ]


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _log_sum(logs: list[float]) -> float:
    top = max(logs)
    return top + math.log(sum(math.exp(log - top) for log in logs))
