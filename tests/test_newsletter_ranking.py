"""RANKING: what a reader may rely on, whatever the votes are."""

import itertools
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.bradley_terry import Votes
from newsletter.ranking import FOOLED, LOOKS, TECHNICAL, WORTH, Candidate, Parts, Ranked, percentile, rank, technical
from newsletter.voters import People

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def photo(name: str, minute: int = 0, **known: object) -> Candidate:
    return Candidate(name, NOON + timedelta(minutes=minute), **known)


def ranked(*rows: tuple[Candidate, int, int], pairs: list[tuple[str, str, float]] | None = None) -> list[Ranked]:
    """Each like, pass and pair by a voter of its own, whose account is old."""
    names = [row.id for row, _, _ in rows]
    said = [(place, liked) for place, (_, likes, passes) in enumerate(rows) for liked in [1.0] * likes + [0.0] * passes]
    photos, liked = np.array(said, float).reshape(-1, 2).T
    compared = [(names.index(a), names.index(b), better) for a, b, better in pairs or []]
    first, second, better = np.array(compared, float).reshape(-1, 3).T
    voters = len(said) + len(compared)
    votes = Votes(
        len(rows),
        voters,
        like_photo=photos.astype(int),
        like_voter=np.arange(len(said)),
        liked=liked,
        first=first.astype(int),
        second=second.astype(int),
        pair_voter=np.arange(len(said), voters),
        better=better,
    )
    return rank([row for row, _, _ in rows], votes, nobody_new(voters, len(rows)))


def nobody_new(voters: int, photos: int) -> People:
    none = np.zeros(voters)
    return People(none, none, none.astype(bool), none.astype(bool), np.full(photos, -1))


def ids(items: list[Ranked]) -> list[object]:
    return [item.candidate.id for item in items]


counts = st.integers(0, 60)
shares = st.none() | st.floats(0, 1)
candidates = st.builds(
    photo,
    st.text("abcdef", min_size=3, max_size=6),
    st.integers(0, 3),
    worth=st.none() | st.floats(-1, 1),
    fooled=shares,
    technical=shares,
    cluster=st.sampled_from("xyz") | st.none(),
)
days = st.lists(st.tuples(candidates, counts, counts), unique_by=lambda row: row[0].id, max_size=8)
EXTREMES = [
    {"worth": worth, "fooled": fooled, "technical": fine} for worth in (-1.0, 1.0) for fooled in (0, 1) for fine in (0, 1)
]


@pytest.mark.parametrize("lucky, steady", list(itertools.product(EXTREMES, EXTREMES)))
def test_a_lucky_small_count_cannot_win_whatever_else_is_known(lucky, steady) -> None:
    assert ids(ranked((photo("lucky", **lucky), 3, 0), (photo("steady", **steady), 180, 20))) == ["steady", "lucky"]


@given(st.integers(1, 3), counts, counts)
def test_a_lucky_small_count_cannot_win_on_a_day_that_is_not_better_than_the_steady_photo(small, likes, passes) -> None:
    """Whatever the other photos of the day got, as long as 90 % is not below the day's own like rate."""
    if likes <= 9 * passes:
        places = ids(ranked((photo("lucky"), small, 0), (photo("steady"), 180, 20), (photo("rest"), likes, passes)))
        assert places.index("steady") < places.index("lucky")


