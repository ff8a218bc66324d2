"""How much a vote weighs: by known pairs, by the age of its account, and in rings."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from newsletter.bradley_terry import Votes, fit
from newsletter.voters import People, find_rings, weigh


def people(voters: int, *, new: slice = slice(0), young: slice = slice(0), author: list[int] | None = None, photos: int = 0):
    fresh, unripe = np.zeros(voters, bool), np.zeros(voters, bool)
    fresh[new] = unripe[new] = unripe[young] = True
    return People(
        np.zeros(voters), np.zeros(voters), fresh, unripe, np.array(author if author is not None else [-1] * photos, int)
    )


def crowd(seed: int, *, photos: int = 100, voters: int = 200, votes: int = 20) -> tuple[np.ndarray, Votes]:
    """True qualities, and an ordinary day: half likes, half pairs, `votes` a photo."""
    rng = np.random.default_rng(seed)
    quality, ease, half = rng.normal(size=photos), rng.normal(size=voters), photos * votes // 2
    voter, photo = np.divmod(rng.choice(voters * photos, half, replace=False), photos)
    liked = rng.random(half) < expit(quality[photo] + ease[voter] + 0.3)
    first = rng.integers(0, photos, half)
    second = (first + rng.integers(1, photos, half)) % photos
    better = rng.random(half) < expit(quality[first] - quality[second])
    by = rng.integers(0, voters, half)
    return quality, Votes(photos, voters, photo, voter, liked.astype(float), first, second, by, better.astype(float))


def joined(
    votes: Votes, *, voters: int, likes: list[tuple[int, int, float]], pairs: list[tuple[int, int, int, float]] | None = None
):
    """The votes and more: (voter, photo, liked) and (voter, first, second, better)."""
    by, photo, liked = np.array(likes, float).reshape(-1, 3).T
    pair_by, first, second, better = np.array(pairs or [], float).reshape(-1, 4).T
    return Votes(
        votes.photos,
        voters,
        np.append(votes.like_photo, photo.astype(int)),
        np.append(votes.like_voter, by.astype(int)),
        np.append(votes.liked, liked),
        np.append(votes.first, first.astype(int)),
        np.append(votes.second, second.astype(int)),
        np.append(votes.pair_voter, pair_by.astype(int)),
        np.append(votes.better, better),
    )


def place(votes: Votes, of: People, photo: int) -> int:
    found = fit(weigh(votes, of).votes)
    scores = found.quality + found.common - 1.645 * found.liking_sd
    return int((scores > scores[photo]).sum())


# ---- known pairs -------------------------------------------------------------------------------------------------
def test_who_answers_known_pairs_as_they_are_known_weighs_more_and_a_coin_weighs_ever_less():
    right, total = np.array([0, 10, 5, 10, 0]), np.array([0, 10, 10, 20, 10])
    nobody = np.zeros(5, bool)
    weights = weigh(Votes(0, 5), People(right, total, nobody, nobody, np.empty(0, int))).voters
    assert weights == pytest.approx([0.74, 0.983, 0.104, 0.061, 0.009], abs=1e-3)


def test_a_vote_weighs_what_its_voter_does():
    votes = Votes(2, 2, np.array([0, 1]), np.array([0, 1]), np.ones(2))
    known = People(np.array([10, 5]), np.array([10, 10]), np.zeros(2, bool), np.zeros(2, bool), np.array([-1, -1]))
    weighed = weigh(votes, known)
    assert weighed.votes.like_weight == pytest.approx(weighed.voters) and weighed.voters[1] < 0.2 < 0.9 < weighed.voters[0]


# ---- votes like a coin's -----------------------------------------------------------------------------------------
def coins(seed: int, *, of: int, share: float, how: str) -> tuple[Votes, np.ndarray]:
    """An ordinary day of whose voters a share votes without looking; and who does."""
    _, votes = crowd(seed, voters=of, votes=60)
    rng = np.random.default_rng(seed)
    careless = np.arange(of) < share * of
    chance = {"coin": 0.5, "everything": 0.97, "nothing": 0.03}[how]
    liked = np.where(careless[votes.like_voter], rng.random(len(votes.liked)) < chance, votes.liked)
    better = np.where(careless[votes.pair_voter], rng.random(len(votes.better)) < 0.5, votes.better)
    return replace(votes, liked=liked.astype(float), better=better.astype(float)), careless


@pytest.mark.parametrize("how", ["coin", "everything", "nothing"])
@pytest.mark.parametrize("seed", range(3))
def test_who_votes_without_looking_weighs_less_than_who_looks(how, seed):
    votes, careless = coins(seed, of=100, share=0.3, how=how)
    weights = weigh(votes, people(100, photos=100)).voters
    assert weights[careless].mean() < 0.45 < 0.75 < weights[~careless].mean()
    assert (weights[careless][:, None] < weights[~careless][None, :]).mean() > 0.9


@pytest.mark.parametrize("seed", range(5))
def test_a_vote_does_not_speak_for_itself(seed):
    """Who is alone with some photos agrees with all that is known of these, which is what they have said."""
    _, votes = crowd(1, photos=100, voters=100)
    liked = np.random.default_rng(seed).permutation(np.tile([1.0, 0.0], 15))
    alone = joined(replace(votes, photos=130), voters=101, likes=[(100, 100 + n, like) for n, like in enumerate(liked)])
    assert weigh(alone, people(101, photos=130)).voters[100] < 0.8  # 0.74 is what an unknown one weighs


def test_neither_says_nothing_of_who_looks():
    neither = (np.zeros(9, int), np.ones(9, int), np.zeros(9, int), np.full(9, 0.5))  # photo 0, photo 1, voter, answer
    votes = Votes(2, 1, first=neither[0], second=neither[1], pair_voter=neither[2], better=neither[3])
    assert weigh(votes, people(1, photos=2)).voters == pytest.approx([0.74])


# ---- new accounts ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("attack", ["likes", "pairs", "both"])
def test_fifty_new_accounts_lift_no_photo_by_a_single_place(attack):
    for seed in range(3):
        _, votes = crowd(seed)
        before = people(200, photos=100)
        target = int(np.argsort([place(votes, before, photo) for photo in range(100)])[50])
        likes = [(voter, target, 1.0) for voter in range(200, 250)] if attack != "pairs" else []
        other = [photo for photo in range(100) if photo != target]
        pairs = (
            [(voter, target, other[voter % 99], 1.0) for voter in range(200, 250) for _ in range(5)]
            if attack != "likes"
            else []
        )
        attacked = joined(votes, voters=250, likes=likes, pairs=pairs)
        assert place(attacked, people(250, new=slice(200, 250), photos=100), target) == place(votes, before, target)
        assert (
            place(attacked, people(250, photos=100), target) < place(votes, before, target) - 3
        )  # were they not new, they would


def test_new_accounts_cannot_outvote_by_their_number_who_counts_as_established():
    _, votes = crowd(1, photos=20, voters=10, votes=10)
    flood = joined(votes, voters=1010, likes=[(voter, 0, 1.0) for voter in range(10, 1010)])
    weighed = weigh(flood, people(1010, new=slice(10, 1010), photos=20))
    assert weighed.votes.like_weight[flood.like_voter >= 10].sum() == 0


def test_where_hardly_anybody_is_established_everybody_counts():
    _, votes = crowd(1, photos=20, voters=30, votes=10)
    weighed = weigh(votes, people(30, new=slice(9, 30), photos=20))
    assert weighed.votes.like_weight[votes.like_voter >= 9].mean() > 0.5


# ---- young accounts ----------------------------------------------------------------------------------------------
def test_fifty_young_accounts_that_all_say_one_thing_of_a_photo_weigh_little_on_it_and_as_ever_on_others():
    quality, votes = crowd(2)
    target = 7
    attacked = joined(votes, voters=250, likes=[(voter, target, 1.0) for voter in range(200, 250)])
    young = people(250, young=slice(200, 250), photos=100)
    weights = weigh(attacked, young).votes.like_weight
    by_young = attacked.like_voter >= 200
    assert weights[by_young].max() < 0.1 * weights[~by_young].mean()
    given = [(200 + n % 50, (n % 50 * 7 + n // 50 * 13) % 100) for n in range(400)]  # eight photos each
    honest = joined(votes, voters=250, likes=[(voter, photo, float(quality[photo] > 0)) for voter, photo in given])
    weights = weigh(honest, young).votes.like_weight
    assert np.median(weights[honest.like_voter >= 200]) > 0.5


# ---- rings -------------------------------------------------------------------------------------------------------
def ring_day(seed: int, *, members: int, of: int, favour: float = 1.0) -> tuple[Votes, list[int]]:
    """A day on which voters 200 … have a photo each, and vote on each other's: they like a share `favour` of them."""
    rng = np.random.default_rng(seed)
    _, votes = crowd(seed, photos=100 + of)
    likes = [
        (200 + one, 100 + other, float(rng.random() < favour))
        for one in range(members)
        for other in range(members)
        if one != other
    ]
    return joined(votes, voters=200 + of, likes=likes), [-1] * 100 + list(range(200, 200 + of))


