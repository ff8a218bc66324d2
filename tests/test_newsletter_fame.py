"""FAME: counted from rows, in public names, without those who are gone."""

from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from collector.erasure import erase, withdraw
from collector.models import Photo
from collector.volunteers import register
from newsletter.fame import leaderboard
from newsletter.models import Vote
from training.models import PhotoValue, Run

pytestmark = pytest.mark.django_db


def person(handle: str | None):
    return register(consent=True, handle=handle, address="192.0.2.8")[0]


def board(recognizer, **changes):
    period = {"since": None, "until": timezone.now() + timedelta(minutes=1), "limit": 10} | changes
    return leaderboard(recognizer=recognizer, **period)


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


def test_only_what_was_accepted_in_the_period_is_summed_up(recognizer, live_photo) -> None:
    now = timezone.now()
    old, new = live_photo(), live_photo()
    Photo.objects.filter(pk=old.pk).update(accepted_at=now - timedelta(days=40))
    run = Run.objects.create(recognizer=recognizer, slot="1", queued_at=now)
    for photo in (old, new):
        PhotoValue.objects.create(run=run, photo=photo, value=0.01)
    assert board(recognizer, since=now - timedelta(days=30))[0].worth == 0.01
    assert board(recognizer)[0].worth == 0.02


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


def test_only_photos_accepted_in_the_period_count(recognizer, live_photo) -> None:
    now = timezone.now()
    photo = live_photo()
    Photo.objects.filter(pk=photo.pk).update(accepted_at=now)
    assert board(recognizer, since=now, until=now) == []
    assert len(board(recognizer, since=now, until=now + timedelta(seconds=1))) == 1
    assert board(recognizer, since=now + timedelta(seconds=1)) == []


def test_equal_points_share_a_place(recognizer, live_photo) -> None:
    people = [person(name) for name in ("Grace", "Edsger", "Barbara")]
    for index, one in enumerate(people):
        for _ in range(2 if index == 0 else 1):
            live_photo(by=one)
    live_photo()
    assert [line.place for line in board(recognizer)] == [1, 2, 2, 2]
    assert len(board(recognizer, limit=2)) == 2


def test_the_fame_page_shows_the_board_of_the_period_that_is_asked_for(recognizer, live_photo) -> None:
    live_photo()
    client = Client()
    page = client.get("/fame/coins")
    assert page.status_code == 200 and "Ada" in page.content.decode() and "not known yet" in page.content.decode()
    with time_machine.travel(timezone.now() + timedelta(days=20)):
        assert "Ada" in client.get("/fame/coins?period=month").content.decode()
        assert "Nobody has an accepted photo" in client.get("/fame/coins?period=week").content.decode()
    with time_machine.travel(timezone.now() + timedelta(days=200)):
        assert "Ada" in client.get("/fame/coins?period=all").content.decode()
    assert client.get("/fame/coins?period=century").status_code == 400
    assert client.get("/fame/nothing").status_code == 404
