"""FAME: counted from rows, in public names, without those who are gone."""

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from collector.erasure import erase, withdraw
from collector.models import Photo, Volunteer
from collector.moderation import decide
from collector.volunteers import register
from config.duties import work_once
from newsletter import fame, fame_names, fame_rows, fame_teams, scores
from newsletter.edition import compose
from newsletter.errors import InATeam, NameTaken, NotATeamName, TeamCodeNotValid, TeamFull
from newsletter.fame import settle
from newsletter.fame_rows import mark_all, mark_photos, rebuild
from newsletter.models import FameBadge, FameDay, FameLine, FameMark, Team, Vote
from newsletter.periods import period
from newsletter.reading import fingerprint, read
from newsletter.votes import cast
from tests.browsing import assert_accessible, signed_in
from training.models import Condition, PhotoValue, Run

pytestmark = pytest.mark.django_db


def person(handle: str | None):
    return register(consent=True, handle=handle, address="192.0.2.8")[0]


def board(recognizer, kind="all", *, day=None, label=None, limit=10, skip=0):
    settle(recognizer=recognizer)
    return again(recognizer, kind, day=day, label=label, limit=limit, skip=skip)


def again(recognizer, kind="all", *, day=None, label=None, limit=10, skip=0):
    """As the rows are, without a recount."""
    found = fame.board(recognizer=recognizer, period=period(kind, day or timezone.now().date()), label=label)
    return fame.leaderboard(board=found, limit=limit, skip=skip)


def moved(photo, at) -> None:
    """As if it had been accepted at that moment."""
    mark_photos([photo.pk])
    Photo.objects.filter(pk=photo.pk).update(accepted_at=at)
    mark_photos([photo.pk])


def test_points_are_photos_likes_and_what_the_photos_were_worth_to_the_newest_run(recognizer, live_photo, volunteer) -> None:
    grace = person("Grace")
    mine, hers = live_photo(), live_photo(by=grace)
    Vote.objects.create(volunteer=grace, photo=mine, like=True)
    Vote.objects.create(volunteer=volunteer, photo=hers, like=False)
    now = timezone.now()
    older = Run.objects.create(recognizer=recognizer, slot="1", queued_at=now - timedelta(days=1))
    newest = Run.objects.create(recognizer=recognizer, slot="2", queued_at=now)
    Run.objects.create(recognizer=recognizer, slot="3", queued_at=now + timedelta(days=1))  # failed: it valued nothing
    PhotoValue.objects.create(run=older, photo=mine, value=0.9)
    PhotoValue.objects.create(run=newest, photo=mine, value=-0.002)
    PhotoValue.objects.create(run=newest, photo=hers, value=0.0042)
    first, second = board(recognizer)
    assert (first.name, first.place, first.photos, first.likes, first.worth, first.points) == ("Grace", 1, 1, 0, 0.0042, 5)
    # What hurt the model costs no points.
    assert (second.name, second.place, second.photos, second.likes, second.worth, second.points) == ("Ada", 2, 1, 1, -0.002, 2)


def test_near_duplicates_count_as_one_photo_and_imports_as_none(recognizer, live_photo) -> None:
    photos = [live_photo() for _ in range(3)]
    Photo.objects.filter(pk__in=[photo.pk for photo in photos[:2]]).update(cluster=photos[0].pk)
    assert board(recognizer)[0].photos == 2
    Photo.objects.filter(pk=photos[2].pk).update(source=Photo.Source.IMPORT)
    mark_photos([photos[2].pk])
    assert board(recognizer)[0].photos == 1


def test_a_cluster_counts_once_for_who_sent_it_first_with_one_like_of_each_voter(recognizer, live_photo, volunteer) -> None:
    grace, edsger = person("Grace"), person("Edsger")
    first, again, copied = live_photo(seed=5), live_photo(seed=5), live_photo(seed=5, by=grace)
    assert first.cluster == again.cluster == copied.cluster
    for photo in (first, again, copied):
        Vote.objects.create(volunteer=edsger, photo=photo, like=True)
    run = Run.objects.create(recognizer=recognizer, slot="1", queued_at=timezone.now())
    for photo, value in ((first, 0.002), (again, 0), (copied, 0)):  # as training.worth values copies
        PhotoValue.objects.create(run=run, photo=photo, value=value)
    (line,) = board(recognizer)
    assert (line.name, line.photos, line.likes, line.worth, line.points) == ("Ada", 1, 1, 0.002, 4)


