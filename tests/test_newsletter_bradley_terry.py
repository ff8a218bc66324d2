"""The model behind the ranking: the same as others' where others can, and honest about what it does not know."""

import choix
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import kendalltau

from newsletter.bradley_terry import COMMON_EASE_SD, EASE_SD, QUALITY_SD, Posterior, Votes, expected, fit


def pairs(photos: int, *said: tuple[int, int, float], voters: int = 1) -> Votes:
    first, second, better = np.array(said, float).reshape(-1, 3).T
    voter = np.arange(len(said)) % voters
    return Votes(photos, voters, first=first.astype(int), second=second.astype(int), pair_voter=voter, better=better)


def likes(photos: int, *said: tuple[int, float]) -> Votes:
    """Each by another voter."""
    photo, liked = np.array(said, float).reshape(-1, 2).T
    return Votes(photos, len(said), like_photo=photo.astype(int), like_voter=np.arange(len(said)), liked=liked)


def day(seed: int, *, photos: int = 40, voters: int = 12, votes: int = 300) -> tuple[np.ndarray, Votes]:
    """True qualities, and votes as the model says that people vote: half likes, half pairs."""
    rng = np.random.default_rng(seed)
    quality, ease = rng.normal(size=photos), rng.normal(size=voters)
    photo, voter = rng.integers(0, photos, votes), rng.integers(0, voters, votes)
    liked = rng.random(votes) < expit(quality[photo] + ease[voter] + 0.4)
    first = rng.integers(0, photos, votes)
    second = (first + rng.integers(1, photos, votes)) % photos
    better = rng.random(votes) < expit(quality[first] - quality[second])
    return quality, Votes(photos, voters, photo, voter, liked.astype(float), first, second, voter, better.astype(float))


def exact_deviations(votes: Votes, posterior: Posterior) -> tuple[np.ndarray, np.ndarray]:
    """By the dense inverse of the whole curvature."""
    n, m = votes.photos, votes.voters
    curvature = np.diag([QUALITY_SD**-2] * n + [EASE_SD**-2] * m + [COMMON_EASE_SD**-2])
    liked, better = expected(votes, posterior)
    for photo, voter, p in zip(votes.like_photo, votes.like_voter, liked, strict=True):
        row = np.zeros(n + m + 1)
        row[[photo, n + voter, n + m]] = 1
        curvature += p * (1 - p) * np.outer(row, row)
    for first, second, p in zip(votes.first, votes.second, better, strict=True):
        row = np.zeros(n + m + 1)
        row[first], row[second] = 1, -1
        curvature += p * (1 - p) * np.outer(row, row)
    inverse = np.linalg.inv(curvature)
    return np.sqrt(np.diag(inverse))[:n], np.sqrt(np.diag(inverse)[:n] + inverse[-1, -1] + 2 * inverse[:n, -1])


