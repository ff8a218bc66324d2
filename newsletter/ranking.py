"""RANKING: orders photos by what voters say, so that a lucky small count cannot win. Knows neither Django nor TensorFlow.

looks = the 5 % quantile of Beta(prior + likes, prior + passes): "with 95 % certainty at least this share would like it".
score = (1 - WORTH_WEIGHT) · looks + WORTH_WEIGHT · percentile of what the photo was worth to the model.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from scipy.special import betaincinv

QUANTILE = 0.05  # of the posterior: doubt counts against a photo, and fades with every vote
# The prior counts like this many votes at the day's own like rate. Simulated on days of 200 photos (true rates Beta(6, 3), 3,
# 10 and 30 votes a photo on average), the six photos on top are truly best liked for 2 to 6; below 2 luck wins, above 10 fame
# does: photos with many votes beat better ones with some.
PRIOR_VOTES = 4.0
WORTH_WEIGHT = 0.05  # small on purpose: what helped the model most decides only between photos that please about equally
NEUTRAL = 0.5  # the percentile of a photo whose worth is not known: neither helped nor hurt


@dataclass(frozen=True)
class Candidate:
    """A photo that may be printed. `likes`, `passes` ≥ 0; `worth` is a share of accuracy, None where no run valued it;
    photos of one `cluster` are near-duplicates (None: it has none)."""

    id: Hashable
    likes: int
    passes: int
    worth: float | None
    received_at: datetime
    cluster: Hashable | None = None


@dataclass(frozen=True)
class Parts:
    """Why a photo stands where it stands; all but the counts and `worth` lie in [0, 1]."""

    likes: int
    passes: int
    day_like_rate: float
    looks: float
    worth: float | None
    worth_percentile: float
    score: float

    def as_json(self) -> dict[str, float | int | None]:
        return asdict(self)


@dataclass(frozen=True)
class Ranked:
    candidate: Candidate
    parts: Parts


def rank(candidates: Iterable[Candidate]) -> list[Ranked]:
    """Best first, one photo of each near-duplicate cluster. The order of the input does not matter; ties go to the photo that
    came first, then to the smaller id."""
    rows = list(candidates)
    rate = day_like_rate(rows)
    worths = sorted(row.worth for row in rows if row.worth is not None)
    ranked = sorted((_ranked(row, rate, worths) for row in rows), key=_order)
    return _one_a_cluster(ranked)


def day_like_rate(candidates: Sequence[Candidate]) -> float:
    """The share of likes among all votes of the day, inside (0, 1): one vote of each kind is added (Laplace)."""
    likes = sum(row.likes for row in candidates)
    votes = likes + sum(row.passes for row in candidates)
    return (likes + 1) / (votes + 2)


def looks(*, likes: int, passes: int, rate: float) -> float:
    """The 5 % quantile of the like rate's posterior, in [0, 1]."""
    return float(betaincinv(PRIOR_VOTES * rate + likes, PRIOR_VOTES * (1 - rate) + passes, QUANTILE))


def percentile(worth: float | None, worths: Sequence[float]) -> float:
    """Where `worth` stands in the sorted `worths`: 0 lowest, 1 highest, equal values in the middle of their places."""
    if worth is None or not worths:
        return NEUTRAL
    return (bisect_left(worths, worth) + bisect_right(worths, worth)) / (2 * len(worths))


def _ranked(row: Candidate, rate: float, worths: Sequence[float]) -> Ranked:
    pleasing = looks(likes=row.likes, passes=row.passes, rate=rate)
    useful = percentile(row.worth, worths)
    score = (1 - WORTH_WEIGHT) * pleasing + WORTH_WEIGHT * useful
    return Ranked(row, Parts(row.likes, row.passes, rate, pleasing, row.worth, useful, score))


def _order(item: Ranked) -> tuple[float, datetime, str]:
    return -item.parts.score, item.candidate.received_at, str(item.candidate.id)


def _one_a_cluster(ranked: Sequence[Ranked]) -> list[Ranked]:
    seen: set[Hashable] = set()
    best = []
    for item in ranked:
        cluster = item.candidate.cluster
        if cluster is not None and cluster in seen:
            continue
        seen.add(cluster)
        best.append(item)
    return best
