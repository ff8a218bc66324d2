"""VOTES: one per volunteer and photo, never for one's own, and a ballot that is fair and blind."""

import threading
import uuid
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from collector.models import Allowance, Photo
from collector.volunteers import register
from newsletter import votes
from newsletter.models import Vote
from tests.test_collector_api import assert_problem

pytestmark = pytest.mark.django_db


def client_of(handle: str) -> tuple[object, APIClient]:
    person, token = register(consent=True, handle=handle, address="192.0.2.7")
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    return person, client


@pytest.fixture
def grace(db: None):
    return client_of("Grace")


def vote(client: APIClient, photo_id: object, like: object = True):
    return client.post(f"/api/v1/photos/{photo_id}/vote", {"like": like}, format="json")


def test_the_first_vote_answers_201_a_repeated_one_200_and_a_changed_one_replaces_it(live_photo, grace) -> None:
    photo, (person, phone) = live_photo(), grace
    first = vote(phone, photo.pk)
    assert first.status_code == 201 and first.json() == {
        "photo": str(photo.pk),
        "like": True,
        "voted_at": first.json()["voted_at"],
    }
    assert vote(phone, photo.pk).status_code == 200
    changed = vote(phone, photo.pk, False)
    assert changed.status_code == 200 and changed.json()["like"] is False
    assert list(Vote.objects.values_list("volunteer", "photo", "like")) == [(person.pk, photo.pk, False)]


def test_nobody_votes_for_a_photo_of_their_own(live_photo, api) -> None:
    assert_problem(vote(api, live_photo().pk), 403, "own-photo")
    assert not Vote.objects.exists()


@pytest.mark.parametrize("state", ["received", "pending", "rejected"])
def test_only_accepted_photos_are_voted_on(live_photo, grace, state: str) -> None:
    assert_problem(vote(grace[1], live_photo(state=state).pk), 404, "not-votable")
    assert_problem(vote(grace[1], uuid.uuid4()), 404, "not-votable")
    assert not Vote.objects.exists()


def test_a_vote_needs_a_token_and_a_yes_or_no(live_photo, grace) -> None:
    photo = live_photo()
    assert_problem(vote(APIClient(), photo.pk), 401, "not-authenticated")
    assert_problem(vote(grace[1], photo.pk, "perhaps"), 400, "invalid")
    assert_problem(grace[1].post(f"/api/v1/photos/{photo.pk}/vote", {}, format="json"), 400, "invalid")
    assert not Vote.objects.exists()


def test_the_daily_allowance_counts_new_votes_only_and_returns_the_next_day(live_photo, grace, settings) -> None:
    settings.VOTES_PER_DAY = 2
    photos, (person, phone) = [live_photo() for _ in range(3)], grace
    assert [vote(phone, photo.pk).status_code for photo in photos[:2]] == [201, 201]
    assert vote(phone, photos[0].pk, False).status_code == 200
    refused = vote(phone, photos[2].pk)
    assert_problem(refused, 429, "limit-reached")
    assert int(refused["Retry-After"]) > 0
    assert Allowance.objects.get(subject=f"votes:{person.pk}").used == 2
    with time_machine.travel(timezone.now() + timedelta(days=1)):
        assert vote(phone, photos[2].pk).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_the_same_first_vote_sent_eight_times_at_once_is_one_row_and_one_use(live_photo, grace) -> None:
    photo, (person, _) = live_photo(), grace
    start, made = threading.Barrier(8), []

    def cast() -> None:
        try:
            start.wait()
            made.append(votes.cast(volunteer=person, photo_id=photo.pk, like=True).is_new)
        finally:
            connection.close()

    threads = [threading.Thread(target=cast) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [False] * 7 + [True]
    assert Vote.objects.count() == 1
    assert Allowance.objects.get(subject=f"votes:{person.pk}").used == 1


def ballot(client: APIClient) -> list[dict[str, str]]:
    answer = client.get("/api/v1/recognizers/coins/ballot")
    assert answer.status_code == 200, answer.content
    return answer.json()["photos"]


def test_a_ballot_shows_pictures_and_words_but_no_names(live_photo, grace, volunteer) -> None:
    photo = live_photo("silver")
    [entry] = ballot(grace[1])
    assert entry == {
        "id": str(photo.pk),
        "label": "silver",
        "image": f"http://testserver/media/{photo.view_sha256}",
        "alt": "Silver",
    }
    assert volunteer.name not in str(entry)
    assert grace[1].get(entry["image"])["Content-Type"] == "image/jpeg"


def test_a_ballot_leaves_out_own_voted_unaccepted_and_old_photos(live_photo, grace, settings) -> None:
    person, phone = grace
    live_photo(by=person)
    live_photo(state="pending")
    voted, old, wanted = live_photo(), live_photo(), live_photo()
    vote(phone, voted.pk)
    Photo.objects.filter(pk=old.pk).update(accepted_at=timezone.now() - timedelta(days=settings.EDITION_WINDOW_DAYS, hours=1))
    assert [entry["id"] for entry in ballot(phone)] == [str(wanted.pk)]


def test_one_of_near_duplicates_is_asked_about_until_one_of_them_is_voted_on(live_photo, grace) -> None:
    photos = [live_photo() for _ in range(3)]
    Photo.objects.update(cluster=photos[0].pk)
    Vote.objects.create(volunteer=client_of("Edsger")[0], photo=photos[2], like=True)
    assert [entry["id"] for entry in ballot(grace[1])] == [str(photos[2].pk)]  # where votes have gathered already
    vote(grace[1], photos[1].pk)
    assert ballot(grace[1]) == []


def test_a_near_duplicate_of_ones_own_photo_is_not_asked_about(live_photo, grace) -> None:
    own, copy = live_photo(by=grace[0]), live_photo()
    Photo.objects.filter(pk=copy.pk).update(cluster=own.pk)
    assert ballot(grace[1]) == []


def test_photos_with_the_fewest_votes_come_first(live_photo, grace, settings) -> None:
    settings.BALLOT_PHOTOS = 2
    photos = [live_photo() for _ in range(3)]
    for number, count in enumerate((2, 0, 1)):
        for voter in range(count):
            Vote.objects.create(volunteer=client_of(f"voter {number} {voter}")[0], photo=photos[number], like=False)
    assert [entry["id"] for entry in ballot(grace[1])] == [str(photos[1].pk), str(photos[2].pk)]


def test_volunteers_who_ask_together_get_different_orders(live_photo, recognizer) -> None:
    for _ in range(5):
        live_photo()
    people = [client_of(f"person {number}")[0] for number in range(6)]
    orders = {tuple(p.pk for p in votes.ballot(recognizer=recognizer, volunteer=person, count=5)) for person in people}
    assert len(orders) > 1


def test_the_ballot_of_an_unknown_or_inactive_recognizer_is_a_clear_404(recognizer, grace) -> None:
    assert_problem(grace[1].get("/api/v1/recognizers/none/ballot"), 404, "unknown-recognizer")
    type(recognizer).objects.update(active=False)
    assert_problem(grace[1].get("/api/v1/recognizers/coins/ballot"), 404, "unknown-recognizer")


def test_a_volunteer_sees_how_others_voted_on_the_own_photo(live_photo, api, grace) -> None:
    photo = live_photo()
    vote(grace[1], photo.pk, False)
    assert api.get(f"/api/v1/photos/{photo.pk}").json()["votes"] == {"likes": 0, "passes": 1}
