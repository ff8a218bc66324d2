"""RANKING: how much each vote weighs, by who gave it. Knows neither Django nor TensorFlow.

A vote weighs less if its voter seems not to look (answers hidden known pairs otherwise than they are known, or all photos as a
coin would), or has a young account and the young ones say of this photo something else than the old ones. It waits while its
voter's account is new, and counts for nothing in a ring.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

import networkx as nx
import numpy as np
from scipy.special import expit, logit

from newsletter.bradley_terry import EASE_SD, Posterior, Votes, expected, fit

# A voter gives this share of their answers without looking, as one tosses a coin: one of these six, by this prior: most always
# look, some nearly always, some never, and few do so half of the time. One who answers ten known pairs as a coin does weighs
# 0.10, and 0.06 after twenty; one who is right 10 times of 10 weighs 0.98, and of whom nothing is known 0.74.
CARELESS = np.arange(6) / 5
CARELESS_PRIOR = np.array([0.6, 0.1, 0.05, 0.05, 0.05, 0.15])
KNOWN_RIGHT = 0.97  # of known pairs by who looks: photos four standard deviations apart, and a slip now and then
LEVERAGE = 0.8  # at most: what a single vote can have moved; beyond it, one step back from the mode leads anywhere
# Voters on a day whose accounts are not new, from which on the new ones' votes wait. A number and no share: a share could be
# pushed down by whoever makes many accounts. With fewer, an installation is so young that everybody is new.
ESTABLISHED_VOTERS = 10
RING_ACCOUNTS = 5  # at least; fewer friends who like each other's photos move nothing
RING_DENSITY = 0.5  # of the possible pairs of accounts that favour each other's photos
# By how much, as a share of votes and in standard deviations, members favour members more than others favour them: friends may
# be kind to each other, and among many dense groups one would differ by two or three deviations by chance.
RING_EXCESS, RING_Z = 0.2, 4.0


@dataclass(frozen=True)
class People:
    """Who voted, by index of voter [voters]: answers to known pairs and how many were right; whether the account is new, and
    whether it is young (new ones are). `author` [photos] is who took a photo, as index of voter; -1 for one who never voted."""

    known_right: np.ndarray
    known_total: np.ndarray
    new: np.ndarray
    young: np.ndarray
    author: np.ndarray


@dataclass(frozen=True)
class Weighed:
    """The votes with their weights; what each voter weighs before it is looked at photo by photo, float64 [voters] in [0, 1];
    and the rings (indices of voters)."""

    votes: Votes
    voters: np.ndarray
    rings: list[list[int]]


def weigh(votes: Votes, people: People) -> Weighed:
    """Give every vote its weight; weights that the votes have are replaced."""
    rings = find_rings(votes, people)
    known = _known(people)
    by_known = _by_voter(votes, _without(rings, _attention(known)))
    old, old_votes = _by_old(by_known, people)
    voters = _without(rings, _attention(known + _evidence(old_votes, old)))
    weighed = _without_newcomers(_by_voter(votes, voters), people.new)
    return Weighed(_young_lighter(weighed, people.young, old), voters, rings)


def _by_voter(votes: Votes, weights: np.ndarray) -> Votes:
    return replace(votes, like_weight=weights[votes.like_voter], pair_weight=weights[votes.pair_voter])


def _without(rings: list[list[int]], voters: np.ndarray) -> np.ndarray:
    for ring in rings:
        voters[ring] = 0.0  # also what they say of others' photos: they may have taken somebody's part
    return voters


def _by_old(votes: Votes, people: People) -> tuple[Posterior, Votes]:
    """What those say who have been here for long, if there are any; and the votes as they were weighed for it."""
    counted = _without_newcomers(votes, people.new)
    if not people.young.all():
        counted = _lighter(counted, ~people.young[votes.like_voter], ~people.young[votes.pair_voter])
    return fit(counted), counted


# ---- who looks ---------------------------------------------------------------------------------------------------
def _attention(evidence: np.ndarray) -> np.ndarray:
    """float64 [voters] in [0, 1]: the share of a voter's answers that say something, expected by the log likelihoods `evidence`
    [voters, CARELESS]. A mixture of raters who look and raters who guess (as Dawid and Skene, "Maximum likelihood estimation of
    observer error-rates", 1979), by a grid."""
    logs = evidence + np.log(CARELESS_PRIOR)
    likely = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray((likely @ (1 - CARELESS)) / likely.sum(axis=1))


def _known(people: People) -> np.ndarray:
    """float64 [voters, CARELESS]: log likelihoods of the answers to known pairs."""
    right = (1 - CARELESS) * KNOWN_RIGHT + CARELESS / 2
    wrong = people.known_total - people.known_right
    return np.asarray(people.known_right[:, None] * np.log(right) + wrong[:, None] * np.log(1 - right))


def _evidence(votes: Votes, found: Posterior) -> np.ndarray:
    """float64 [voters, CARELESS]: log likelihoods of the votes, where `found` is the posterior of `votes` with their weights.

    Who does not look likes at their own rate whatever is shown, and tosses a coin for a pair. What a vote itself has added to
    `found` is taken back, by one of Newton's steps: else nearly everybody would agree with what they have said.
    """
    likes, pairs = expected(votes, found)
    told_of_ease = np.bincount(votes.like_voter, votes.like_weight * likes * (1 - likes), votes.voters)
    ease_variance = 1 / (EASE_SD**-2 + told_of_ease)
    variance = found.sd**2
    like_variance = variance[votes.like_photo] + ease_variance[votes.like_voter]
    pair_variance = variance[votes.first] + variance[votes.second]
    liked = _unled(likes, like_variance, votes.like_weight, votes.liked)
    better = _unled(pairs, pair_variance, votes.pair_weight, votes.better)
    votes_of, likes_of = (np.bincount(votes.like_voter, each, votes.voters) for each in (None, votes.liked))
    own_rate = (likes_of[votes.like_voter] - votes.liked + 1) / (votes_of[votes.like_voter] + 1)
    of_like = np.where(votes.liked > 0, liked, 1 - liked), np.where(votes.liked > 0, own_rate, 1 - own_rate)
    told = votes.better != 0.5  # “neither” says nothing of who looks
    of_pair = np.where(votes.better > 0.5, better, 1 - better)[told]
    logs = np.empty((votes.voters, len(CARELESS)))
    for number, share in enumerate(CARELESS):
        by_like, by_pair = np.log((1 - share) * of_like[0] + share * of_like[1]), np.log((1 - share) * of_pair + share / 2)
        logs[:, number] = np.bincount(votes.like_voter, by_like, votes.voters)
        logs[:, number] += np.bincount(votes.pair_voter[told], by_pair, votes.voters)
    return logs


def _unled(chance: np.ndarray, variance: np.ndarray, weight: np.ndarray, said: np.ndarray) -> np.ndarray:
    """The chance of each vote [n] by all the others: one step back from the mode, averaged over what is uncertain (MacKay)."""
    led = weight * variance
    back = led * (said - chance) / (1 - np.minimum(led * chance * (1 - chance), LEVERAGE))
    return np.asarray(expit((logit(chance) - back) / np.sqrt(1 + np.pi * variance / 8)))


# ---- new and young accounts --------------------------------------------------------------------------------------
def _without_newcomers(votes: Votes, new: np.ndarray) -> Votes:
    """Votes of new accounts weigh nothing yet, while enough older ones vote. They are not lost: they count as soon as their
    voter is no longer new, and a ranking stays provisional for a while."""
    voting = np.zeros(votes.voters, bool)
    voting[votes.like_voter[votes.like_weight > 0]] = True
    voting[votes.pair_voter[votes.pair_weight > 0]] = True
    if (voting & ~new).sum() < ESTABLISHED_VOTERS:
        return votes
    return _lighter(votes, ~new[votes.like_voter], ~new[votes.pair_voter])


def _young_lighter(votes: Votes, young: np.ndarray, old: Posterior) -> Votes:
    """Votes of young accounts weigh less on a photo of which they say something else than the old ones do."""
    by_young, paired_by_young = young[votes.like_voter], young[votes.pair_voter]
    if not young.any() or young.all():
        return votes
    agreement = _agreement(votes, by_young, paired_by_young, old)
    of_pair = np.minimum(agreement[votes.first], agreement[votes.second])
    return _lighter(votes, np.where(by_young, agreement[votes.like_photo], 1), np.where(paired_by_young, of_pair, 1))


def _agreement(votes: Votes, by_young: np.ndarray, paired_by_young: np.ndarray, old: Posterior) -> np.ndarray:
    """float64 [photos] in (0, 1]: 1 where what young accounts say of a photo is what the old ones lead one to expect.

    A score test for a shift of one photo in one group of voters (differential item functioning, as test theory calls it; Rao's
    test, with the old ones' uncertainty added). Within one standard deviation nothing happens; four of them leave a hundredth.
    """
    n = votes.photos
    like, liked, weight = votes.like_photo[by_young], votes.liked[by_young], votes.like_weight[by_young]
    # The old ones' votes tell nothing of a young voter's ease: the chance is averaged over its prior (MacKay's approximation).
    chance = expit((old.quality[like] + old.common) / np.sqrt(1 + np.pi * EASE_SD**2 / 8))
    first, second, better = votes.first[paired_by_young], votes.second[paired_by_young], votes.better[paired_by_young]
    wins, pair_weight = expit(old.quality[first] - old.quality[second]), votes.pair_weight[paired_by_young]
    over, spread = pair_weight * (better - wins), pair_weight * wins * (1 - wins)
    excess = np.bincount(like, weight * (liked - chance), n) + np.bincount(first, over, n) - np.bincount(second, over, n)
    told = np.bincount(like, weight * chance * (1 - chance), n) + np.bincount(first, spread, n) + np.bincount(second, spread, n)
    z = np.abs(excess) / np.sqrt(np.maximum(told + (told * old.sd) ** 2, 1e-12))
    return np.asarray(np.exp(-(np.maximum(0, z - 1) ** 2) / 2))


def _lighter(votes: Votes, like: np.ndarray, pair: np.ndarray) -> Votes:
    return replace(votes, like_weight=votes.like_weight * like, pair_weight=votes.pair_weight * pair)


# ---- rings -------------------------------------------------------------------------------------------------------
def find_rings(votes: Votes, people: People) -> list[list[int]]:
    """Groups of young accounts that favour each other's photos, densely, and clearly more than others favour them.

    Dense groups are cores of the graph of mutual favours (Seidman, "Network structure and minimum degree", 1983): one after the
    other, the innermost first. In a small crowd everybody votes on everybody's photos, so density alone accuses nobody: what
    others say of the same photos is what members are compared with.
    """
    voter, photo, favour = _favours(votes)
    author = people.author[photo]
    known = author >= 0
    young = people.young
    among = known & (favour > 0.5) & young[voter] & np.append(young, False)[author]
    given: dict[int, set[int]] = defaultdict(set)
    for one, other in zip(voter[among].tolist(), author[among].tolist(), strict=True):
        given[one].add(other)
    graph = nx.Graph((one, other) for one, others in given.items() for other in others if one < other and one in given[other])
    rings = []
    for core in _cores(graph):
        members = np.zeros(votes.voters + 1, bool)
        members[core] = True
        if _stands_out(members[voter], members[author], favour):
            rings.append(sorted(core))
    return rings


def _favours(votes: Votes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Voter, photo, and 1 for a like or the better of a pair, 0 for the other: a pair says something of both its photos."""
    voter = np.concatenate([votes.like_voter, votes.pair_voter, votes.pair_voter])
    photo = np.concatenate([votes.like_photo, votes.first, votes.second])
    return voter, photo, np.concatenate([votes.liked, votes.better, 1 - votes.better])


def _cores(graph: nx.Graph) -> Iterator[list[int]]:
    """Dense groups, disjoint, the innermost first."""
    graph = graph.copy()
    while graph:
        cores = nx.core_number(graph)
        inner = max(cores.values())
        if inner < RING_DENSITY * (RING_ACCOUNTS - 1):
            return
        for core in list(nx.connected_components(graph.subgraph([one for one, core in cores.items() if core == inner]))):
            if len(core) >= RING_ACCOUNTS and nx.density(graph.subgraph(core)) >= RING_DENSITY:
                yield sorted(core)
            graph.remove_nodes_from(core)


def _stands_out(by_member: np.ndarray, of_member: np.ndarray, favour: np.ndarray) -> bool:
    """Two proportions: favours by members of members' photos, against those by others, pooled variance."""
    inside, outside = by_member & of_member, ~by_member & of_member
    n, m = inside.sum(), outside.sum()
    a, b = favour[inside].sum(), favour[outside].sum()
    if m == 0:  # nobody else has seen them: how others vote on the rest stands in, as much as they could have said
        m, b = (~by_member).sum(), favour[~by_member].sum()
    if m == 0:
        return False
    pooled = (a + b + 1) / (n + m + 2)
    chance = RING_Z * np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return bool(a / n - b / m > max(RING_EXCESS, chance))
