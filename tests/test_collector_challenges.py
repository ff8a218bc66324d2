"""What volunteers are asked to find: an editor's choice stands, else the night's, else the calendar's."""

import threading
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from collector.challenges import propose, standing, todays
from collector.models import Challenge, Label, Recognizer

pytestmark = pytest.mark.django_db
DAY = date(2026, 11, 22)


def test_the_calendar_fills_a_day_that_nobody_set(recognizer: Any) -> None:
    first = todays(recognizer=recognizer, day=DAY)
    assert first.labels.count() == 1 and first.setting in first.prompt
    assert todays(recognizer=recognizer, day=DAY) == first
    week = {todays(recognizer=recognizer, day=DAY.replace(day=n)).setting for n in range(1, 8)}
    assert len(week) == 7


def test_a_proposal_never_overwrites_what_stands(recognizer: Any) -> None:
    gold = recognizer.labels.get(slug="gold")
    editors = propose(recognizer=recognizer, day=DAY, labels=[gold], setting="at night", prompt="Gold at night.", because="")
    nights = propose(recognizer=recognizer, day=DAY, labels=[], setting="x", prompt="y", because="weak")
    assert nights == editors and Challenge.objects.get().prompt == "Gold at night."
    assert todays(recognizer=recognizer, day=DAY).labels.get() == gold


def label_of(recognizer: Any, day: date) -> str:
    return todays(recognizer=recognizer, day=day).labels.get().slug


def test_the_calendar_asks_for_no_label_twice_running(recognizer: Any) -> None:
    for number in range(3):  # whatever the night of the day before asked for
        day = DAY + timedelta(days=10 * number)
        label = recognizer.labels.all()[number]
        propose(recognizer=recognizer, day=day, labels=[label], setting="", prompt="", because="weak")
        following = [label_of(recognizer, day + timedelta(days=n)) for n in range(4)]
        assert following[0] == label.slug
        assert all(one != other for one, other in pairwise(following))


def test_it_passes_over_what_the_night_has_set_for_tomorrow(recognizer: Any) -> None:
    turn = recognizer.labels.all()[DAY.toordinal() % 3]
    propose(recognizer=recognizer, day=DAY + timedelta(days=1), labels=[turn], setting="", prompt="", because="weak")
    assert label_of(recognizer, DAY) != turn.slug


def test_where_there_is_no_choice_the_calendar_repeats(recognizer: Any) -> None:
    recognizer.labels.exclude(slug="gold").delete()
    assert [label_of(recognizer, DAY + timedelta(days=n)) for n in range(2)] == ["gold", "gold"]
    Label.objects.create(recognizer=recognizer, slug="tin", name="Tin", position=7)
    gold = recognizer.labels.get(slug="gold")
    for offset in (9, 11):  # both neighbours ask for one of two labels; the day before counts more
        label = gold if offset == 9 else recognizer.labels.get(slug="tin")
        propose(recognizer=recognizer, day=DAY + timedelta(days=offset), labels=[label], setting="", prompt="", because="")
    assert label_of(recognizer, DAY + timedelta(days=10)) == "tin"


def test_a_day_without_a_night_has_a_challenge_and_a_later_day_waits_for_one(recognizer: Any) -> None:
    with time_machine.travel(f"{DAY}T12:00:00Z"):
        assert standing(recognizer=recognizer, day=DAY) == Challenge.objects.get()
        assert standing(recognizer=recognizer, day=DAY + timedelta(days=1)) is None
        assert standing(recognizer=recognizer, day=DAY - timedelta(days=1)) is None
        empty = Recognizer.objects.create(slug="empty", name="Empty")
        assert standing(recognizer=empty, day=DAY) is None


@pytest.mark.django_db(transaction=True)
def test_an_editor_a_night_and_readers_at_once_make_one_challenge_with_its_labels(recognizer: Any) -> None:
    gold = recognizer.labels.get(slug="gold")
    start, stood = threading.Barrier(6), []

    def work(number: int) -> None:
        try:
            start.wait()
            if number % 3:
                found = todays(recognizer=recognizer, day=DAY)
            else:
                found = propose(
                    recognizer=recognizer, day=DAY, labels=[gold], setting="x", prompt=f"By {number}.", because="weak"
                )
            stood.append((found.pk, found.prompt, [label.slug for label in found.labels.all()]))
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    row = Challenge.objects.get()
    assert stood == [(row.pk, row.prompt, [row.labels.get().slug])] * 6


# ---- the editor --------------------------------------------------------------------------------------------------
@pytest.fixture
def editor() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("editor"))
    return client


def form(recognizer: Any, label: Any, **changes: str) -> dict[str, Any]:
    fields = {"day": str(DAY), "setting": "at night", "prompt": "Gold at night.", "proposed_because": ""}
    return {"recognizer": recognizer.pk, "labels": [label.pk], **fields, **changes}


def test_an_editor_changes_what_a_night_proposed_and_that_stands(recognizer: Any, editor: Client) -> None:
    gold, silver = (recognizer.labels.get(slug=slug) for slug in ("gold", "silver"))
    nights = propose(recognizer=recognizer, day=DAY, labels=[silver], setting="x", prompt="y", because="weak")
    answer = editor.post(f"/admin/collector/challenge/{nights.pk}/change/", form(recognizer, gold))
    assert answer.status_code == 302
    again = propose(recognizer=recognizer, day=DAY, labels=[silver], setting="x", prompt="z", because="weak")
    assert (again.prompt, again.labels.get()) == ("Gold at night.", gold)
    assert todays(recognizer=recognizer, day=DAY) == again


def test_an_editor_cannot_ask_for_a_label_of_another_recognizer(recognizer: Any, editor: Client) -> None:
    other = Recognizer.objects.create(slug="stamps", name="Stamps")
    blue = Label.objects.create(recognizer=other, slug="blue", name="Blue", position=0)
    answer = editor.post("/admin/collector/challenge/add/", form(recognizer, blue))
    assert answer.status_code == 200 and "Not of Coins: Blue" in answer.content.decode()
    assert not Challenge.objects.exists()
    assert editor.post("/admin/collector/challenge/add/", form(other, blue)).status_code == 302
