"""RANKING: what a reader may rely on, whatever the votes are."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.ranking import PRIOR_VOTES, WORTH_WEIGHT, Candidate, day_like_rate, looks, percentile, rank

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def photo(name: str, likes: int = 0, passes: int = 0, worth: float | None = None, minute: int = 0, cluster: str | None = None):
    return Candidate(name, likes, passes, worth, NOON + timedelta(minutes=minute), cluster)


votes = st.integers(0, 5000)
worths = st.none() | st.floats(-1, 1)
candidates = st.lists(
    st.builds(
        photo,
        st.text("abcdef", min_size=3, max_size=6),
        votes,
        votes,
        worths,
        st.integers(0, 3),
        st.sampled_from("xyz") | st.none(),
    ),
    unique_by=lambda row: row.id,
    max_size=12,
)


@pytest.mark.parametrize("lucky_worth, steady_worth", [(None, None), (0.01, -0.01)])
def test_a_lucky_small_count_cannot_win(lucky_worth: float | None, steady_worth: float | None) -> None:
    lucky, steady = photo("lucky", 3, 0, lucky_worth), photo("steady", 180, 20, steady_worth)
    assert [item.candidate.id for item in rank([lucky, steady])] == ["steady", "lucky"]


@given(st.integers(1, 20), st.integers(0, 2000), st.integers(0, 2000))
def test_a_lucky_small_count_cannot_win_on_a_day_that_is_not_better_than_the_steady_photo(small, likes, passes) -> None:
    """Whatever the other photos of the day got, as long as 90 % is not below the day's own like rate."""
    rows = [photo("lucky", small % 4, 0), photo("steady", 180, 20), photo("rest", likes, passes)]
    if day_like_rate(rows) <= 0.9:
        places = [item.candidate.id for item in rank(rows)]
        assert places.index("steady") < places.index("lucky")


@given(candidates)
def test_the_order_does_not_depend_on_the_order_of_the_input(rows) -> None:
    assert rank(rows) == rank(reversed(rows)) == rank(sorted(rows, key=lambda row: row.likes))


@given(candidates)
def test_who_has_no_fewer_likes_no_more_passes_and_no_less_worth_never_stands_behind(rows) -> None:
    alone = [Candidate(row.id, row.likes, row.passes, row.worth, row.received_at) for row in rows]
    ranked = rank(alone)
    for place, better in enumerate(ranked):
        for worse in ranked[:place]:
            a, b = better.candidate, worse.candidate
            dominates = (
                a.likes >= b.likes and a.passes <= b.passes and better.parts.worth_percentile >= worse.parts.worth_percentile
            )
            assert not dominates or better.parts.score == pytest.approx(worse.parts.score, abs=1e-12)


@given(votes, votes, st.floats(0.02, 0.98))
def test_one_more_like_lifts_and_one_more_pass_lowers(likes: int, passes: int, rate: float) -> None:
    now = looks(likes=likes, passes=passes, rate=rate)
    assert 0 <= now <= 1
    assert looks(likes=likes + 1, passes=passes, rate=rate) >= now >= looks(likes=likes, passes=passes + 1, rate=rate)


@given(candidates)
def test_of_near_duplicates_only_the_best_is_ranked(rows) -> None:
    ranked = rank(rows)
    clusters = [item.candidate.cluster for item in ranked if item.candidate.cluster]
    assert len(clusters) == len(set(clusters))
    every = {
        item.candidate.id: item.parts.score
        for item in rank(Candidate(r.id, r.likes, r.passes, r.worth, r.received_at) for r in rows)
    }
    for item in ranked:
        kin = [row for row in rows if row.cluster and row.cluster == item.candidate.cluster]
        assert all(item.parts.score >= every[row.id] for row in kin)


@given(candidates)
def test_every_part_of_a_score_is_visible_and_adds_up(rows) -> None:
    for item in rank(rows):
        parts = item.parts
        assert parts.score == pytest.approx((1 - WORTH_WEIGHT) * parts.looks + WORTH_WEIGHT * parts.worth_percentile)
        assert (parts.likes, parts.passes) == (item.candidate.likes, item.candidate.passes)
        assert 0 <= parts.worth_percentile <= 1 and 0 < parts.day_like_rate < 1
        assert parts.as_json()["score"] == parts.score


def test_ties_go_to_the_photo_that_came_first_then_to_the_smaller_id() -> None:
    rows = [photo("c", minute=5), photo("b", minute=1), photo("a", minute=5)]
    assert [item.candidate.id for item in rank(rows)] == ["b", "a", "c"]


def test_worth_decides_between_photos_that_please_equally_and_unknown_worth_is_neutral() -> None:
    rows = [photo("hurt", 9, 1, -0.01), photo("helped", 9, 1, 0.01), photo("unknown", 9, 1, None)]
    assert [item.candidate.id for item in rank(rows)] == ["helped", "unknown", "hurt"]
    assert percentile(None, [0.1, 0.2]) == percentile(0.3, []) == 0.5
    assert percentile(0.1, [0.1, 0.1]) == 0.5


def test_an_unvoted_photo_stands_below_a_liked_and_above_a_disliked_one() -> None:
    rows = [photo("disliked", 1, 9), photo("new"), photo("liked", 9, 1)]
    assert [item.candidate.id for item in rank(rows)] == ["liked", "new", "disliked"]


def test_the_prior_has_the_weight_that_it_says() -> None:
    # The posterior of a photo whose votes are as the day's is the prior with more certainty: its mean does not move.
    from scipy.special import betaincinv

    assert looks(likes=30, passes=10, rate=0.75) == pytest.approx(
        betaincinv(PRIOR_VOTES * 0.75 + 30, PRIOR_VOTES * 0.25 + 10, 0.05)
    )


def test_nothing_to_rank_is_nothing_ranked() -> None:
    assert rank([]) == []


def test_ranking_knows_neither_django_nor_tensorflow() -> None:
    code = "import sys, newsletter.ranking as r; print([m for m in ('django', 'tensorflow') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