def test_a_copy_of_a_harmful_photo_does_not_make_up_for_it(recognizer, live_photo) -> None:
    harmful, copy, good = live_photo(seed=5), live_photo(seed=5), live_photo()
    run = Run.objects.create(recognizer=recognizer, slot="1", queued_at=timezone.now())
    for photo, value in ((harmful, -0.002), (copy, 0), (good, 0.005)):
        PhotoValue.objects.create(run=run, photo=photo, value=value)
    (line,) = board(recognizer)
    assert line.worth == pytest.approx(0.003) and line.points == 2 + 3


def test_who_has_no_handle_appears_under_a_pseudonym(recognizer, live_photo) -> None:
    nobody = person(None)
    live_photo(by=nobody)
    assert board(recognizer)[0].name == f"volunteer {str(nobody.pk)[:4]}"


def test_erased_volunteers_and_withdrawn_photos_are_gone_from_the_board(recognizer, live_photo, volunteer) -> None:
    grace = person("Grace")
    photo, _ = live_photo(), live_photo(by=grace)
    erase(volunteer=grace)
    assert [line.name for line in board(recognizer)] == ["Ada"]
    withdraw(photo_id=photo.pk, volunteer=volunteer)
    assert board(recognizer) == []


def test_equal_points_share_a_place(recognizer, live_photo) -> None:
    people = [person(name) for name in ("Grace", "Edsger", "Barbara")]
    for index, one in enumerate(people):
        for _ in range(2 if index == 0 else 1):
            live_photo(by=one)
    live_photo()
    assert [line.place for line in board(recognizer)] == [1, 2, 2, 2]
    assert len(board(recognizer, limit=2)) == 2


# ---- periods -----------------------------------------------------------------------------------------------------
def test_a_photo_counts_in_the_day_week_and_season_of_its_acceptance_in_utc_and_in_no_other(recognizer, live_photo) -> None:
    photo = live_photo()
    moved(photo, datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC))  # a Tuesday, the last second of a season
    for kind, inside, outside in (
        ("day", [date(2026, 3, 31)], [date(2026, 3, 30), date(2026, 4, 1)]),
        ("week", [date(2026, 3, 30), date(2026, 4, 5)], [date(2026, 3, 29), date(2026, 4, 6)]),
        ("season", [date(2026, 1, 1), date(2026, 3, 31)], [date(2025, 12, 31), date(2026, 4, 1)]),
        ("all", [date(2020, 1, 1), date(2030, 1, 1)], []),
    ):
        assert all(board(recognizer, kind, day=day) for day in inside), kind
        assert not any(board(recognizer, kind, day=day) for day in outside), kind


def test_each_label_has_a_leaderboard_of_its_own(recognizer, live_photo) -> None:
    live_photo("copper"), live_photo("copper"), live_photo("gold")
    copper, silver, gold = recognizer.labels.order_by("position")
    assert [len(board(recognizer, label=label)) for label in (copper, silver, gold)] == [1, 0, 1]
    assert board(recognizer, label=copper)[0].photos == 2 and board(recognizer)[0].photos == 3


def test_places_go_on_over_pages_and_are_shared_by_equal_points(recognizer, live_photo, volunteer) -> None:
    people = [person(name) for name in ("Grace", "Edsger", "Barbara")]
    for one, count in zip([volunteer, *people], (3, 2, 2, 1), strict=True):
        for _ in range(count):
            live_photo(by=one)
    assert [line.place for line in board(recognizer)] == [1, 2, 2, 4]
    assert [line.place for line in board(recognizer, limit=2, skip=2)] == [2, 4]
    whole, everybody = period("all", timezone.now().date()), Volunteer.objects.values_list("pk", flat=True)
    found = fame.places(recognizer=recognizer, period=whole, volunteer_ids=everybody)
    assert found == {volunteer.pk: 1, people[0].pk: 2, people[1].pk: 2, people[2].pk: 4}


# ---- kept up to date ---------------------------------------------------------------------------------------------
def test_a_worker_recounts_what_was_marked_once_marks_have_gathered(recognizer, live_photo) -> None:
    live_photo()
    scores.settle(recognizer_id=recognizer.pk)  # so that only the recount is left to do
    assert work_once() == 0 and again(recognizer) == []
    with time_machine.travel(timezone.now() + timedelta(seconds=11)):
        assert work_once() == 1
        assert work_once() == 0 and len(again(recognizer)) == 1
    assert not FameMark.objects.exists()


