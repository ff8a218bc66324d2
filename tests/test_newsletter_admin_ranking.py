"""RANKING on screen: moderators make known pairs, and see scores and rings without being able to change them."""

import pytest
from django.test import Client

from newsletter import scores
from newsletter.models import KnownPair, Ranking

pytestmark = pytest.mark.django_db
PAIRS = "/admin/newsletter/knownpair/"


@pytest.fixture
def chief(admin_user) -> Client:
    client = Client()
    client.force_login(admin_user)
    return client


def add(client: Client, recognizer, better, worse):
    asked = {"recognizer": recognizer.pk, "better": better.pk, "worse": worse.pk}
    return client.post(f"{PAIRS}add/", asked, follow=True)


def test_a_moderator_makes_a_known_pair_and_takes_it_back(chief, recognizer, live_photo):
    better, worse = live_photo(), live_photo()
    assert add(chief, recognizer, better, worse).status_code == 200
    pair = KnownPair.objects.get()
    assert (pair.better, pair.worse, pair.source) == (better, worse, "moderator")
    page = chief.get(PAIRS).content.decode()
    assert 'alt="the better one"' in page and 'alt="the worse one"' in page
    chief.post(f"{PAIRS}{pair.pk}/delete/", {"post": "yes"})
    assert not KnownPair.objects.exists()


def test_a_pair_of_a_photo_that_no_ballot_shows_is_refused_with_the_reason(chief, recognizer, live_photo):
    better = live_photo()
    for worse in (live_photo(state="pending"), better):
        answer = add(chief, recognizer, better, worse)
        assert "Choose an accepted photo" in answer.content.decode() or "known_pair_of_two" in answer.content.decode()
    assert not KnownPair.objects.exists()


def test_scores_and_rings_are_shown_and_not_changed(chief, recognizer, live_photo, volunteer):
    photo = live_photo()
    scores.settle(recognizer_id=recognizer.pk)
    Ranking.objects.update(rings=[[str(volunteer.pk)]])
    ranking = Ranking.objects.get()
    assert "1 accounts" in chief.get("/admin/newsletter/ranking/").content.decode()
    page = chief.get(f"/admin/newsletter/ranking/{ranking.pk}/change/").content.decode()
    assert f"/admin/collector/volunteer/{volunteer.pk}/change/" in page
    assert 'alt="number 1"' in chief.get("/admin/newsletter/photoscore/").content.decode()
    for address in (f"ranking/{ranking.pk}", f"photoscore/{photo.score.pk}"):
        assert chief.post(f"/admin/newsletter/{address}/change/", {"photos": 9}).status_code == 403
        assert chief.post(f"/admin/newsletter/{address}/delete/", {"post": "yes"}).status_code == 403
