"""VOTES, by twos: blind, fair, one answer a pair, and nobody chooses what they judge."""

import itertools
import threading
import uuid
from collections import Counter
from datetime import timedelta

import pytest
import time_machine
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from collector.challenges import todays
from collector.erasure import withdraw
from collector.models import Allowance, Photo
from collector.volunteers import register
from newsletter import pairs
from newsletter.models import Comparison, KnownPair
from tests.nights import accepted
from tests.test_collector_api import assert_problem
from tests.test_newsletter_votes import client_of

pytestmark = pytest.mark.django_db
Answer = Comparison.Answer


@pytest.fixture
def grace(db):
    return client_of("Grace")


@pytest.fixture
def shown(recognizer, volunteer):
    """`shown(n)`: Ada's n photos of copper, ready to be voted on."""

    def make(count: int, label: str = "copper", **more) -> list[Photo]:
        made = [accepted(recognizer, volunteer, label, source="phone", **more) for _ in range(count)]
        Photo.objects.filter(pk__in=[photo.pk for photo in made]).update(accepted_at=timezone.now())
        return made

    return make


def ballot(client, count: int | None = None) -> list[dict]:
    answer = client.get("/api/v1/recognizers/coins/pairs")
    assert answer.status_code == 200, answer.content
    return answer.json()["pairs"]


def judge(client, token: str, better: object):
    return client.post("/api/v1/pairs", {"token": token, "better": better and str(better)}, format="json")


def couple(row: dict) -> frozenset[str]:
    return frozenset((row["first"]["id"], row["second"]["id"]))


# ---- answering ---------------------------------------------------------------------------------------------------
def test_the_first_answer_is_201_a_repeated_one_200_and_a_changed_one_replaces_it(shown, grace):
    shown(2)
    person, phone = grace
    (row,) = ballot(phone)
    first = judge(phone, row["token"], row["first"]["id"])
    assert first.status_code == 201 and first.json()["better"] == row["first"]["id"]
    assert sorted(first.json()["photos"]) == sorted(couple(row))
    assert judge(phone, row["token"], row["first"]["id"]).status_code == 200
    assert judge(phone, row["token"], row["second"]["id"]).json()["better"] == row["second"]["id"]
    kept = Comparison.objects.get()
    assert (kept.volunteer, str(kept.better_id)) == (person, row["second"]["id"])


def test_neither_is_an_answer(shown, grace):
    shown(2)
    (row,) = ballot(grace[1])
    assert judge(grace[1], row["token"], None).json()["better"] is None
    assert Comparison.objects.get().answer == Answer.EQUAL


def test_a_photo_that_is_not_of_the_pair_is_no_answer(shown, grace):
    other = shown(2)[0], uuid.uuid4()
    (row,) = ballot(grace[1])
    assert_problem(judge(grace[1], row["token"], other[1]), 422, "not-of-the-pair")
    assert not Comparison.objects.exists()


@pytest.mark.parametrize("token", ["", "nonsense", "x" * 501, "WzEsMl0:1abc:sig"])
def test_a_made_up_token_judges_nothing(shown, grace, token):
    shown(2)
    assert judge(grace[1], token, None).status_code in (400, 409)
    assert not Comparison.objects.exists()


def test_a_token_is_its_volunteers_own_and_lasts_a_day(shown, grace):
    shown(2)
    _, stranger = client_of("Stranger")
    with time_machine.travel(timezone.now(), tick=False) as clock:
        (row,) = ballot(grace[1])
        assert_problem(judge(stranger, row["token"], None), 409, "stale-pair")
        clock.shift(timedelta(days=1, seconds=1))
        assert_problem(judge(grace[1], row["token"], None), 409, "stale-pair")
    assert not Comparison.objects.exists()


def test_a_pair_of_which_a_photo_was_withdrawn_is_not_judged_and_its_answers_are_gone(shown, grace, volunteer):
    photo, _ = shown(2)
    (row,) = ballot(grace[1])
    judge(grace[1], row["token"], photo.pk)
    withdraw(photo_id=photo.pk, volunteer=volunteer)
    assert not Comparison.objects.exists()
    assert_problem(judge(grace[1], row["token"], None), 404, "not-votable")


def test_without_a_token_of_an_account_nobody_judges(shown, client):
    assert client.get("/api/v1/recognizers/coins/pairs").status_code == 401
    assert client.post("/api/v1/pairs", {}).status_code == 401


def test_only_first_answers_count_against_the_days_votes(shown, grace, settings):
    settings.VOTES_PER_DAY = 1
    shown(4)
    one, two = ballot(grace[1])
    assert judge(grace[1], one["token"], None).status_code == 201
    assert judge(grace[1], one["token"], one["first"]["id"]).status_code == 200
    refused = judge(grace[1], two["token"], None)
    assert refused.status_code == 429 and int(refused["Retry-After"]) > 0
    assert Allowance.objects.get(subject=f"votes:{grace[0].pk}").used == 1 and Comparison.objects.count() == 1