def test_a_day_that_nothing_happened_on_is_not_counted_again(recognizer, live_photo, django_assert_max_num_queries) -> None:
    live_photo()
    settle(recognizer=recognizer)
    with django_assert_max_num_queries(1):
        settle(recognizer=recognizer)


def test_a_copy_counts_for_its_sender_once_the_first_photo_is_gone_on_another_day(recognizer, live_photo, volunteer) -> None:
    grace = person("Grace")
    first, copy = live_photo(seed=5), live_photo(seed=5, by=grace)
    moved(first, timezone.now() - timedelta(days=3))
    assert [line.name for line in board(recognizer)] == ["Ada"]
    withdraw(photo_id=first.pk, volunteer=volunteer)
    assert [line.name for line in board(recognizer)] == ["Grace"]
    assert copy.accepted_at


def test_an_interrupted_rebuild_leaves_a_mark_that_a_worker_finishes(recognizer, live_photo) -> None:
    live_photo()

    def stop(step: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuild(recognizer=recognizer, tick=stop)
    assert again(recognizer) == []
    with time_machine.travel(timezone.now() + timedelta(seconds=11)):
        work_once()
        assert len(again(recognizer)) == 1


def test_the_command_mends_rows_that_were_spoiled(recognizer, live_photo, capsys) -> None:
    live_photo()
    settle(recognizer=recognizer)
    good = rows(recognizer)
    FameDay.objects.update(photos=70)
    FameLine.objects.update(points=0, photos=9)
    call_command("fame", "--rebuild", "--recognizer", "coins")
    assert rows(recognizer) == good and "coins: 1 volunteers on 1 days, 0 badges." in capsys.readouterr().out


def rows(recognizer):
    """Every derived row, as values."""
    sums = ("photos", "likes", "valued", "worth")
    return (
        set(FameDay.objects.filter(recognizer=recognizer).values_list("volunteer", "label", "day", *sums)),
        set(
            FameLine.objects.filter(board__recognizer=recognizer).values_list(
                "board__kind", "board__begins", "board__label", "volunteer", "points", "listed", *sums
            )
        ),
        {
            (row.volunteer_id, row.kind, row.photo_id, row.day, str(row.facts))
            for row in FameBadge.objects.filter(recognizer=recognizer)
        },
    )


KINDS = ("send", "send", "vote", "reject", "relabel", "withdraw", "withdraw", "erase")  # twice: oftener
KINDS += ("value", "dark", "list", "settle", "move", "move")
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.integers(0, 5),
        st.integers(0, 5),
        st.booleans(),
    ),
    min_size=4,
    max_size=25,
)


@hypothesis_settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EVENTS, st.integers(1, 4))
def test_whatever_happens_a_rebuild_changes_nothing(recognizer, live_photo, moderator, settings, events, stretch) -> None:
    settings.FAME_CORNER_PHOTOS = 2
    from django.db import transaction

    with transaction.atomic(), pytest.MonkeyPatch.context() as patched:
        patched.setattr(fame_rows, "STRETCH_PHOTOS", stretch)
        try:
            _play(recognizer, live_photo, moderator, events)
            settle(recognizer=recognizer)
            kept = rows(recognizer)
            rebuild(recognizer=recognizer)
            assert rows(recognizer) == kept
        finally:
            transaction.set_rollback(True)


def _play(recognizer, live_photo, moderator, events) -> None:
    people = [person(f"Voter {number}") for number in range(3)]
    labels = list(recognizer.labels.order_by("position"))
    for step, (what, one, other, yes) in enumerate(events):
        there = [Volunteer.objects.filter(pk=each.pk).first() for each in people]
        who = there[one % 3]
        photos = list(Photo.objects.filter(state__in=["accepted", "rejected"]).order_by("received_at"))
        photo = photos[other % len(photos)] if photos else None
        if what == "settle":
            settle(recognizer=recognizer)
        elif what == "send" and who:
            live_photo(by=who, seed=other % 3 if yes else None, label=labels[other % 3].slug)
        elif photo is None:
            continue
        elif what == "vote" and who and photo.state == "accepted" and photo.volunteer_id != who.pk:
            cast(volunteer=who, photo_id=photo.pk, like=yes)
        elif what == "reject":
            decide(photo_id=photo.pk, moderator=moderator, verdict="reject", reason="unclear")
        elif what == "relabel":
            decide(photo_id=photo.pk, moderator=moderator, verdict="relabel", label=labels[one % 3])
        elif what == "withdraw":
            withdraw(photo_id=photo.pk, volunteer=photo.volunteer)
        elif what == "erase" and who and yes:
            erase(volunteer=who)
        elif what == "value":
            run = Run.objects.create(recognizer=recognizer, slot=str(step), queued_at=timezone.now() + timedelta(seconds=step))
            PhotoValue.objects.create(run=run, photo=photo, value=(one - 2) / 300)
            mark_all(recognizer.pk)
        elif what == "dark":
            if not Condition.objects.filter(photo=photo).exists():
                dark(photo)
            mark_all(recognizer.pk)
        elif what == "list" and who:
            fame_names.wish(volunteer=who, listed=yes)
        elif what == "move" and photo.state == "accepted":
            moved(photo, timezone.now() - timedelta(days=40 * one))