@pytest.mark.parametrize("members", [5, 12, 50])
def test_young_accounts_that_like_each_others_photos_and_nobody_elses_are_a_ring(members):
    votes, author = ring_day(members, members=members, of=members)
    (ring,) = find_rings(votes, people(200 + members, young=slice(200, None), author=author))
    assert ring == list(range(200, 200 + members))


def test_two_rings_are_two():
    votes, author = ring_day(3, members=10, of=20)
    votes = joined(votes, voters=220, likes=[(a, b - 100, 1.0) for a in range(210, 220) for b in range(210, 220) if a != b])
    rings = find_rings(votes, people(220, young=slice(200, None), author=author))
    assert sorted(rings) == [list(range(200, 210)), list(range(210, 220))]


def test_what_ring_members_say_weighs_nothing_and_what_others_say_of_them_as_ever():
    votes, author = ring_day(4, members=12, of=12)
    votes = joined(votes, voters=212, likes=[(203, 5, 1.0), (4, 105, 1.0)], pairs=[(203, 8, 9, 1.0)])
    weighed = weigh(votes, people(212, young=slice(200, None), author=author))
    assert weighed.rings == [list(range(200, 212))]
    assert weighed.votes.like_weight[votes.like_voter >= 200].sum() == weighed.votes.pair_weight[-1] == 0
    others, pairs_by_others = votes.like_voter < 200, votes.pair_voter < 200
    without = Votes(
        votes.photos,
        212,
        votes.like_photo[others],
        votes.like_voter[others],
        votes.liked[others],
        votes.first[pairs_by_others],
        votes.second[pairs_by_others],
        votes.pair_voter[pairs_by_others],
        votes.better[pairs_by_others],
    )
    as_ever = weigh(without, people(212, young=slice(200, None), author=author)).voters[:200]
    assert weighed.voters[:200] == pytest.approx(as_ever) and as_ever.mean() > 0.7