def test_the_database_keeps_one_answer_a_pair_and_its_order(shown, grace):
    low, high = sorted(shown(2), key=lambda photo: photo.pk)
    Comparison.objects.create(volunteer=grace[0], low=low, high=high, answer=Answer.LOW)
    for wrong in ({"low": low, "high": high}, {"low": high, "high": low}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Comparison.objects.create(volunteer=grace[0], **wrong, answer=Answer.LOW)


@pytest.mark.django_db(transaction=True)
def test_answers_that_come_together_are_one_answer(shown, grace, recognizer):
    shown(2)
    person = grace[0]
    (pair,) = pairs.ballot(recognizer=recognizer, volunteer=person, count=1)
    results: list[bool] = []

    def answer(better) -> None:
        results.append(pairs.judge(volunteer=person, token=pair.token, better=better).is_new)
        connection.close()

    threads = [
        threading.Thread(target=answer, args=[better]) for better in (pair.first.pk, pair.second.pk, None, pair.first.pk)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False, False, False, True] and Comparison.objects.count() == 1


# ---- which two ---------------------------------------------------------------------------------------------------
def test_a_ballot_names_nobody(shown, grace):
    shown(2)
    (row,) = ballot(grace[1])
    assert set(row) == {"token", "first", "second"} and set(row["first"]) == {"id", "label", "image", "alt"}
    assert "Ada" not in str(row)


def test_own_photos_near_duplicates_of_each_other_and_judged_pairs_are_not_offered(shown, api, grace):
    shown(2, cluster=uuid.uuid4())
    assert ballot(api) == ballot(grace[1]) == []
    other = shown(1)[0]
    (row,) = ballot(grace[1])
    assert str(other.pk) in couple(row)
    judge(grace[1], row["token"], None)
    assert ballot(grace[1]) == []  # nor the other one of the cluster: it is the same photo


def test_only_photos_of_one_challenge_are_compared_and_without_one_of_one_label(shown, grace, recognizer):
    challenge = todays(recognizer=recognizer, day=timezone.now().date())
    shown(1), shown(1, "gold"), shown(1)
    asked = shown(2)
    Photo.objects.filter(pk__in=[photo.pk for photo in asked]).update(challenge=challenge)
    rows = ballot(grace[1])
    groups = [
        {(Photo.objects.get(pk=pk).challenge_id, Photo.objects.get(pk=pk).label.slug) for pk in couple(row)} for row in rows
    ]
    assert len(rows) == 2 and all(len(group) == 1 for group in groups)


def test_photos_that_were_compared_least_come_first(shown, grace, settings):
    settings.BALLOT_PAIRS = 1
    old = shown(4)
    for index, (low, high) in enumerate(itertools.combinations(sorted(old, key=lambda photo: photo.pk), 2)):
        voter = register(consent=True, handle=f"Voter {index}", address="192.0.2.9")[0]
        Comparison.objects.create(volunteer=voter, low=low, high=high, answer=Answer.LOW)
    fresh = {str(photo.pk) for photo in shown(2)}
    assert [couple(row) for row in ballot(grace[1])] == [fresh]


def test_new_photos_get_shown_until_all_have_been_compared_about_equally(shown, recognizer, settings):
    """Twelve photos come in three waves while forty volunteers answer a pair each: nobody is left behind."""
    settings.BALLOT_PAIRS = 1
    for wave in range(4):
        shown(3 if wave else 6)
        for number in range(10):
            person = register(consent=True, handle=f"V {wave} {number}", address="192.0.2.9")[0]
            for pair in pairs.ballot(recognizer=recognizer, volunteer=person, count=1):
                pairs.judge(volunteer=person, token=pair.token, better=pair.first.pk)
    seen = Counter(itertools.chain(*Comparison.objects.values_list("low_id", "high_id")))
    assert len(seen) == 15 and max(seen.values()) - min(seen.values()) <= 3


def test_who_asks_at_the_same_moment_gets_other_pairs(shown, settings):
    shown(40)
    first = [ballot(client_of(f"V {number}")[1])[0] for number in range(8)]
    assert len({couple(row) for row in first}) > 4


def test_a_ballot_costs_as_many_queries_for_many_photos_as_for_few(shown, grace, recognizer, django_assert_max_num_queries):
    for count in (4, 40):
        shown(count)
        with django_assert_max_num_queries(8):
            pairs.ballot(recognizer=recognizer, volunteer=grace[0], count=10)


def test_a_ballot_is_drawn_from_the_newest_photos_only(shown, grace, settings):
    settings.BALLOT_POOL = 4
    old = shown(4)
    Photo.objects.filter(pk__in=[photo.pk for photo in old]).update(received_at=timezone.now() - timedelta(hours=1))
    new = {str(photo.pk) for photo in shown(4)}
    assert set().union(*map(couple, ballot(grace[1]))) == new


# ---- hidden known pairs ------------------------------------------------------------------------------------------
def test_one_pair_in_ten_is_a_known_one_and_looks_like_the_others(shown, grace, recognizer):
    better, worse, *_ = shown(42)
    Photo.objects.filter(pk__in=(better.pk, worse.pk)).update(accepted_at=timezone.now() - timedelta(days=90))
    KnownPair.objects.create(recognizer=recognizer, better=better, worse=worse)
    rows = ballot(grace[1])
    known = [row for row in rows if couple(row) == {str(better.pk), str(worse.pk)}]
    assert len(rows) == 10 and len(known) == 1
    assert {frozenset(row) for row in rows} == {frozenset(("token", "first", "second"))}
    assert len({len(row["token"]) for row in rows}) == 1
    judge(grace[1], known[0]["token"], better.pk)
    assert not [row for row in ballot(grace[1]) if couple(row) == couple(known[0])]


def test_known_pairs_are_not_put_to_their_own_volunteer_and_where_they_stand_tells_nothing(shown, api, recognizer):
    for _ in range(30):
        better, worse = shown(2)
        KnownPair.objects.create(recognizer=recognizer, better=better, worse=worse)
    assert ballot(api) == []
    voter = client_of("Grace")[0]
    firsts = [pair[0] for pair in pairs._known(recognizer, voter, 30, set())]
    best = set(KnownPair.objects.values_list("better_id", flat=True))
    assert 5 < sum(photo in best for photo in firsts) < 25