def test_days_are_counted_together_as_far_as_their_photos_fit_in_a_stretch(monkeypatch) -> None:
    monkeypatch.setattr(fame_rows, "STRETCH_PHOTOS", 5)
    first = date(2026, 11, 1)
    days = {first + timedelta(days=at): photos for at, photos in enumerate((2, 3, 0, 4, 9, 1, 1))}
    stretches = [((one - first).days, (last - first).days) for one, last in fame_rows._stretches(days)]
    assert stretches == [(0, 2), (3, 3), (4, 4), (5, 6)]
    assert fame_rows._stretches({}) == []


# ---- streaks -----------------------------------------------------------------------------------------------------
def test_a_streak_counts_days_of_sending_and_today_is_no_break_yet(recognizer, live_photo, volunteer) -> None:
    def streak(day):
        return fame.streaks(recognizer=recognizer, volunteer_ids=[volunteer.pk], day=day).get(volunteer.pk, 0)

    with time_machine.travel(datetime(2026, 11, 20, 23, 59, 30, tzinfo=UTC), tick=False):
        live_photo()
    with time_machine.travel(datetime(2026, 11, 21, 0, 0, 30, tzinfo=UTC), tick=False):
        live_photo(), live_photo()
    with time_machine.travel(datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC), tick=False):
        late = live_photo(state="pending")
    assert [streak(date(2026, 11, day)) for day in (19, 20, 21, 22, 23)] == [0, 1, 2, 2, 0]
    decide(photo_id=late.pk, moderator=None, verdict="accept")  # a slow moderator breaks nobody's streak
    assert [streak(date(2026, 11, day)) for day in (22, 23, 24)] == [3, 3, 0]


def test_copies_of_an_earlier_photo_keep_no_streak(recognizer, live_photo, volunteer) -> None:
    with time_machine.travel(datetime(2026, 11, 20, 12, tzinfo=UTC), tick=False):
        live_photo(seed=5)
    with time_machine.travel(datetime(2026, 11, 21, 12, tzinfo=UTC), tick=False):
        live_photo(seed=5)
    assert fame.streaks(recognizer=recognizer, volunteer_ids=[volunteer.pk], day=date(2026, 11, 22)) == {}


# ---- badges ------------------------------------------------------------------------------------------------------
def dark(photo) -> None:
    Condition.objects.create(photo=photo, brightness=0.1, sharpness=1, clutter=0, extent=0.3)


def badges(recognizer):
    settle(recognizer=recognizer)
    return {(row.volunteer.name, row.kind): row for row in FameBadge.objects.select_related("volunteer")}


def test_first_in_the_dark_goes_to_the_first_photo_and_on_when_it_is_withdrawn(recognizer, live_photo, volunteer) -> None:
    grace = person("Grace")
    first, second = live_photo(), live_photo(by=grace)
    dark(first), dark(second)
    mark_all(recognizer.pk)
    ((key, row),) = badges(recognizer).items()
    assert key == ("Ada", "first-in-the-dark") and row.photo == first and row.facts == {"label": "copper"}
    withdraw(photo_id=first.pk, volunteer=volunteer)
    assert set(badges(recognizer)) == {("Grace", "first-in-the-dark")}


def test_a_new_corner_is_taught_by_its_first_photos_once_there_are_enough(recognizer, live_photo, settings) -> None:
    settings.FAME_CORNER_PHOTOS = 2
    people = [person("Grace"), person("Edsger"), person("Barbara")]
    dark(live_photo(by=people[0]))
    mark_all(recognizer.pk)
    assert ("Grace", "new-corner") not in badges(recognizer)
    dark(live_photo(by=people[1])), dark(live_photo(by=people[2]))
    mark_all(recognizer.pk)
    corner = {name: row for (name, kind), row in badges(recognizer).items() if kind == "new-corner"}
    assert set(corner) == {"Grace", "Edsger"} and corner["Grace"].facts == {"label": "copper", "condition": "dark"}


