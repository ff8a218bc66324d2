"""RANKING: orders photos by what voters say, so that a lucky small count cannot win. Knows neither Django nor TensorFlow.

looks = the like rate that a photo has with 95 % certainty at least, with a voter of middling ease (newsletter.bradley_terry).
score = LOOKS · looks + WORTH · percentile of what it was worth to the model + FOOLED · how much it fooled the released model
        + TECHNICAL · its technical quality.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

import numpy as np
from scipy.special import expit, ndtri

from newsletter.bradley_terry import Votes, fit
from newsletter.voters import People, weigh

CERTAINTY = 0.95  # doubt counts against a photo, and fades with every vote
# Small on purpose: what is no vote decides only between photos that please about equally.
LOOKS, WORTH, FOOLED, TECHNICAL = 0.85, 0.05, 0.05, 0.05
NEUTRAL = 0.5  # for what is not known of a photo: it neither helps nor hurts
DIGITS = 6  # what differs by less is equal, so that no rounding error decides a tie


# What a viewer forgives least costs most. Darkness is often what the challenge asks for.
FLAWS = {"blurred": 0.5, "bright": 0.25, "dark": 0.1}
SMALL_SIDE, SMALL = 480, 0.25  # pixels of the shorter side below which a photo looks coarse on a phone, and what that costs


def technical(conditions: Sequence[str], *, shorter_side: int) -> float:
    """The technical quality of a photo in [0, 1], by the conditions (training.conditions.NAMES) it was taken under."""
    flaws = sum(FLAWS.get(name, 0.0) for name in conditions) + (SMALL if shorter_side < SMALL_SIDE else 0.0)
    return max(0.0, 1.0 - flaws)


@dataclass(frozen=True)
class Candidate:
    """A photo that may be printed. `worth` is a share of accuracy, `fooled` and `technical` lie in [0, 1]; each is None where
    nobody knows. Photos of one `cluster` are near-duplicates (None: it has none)."""

    id: Hashable
    received_at: datetime
    cluster: Hashable | None = None
    worth: float | None = None
    fooled: float | None = None
    technical: float | None = None


@dataclass(frozen=True)
class Parts:
    """Why a photo stands where it stands: votes as they were given (`better`, `worse`: pairs), then what became of them, in
    [0, 1] but for `worth`."""

    likes: int
    passes: int
    better: int
    worse: int
    looks: float
    worth: float | None
    worth_percentile: float
    fooled: float
    technical: float
    score: float

    def as_json(self) -> dict[str, float | int | None]:
        return asdict(self)


@dataclass(frozen=True)
class Ranked:
    """`quality` and `sd` are the photo's in logits, as the votes tell them."""

    candidate: Candidate
    parts: Parts
    quality: float
    sd: float


def rank(candidates: Sequence[Candidate], votes: Votes, people: People) -> list[Ranked]:
    """Best first, one photo of each near-duplicate cluster. `votes` are by index of `candidates` and of `people`.

    The order of candidates and votes does not matter; ties go to the photo that came first, then to the smaller id.
    """
    if not candidates:
        return []
    candidates, votes, people = _in_order(candidates, votes, people)
    posterior = fit(weigh(votes, people).votes)
    looks = expit(posterior.quality + posterior.common - ndtri(CERTAINTY) * posterior.liking_sd).round(DIGITS)
    quality, sd = posterior.quality.round(DIGITS), posterior.sd.round(DIGITS)
    worths = sorted(row.worth for row in candidates if row.worth is not None)
    columns = zip(candidates, _counts(votes), looks.tolist(), quality.tolist(), sd.tolist(), strict=True)
    ranked = [Ranked(row, _parts(row, counts, look, worths), quality, sd) for row, counts, look, quality, sd in columns]
    return _one_a_cluster(sorted(ranked, key=_order))


def percentile(worth: float | None, worths: Sequence[float]) -> float:
    """Where `worth` stands in the sorted `worths`: 0 lowest, 1 highest, equal values in the middle of their places."""
    if worth is None or not worths:
        return NEUTRAL
    return (bisect_left(worths, worth) + bisect_right(worths, worth)) / (2 * len(worths))


def _parts(row: Candidate, counts: tuple[int, int, int, int], looks: float, worths: Sequence[float]) -> Parts:
    useful = percentile(row.worth, worths)
    fooled = NEUTRAL if row.fooled is None else row.fooled
    technical = NEUTRAL if row.technical is None else row.technical
    score = LOOKS * looks + WORTH * useful + FOOLED * fooled + TECHNICAL * technical
    return Parts(*counts, looks, row.worth, useful, fooled, technical, round(score, DIGITS))


def _in_order(candidates: Sequence[Candidate], votes: Votes, people: People) -> tuple[list[Candidate], Votes, People]:
    """By id, and votes by photo: sums come out the same to the last digit, and reading them is twice as fast."""
    order = sorted(range(len(candidates)), key=lambda index: str(candidates[index].id))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    first, second = place[votes.first], place[votes.second]
    turned = first > second  # the same pair, asked the other way round
    first, second = np.where(turned, second, first), np.where(turned, first, second)
    better = np.where(turned, 1 - votes.better, votes.better)
    like, pair = np.lexsort((votes.like_voter, place[votes.like_photo])), np.lexsort((votes.pair_voter, second, first))
    return (
        [candidates[index] for index in order],
        Votes(
            votes.photos,
            votes.voters,
            like_photo=place[votes.like_photo][like],
            like_voter=votes.like_voter[like],
            liked=votes.liked[like],
            first=first[pair],
            second=second[pair],
            pair_voter=votes.pair_voter[pair],
            better=better[pair],
        ),
        replace(people, author=people.author[order]),
    )


def _counts(votes: Votes) -> list[tuple[int, int, int, int]]:
    """Likes, passes, pairs won and pairs lost of each photo; a draw is neither."""

    def on(photo: np.ndarray, such: np.ndarray) -> np.ndarray:
        return np.bincount(photo[such], minlength=votes.photos)

    won, lost = votes.better == 1, votes.better == 0
    likes, passes = on(votes.like_photo, votes.liked == 1), on(votes.like_photo, votes.liked == 0)
    better, worse = on(votes.first, won) + on(votes.second, lost), on(votes.first, lost) + on(votes.second, won)
    return list(zip(likes.tolist(), passes.tolist(), better.tolist(), worse.tolist(), strict=True))


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
