"""RANKING: how good each photo is, from pairs and likes together. Knows neither Django nor TensorFlow.

A pair is a Bradley-Terry comparison (Bradley and Terry, "Rank analysis of incomplete block designs", Biometrika 1952): photo a
is called the better find with probability σ(q_a − q_b). A like is a comparison with the voter's own bar (Rasch, "Probabilistic
models for some intelligence and attainment tests", 1960): voter v likes photo a with probability σ(q_a + ease + ease_v). So
somebody who likes everything says nothing about any photo, and one who likes little says much with a like. Qualities and eases
have normal priors: few votes move a photo little.

What is returned is the mode of the posterior and Laplace's standard deviations. The library choix solves the pairs alone, on
dense matrices: 10^5 photos would take 80 GB. So this is done here on sparse ones, and choix is what the tests compare it with.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import expit

# Logits. On real like rates between 10 and 90 % qualities spread by about 1; a wider prior lets 3 of 3 pass 180 of 200.
QUALITY_SD = 1.0
EASE_SD = 1.0  # of voters around the recognizer's: some like a third of what they see, some nearly all
COMMON_EASE_SD = 0.5  # of the day's own like rate around one half: some twenty likes outweigh it, and pairs need no likes
NEWTON_STEPS = 30  # at most; days of 10^2 to 10^5 photos take 5 to 7
NEWTON_RTOL = 1e-2  # of a step's residual: the next step mends what is left
NEWTON_CG_STEPS = 200  # at most; a step takes 3 to 10
TOLERANCE = 1e-7  # logits of a step, after which it has converged; what is then wrong is about a hundredth of that


def _none() -> np.ndarray:
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class Votes:
    """What was said, by index of photo and voter; arrays of one length for likes, of another for pairs.

    `liked` is 1 for a like and 0 for a pass; `better` is 1 where `first` was called better than `second`, 0 where `second`, 0.5
    where they were called equal. Weights are ≥ 0: a vote of weight w counts like w votes.
    """

    photos: int
    voters: int
    like_photo: np.ndarray = field(default_factory=_none)
    like_voter: np.ndarray = field(default_factory=_none)
    liked: np.ndarray = field(default_factory=_none)
    first: np.ndarray = field(default_factory=_none)
    second: np.ndarray = field(default_factory=_none)
    pair_voter: np.ndarray = field(default_factory=_none)
    better: np.ndarray = field(default_factory=_none)
    like_weight: np.ndarray = field(default_factory=_none)
    pair_weight: np.ndarray = field(default_factory=_none)

    def __post_init__(self) -> None:
        """Without weights every vote weighs 1."""
        for weight, said in (("like_weight", self.liked), ("pair_weight", self.better)):
            if len(getattr(self, weight)) != len(said):
                object.__setattr__(self, weight, np.ones(len(said)))


@dataclass(frozen=True)
class Posterior:
    """Quality and its standard deviation, float64 [photos], in logits around 0; `ease` float64 [voters] and `common`: a voter
    likes a photo with probability σ(quality + common + ease). `liking_sd` [photos] is the deviation of quality + common: what
    200 voters said of a photo tells its like rate well, also where it tells little of how it compares."""

    quality: np.ndarray
    sd: np.ndarray
    liking_sd: np.ndarray
    ease: np.ndarray
    common: float


def fit(votes: Votes) -> Posterior:
    """The posterior of the votes. The same votes give the same numbers.

    Newton's method; each step solves the photos' equations, voters and common ease eliminated, by conjugate gradients.
    """
    n, m = votes.photos, votes.voters
    curvature, precision = _curvature_of(votes), _precision(votes)
    said, weight = np.concatenate([votes.liked, votes.better]), np.concatenate([votes.like_weight, votes.pair_weight])
    found, step, loss = np.zeros(len(precision)), np.zeros(len(precision)), np.inf
    for _ in range(NEWTON_STEPS):
        score = _scores(votes, found)
        now = _loss(score, said, weight) + _dot(found, precision * found) / 2
        if now > loss * (1 + 1e-12):  # it went too far: half the way, until it is better
            step = step / 2
            found = found - step
            continue
        loss, chance = now, expit(score)
        slope = _gathered(votes, weight * (chance - said)) + precision * found
        step = -_solved(curvature(weight * chance * (1 - chance)), slope)
        found = found + step
        if np.abs(step).max() < TOLERANCE:
            break
    chance = expit(_scores(votes, found))
    sd, liking_sd = _deviations(curvature(weight * chance * (1 - chance)))
    return Posterior(found[:n], sd, liking_sd, found[n : n + m], float(found[-1]))


def expected(votes: Votes, posterior: Posterior) -> tuple[np.ndarray, np.ndarray]:
    """The probabilities that the model gives to each like, and to each `first` being the better."""
    likes = expit(posterior.quality[votes.like_photo] + posterior.ease[votes.like_voter] + posterior.common)
    return likes, expit(posterior.quality[votes.first] - posterior.quality[votes.second])


def _scores(votes: Votes, found: np.ndarray) -> np.ndarray:
    """float64 [likes + pairs] in logits, where `found` [photos + voters + 1] are qualities, eases and the common ease."""
    quality, ease, common = _split(found, votes.photos)
    likes = quality[votes.like_photo] + ease[votes.like_voter] + common
    return np.concatenate([likes, quality[votes.first] - quality[votes.second]])


def _gathered(votes: Votes, of_vote: np.ndarray) -> np.ndarray:
    """`_scores` transposed: [likes + pairs] → [photos + voters + 1]."""
    n, like, pair = votes.photos, of_vote[: len(votes.liked)], of_vote[len(votes.liked) :]
    photo = np.bincount(votes.like_photo, like, n) + np.bincount(votes.first, pair, n) - np.bincount(votes.second, pair, n)
    return np.concatenate([photo, np.bincount(votes.like_voter, like, votes.voters), [like.sum()]])


def _split(found: np.ndarray, photos: int) -> tuple[np.ndarray, np.ndarray, float]:
    return found[:photos], found[photos:-1], float(found[-1])


def _precision(votes: Votes) -> np.ndarray:
    return np.concatenate(
        [np.full(votes.photos, QUALITY_SD**-2.0), np.full(votes.voters, EASE_SD**-2.0), [COMMON_EASE_SD**-2.0]]
    )


def _loss(score: np.ndarray, said: np.ndarray, weight: np.ndarray) -> float:
    return _dot(weight, np.maximum(score, 0) + np.log1p(np.exp(-np.abs(score))) - said * score)


# ---- the curvature -----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Curvature:
    """The Hessian in blocks. Voters share nothing with each other, so that they are eliminated exactly, and the common ease
    after them: what is left is one equation a photo.

    `photo` [photos] and `voter` [voters] are the diagonal. `likes` [photos, voters] is what photo and voter share, `pairs`
    [photos, photos], above the diagonal, what two photos share, with its sign turned; `with_voter` [voters] is what a voter
    shares with the common ease. Once the voters are eliminated, `shared` [photos] is what a photo shares with the common ease,
    `common` what the common ease has for itself, and `alone` [photos] what each photo has.
    """

    photo: np.ndarray
    voter: np.ndarray
    likes: csr_matrix
    pairs: csr_matrix
    with_voter: np.ndarray
    shared: np.ndarray
    common: float
    alone: np.ndarray


def _curvature_of(votes: Votes) -> Callable[[np.ndarray], _Curvature]:
    """The Hessian as a function of each vote's curvature [likes + pairs]. Where it is not zero is found only once."""
    n, m, split = votes.photos, votes.voters, len(votes.liked)
    likes = _cells(votes.like_photo, votes.like_voter, (n, m))
    pairs = _cells(np.minimum(votes.first, votes.second), np.maximum(votes.first, votes.second), (n, n))
    quality, ease, common = _split(_precision(votes), n)

    def curvature(of_vote: np.ndarray) -> _Curvature:
        like, pair = of_vote[:split], of_vote[split:]
        liked, with_voter = np.bincount(votes.like_photo, like, n), np.bincount(votes.like_voter, like, m)
        photo = quality + liked + np.bincount(votes.first, pair, n) + np.bincount(votes.second, pair, n)
        voter, by_voter = ease + with_voter, likes(like)
        return _Curvature(
            photo,
            voter,
            by_voter,
            pairs(pair),
            with_voter,
            shared=liked - by_voter @ (with_voter / voter),
            common=common + float(like.sum()) - _dot(with_voter, with_voter / voter),
            alone=photo - by_voter.power(2) @ (1 / voter),
        )

    return curvature