def test_fixed_mistakes_names_the_release_and_is_lost_with_the_photo(recognizer, live_photo, volunteer, settings) -> None:
    from training.models import Fix, Release

    settings.FAME_FIXES = 2
    grace = person("Grace")
    mine, held = live_photo(), [live_photo(by=grace) for _ in range(2)]
    run = Run.objects.create(recognizer=recognizer, slot="1", queued_at=timezone.now(), state=Run.State.RELEASED)
    Release.objects.create(recognizer=recognizer, run=run, version=7)
    for mistake in held:
        Fix.objects.create(run=run, mistake=mistake, photo=mine, before=recognizer.labels.first(), nearness=0.9)
    mark_all(recognizer.pk)
    assert badges(recognizer)["Ada", "fixed-mistakes"].facts == {"count": 2, "release": 7}
    withdraw(photo_id=held[0].pk, volunteer=grace)
    assert badges(recognizer) == {}


# ---- names -------------------------------------------------------------------------------------------------------
def test_who_is_not_listed_is_gone_at_once_from_boards_and_frozen_editions(recognizer, live_photo, volunteer, api) -> None:
    live_photo(), live_photo(by=person("Grace"))
    edition = compose(recognizer=recognizer, day=timezone.now().date())
    before = fingerprint(edition=edition)
    assert "Ada" in str([entry.alt for entry in read(edition=edition).entries])
    answer = api.patch("/api/v1/volunteers/me/fame", {"listed": False}, format="json")
    assert answer.status_code == 200 and answer.data["standings"][0]["place"] is None
    assert [(line.name, line.place) for line in again(recognizer)] == [("Grace", 1)]
    reading = read(edition=edition)
    assert [line["name"] for line in reading.leaderboard] == ["Grace"]
    assert not any("Ada" in entry.alt + entry.credit for entry in reading.entries)
    assert {entry.credit for entry in reading.entries} == {"Grace", "a volunteer"} and fingerprint(edition=edition) != before
    rebuild(recognizer=recognizer)
    assert [line.name for line in again(recognizer)] == ["Grace"]
    api.patch("/api/v1/volunteers/me/fame", {"listed": True}, format="json")
    assert len(again(recognizer)) == 2


def test_a_pseudonym_is_shown_instead_of_the_handle_and_is_nobody_elses_name(recognizer, live_photo, volunteer, api) -> None:
    grace = person("Grace")
    live_photo()
    edition = compose(recognizer=recognizer, day=timezone.now().date())
    fame_names.wish(volunteer=volunteer, pseudonym="Countess")
    assert board(recognizer)[0].name == read(edition=edition).entries[0].credit == "Countess"
    for taken in ("grace", "COUNTESS"):
        with pytest.raises(NameTaken):
            fame_names.wish(volunteer=grace if taken != "grace" else volunteer, pseudonym=taken)
    assert api.patch("/api/v1/volunteers/me/fame", {"pseudonym": "a\r\nBcc: x"}, format="json").status_code == 422
    fame_names.wish(volunteer=volunteer, pseudonym="")
    assert board(recognizer)[0].name == "Ada"


# ---- teams -------------------------------------------------------------------------------------------------------
def test_a_team_counts_what_its_listed_members_have_and_ends_with_its_last(recognizer, live_photo, volunteer, api) -> None:
    grace = person("Grace")
    live_photo(), live_photo(by=grace), live_photo(by=person("Edsger"))
    settle(recognizer=recognizer)
    made = api.post("/api/v1/teams", {"name": "  Night owls "}, format="json")
    assert made.status_code == 201 and made.data["name"] == "Night owls"
    fame_teams.join(volunteer=grace, code=made.data["code"].lower(), address="192.0.2.1")
    lines = api.get("/api/v1/recognizers/coins/fame/teams?period=all").data["lines"]
    assert lines == [{"place": 1, "name": "Night owls", "members": 2, "photos": 2, "points": 2}]
    assert "Night owls" in Client().get("/fame/coins").content.decode()
    fame_names.wish(volunteer=grace, listed=False)
    assert api.get("/api/v1/recognizers/coins/fame/teams?period=all").data["lines"][0]["points"] == 1
    assert api.delete("/api/v1/volunteers/me/team").status_code == 204
    erase(volunteer=grace)
    assert not Team.objects.exists()


