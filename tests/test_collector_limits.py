"""Limits hold under concurrency, count all or nothing, say when they end, and leave no readable address behind."""

import hashlib
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction
from rest_framework.test import APIClient

from collector.errors import LimitReached
from collector.limits import DAY, MINUTE, Limit, check, of_address, past, spend
from collector.models import Allowance, Photo, Volunteer
from config.duties import work_once
from tests.drawing import jpeg

THREADS = 50


def together(count: int, act: Callable[[int], Any]) -> list[Any]:
    """What `act(0)` … `act(count - 1)` return when they start at the same moment, each in a thread of its own."""
    results: list[Any] = [None] * count
    start = threading.Barrier(count)

    def run(number: int) -> None:
        start.wait()
        try:
            results[number] = act(number)
        except Exception as error:  # told to the test, which expects none
            results[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def passes(*limits: Limit) -> bool:
    try:
        spend(*limits)
    except LimitReached:
        return False
    return True


@pytest.mark.django_db(transaction=True)
def test_fifty_threads_never_pass_the_limit_together() -> None:
    results = together(THREADS, lambda number: passes(Limit("photos", "somebody", 20)))
    assert Counter(results) == {True: 20, False: 30}
    assert Allowance.objects.get().used == 20


@pytest.mark.django_db(transaction=True)
def test_of_several_limits_all_are_counted_or_none_whatever_order_they_are_named_in() -> None:
    """Fifty threads on pairs of shared rows, named in either order: no deadlock, and no row counts a refused call."""
    a, b, c = Limit("uploads", "a", 30), Limit("uploads", "b", 15), Limit("uploads", "c", 50, MINUTE)
    pairs = [(a, b), (b, a), (a, c), (c, a), (c, b)]
    with time_machine.travel("2026-11-22T12:00:01Z", tick=False):
        results = together(THREADS, lambda number: passes(*pairs[number % 5]))
        assert set(results) <= {True, False}
        passed = Counter(limit for number, ok in enumerate(results) if ok for limit in pairs[number % 5])
        for limit in (a, b, c):
            assert Allowance.objects.get(subject=limit.key[0]).used == passed[limit] <= limit.most
    assert passed[a] == 30 or passed[b] == 15


@pytest.mark.django_db(transaction=True)
def test_fifty_phones_behind_one_address_register_as_often_as_it_may(settings: Any) -> None:
    settings.REGISTRATIONS_PER_DAY = 12

    def join(number: int) -> tuple[int, bool]:
        answer = APIClient().post("/api/v1/volunteers", {"consent": True}, format="json")
        return answer.status_code, "Retry-After" in answer

    assert Counter(together(THREADS, join)) == {(201, False): 12, (429, True): 38}
    assert Volunteer.objects.count() == 12


@pytest.mark.django_db(transaction=True)
def test_fifty_uploads_at_once_never_exceed_the_quota(recognizer: Any, token: str, settings: Any, tmp_path: Any) -> None:
    settings.PHOTOS_PER_DAY, settings.STORE_DIR = 7, tmp_path / "store"
    body = jpeg(1, size=(64, 64))

    def send(number: int) -> tuple[int, bool]:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
        where = f"/api/v1/photos/{uuid.uuid4()}?recognizer=coins&label=copper"
        answer = client.put(where, data=body, content_type="image/jpeg")
        return answer.status_code, "Retry-After" in answer

    assert Counter(together(THREADS, send)) == {(201, False): 7, (429, True): 43}
    assert Photo.objects.count() == Allowance.objects.get(subject__startswith="photos:").used == 7
    tried = Allowance.objects.filter(subject__startswith="photo uploads:").values_list("used", flat=True)
    assert len(tried) >= 3 and max(tried) == THREADS  # tries are counted whatever comes of them


@pytest.mark.django_db
def test_a_limit_says_what_is_counted_how_many_and_until_when() -> None:
    with time_machine.travel("2026-11-22T12:00:20Z", tick=False) as clock:
        day, minute = Limit("votes", "a", 2), Limit("votes", "a", 1, MINUTE)
        spend(day, minute)
        spend(Limit("votes", "b", 1))  # each subject alone
        with pytest.raises(LimitReached, match="1 votes a minute are allowed; the count starts again at 12:01 UTC") as refused:
            spend(day, minute)
        assert refused.value.retry_after_s == 41
        facts = {"limit": 1, "counted": "votes", "window_s": MINUTE, "again_at": "2026-11-22T12:01:00+00:00"}
        assert refused.value.facts == facts
        clock.shift(41)
        spend(day, minute)  # the refused call was not counted against the day
        clock.shift(60)
        with pytest.raises(LimitReached, match="2 votes a day are allowed; the count starts again at midnight UTC") as refused:
            spend(day, minute)
        assert refused.value.retry_after_s == 12 * 3600 - 121 + 1 and refused.value.facts["window_s"] == DAY
        with pytest.raises(LimitReached):
            check(day)
        check(minute)
        clock.shift(12 * 3600)
        check(day)
        spend(day, minute)


@pytest.mark.django_db
def test_where_two_limits_are_reached_the_longer_wait_is_told() -> None:
    with time_machine.travel("2026-11-22T12:00:20Z", tick=False):
        limits = Limit("votes", "a", 1, MINUTE), Limit("votes", "a", 1)
        spend(*limits)
        for names in (limits, limits[::-1]):
            with pytest.raises(LimitReached) as refused:
                spend(*names)
            assert refused.value.facts["window_s"] == DAY


@pytest.mark.django_db
def test_what_a_transaction_that_is_rolled_back_spent_was_not_spent() -> None:
    def fail() -> None:
        with transaction.atomic():
            spend(Limit("votes", "a", 1))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    spend(Limit("votes", "a", 1))


@pytest.mark.django_db
def test_a_limit_that_is_raised_or_lowered_holds_at_once() -> None:
    with time_machine.travel("2026-11-22T12:00:00Z", tick=False):
        assert [passes(Limit("votes", "a", most)) for most in (1, 1, 3, 3, 3, 2)] == [True, False, True, True, False, False]


@pytest.mark.django_db
def test_old_counts_are_removed_by_a_duty_and_young_ones_stay(settings: Any) -> None:
    with time_machine.travel("2026-11-22T12:00:00Z", tick=False) as clock:
        spend(Limit("votes", "a", 1), Limit("votes", "a", 1, MINUTE))
        clock.shift(settings.ALLOWANCE_KEPT_S + 61)
        spend(Limit("votes", "a", 1, MINUTE))
        assert past() == [MINUTE]
        work_once()
        assert sorted(Allowance.objects.values_list("window_s", flat=True)) == [MINUTE, DAY]
        clock.shift(DAY + 120)
        work_once()
        assert list(Allowance.objects.values_list("window_s", flat=True)) == []


@pytest.mark.django_db
def test_the_table_tells_no_address_and_ipv6_networks_are_counted_as_one(settings: Any) -> None:
    spend(of_address("registrations", "192.0.2.7", 9))
    subject = Allowance.objects.get().subject
    assert "192.0.2.7" not in subject
    for guess in ("192.0.2.7", "registrations:192.0.2.7"):  # a plain hash of all of IPv4 is made in minutes
        assert hashlib.sha256(guess.encode()).hexdigest()[:32] not in subject
    assert of_address("x", "2001:db8::1", 9) == of_address("x", "2001:db8::ffff:0:2", 9)
    assert of_address("x", "2001:db8::1", 9) != of_address("x", "2001:db8:0:1::1", 9)
    settings.SECRET_KEY = "another" * 10
    assert of_address("registrations", "192.0.2.7", 9).key[0] != subject


@pytest.mark.django_db
def test_a_retry_of_a_known_photo_passes_a_spent_quota_and_counts_as_a_try(api: Any, recognizer: Any, settings: Any) -> None:
    settings.PHOTOS_PER_DAY, settings.PHOTO_REQUESTS_PER_MINUTE = 1, 3
    with time_machine.travel("2026-11-22T12:00:00Z", tick=False) as clock:

        def send(where: str) -> Any:
            return api.put(f"{where}?recognizer=coins&label=copper", data=jpeg(1), content_type="image/jpeg")

        known = f"/api/v1/photos/{uuid.uuid4()}"
        assert [send(known).status_code for _ in range(3)] == [201, 200, 200]
        answer = send(known)
        assert (answer.status_code, answer["Retry-After"], answer.json()["window_s"]) == (429, "61", MINUTE)
        clock.shift(61)
        assert send(known).status_code == 200
        answer = send(f"/api/v1/photos/{uuid.uuid4()}")
        assert (answer.status_code, answer.json()["counted"], answer.json()["window_s"]) == (429, "photos", DAY)