def _cells(row: np.ndarray, column: np.ndarray, shape: tuple[int, int]) -> Callable[[np.ndarray], csr_matrix]:
    """A sparse matrix as a function of its values [votes]; those of the same cell are added up."""
    cells, cell = np.unique(row * shape[1] + column, return_inverse=True)
    rows, columns = np.divmod(cells, max(shape[1], 1))
    starts = np.concatenate([[0], np.bincount(rows, minlength=shape[0]).cumsum()]).astype(np.int32)
    columns = columns.astype(np.int32)
    return lambda values: csr_matrix((np.bincount(cell, values, len(cells)), columns, starts), shape=shape)


def _solved(of: _Curvature, slope: np.ndarray) -> np.ndarray:
    """Hessian⁻¹ · slope, [photos + voters + 1]."""
    n = len(of.photo)
    by_photo, turned = of.likes.T, of.pairs.T
    photo, voter, common = _split(slope, n)
    common -= _dot(of.with_voter, voter / of.voter)
    photo = photo - of.likes @ (voter / of.voter) - of.shared * (common / of.common)

    def times(v: np.ndarray) -> np.ndarray:
        through_voters = of.likes @ ((by_photo @ v) / of.voter)
        through_common = of.shared * (_dot(of.shared, v) / of.common)
        return np.asarray(of.photo * v - of.pairs @ v - turned @ v - through_voters - through_common)

    quality = _conjugate_gradients(times, photo, of.alone)
    ease_of_all = (common - _dot(of.shared, quality)) / of.common
    ease = (voter - by_photo @ quality - of.with_voter * ease_of_all) / of.voter
    return np.concatenate([quality, ease, [ease_of_all]])


