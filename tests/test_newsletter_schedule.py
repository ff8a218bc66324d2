"""Editions by schedule: one a kind and local day, whatever clocks and beats do; late only within a limit; held ones stay."""

import threading
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from collector.models import Challenge
from config.duties import work_once
from newsletter import editing, schedule
from newsletter.models import Delivery, Edition, Schedule, Slot, Subscriber

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "America/Sao_Paulo", "Asia/Kolkata", "UTC"]
db = pytest.mark.django_db


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


# ---- hours -------------------------------------------------------------------------------------------------------
@given(st.sampled_from(ZONES), st.dates(date(2000, 1, 1), date(2040, 1, 1)), st.integers(0, 23))
def test_every_local_day_has_at_most_one_moment_of_an_hour_and_it_is_on_that_day(zone, day, hour):
    moment = schedule.due_at(zone=ZoneInfo(zone), day=day, hour=hour)
    following = schedule.due_at(zone=ZoneInfo(zone), day=day + timedelta(days=1), hour=hour)
    if moment is not None:
        assert moment.astimezone(ZoneInfo(zone)).date() == day
    if moment is not None and following is not None:
        assert timedelta(hours=22) <= following - moment <= timedelta(hours=26)


@given(
    st.sampled_from(ZONES),
    st.datetimes(datetime(2010, 1, 1), datetime(2030, 1, 1)),
    st.integers(0, 23),
    st.none() | st.integers(0, 6),
)
def test_the_newest_hour_is_past_and_no_other_lies_between_it_and_now(zone, now, hour, weekday):
    now = now.replace(tzinfo=UTC)
    found = schedule.newest(zone=ZoneInfo(zone), hour=hour, weekday=weekday, until=now)
    if found is None:  # a day that the zone left out was the only one of its weekday
        assert weekday is not None
        return
    day, moment = found
    assert moment <= now and weekday in (None, day.weekday())
    for ahead in range(1, 9):
        later = schedule.due_at(zone=ZoneInfo(zone), day=day + timedelta(days=ahead), hour=hour)
        if later is not None and weekday in (None, (day + timedelta(days=ahead)).weekday()):
            assert later > now


def test_clocks_that_are_set_forward_or_back_move_an_edition_by_an_hour_at_most():
    assert schedule.due_at(zone=BERLIN, day=date(2026, 3, 29), hour=2) == datetime(2026, 3, 29, 1, tzinfo=UTC)  # 2:00 is 3:00
    assert schedule.due_at(zone=BERLIN, day=date(2026, 10, 25), hour=2) == datetime(
        2026, 10, 25, 0, tzinfo=UTC
    )  # the first 2:00
    assert schedule.due_at(zone=ZoneInfo("Pacific/Apia"), day=date(2011, 12, 30), hour=8) is None  # a day that Samoa left out


# ---- a day -------------------------------------------------------------------------------------------------------
@pytest.fixture
def planned(recognizer):
    """Daily at 18:00 UTC, composed at 14:00, goes by itself."""
    with time_machine.travel(at(24, 20)):
        return Schedule.objects.create(recognizer=recognizer, daily_hour=18, notice_h=4, goes_by_itself=True)


@pytest.fixture
def photo(live_photo):
    with time_machine.travel(at(24, 21)):
        return live_photo()


@pytest.fixture
def reader(recognizer):
    return Subscriber.objects.create(recognizer=recognizer, email="reader@example.org", state="confirmed")


def worked(*moment: int) -> None:
    with time_machine.travel(at(*moment), tick=False):
        for _ in range(3):
            work_once()


@db
def test_a_draft_is_composed_ahead_of_its_hour_and_goes_at_it_once(planned, photo, reader):
    worked(25, 13, 59)
    assert not Edition.objects.exists()
    worked(25, 14)
    edition = Edition.objects.get()
    assert (edition.state, edition.kind, edition.day) == ("draft", "daily", date(2026, 11, 24))
    worked(25, 17, 59)
    assert Edition.objects.get().state == "draft"
    worked(25, 18)
    assert Edition.objects.get().state == "sent" and Delivery.objects.get().state == "sent"
    worked(25, 19)
    assert Edition.objects.count() == Delivery.objects.count() == 1
    assert Slot.objects.get().state == "gone"