@given(days, st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_the_order_of_the_input(rows, random) -> None:
    turned = rows.copy()
    random.shuffle(turned)
    assert ranked(*rows) == ranked(*turned)


def test_a_pair_says_the_same_whichever_way_round_it_was_asked() -> None:
    rows = [(photo(name), 0, 0) for name in "abc"]
    one = ranked(*rows, pairs=[("a", "b", 1.0), ("b", "c", 0.0), ("a", "c", 0.5)])
    assert one == ranked(*rows, pairs=[("b", "a", 0.0), ("c", "b", 1.0), ("c", "a", 0.5)])
    assert [(item.parts.better, item.parts.worse) for item in one] == [(1, 0), (1, 0), (0, 2)]


@given(days)
def test_who_has_no_fewer_likes_no_more_passes_and_is_no_worse_otherwise_never_stands_behind(rows) -> None:
    alone = [(photo(row.id, worth=row.worth, fooled=row.fooled, technical=row.technical), *votes) for row, *votes in rows]
    for worse, better in itertools.combinations(ranked(*alone), 2):  # as they stand: the first one is ahead
        a, b = better.parts, worse.parts
        ahead = a.likes >= b.likes and a.passes <= b.passes
        others = a.worth_percentile >= b.worth_percentile and a.fooled >= b.fooled and a.technical >= b.technical
        assert not (ahead and others) or a.score == pytest.approx(b.score, abs=2e-6)


@given(
    st.lists(
        st.tuples(st.text("abcdef", min_size=3, max_size=6), counts, counts), min_size=1, max_size=6, unique_by=lambda r: r[0]
    )
)
def test_looks_are_a_share_and_a_like_lifts_them_and_a_pass_lowers_them(rows) -> None:
    name, likes, passes = rows[0]
    rest = [(photo(other), *votes) for other, *votes in rows[1:]]

    def looks(likes: int, passes: int) -> float:
        return next(i for i in ranked((photo(name), likes, passes), *rest) if i.candidate.id == name).parts.looks

    assert looks(likes + 1, passes) > 0 and looks(likes + 1, passes) > looks(likes, passes) > looks(likes, passes + 1) > 0


@given(days)
def test_of_near_duplicates_only_the_best_is_ranked(rows) -> None:
    best = ranked(*rows)
    clusters = [item.candidate.cluster for item in best if item.candidate.cluster]
    assert len(clusters) == len(set(clusters))
    apart = [(Candidate(row.id, row.received_at, None, row.worth, row.fooled, row.technical), *votes) for row, *votes in rows]
    every = {item.candidate.id: item.parts.score for item in ranked(*apart)}
    for item in best:
        kin = [row for row, *_ in rows if row.cluster and row.cluster == item.candidate.cluster]
        assert all(item.parts.score >= every[row.id] for row in kin)


@given(days)
def test_every_part_of_a_score_is_visible_and_adds_up(rows) -> None:
    given_votes = {row.id: votes for row, *votes in rows}
    for item in ranked(*rows):
        parts: Parts = item.parts
        total = LOOKS * parts.looks + WORTH * parts.worth_percentile + FOOLED * parts.fooled + TECHNICAL * parts.technical
        assert parts.score == pytest.approx(total, abs=1e-6) and 0 <= parts.score <= 1
        assert [parts.likes, parts.passes] == given_votes[item.candidate.id]
        assert 0 < parts.looks < 1 and 0 <= parts.worth_percentile <= 1 and 0 <= parts.fooled <= 1 and 0 <= parts.technical <= 1
        assert parts.as_json()["score"] == parts.score


def test_the_weights_of_the_parts_make_a_whole() -> None:
    assert pytest.approx(1) == LOOKS + WORTH + FOOLED + TECHNICAL


def test_ties_go_to_the_photo_that_came_first_then_to_the_smaller_id() -> None:
    assert ids(ranked((photo("c", 5), 2, 1), (photo("b", 1), 2, 1), (photo("a", 5), 2, 1))) == ["b", "a", "c"]


@pytest.mark.parametrize("what, low, high", [("worth", -0.01, 0.01), ("fooled", 0.0, 1.0), ("technical", 0.0, 1.0)])
def test_what_is_no_vote_decides_between_photos_that_please_equally_and_what_is_not_known_is_neutral(what, low, high) -> None:
    rows = [(photo("little", **{what: low}), 9, 1), (photo("much", **{what: high}), 9, 1), (photo("unknown"), 9, 1)]
    assert ids(ranked(*rows)) == ["much", "unknown", "little"]


def test_percentiles_put_equal_values_in_the_middle_of_their_places() -> None:
    assert percentile(None, [0.1, 0.2]) == percentile(0.3, []) == percentile(0.1, [0.1, 0.1]) == 0.5
    assert percentile(0.3, [0.1, 0.2, 0.3]) == pytest.approx(5 / 6)


def test_an_unvoted_photo_stands_below_a_liked_and_above_a_disliked_one() -> None:
    assert ids(ranked((photo("disliked"), 1, 9), (photo("new"), 0, 0), (photo("liked"), 9, 1))) == ["liked", "new", "disliked"]


def test_a_photo_that_won_its_pairs_stands_before_one_that_lost_them() -> None:
    rows = [(photo(name), 0, 0) for name in ("loser", "new", "winner")]
    assert ids(ranked(*rows, pairs=[("winner", "loser", 1.0)] * 6)) == ["winner", "new", "loser"]


def test_beating_a_good_photo_says_more_than_beating_a_bad_one() -> None:
    rows = [(photo("good"), 30, 2), (photo("bad"), 2, 30), (photo("beat-good"), 0, 0), (photo("beat-bad"), 0, 0)]
    places = ids(ranked(*rows, pairs=[("beat-good", "good", 1.0)] * 3 + [("beat-bad", "bad", 1.0)] * 3))
    assert places.index("beat-good") < places.index("beat-bad")


def test_nothing_to_rank_is_nothing_ranked() -> None:
    assert ranked() == []


def test_technical_quality_names_flaws_and_never_leaves_its_range() -> None:
    assert technical([], shorter_side=1000) == 1
    assert technical(["blurred"], shorter_side=1000) == 0.5 and technical(["far", "cluttered"], shorter_side=1000) == 1
    assert technical(["blurred", "bright", "dark"], shorter_side=100) == 0


def test_ranking_knows_neither_django_nor_tensorflow() -> None:
    code = "import sys, newsletter.ranking as r; print([m for m in ('django', 'tensorflow') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