@pytest.mark.parametrize("seed", range(5))
def test_of_pairs_alone_it_finds_what_choix_finds(seed):
    _, votes = day(seed)
    alone = Votes(
        votes.photos, votes.voters, first=votes.first, second=votes.second, pair_voter=votes.pair_voter, better=votes.better
    )
    won = [(a, b) if w else (b, a) for a, b, w in zip(votes.first, votes.second, votes.better, strict=True)]
    theirs = choix.opt_pairwise(votes.photos, won, alpha=0.5 / QUALITY_SD**2, method="Newton-CG", tol=1e-10)
    assert fit(alone).quality == pytest.approx(theirs, abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_its_doubt_is_that_of_the_whole_curvature_within_a_tenth(seed):
    _, votes = day(seed)
    found = fit(votes)
    for ours, exact in zip((found.sd, found.liking_sd), exact_deviations(votes, found), strict=True):
        assert np.abs(ours / exact - 1).max() < 0.1


def test_the_true_quality_lies_in_its_intervals_as_often_as_they_say():
    inside = []
    for seed in range(20):
        quality, votes = day(seed, photos=60, votes=600)
        found = fit(votes)
        inside.append(np.abs(quality - found.quality) < 1.96 * found.sd)
    assert 0.92 < np.mean(inside) < 0.98


def test_at_its_mode_no_direction_leads_further_up():
    _, votes = day(7)
    found = fit(votes)
    liked, better = expected(votes, found)
    slope = -found.quality / QUALITY_SD**2
    slope += np.bincount(votes.like_photo, votes.liked - liked, votes.photos)
    slope += np.bincount(votes.first, votes.better - better, votes.photos)
    slope -= np.bincount(votes.second, votes.better - better, votes.photos)
    of_voters = np.bincount(votes.like_voter, votes.liked - liked, votes.voters) - found.ease / EASE_SD**2
    of_all = float((votes.liked - liked).sum()) - found.common / COMMON_EASE_SD**2
    assert np.abs([*slope, *of_voters, of_all]).max() < 1e-6


def test_of_two_photos_its_doubt_is_exact_whichever_way_round_and_however_often_they_were_compared():
    votes = pairs(2, (0, 1, 1.0), (1, 0, 1.0), (0, 1, 0.0), (1, 0, 0.0), (1, 0, 0.5))
    found = fit(votes)
    assert found.sd == pytest.approx(exact_deviations(votes, found)[0], abs=1e-9)


def test_who_likes_everything_says_less_than_who_likes_little():
    generous = [(photo, 0, 1.0) for photo in range(8)]
    strict = [(photo, 1, float(photo == 0)) for photo in range(8)]
    photo, voter, liked = np.array(generous + strict).T
    found = fit(Votes(8, 2, photo.astype(int), voter.astype(int), liked))
    assert found.ease[0] > 0.5 > -0.5 > found.ease[1]
    assert found.quality[0] > 0.5 > found.quality[1:].max()


def test_a_photo_without_votes_is_of_middling_quality_and_all_in_doubt():
    found = fit(likes(3, (0, 1.0), (0, 1.0), (1, 0.0)))
    assert found.quality[2] == pytest.approx(0, abs=1e-6)
    assert found.sd[2] == pytest.approx(QUALITY_SD) and found.sd[0] < QUALITY_SD


def test_nothing_said_is_nothing_known():
    found = fit(Votes(4, 0))
    assert found.quality.tolist() == [0, 0, 0, 0] and found.sd.tolist() == [1, 1, 1, 1] and found.common == 0


def test_equal_answers_pull_together():
    apart = fit(pairs(2, (0, 1, 1.0), (0, 1, 1.0)))
    nearer = fit(pairs(2, (0, 1, 1.0), (0, 1, 1.0), (0, 1, 0.5), (0, 1, 0.5)))
    assert 0 < nearer.quality[0] - nearer.quality[1] < apart.quality[0] - apart.quality[1]


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0.0, 1.0])), max_size=30), st.integers(0, 4))
def test_one_more_like_lifts_a_photo_and_one_more_pass_lowers_it(said, photo):
    now = fit(likes(5, *said)).quality[photo]
    assert fit(likes(5, *said, (photo, 1.0))).quality[photo] > now > fit(likes(5, *said, (photo, 0.0))).quality[photo]


@given(st.integers(1, 400), st.floats(0.01, 1))
def test_a_vote_of_a_weight_counts_like_that_many_votes(votes, weight):
    many = Votes(2, votes, np.zeros(votes, int), np.arange(votes), np.ones(votes), like_weight=np.full(votes, weight))
    found = fit(many)
    assert np.isfinite(found.quality).all() and 0 < found.sd[0] < 1
    assert fit(Votes(2, votes, np.zeros(votes, int), np.arange(votes), np.ones(votes))).quality[0] >= found.quality[0] - 1e-9


def test_a_weight_of_zero_is_no_vote_at_all():
    said = likes(3, (0, 1.0), (1, 0.0), (2, 1.0))
    silent = Votes(3, 3, said.like_photo, said.like_voter, said.liked, like_weight=np.array([1.0, 1.0, 0.0]))
    without = Votes(3, 3, said.like_photo[:2], said.like_voter[:2], said.liked[:2])
    assert fit(silent).quality == pytest.approx(fit(without).quality, abs=1e-9)


@pytest.mark.parametrize("extreme", [0.0, 1.0])
def test_thousands_of_like_minded_voters_do_not_break_it(extreme):
    found = fit(likes(2, *[(0, extreme)] * 5000))
    assert np.isfinite(found.quality).all() and np.isfinite(found.sd).all()
    assert np.sign(found.quality[0]) == (1 if extreme else -1)


def test_more_votes_bring_the_order_nearer_to_the_true_one():
    agreement = [np.mean([kendalltau(*told(seed, votes)).statistic for seed in range(8)]) for votes in (100, 400, 1600)]
    assert agreement == sorted(agreement) and agreement[-1] > 0.75


def told(seed: int, votes: int) -> tuple[np.ndarray, np.ndarray]:
    quality, said = day(seed, votes=votes)
    return quality, fit(said).quality
