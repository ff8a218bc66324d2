"""Where a photo stands and why: kept, provisional at first, and clawed back with the photo."""

import threading
from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from collector.erasure import withdraw
from collector.models import Photo, Recognizer, Volunteer
from collector.moderation import decide
from collector.volunteers import register
from config.duties import work_once
from newsletter import candidates, scores, tasks
from newsletter.candidates import opinions
from newsletter.models import Comparison, KnownPair, PhotoScore, Ranking, Vote
from newsletter.pairs import ballot
from tests.nights import accepted, claimed
from training.models import Condition, FirstSight, PhotoValue

pytestmark = pytest.mark.django_db


@pytest.fixture
def voters(recognizer) -> list[Volunteer]:
    """Fifty old accounts, each with a photo that was accepted long ago."""
    made = aged(50, "Voter")
    for one in made:
        accepted(recognizer, one, "gold", source="phone", data=b"an old photo")
    Photo.objects.update(accepted_at=timezone.now() - timedelta(days=80))
    return made


def aged(count: int, name: str) -> list[Volunteer]:
    made = [register(consent=True, handle=f"{name} {n}", address="192.0.2.9")[0] for n in range(count)]
    Volunteer.objects.filter(pk__in=[one.pk for one in made]).update(created_at=timezone.now() - timedelta(days=90))
    return made


@pytest.fixture
def shown(recognizer, volunteer):
    def make(label: str = "copper", *, hours: float = 1) -> Photo:
        photo = accepted(recognizer, volunteer, label, source="phone")
        Photo.objects.filter(pk=photo.pk).update(accepted_at=timezone.now() - timedelta(hours=hours))
        return Photo.objects.get(pk=photo.pk)

    return make


def said(photo: Photo, voters: list[Volunteer], *, likes: int, passes: int = 0) -> None:
    Vote.objects.bulk_create(
        Vote(volunteer=voter, photo=photo, like=number < likes) for number, voter in enumerate(voters[: likes + passes])
    )


def settled(recognizer: Recognizer) -> list[UUID]:
    scores.settle(recognizer_id=recognizer.pk)
    return list(PhotoScore.objects.order_by("place").values_list("photo_id", flat=True))


# ---- what is ranked ----------------------------------------------------------------------------------------------
def test_a_ranking_keeps_the_place_and_every_part_of_each_photo(recognizer, shown, voters):
    good, bad = shown(), shown()
    said(good, voters, likes=18, passes=2)
    said(bad, voters, likes=2, passes=18)
    assert settled(recognizer) == [good.pk, bad.pk]
    row = good.score
    assert (row.place, row.of, row.parts["likes"], row.parts["passes"]) == (1, 2, 18, 2)
    assert set(row.parts) == {
        *("likes", "passes", "better", "worse", "looks", "worth", "worth_percentile", "fooled", "technical", "score")
    }
    kept = Ranking.objects.get()
    assert (kept.photos, kept.voters, kept.rings, kept.claimed_at) == (2, 20, [], None)


def test_what_nights_found_of_a_photo_counts(recognizer, shown, voters):
    plain, clever = shown(), shown()
    for photo in (plain, clever):
        said(photo, voters, likes=10, passes=10)
    run = claimed(recognizer)
    PhotoValue.objects.create(run=run, photo=clever, value=0.01)
    FirstSight.objects.create(run=run, photo=clever, taken_for=recognizer.labels.get(slug="gold"), own=0.1)
    Condition.objects.create(photo=plain, brightness=0.5, sharpness=0.001, clutter=0.1, extent=0.3)
    assert settled(recognizer) == [clever.pk, plain.pk]
    assert clever.score.parts["fooled"] == pytest.approx(0.9) and clever.score.parts["worth"] == 0.01
    assert plain.score.parts["fooled"] == 0.5 and plain.score.parts["technical"] < 1


def test_votes_of_accounts_that_are_new_wait_and_count_when_they_are_no_longer(recognizer, shown, voters, volunteer):
    photo, other = shown(hours=0), shown(hours=0)
    said(other, voters, likes=10, passes=10)
    crowd = [register(consent=True, handle=f"New {n}", address="192.0.2.10")[0] for n in range(20)]
    said(photo, crowd, likes=20)
    assert settled(recognizer) == [other.pk, photo.pk]
    for person in crowd:  # moderators take a photo of each: they are people
        accepted(recognizer, person, "gold", source="phone")
    with time_machine.travel(timezone.now() + timedelta(days=6, hours=23), tick=False):
        assert settled(recognizer)[0] == other.pk
    Volunteer.objects.filter(pk__in=[one.pk for one in crowd]).update(created_at=timezone.now() - timedelta(days=8))
    assert settled(recognizer)[0] == photo.pk


