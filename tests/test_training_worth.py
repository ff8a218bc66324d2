"""What each photo was worth, as rows: copies are worth nothing, the run's holder alone writes, sums are cheap to read."""

import uuid
from datetime import timedelta

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from collector.erasure import withdraw
from collector.models import Photo
from collector.volunteers import register
from tests.nights import accepted, claimed
from training import runs, worth
from training.errors import FencedOff
from training.models import PhotoValue, Run
from training.value import Seen, knn_shapley

pytestmark = pytest.mark.django_db
FROZEN = Seen(["f0", "f1"], np.array([0, 1]), np.eye(2, 4))


def seen(photos: list[Photo], *truths: int) -> Seen:
    """Photos whose features point to their label, each a little aside."""
    truth = np.array(truths)
    return Seen([str(p.pk) for p in photos], truth, np.eye(2, 4)[truth] + np.eye(len(photos), 4) * 0.1)


def test_copies_are_worth_nothing_and_the_first_received_is_worth_what_it_were_without_them(recognizer, volunteer):
    kin = uuid.uuid4()
    copy, first, other = (accepted(recognizer, volunteer, "copper", cluster=c) for c in (kin, kin, None))
    Photo.objects.filter(pk=first.pk).update(received_at=timezone.now() - timedelta(hours=1))
    train = seen([copy, first, other], 0, 0, 1)
    values = worth.judge(recognizer=recognizer, train=train, frozen=FROZEN)
    alone = knn_shapley(train.features[1:], train.truth[1:], FROZEN.features, FROZEN.truth)
    assert values == pytest.approx({str(copy.pk): 0, str(first.pk): alone[0], str(other.pk): alone[1]})
    assert values[str(copy.pk)] == 0.0 < values[str(first.pk)]


def test_a_hundred_copies_of_a_harmful_photo_hide_nothing(recognizer, volunteer):
    kin = uuid.uuid4()
    photos = [accepted(recognizer, volunteer, "copper", cluster=kin) for _ in range(3)] + [
        accepted(recognizer, volunteer, "gold") for _ in range(12)
    ]
    truth, looks = [1, 1, 1, *[0] * 6, *[1] * 6], [0, 0, 0, *[0] * 6, *[1] * 6]
    train = Seen([str(p.pk) for p in photos], np.array(truth), np.eye(2, 4)[looks])
    frozen = Seen(["f0"], np.array([0]), np.eye(1, 4))
    values = worth.judge(recognizer=recognizer, train=train, frozen=frozen)
    first = min(photos[:3], key=lambda photo: (photo.received_at, photo.pk))
    assert values[str(first.pk)] < 0
    assert [values[str(p.pk)] for p in photos[:3] if p.pk != first.pk] == [0, 0]


def test_when_the_first_is_withdrawn_the_next_one_takes_its_place(recognizer, volunteer):
    kin = uuid.uuid4()
    first, copy, other = (accepted(recognizer, volunteer, "copper", cluster=c) for c in (kin, kin, None))
    train = seen([first, copy, other], 0, 0, 1)
    withdraw(photo_id=first.pk, volunteer=volunteer)
    values = worth.judge(recognizer=recognizer, train=train, frozen=FROZEN)
    assert str(first.pk) not in values and values[str(copy.pk)] > 0


def test_a_repeated_attempt_replaces_the_values_and_leaves_withdrawn_photos_out(recognizer, volunteer):
    kept, gone = accepted(recognizer, volunteer, "copper"), accepted(recognizer, volunteer, "gold")
    run = claimed(recognizer)
    worth.keep(run=run, values={str(kept.pk): 0.1, str(gone.pk): 0.2})
    withdraw(photo_id=gone.pk, volunteer=volunteer)
    assert PhotoValue.objects.get().photo == kept
    worth.keep(run=run, values={str(kept.pk): 0.3, str(gone.pk): 0.4})
    assert [(row.photo_id, row.value) for row in PhotoValue.objects.all()] == [(kept.pk, 0.3)]


def test_who_lost_the_run_replaces_nothing(recognizer, volunteer):
    photo, run = accepted(recognizer, volunteer, "copper"), claimed(recognizer)
    worth.keep(run=run, values={str(photo.pk): 0.1})
    Run.objects.filter(pk=run.pk).update(fence=run.fence + 1)
    with pytest.raises(FencedOff):
        worth.keep(run=run, values={str(photo.pk): 0.9})
    assert PhotoValue.objects.get().value == 0.1


def test_sums_per_volunteer_are_of_the_newest_run_and_take_one_query(recognizer, volunteer):
    grace = register(consent=True, handle="Grace", address="192.0.2.8")[0]
    mine = [accepted(recognizer, volunteer, "copper") for _ in range(3)]
    hers, unknown = accepted(recognizer, grace, "gold"), accepted(recognizer, grace, "gold")
    for slot, factor in (("1", 100), ("2", 1)):
        run = claimed(recognizer, slot)
        worth.keep(run=run, values={str(p.pk): factor * 0.25 for p in mine} | {str(hers.pk): factor * -0.5})
        runs.finish(run, Run.State.KEPT, "done")
    everything = Photo.objects.filter(recognizer=recognizer)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert worth.by_volunteer(recognizer=recognizer, photos=everything) == {volunteer.pk: 0.75, grace.pk: -0.5}
    assert len(queries) == 2  # which run, and the sum
    assert worth.by_volunteer(recognizer=recognizer, photos=everything.filter(pk=mine[0].pk)) == {volunteer.pk: 0.25}
    assert unknown.pk not in worth.of_photos(recognizer=recognizer, photos=Photo.objects.all())


def test_before_any_night_nothing_is_known(recognizer, volunteer):
    accepted(recognizer, volunteer, "copper")
    assert worth.by_volunteer(recognizer=recognizer, photos=Photo.objects.all()) == {}
    assert worth.of_photos(recognizer=recognizer, photos=Photo.objects.all()) == {}
