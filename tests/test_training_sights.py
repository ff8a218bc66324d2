"""What the released model takes a new photo for: kept by the run's holder, of photos it has not learned, by today's label."""

import numpy as np
import pytest

from collector.erasure import withdraw
from collector.models import Photo
from collector.signals import photo_described, volunteer_described
from tests.nights import accepted, claimed
from tests.test_training_nightly import candidate, collected, nights  # noqa: F401  a fixture is taken by its name
from training import runs, sights
from training.errors import FencedOff
from training.models import Condition, FirstSight, Run

LABELS = ["copper", "silver", "gold"]
pytestmark = pytest.mark.django_db


def seen(run: Run, *photos: Photo, answers: list[list[float]], truth: list[int]) -> None:
    ids = [str(photo.pk) for photo in photos]
    sights.keep(run=run, labels=LABELS, photo_ids=ids, truth=np.array(truth), answers=np.array(answers))


def test_a_photo_fools_by_what_the_model_withheld_from_its_label(recognizer, volunteer):
    photos = [accepted(recognizer, volunteer, "gold") for _ in range(3)]
    seen(claimed(recognizer), *photos[:2], answers=[[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]], truth=[2, 2])
    assert sights.fooled(photos=Photo.objects.all()) == {photos[0].pk: pytest.approx(0.9), photos[1].pk: 0.0}


def test_a_relabelled_photo_is_judged_by_its_label_of_today(recognizer, volunteer):
    photo = accepted(recognizer, volunteer, "gold")
    seen(claimed(recognizer), photo, answers=[[0.7, 0.2, 0.1]], truth=[2])
    Photo.objects.filter(pk=photo.pk).update(label=recognizer.labels.get(slug="copper"))
    assert sights.fooled(photos=Photo.objects.all()) == {photo.pk: 0.0}


def test_a_label_that_the_model_does_not_know_had_no_chance(recognizer, volunteer):
    photo = accepted(recognizer, volunteer, "gold")
    seen(claimed(recognizer), photo, answers=[[0.6, 0.4]], truth=[2])
    assert sights.fooled(photos=Photo.objects.all()) == {photo.pk: 1.0}


def test_what_a_newer_release_says_of_a_photo_that_it_has_not_learned_replaces_what_an_older_one_said(recognizer, volunteer):
    photo = accepted(recognizer, volunteer, "gold")
    first = claimed(recognizer, "1")
    seen(first, photo, answers=[[0.7, 0.2, 0.1]], truth=[2])
    runs.finish(first, Run.State.KEPT, "For a test.")
    seen(claimed(recognizer, "2"), photo, answers=[[0.1, 0.1, 0.8]], truth=[2])
    assert sights.fooled(photos=Photo.objects.all()) == {photo.pk: 0.0}
    assert FirstSight.objects.get().run.slot == "2"


def test_a_run_that_was_lost_writes_nothing(recognizer, volunteer):
    photo, run = accepted(recognizer, volunteer, "gold"), claimed(recognizer)
    Run.objects.filter(pk=run.pk).update(fence=run.fence + 1)
    with pytest.raises(FencedOff):
        seen(run, photo, answers=[[0.7, 0.2, 0.1]], truth=[2])
    assert not FirstSight.objects.exists()


def test_it_goes_with_the_photo_and_none_is_written_of_a_withdrawn_one(recognizer, volunteer):
    photo, gone = accepted(recognizer, volunteer, "gold"), accepted(recognizer, volunteer, "gold")
    withdraw(photo_id=gone.pk, volunteer=volunteer)
    seen(claimed(recognizer), photo, gone, answers=[[0.7, 0.2, 0.1]] * 2, truth=[2, 2])
    assert [row.photo for row in FirstSight.objects.all()] == [photo]
    withdraw(photo_id=photo.pk, volunteer=volunteer)
    assert not FirstSight.objects.exists()


def test_its_volunteer_is_told(recognizer, volunteer):
    photo = accepted(recognizer, volunteer, "gold")
    seen(claimed(recognizer), photo, answers=[[0.7, 0.2, 0.1]], truth=[2])
    told = {"taken_for": "copper", "own_label": pytest.approx(0.1)}
    assert {"first_sight": told} in [facts for _, facts in photo_described.send(sender=Photo, photo=photo)]
    parts = [facts for _, facts in volunteer_described.send(sender=None, volunteer=volunteer) if "first_sights" in facts]
    assert list(parts[0]["first_sights"]) == [{"photo": str(photo.pk)} | told]


def test_a_night_asks_the_released_model_about_the_photos_that_came_since(recognizer, volunteer, candidate):  # noqa: F811
    candidate("good")
    collected(recognizer, volunteer, train=5, held=12)
    nights(recognizer, "1")
    assert not FirstSight.objects.exists()  # there was no release to ask
    since = [accepted(recognizer, volunteer, "gold"), accepted(recognizer, volunteer, "copper", "test")]
    nights(recognizer, "2")
    assert {row.photo for row in FirstSight.objects.all()} == set(since)
    assert all(row.own > 0.3 for row in FirstSight.objects.all())
    assert Condition.objects.filter(photo__in=since).count() == 2
    assert runs.Run.objects.filter(slot="2").get().state == Run.State.RELEASED