@db
def test_what_an_editor_holds_stays_and_goes_when_it_is_released_in_time(planned, photo, reader):
    worked(25, 14)
    with time_machine.travel(at(25, 15)):
        editing.hold(edition=Edition.objects.get(), by="Erin", why="A face in photo 1.")
    worked(25, 18)
    assert Edition.objects.get().state == "draft" and not Delivery.objects.exists()
    with time_machine.travel(at(25, 20)):
        editing.release(edition=Edition.objects.get(), by="Erin")
    worked(25, 20, 1)
    assert Edition.objects.get().state == "sent"


@db
def test_without_leave_to_go_by_itself_it_waits_for_approval(planned, photo, reader):
    Schedule.objects.update(goes_by_itself=False)
    worked(25, 14)
    worked(25, 18, 30)
    assert Edition.objects.get().state == "draft"


@db
def test_after_a_short_outage_it_goes_late_and_after_a_long_one_it_stays_a_draft_and_says_why(planned, photo, reader):
    worked(25, 19)  # nobody was there at 14:00: an editor gets the four hours all the same
    assert Edition.objects.get().state == "draft"
    worked(25, 22, 30)
    assert Edition.objects.get().state == "draft"
    worked(25, 23)
    assert Edition.objects.get().state == "sent"


@db
def test_an_edition_that_could_only_go_too_late_is_missed(planned, photo, reader):
    worked(25, 21)
    worked(26, 2)
    slot = Slot.objects.get(day=date(2026, 11, 25))
    assert slot.state == "missed" and "Approve it if it is still wanted." in slot.why
    assert Edition.objects.get().state == "draft"


@db
def test_without_photos_it_is_tried_again_and_in_the_end_says_so(planned, live_photo, reader):
    worked(25, 14)
    assert Slot.objects.get().state == "waiting" and "no accepted photo" in Slot.objects.get().why
    with time_machine.travel(at(24, 22)):
        live_photo()
    worked(25, 14, 5)
    assert not Edition.objects.exists()  # every ten minutes, not at every look
    worked(25, 14, 11)
    assert Edition.objects.get().state == "draft"


@db
def test_a_weekly_edition_may_show_what_daily_ones_have_and_a_reminder_has_no_photos(planned, photo, recognizer):
    Schedule.objects.update(weekly_weekday=2, weekly_hour=18, reminder_hour=8)
    Challenge.objects.create(recognizer=recognizer, day=date(2026, 11, 25), setting="in dim light", prompt="Find copper!")
    for wants in ("daily", "weekly", "reminder"):
        wishes = {f"wants_{kind}": kind == wants for kind in ("daily", "weekly", "reminder")}
        Subscriber.objects.create(recognizer=recognizer, email=f"{wants}@example.org", state="confirmed", **wishes)
    worked(25, 4)
    worked(25, 8)
    worked(25, 14)
    worked(25, 18)
    found = {edition.kind: edition for edition in Edition.objects.all()}
    assert set(found) == {"daily", "weekly", "reminder"} and {each.state for each in found.values()} == {"sent"}
    assert found["daily"].entries.get().photo == found["weekly"].entries.get().photo == photo
    assert not found["reminder"].entries.exists() and found["reminder"].number is None
    assert {(row.reader.email.split("@")[0], row.edition.kind) for row in Delivery.objects.all()} == {(k, k) for k in found}


@db
def test_hours_before_a_schedule_was_made_are_nobodys(recognizer, photo):
    with time_machine.travel(at(25, 18, 30)):
        Schedule.objects.create(recognizer=recognizer, daily_hour=18, goes_by_itself=True)
    worked(25, 18, 31)
    assert not Slot.objects.exists()
    worked(26, 14)
    assert Slot.objects.get().day == date(2026, 11, 26)


@pytest.mark.django_db(transaction=True)
def test_two_beats_compose_one_draft_and_let_it_go_once(planned, photo, reader):
    for moment, verb in (
        (at(25, 14), lambda: [schedule.compose_slot(slot_id=pk) for pk in schedule.open_slots(schedule_id=planned.pk)]),
        (at(25, 18), lambda: [schedule.let_go(slot_id=pk) for pk in schedule.ripe()]),
    ):
        with time_machine.travel(moment, tick=False):
            together(verb)
    assert Edition.objects.count() == Slot.objects.count() == Delivery.objects.count() == 1
    assert Edition.objects.get().state == "frozen"


def together(verb) -> None:
    failed: list[BaseException] = []

    def run() -> None:
        try:
            verb()
        except BaseException as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../../etc/passwd", "CEST "])
def test_only_time_zones_that_exist_are_taken(name):
    with pytest.raises(ValidationError):
        Schedule(time_zone=name).clean_fields(exclude=["recognizer"])
