"""PHONE → RELEASE: is the new release worse on the phones? A test that may be looked at after every report.

Each report on the candidate is paired with one on the baseline by the same device model and format, in the order they came,
each report in one pair at most. A pair's score, -1 to 1, says how far the candidate's value is beyond the baseline's by more
than a tolerance, winsorised: beyond a few tenths, more does not count for more, so that one report, however wild, is one vote.
If the candidate is no worse, the two reports could as well have been exchanged; then the score is at most 0 on average,
whatever the distribution of latencies: no mean, no variance and no shape is assumed.

Against that stands a bet. Who stakes the share b of the capital on each score has multiplied it by Π (1 + b·score); spread
evenly over some b in (0, 1) that is the e-value below (a mixture as in Robbins 1970, Annals of Mathematical Statistics 41; as
testing by betting on bounded values: Waudby-Smith & Ramdas 2023, JRSS B 86; always-valid inference: Howard, Ramdas, McAuliffe &
Sekhon 2021, Annals of Statistics 49). If the candidate is no worse, this is a supermartingale that begins at 1: by Ville's
inequality it ever reaches 1/risk with probability at most `risk`, however often and whenever one looks.

Assumed: devices were assigned by hash (cohorts), so that reports of a device model on both files differ by the file alone;
reports come from different devices. The second is enforced as far as that can be: `source_most`.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """What is compared. `relative`: by the logarithm of the ratio, else by the difference; `tolerance` and `scale` are a ratio
    less one, or a difference. Beyond tolerance + scale a pair's score is 1."""

    name: str
    tolerance: float
    scale: float
    relative: bool
    higher_is_worse: bool

    def score(self, candidate: float, baseline: float) -> float:
        """-1 to 1; at most 0 on average if the candidate is no worse than the tolerance, which is not worth a roll-back."""
        if self.relative:
            least = 1e-9  # values are positive; a device that claims 0 has measured nothing less than this
            beyond = math.log(max(candidate, least) / max(baseline, least)) - math.log1p(self.tolerance)
            return max(-1.0, min(1.0, beyond / math.log1p(self.scale)))
        beyond = (candidate - baseline if self.higher_is_worse else baseline - candidate) - self.tolerance
        return max(-1.0, min(1.0, beyond / self.scale))


# Scales: about the spread between two devices of a model, so that most honest pairs count for something between the ends.
MEASURES = (
    Measure("latency_ms", 0.10, 0.65, relative=True, higher_is_worse=True),  # a tenth: other apps on a phone do as much
    Measure("cold_start_ms", 0.25, 0.65, relative=True, higher_is_worse=True),
    Measure("memory_mb", 0.25, 0.65, relative=True, higher_is_worse=True),  # of the whole app, of which the model is a part
    Measure("canary_accuracy", 0.01, 0.10, relative=False, higher_is_worse=False),  # a point: what the gate allows int8 too
    Measure("corrections", 0.02, 0.10, relative=False, higher_is_worse=True),  # share of answers: two more in a hundred
)
BETS = tuple((2 * n + 1) / 20 for n in range(10))  # shares of the capital: 0.05, 0.15, …, 0.95
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

    @property
    def title(self) -> str:
        return self.measure.replace("_", " ")

    @property
    def shown(self) -> str:
        """The e-value with three digits."""
        return f"{self.e_value:.3g}"

    def sentence(self) -> str:
        return f"{self.title}: worse in {self.worse} of {self.pairs} pairs, e-value {self.shown} of {self.halts_at:.3g}"


def compare(candidate: Iterable[Report], baseline: Iterable[Report], *, risk: float, source_most: int) -> list[Finding]:
    """One finding a measure. Reports come in the order they arrived; `risk` (0 to 1) is that of halting a candidate that is no
    worse, over all measures and looks; `source_most` (≥ 1) reports of one source count on each side.
    """
    ours, theirs = capped(candidate, source_most), capped(baseline, source_most)
    halts_at = len(MEASURES) / risk  # each measure may err with its share of the risk (Bonferroni)
    findings = []
    for measure in MEASURES:
        scores = [measure.score(new, old) for new, old in _pairs(ours, theirs, measure.name)]
        worse = sum(score > 0 for score in scores)
        findings.append(Finding(measure.name, len(scores), worse, e_value(scores), halts_at))
    return findings


def e_value(scores: Sequence[float]) -> float:
    """What a stake of 1, spread over BETS, has become: the mean of Π (1 + b·score). 1 for no scores; at most e^700."""
    logs = [sum(math.log1p(bet * score) for score in scores) for bet in BETS]
    top = max(logs)
    log = top + math.log(sum(math.exp(log - top) for log in logs) / len(BETS))
    return math.exp(min(log, 700.0))  # e^709 is the largest float


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
