"""RANKING: how good each photo is, from pairs and likes together. Knows neither Django nor TensorFlow.

A pair is a Bradley-Terry comparison (Bradley and Terry, "Rank analysis of incomplete block designs", Biometrika 1952): photo a
is called the better find with probability σ(q_a − q_b). A like is a comparison with the voter's own bar (Rasch, "Probabilistic
models for some intelligence and attainment tests", 1960): voter v likes photo a with probability σ(q_a + ease + ease_v). So
somebody who likes everything says nothing about any photo, and one who likes little says much with a like. Qualities and eases
have normal priors: few votes move a photo little.

What is returned is the mode of the posterior and Laplace's standard deviations. The library choix solves the pairs alone, on
dense matrices: 10^5 photos would take 80 GB. So this is done here on sparse ones, and choix is what the tests compare it with.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import LinearOperator, cg
from scipy.special import expit

# Logits. On real like rates between 10 and 90 % qualities spread by about 1; a wider prior lets 3 of 3 pass 180 of 200.
QUALITY_SD = 1.0
EASE_SD = 1.0  # of voters around the recognizer's: some like a third of what they see, some nearly all
COMMON_EASE_SD = 0.5  # of the day's own like rate around one half: some twenty likes outweigh it, and pairs need no likes
NEWTON_STEPS = 30  # at most; days of 10^2 to 10^5 photos take 5 to 7
NEWTON_RTOL = 1e-3  # of a step's residual: the next step mends what is left
NEWTON_CG_STEPS = 200  # at most; a step takes 5 to 20
TOLERANCE = 1e-7  # logits of a step, after which it has converged; what is then wrong is a thousandth of that


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

    Newton's method; each step solves the photos' and voters' equations by conjugate gradients, which read only the votes.
    """
    design, said = _design(votes), np.concatenate([votes.liked, votes.better])
    weight = np.concatenate([votes.like_weight, votes.pair_weight])
    back = design.T.tocsr()
    precision = _precision(votes)
    found, step, loss = np.zeros(len(precision)), np.zeros(len(precision)), np.inf
    for _ in range(NEWTON_STEPS):
        score = design @ found
        now = _loss(score, said, weight) + float(found @ (precision * found)) / 2
        if now > loss * (1 + 1e-12):  # it went too far: half the way, until it is better
            step = step / 2
            found = found - step
            continue
        loss, chance = now, expit(score)
        slope = back @ (weight * (chance - said)) + precision * found
        step = -_solved(design, back, weight * chance * (1 - chance), precision, slope)
        found = found + step
        if np.abs(step).max() < TOLERANCE:
            break
    chance = expit(design @ found)
    n, m = votes.photos, votes.voters
    sd, liking_sd = _deviations(design, weight * chance * (1 - chance), precision, n)
    return Posterior(found[:n], sd, liking_sd, found[n : n + m], float(found[-1]))


def expected(votes: Votes, posterior: Posterior) -> tuple[np.ndarray, np.ndarray]:
    """The probabilities that the model gives to each like, and to each `first` being the better."""
    likes = expit(posterior.quality[votes.like_photo] + posterior.ease[votes.like_voter] + posterior.common)
    return likes, expit(posterior.quality[votes.first] - posterior.quality[votes.second])


def _design(votes: Votes) -> csr_matrix:
    """[likes + pairs, photos + voters + 1]: the score of a vote is its row times (qualities, eases, common ease)."""
    n, likes, pairs = votes.photos, len(votes.liked), len(votes.better)
    common = np.full(likes, n + votes.voters)
    columns = np.concatenate(
        [
            np.column_stack([votes.like_photo, n + votes.like_voter, common]).ravel(),
            np.column_stack([votes.first, votes.second]).ravel(),
        ]
    )
    values = np.concatenate([np.ones(3 * likes), np.tile([1.0, -1.0], pairs)])
    starts = np.concatenate([3 * np.arange(likes), 3 * likes + 2 * np.arange(pairs + 1)])
    return csr_matrix((values, columns.astype(np.int32), starts.astype(np.int32)), shape=(likes + pairs, n + votes.voters + 1))


def _precision(votes: Votes) -> np.ndarray:
    return np.concatenate(
        [np.full(votes.photos, QUALITY_SD**-2.0), np.full(votes.voters, EASE_SD**-2.0), [COMMON_EASE_SD**-2.0]]
    )


def _loss(score: np.ndarray, said: np.ndarray, weight: np.ndarray) -> float:
    return float(weight @ (np.maximum(score, 0) + np.log1p(np.exp(-np.abs(score))) - said * score))


def _solved(design: csr_matrix, back: csr_matrix, curve: np.ndarray, precision: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Hessian⁻¹ · slope, where the Hessian is designᵀ · diag(curve) · design + diag(precision)."""
    size = len(precision)
    hessian = LinearOperator((size, size), matvec=lambda v: back @ (curve * (design @ v)) + precision * v, dtype=float)
    diagonal = back.power(2) @ curve + precision
    jacobi = LinearOperator((size, size), matvec=lambda v: v / diagonal, dtype=float)
    step, _ = cg(hessian, slope, rtol=NEWTON_RTOL, maxiter=NEWTON_CG_STEPS, M=jacobi)
    return np.asarray(step)


def _deviations(design: csr_matrix, curve: np.ndarray, precision: np.ndarray, photos: int) -> tuple[np.ndarray, np.ndarray]:
    """Laplace: of each photo's quality, and of quality + common. Exact would be the Hessian's dense inverse. Here voters are
    eliminated exactly (they share nothing with each other), and so is the common ease with one photo at a time; of the photos
    that a photo shares pairs or voters with, the first are taken to be uncertain by themselves and the second to be known.
    """
    hessian = (design.T @ design.multiply(curve[:, None]).tocsr()).tocsr()  # sums repetitions
    own = hessian.diagonal() + precision
    hessian.setdiag(0)
    of_voter = 1 / own[photos:-1]
    with_voters, with_common = hessian[:photos, photos:-1], hessian[:, [-1]].toarray().ravel()
    alone = own[:photos] - with_voters.power(2) @ of_voter
    alone = alone - hessian[:photos, :photos].power(2) @ (1 / alone)
    shared = with_common[:photos] - with_voters @ (of_voter * with_common[photos:-1])
    common = own[-1] - float(of_voter @ with_common[photos:-1] ** 2)
    # The 2 × 2 block of a photo and the common ease, when the other photos are eliminated.
    beside = common - (shared**2 / alone).sum() + shared**2 / alone
    determinant = alone * beside - shared**2
    return np.sqrt(beside / determinant), np.sqrt((alone + beside - 2 * shared) / determinant)