def test_an_old_account_that_has_done_nothing_but_wait_is_still_new(recognizer, shown):
    photo, voters = shown(), aged(12, "Idle")
    said(photo, voters, likes=12)
    found = opinions(recognizer=recognizer, day=timezone.now().date())
    assert found.people.new.all()
    better, worse = shown(), shown()
    known = [KnownPair.objects.create(recognizer=recognizer, better=better, worse=worse)]
    for _ in range(4):
        known.append(KnownPair.objects.create(recognizer=recognizer, better=shown(), worse=shown()))
    for pair in known:
        low, high = sorted((pair.better_id, pair.worse_id))
        answer = Comparison.Answer.LOW if pair.better_id == low else Comparison.Answer.HIGH
        Comparison.objects.create(volunteer=voters[0], low_id=low, high_id=high, answer=answer)
    found = opinions(recognizer=recognizer, day=timezone.now().date())
    place = found.volunteers.index(voters[0].pk)
    assert not found.people.new[place] and found.people.new.sum() == 11
    assert (found.people.known_right[place], found.people.known_total[place]) == (5, 5)


def test_a_ring_is_found_and_named_for_the_moderators(recognizer, shown, voters):
    said(shown(), voters, likes=20, passes=20)
    ring = [register(consent=True, handle=f"Ring {n}", address="192.0.2.11")[0] for n in range(8)]
    photos = [accepted(recognizer, one, "copper", source="phone") for one in ring]
    Photo.objects.filter(pk__in=[photo.pk for photo in photos]).update(accepted_at=timezone.now())
    for photo, owner in zip(photos, ring, strict=True):
        said(photo, [one for one in ring if one != owner], likes=7)
        Vote.objects.bulk_create(Vote(volunteer=one, photo=photo, like=n % 2 == 0) for n, one in enumerate(voters[:20]))
    settled(recognizer)
    (found,) = Ranking.objects.get().rings
    assert sorted(found) == sorted(str(one.pk) for one in ring)


def test_reading_what_people_said_takes_as_many_queries_for_many_photos_as_for_few(
    recognizer, shown, voters, django_assert_num_queries
):
    day = timezone.now().date()
    planned = 3 if connection.vendor == "postgresql" else 0  # for all rows; a savepoint around it
    for _ in range(2):
        for _ in range(5):
            said(shown(), voters, likes=10, passes=10)
        with django_assert_num_queries(9 + planned):
            opinions(recognizer=recognizer, day=day)


@pytest.mark.parametrize("at_once", [1, 3, 1000])
def test_votes_are_read_the_same_in_parts_of_any_size(recognizer, shown, voters, monkeypatch, at_once):
    first, second = shown(), shown()
    said(first, voters, likes=5, passes=2)
    said(second, voters, likes=1, passes=3)
    low, high = sorted((first.pk, second.pk))
    Comparison.objects.create(volunteer=voters[0], low_id=low, high_id=high, answer="low")
    Comparison.objects.create(volunteer=voters[1], low_id=low, high_id=high, answer="equal")
    monkeypatch.setattr(candidates, "READ_AT_ONCE", at_once)
    found = opinions(recognizer=recognizer, day=timezone.now().date())
    photos = [photo.id for photo in found.candidates]
    votes = found.votes
    likes = Counter((photos[photo], liked) for photo, liked in zip(votes.like_photo, votes.liked, strict=True))
    assert likes == {(first.pk, 1): 5, (first.pk, 0): 2, (second.pk, 1): 1, (second.pk, 0): 3}
    pairs = zip(votes.first, votes.second, votes.pair_voter, votes.better, strict=True)
    asked = [(photos[one], photos[other], found.volunteers[voter], better) for one, other, voter, better in pairs]
    assert sorted(asked, key=lambda pair: pair[-1]) == [(low, high, voters[1].pk, 0.5), (low, high, voters[0].pk, 1)]


# ---- provisional, clawed back ------------------------------------------------------------------------------------
def test_a_score_is_provisional_for_two_days_and_its_volunteer_is_told(recognizer, live_photo, api):
    photo = live_photo()
    settled(recognizer)
    told = api.get(f"/api/v1/photos/{photo.pk}").json()["score"]
    assert told["provisional"] is True and (told["place"], told["of"]) == (1, 1) and "looks" in told["parts"]
    with time_machine.travel(timezone.now() + timedelta(hours=48, minutes=1), tick=False):
        assert api.get(f"/api/v1/photos/{photo.pk}").json()["score"]["provisional"] is False


def test_a_withdrawn_photo_has_no_score_and_the_others_move_up(recognizer, shown, voters, volunteer):
    best, second = shown(), shown()
    said(best, voters, likes=20)
    said(second, voters, likes=10, passes=10)
    assert settled(recognizer) == [best.pk, second.pk]
    withdraw(photo_id=best.pk, volunteer=volunteer)
    assert not PhotoScore.objects.filter(photo=best).exists()
    assert settled(recognizer) == [second.pk] and second.score.place == 1