def test_codes_are_renewed_wrong_ones_are_counted_and_a_full_team_is_closed(volunteer, api, settings) -> None:
    settings.TEAM_MOST, settings.TEAM_TRIES_PER_DAY = 2, 3
    team, old = fame_teams.make(volunteer=volunteer, name="Owls")
    code = api.post("/api/v1/volunteers/me/team/code").data["code"]
    grace, edsger = person("Grace"), person("Edsger")
    with pytest.raises(TeamCodeNotValid):
        fame_teams.join(volunteer=grace, code=old, address="192.0.2.1")
    fame_teams.join(volunteer=grace, code=code, address="192.0.2.1")
    with pytest.raises(TeamFull):
        fame_teams.join(volunteer=edsger, code=code, address="192.0.2.1")
    with pytest.raises(InATeam):
        fame_teams.make(volunteer=grace, name="Others")
    with pytest.raises(NameTaken):
        fame_teams.make(volunteer=edsger, name="OWLS")
    with pytest.raises(NotATeamName):
        fame_teams.make(volunteer=edsger, name="\u202e")
    tries = [api.post("/api/v1/volunteers/me/team", {"code": "0000-0000-0000"}, format="json").status_code for _ in range(4)]
    assert tries == [403, 403, 403, 429] and team.members.count() == 2


# ---- the page and the API ----------------------------------------------------------------------------------------
def test_the_fame_page_shows_the_board_of_the_period_and_label_that_are_asked_for(recognizer, live_photo) -> None:
    with time_machine.travel(datetime(2026, 11, 24, 12, tzinfo=UTC), tick=False):
        live_photo()
        settle(recognizer=recognizer)
    client = Client()
    with time_machine.travel(datetime(2026, 11, 25, 12, tzinfo=UTC), tick=False):
        page = client.get("/fame/coins?period=week&label=copper").content.decode()
        assert "Ada" in page and "not known yet" in page and "the week from 23 November 2026" in page
        for address in ("/fame/coins?period=day", "/fame/coins?period=week&label=gold"):
            assert "Nobody has an accepted photo" in client.get(address).content.decode()
    for address in ("?period=century", "?day=x", "?from=0", "?from=x"):
        assert client.get(f"/fame/coins{address}").status_code == 400
    assert client.get("/fame/coins?label=tin").status_code == 404 and client.get("/fame/nothing").status_code == 404


def test_the_api_pages_and_answers_304_until_the_board_changes(recognizer, live_photo, api, settings, volunteer) -> None:
    settings.FAME_ROWS = 1
    live_photo(), live_photo(), live_photo(by=person("Grace"))
    settle(recognizer=recognizer)
    first = api.get("/api/v1/recognizers/coins/fame?period=all")
    assert [line["name"] for line in first.data["lines"]] == ["Ada"] and first.data["next"] == 2
    second = api.get("/api/v1/recognizers/coins/fame?period=all&from=2")
    assert second.data["lines"][0]["place"] == 2 and second.data["next"] is None
    tag = {"HTTP_IF_NONE_MATCH": first["ETag"]}
    assert api.get("/api/v1/recognizers/coins/fame?period=all", **tag).status_code == 304
    fame_names.wish(volunteer=volunteer, pseudonym="Countess")
    fresh = api.get("/api/v1/recognizers/coins/fame?period=all", **tag)
    assert fresh.status_code == 200 and fresh.data["lines"][0]["name"] == "Countess"


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("width", [360, 1280])
def test_the_fame_page_works_by_keyboard_and_axe_finds_nothing(
    live_server, settings, recognizer, live_photo, moderator, width
) -> None:
    settings.FAME_ROWS = 1
    live_photo(), live_photo(by=person("Grace"))
    settle(recognizer=recognizer)
    fame_teams.make(volunteer=Volunteer.objects.get(handle="Ada"), name="Night owls")
    with signed_in(live_server, settings, moderator, width) as page:
        page.goto(f"{live_server.url}/fame/coins")
        assert_accessible(page, "body")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.focus("#label")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url("**label=*")
        page.focus("text=Next places")
        page.keyboard.press("Enter")
        page.wait_for_url("**from=2*")
        assert page.get_by_role("rowheader").all_inner_texts() in (["Grace"], ["Ada"])
        assert_accessible(page, "body")