def _conjugate_gradients(times: Callable[[np.ndarray], np.ndarray], right: np.ndarray, diagonal: np.ndarray) -> np.ndarray:
    """x with times(x) = right, to NEWTON_RTOL (Hestenes and Stiefel, 1952), preconditioned by the diagonal of `times`.

    scipy's takes its inner products from BLAS, whose threads wait for each other: on a machine that has other work to do as
    well, a fit took twice as long.
    """
    found, left = np.zeros(len(right)), right.copy()
    towards = left / diagonal
    gain, enough = _dot(left, towards), NEWTON_RTOL**2 * _dot(right, right)
    for _ in range(NEWTON_CG_STEPS):
        if _dot(left, left) <= enough:
            break
        image = times(towards)
        length = gain / _dot(towards, image)
        found += length * towards
        left -= length * image
        conditioned = left / diagonal
        before, gain = gain, _dot(left, conditioned)
        towards = conditioned + (gain / before) * towards
    return found


def _dot(a: np.ndarray, b: np.ndarray) -> float:
    """An inner product, to the same last digit whatever the number of threads."""
    return float((a * b).sum())


def _deviations(of: _Curvature) -> tuple[np.ndarray, np.ndarray]:
    """Laplace: of each photo's quality, and of quality + common. Exact would be the Hessian's dense inverse. Here voters are
    eliminated exactly, and so is the common ease with one photo at a time; of the photos that a photo shares pairs or voters
    with, the first are taken to be uncertain by themselves and the second to be known.
    """
    squares = of.pairs.power(2)
    alone = of.alone - squares @ (1 / of.alone) - squares.T @ (1 / of.alone)
    # The 2 × 2 block of a photo and the common ease, when the other photos are eliminated.
    beside = of.common - (of.shared**2 / alone).sum() + of.shared**2 / alone
    determinant = alone * beside - of.shared**2
    return np.sqrt(beside / determinant), np.sqrt((alone + beside - 2 * of.shared) / determinant)
