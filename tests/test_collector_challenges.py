"""What volunteers are asked to find: an editor's choice stands, else the night's, else the calendar's."""

from datetime import date
from typing import Any

import pytest

from collector.challenges import propose, todays
from collector.models import Challenge

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