def test_a_photo_that_is_found_fake_loses_its_score_at_the_next_ranking_and_shows_none_at_once(
    recognizer, live_photo, api, moderator
):
    fake, honest = live_photo(), live_photo()
    settled(recognizer)
    decide(photo_id=fake.pk, moderator=moderator, verdict="reject", reason="copied")
    assert "score" not in api.get(f"/api/v1/photos/{fake.pk}").json()
    assert settled(recognizer) == [honest.pk]


def test_scores_of_photos_that_are_too_old_to_be_ranked_stay_as_they_were(recognizer, shown):
    old = shown()
    settled(recognizer)
    Photo.objects.filter(pk=old.pk).update(accepted_at=timezone.now() - timedelta(days=8))
    new = shown()
    scores.settle(recognizer_id=recognizer.pk)
    assert {(row.photo_id, row.place) for row in PhotoScore.objects.all()} == {(old.pk, 1), (new.pk, 1)}


# ---- pairs that everybody agrees on ------------------------------------------------------------------------------
def test_pairs_beyond_doubt_become_known_ones_when_their_scores_are_final(recognizer, shown, voters, volunteer):
    good, bad, fresh = shown(hours=60), shown(hours=60), shown(hours=1)
    elsewhere = shown("gold", hours=60)
    said(good, voters, likes=48, passes=2)
    for photo in (bad, fresh, elsewhere):
        said(photo, voters, likes=2, passes=48)
    settled(recognizer)
    assert [(row.better, row.worse, row.source) for row in KnownPair.objects.all()] == [(good, bad, "consensus")]
    settled(recognizer)
    assert KnownPair.objects.count() == 1
    grace = register(consent=True, handle="Grace", address="192.0.2.8")[0]
    assert ballot(recognizer=recognizer, volunteer=grace, count=10)
    withdraw(photo_id=bad.pk, volunteer=volunteer)
    assert not KnownPair.objects.exists()


def test_photos_of_few_votes_make_no_known_pair(recognizer, shown, voters):
    good, bad = shown(hours=60), shown(hours=60)
    said(good, voters, likes=9)
    said(bad, voters, likes=0, passes=9)
    settled(recognizer)
    assert not KnownPair.objects.exists()


# ---- when --------------------------------------------------------------------------------------------------------
def test_a_recognizer_is_ranked_when_votes_have_come_and_not_more_often_than_it_says(recognizer, shown, voters, settings):
    photo = shown()
    with time_machine.travel(timezone.now(), tick=False) as clock:
        assert scores.due() == [recognizer.pk]
        settled(recognizer)
        assert scores.due() == []
        clock.shift(timedelta(seconds=1))
        said(photo, voters, likes=1)
        assert scores.due() == []
        clock.shift(timedelta(seconds=settings.RANK_EVERY_S))
        assert scores.due() == [recognizer.pk]
        settled(recognizer)
        clock.shift(timedelta(seconds=settings.RANK_EVERY_S))
        assert scores.due() == []
        low, high = sorted((photo, shown()), key=lambda one: one.pk)
        Comparison.objects.create(volunteer=voters[0], low=low, high=high, answer="low")
        clock.shift(timedelta(seconds=1))
        assert scores.due() == [recognizer.pk]


def test_without_an_accepted_photo_there_is_nothing_to_rank(recognizer, live_photo):
    live_photo(state="pending")
    assert scores.due() == []


def test_a_worker_ranks_what_is_due(recognizer, shown):
    photo = shown()
    assert tasks.settle.name == "newsletter.settle"
    work_once()
    assert photo.score.place == 1


def test_a_ranking_whose_worker_died_is_taken_over_after_its_lease(recognizer, shown, settings):
    shown()
    Ranking.objects.create(recognizer=recognizer, claimed_at=timezone.now())
    assert scores.due() == [] and scores.settle(recognizer_id=recognizer.pk) == 0
    with time_machine.travel(timezone.now() + timedelta(seconds=settings.RANK_LEASE_S + 1), tick=False):
        assert scores.due() == [recognizer.pk] and scores.settle(recognizer_id=recognizer.pk) == 1


def test_who_lost_the_lease_meanwhile_keeps_nothing(recognizer, shown, monkeypatch):
    shown()
    real = scores.opinions

    def slow(**asked):
        Ranking.objects.update(claimed_at=timezone.now() + timedelta(seconds=5))
        return real(**asked)

    monkeypatch.setattr(scores, "opinions", slow)
    assert scores.settle(recognizer_id=recognizer.pk) == 0
    assert not PhotoScore.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_workers_that_rank_together_one_does(recognizer, shown):
    shown()
    results: list[int] = []

    def rank_now() -> None:
        results.append(scores.settle(recognizer_id=recognizer.pk))
        connection.close()

    threads = [threading.Thread(target=rank_now) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4 and max(results) == 1 and PhotoScore.objects.count() == 1
