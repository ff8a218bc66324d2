"""Daily limits hold under concurrency and start again at midnight UTC."""

import threading

import pytest
import time_machine
from django.db import connection

from collector.errors import LimitReached
from collector.limits import check, spend
from collector.models import Allowance


@pytest.mark.django_db(transaction=True)
def test_fifty_threads_never_pass_the_limit_together() -> None:
    passed, refused, start = [], [], threading.Barrier(50)

    def use() -> None:
        start.wait()
        try:
            spend("photos:somebody", 20)
            passed.append(1)
        except LimitReached:
            refused.append(1)
        finally:
            connection.close()

    threads = [threading.Thread(target=use) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(passed), len(refused)) == (20, 30)
    assert Allowance.objects.get().used == 20


@pytest.mark.django_db
def test_a_limit_says_when_it_ends_and_counts_each_subject_alone() -> None:
    with time_machine.travel("2026-11-22T12:00:00Z", tick=False) as clock:
        spend("votes:a", 1)
        spend("votes:b", 1)
        with pytest.raises(LimitReached) as refused:
            spend("votes:a", 1)
        assert refused.value.retry_after_s == 12 * 3600 + 1 and refused.value.facts["limit"] == 1
        with pytest.raises(LimitReached):
            check("votes:a", 1)
        clock.shift(12 * 3600 + 1)
        check("votes:a", 1)
        spend("votes:a", 1)