def test_a_small_young_crowd_in_which_everybody_votes_on_everything_is_no_ring():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        likes = [(one, other, float(rng.random() < 0.8)) for one in range(12) for other in range(12) if one != other]
        votes = joined(Votes(12, 12), voters=12, likes=likes)
        assert find_rings(votes, people(12, young=slice(0, None), author=list(range(12)))) == []


def test_young_accounts_whose_photos_everybody_likes_are_no_ring():
    votes, author = ring_day(5, members=12, of=12)
    fans = [(voter, photo, 1.0) for voter in range(60) for photo in range(100, 112)]
    votes = joined(votes, voters=212, likes=fans)
    assert find_rings(votes, people(212, young=slice(200, None), author=author)) == []


def test_old_accounts_that_like_each_other_are_friends():
    votes, author = ring_day(6, members=12, of=12)
    assert find_rings(votes, people(212, author=author)) == []


def test_ordinary_days_have_no_rings():
    for seed in range(5):
        _, votes = crowd(seed, votes=40)
        author = np.random.default_rng(seed).integers(0, 200, 100).tolist()
        assert find_rings(votes, people(200, young=slice(0, None), author=author)) == []


def test_nobody_voted_and_nothing_breaks():
    empty = weigh(Votes(3, 0), people(0, photos=3))
    assert empty.rings == [] and len(empty.votes.like_weight) == 0
