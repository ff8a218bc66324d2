"""The pace of a domain: kept by all workers together, a burst and no more, and one mail on trial after a rest."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from newsletter import pace
from newsletter.models import Delivery, DomainPace, Subscriber

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def rows(count: int, domain: str = "slow.example") -> list[Delivery]:
    return [Delivery(subscriber=Subscriber(email=f"reader{number}@{domain}")) for number in range(count)]


@pytest.fixture(autouse=True)
def ten_a_second(settings):
    settings.MAIL_DOMAIN_PER_S, settings.MAIL_BURST_S = 10, 1
    settings.MAIL_BACKOFF_S, settings.MAIL_BACKOFF_MAX_S = 10, 35


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as travelling:
        yield travelling


def test_a_burst_goes_at_once_and_the_rest_waits_for_its_turn(clock):
    found = pace.admit(rows(25))
    assert len(found.go) == 10
    ((late, until),) = found.wait
    assert len(late) == 15 and until == NOON + timedelta(seconds=0.1)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_however_many_workers_ask_a_minute_takes_its_mails_and_a_burst(clock, workers):
    sent = 0
    for _ in range(600):
        for _ in range(workers):
            sent += len(pace.admit(rows(4)).go)
        clock.shift(timedelta(seconds=0.1))
    assert 600 <= sent <= 610


def test_a_slow_domain_holds_up_no_other(clock):
    pace.admit(rows(10))
    found = pace.admit([*rows(5), *rows(5, "quick.example")])
    assert {pace.domain_of(row) for row in found.go} == {"quick.example"} and len(found.go) == 5
    assert [pace.domain_of(row) for row in found.wait[0][0]] == ["slow.example"] * 5


def test_small_and_capital_letters_are_one_domain(clock):
    pace.admit(rows(10, "Slow.Example"))
    assert pace.admit(rows(1, "sLOW.example")).go == []


def test_rows_that_are_put_off_come_back_as_fast_as_they_may_go(clock):
    pace.admit(rows(10))
    first, second = pace.admit(rows(20)).wait[0][1], pace.admit(rows(5)).wait[0][1]
    assert second - first == timedelta(seconds=2)  # behind the twenty before them


def test_after_a_refusal_nothing_goes_until_the_rest_is_over_then_one_mail_on_trial(clock):
    assert pace.slow_down("slow.example") == NOON + timedelta(seconds=10)
    assert pace.admit(rows(3)).go == []
    clock.shift(timedelta(seconds=10))
    found = pace.admit(rows(3))
    assert len(found.go) == 1 and found.probed == {"slow.example"}
    assert pace.admit(rows(3)).go == []  # another worker waits for its answer
    pace.speed_up("slow.example")
    assert len(pace.admit(rows(3)).go) == 3


def test_each_refusal_doubles_the_rest_up_to_the_longest(clock):
    rests = [pace.slow_down("slow.example") - NOON for _ in range(40)]
    assert [rest.total_seconds() for rest in rests[:4]] == [10, 20, 35, 35] and rests[-1].total_seconds() == 35


def test_without_a_pace_everything_goes_and_a_refusal_is_still_heeded(clock, settings):
    settings.MAIL_DOMAIN_PER_S = 0
    assert len(pace.admit(rows(1000)).go) == 1000 and not DomainPace.objects.exists()
    pace.slow_down("slow.example")
    assert pace.admit(rows(5)).go == []
