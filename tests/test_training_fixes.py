"""Which new photo fixed which mistake: found by nearness, kept by the run's holder, told without other people's photos."""

import numpy as np
import pytest

from collector.erasure import withdraw
from collector.models import Photo
from collector.signals import photo_described, volunteer_described
from collector.volunteers import register
from tests.nights import accepted, claimed, released
from training import fixes, release, runs, snapshot
from training.errors import FencedOff
from training.fixes import Found
from training.models import Fix, Run
from training.value import Seen

LABELS = ["copper", "silver", "gold"]


def answers(*predicted: int) -> np.ndarray:
    return np.eye(3)[list(predicted)]


def at(*degrees: float) -> np.ndarray:
    """Features at these angles: nearness is the cosine between them."""
    return np.array([[np.cos(np.radians(d)), np.sin(np.radians(d))] for d in degrees])


def found(before, after, truth, held, train_truth, train, new) -> list[Found]:
    frozen = Seen([f"h{n}" for n in range(len(truth))], np.array(truth), at(*held))
    learned = Seen([f"t{n}" for n in range(len(train))], np.array(train_truth), at(*train))
    return fixes.find(labels=LABELS, before=answers(*before), after=answers(*after), frozen=frozen, train=learned, new=new)


def test_the_nearest_new_photo_of_the_label_mended_it():
    (fix,) = found([1], [0], [0], [0], [0, 0, 0, 1], [10, 20, 30, 0], {"t1", "t2", "t3"})
    assert (fix.mistake, fix.photo, fix.before) == ("h0", "t1", "silver")
    assert fix.nearness == pytest.approx(np.cos(np.radians(20)))


def test_only_what_was_wrong_and_is_right_counts():
    before, after, truth = [0, 1, 1, 0], [0, 1, 2, 1], [0, 0, 0, 0]
    assert found(before, after, truth, [0] * 4, [0], [0], {"t0"}) == []


def test_where_older_photos_are_nearer_the_new_one_is_not_named():
    old = [1, 2, 3, 4, 5]
    assert found([1], [0], [0], [0], [0] * 6, [*old, 6], {"t5"}) == []
    assert len(found([1], [0], [0], [0], [0] * 6, [*old[:4], 90, 6], {"t5"})) == 1


def test_an_incumbent_of_fewer_classes_is_understood():
    frozen, train = Seen(["h"], np.array([2]), at(0)), Seen(["t"], np.array([2]), at(5))
    (fix,) = fixes.find(labels=LABELS, before=np.array([[0.9, 0.1]]), after=answers(2), frozen=frozen, train=train, new={"t"})
    assert fix.before == "copper"


def test_without_training_photos_nothing_is_found():
    frozen, train = Seen(["h"], np.array([0]), at(0)), Seen([], np.array([], int), np.zeros((0, 2)))
    assert fixes.find(labels=LABELS, before=answers(1), after=answers(0), frozen=frozen, train=train, new=set()) == []


# ---- rows --------------------------------------------------------------------------------------------------------
@pytest.fixture
def grace(db):
    return register(consent=True, handle="Grace", address="192.0.2.8")[0]


@pytest.fixture
def mended(recognizer, volunteer, grace):
    """(run, Ada's new gold photo, two held-out gold photos of Grace's that it mended): released as version 1."""
    photo = accepted(recognizer, volunteer, "gold")
    held = [accepted(recognizer, grace, "gold", "test") for _ in range(2)]
    run = claimed(recognizer, "mended")
    fixes.keep(run=run, found=[Found(str(each.pk), str(photo.pk), "copper", 0.9) for each in held])
    release.publish(run=run, artifacts=[], replaces=None, message="For a test.")
    return run, photo, held


def told(photo: Photo) -> list[str]:
    facts = [facts or {} for _, facts in photo_described.send(sender=Photo, photo=photo)]
    return next((each["mended"] for each in facts if "mended" in each), [])


@pytest.mark.django_db
def test_new_is_what_the_incumbents_snapshot_did_not_hold(recognizer, volunteer):
    old = accepted(recognizer, volunteer, "gold")
    incumbent = released(recognizer, b"v1")
    assert fixes.new_since(incumbent, [str(old.pk)]) == set()  # it has no snapshot: nothing can be said
    incumbent.run.snapshot = snapshot.take(recognizer=recognizer)
    new = accepted(recognizer, volunteer, "gold")
    assert fixes.new_since(incumbent, [str(old.pk), str(new.pk)]) == {str(new.pk)}
    assert fixes.new_since(None, [str(new.pk)]) == set()


def test_a_photos_page_tells_what_it_mended_and_names_nobody_else(mended, grace):
    _, photo, held = mended
    assert told(photo) == [
        "Your photo of Gold helped version 1 recognise Gold in 2 photos that the one before took for Copper."
    ]
    assert told(held[0]) == []
    text = str(
        [
            list(rows["mended"])
            for _, rows in volunteer_described.send(sender=None, volunteer=photo.volunteer)
            if "mended" in rows
        ]
    )
    assert text.count("'taken_before_for': 'copper'") == 2 and not any(str(each.pk) in text for each in held)


def test_what_a_refused_candidate_would_have_mended_is_not_told(recognizer, volunteer, grace):
    photo, held = accepted(recognizer, volunteer, "gold"), accepted(recognizer, grace, "gold", "test")
    run = claimed(recognizer)
    fixes.keep(run=run, found=[Found(str(held.pk), str(photo.pk), "copper", 0.9)])
    assert told(photo) == []
    runs.finish(run, Run.State.KEPT, "The gate refused it.")
    assert told(photo) == [] and Fix.objects.count() == 1


def test_a_withdrawn_photo_takes_its_rows_along_on_either_side(mended, volunteer, grace):
    _, photo, held = mended
    withdraw(photo_id=held[0].pk, volunteer=grace)
    assert [row.mistake for row in Fix.objects.all()] == [held[1]]
    withdraw(photo_id=photo.pk, volunteer=volunteer)
    assert not Fix.objects.exists()


def test_a_repeated_attempt_replaces_rows_and_leaves_withdrawn_photos_out(recognizer, volunteer, grace):
    photo, gone = accepted(recognizer, volunteer, "gold"), accepted(recognizer, volunteer, "gold")
    held = [accepted(recognizer, grace, "gold", "test") for _ in range(2)]
    run, rows = (
        claimed(recognizer),
        [Found(str(held[0].pk), str(photo.pk), "copper", 0.9), Found(str(held[1].pk), str(gone.pk), "copper", 0.8)],
    )
    fixes.keep(run=run, found=rows)
    withdraw(photo_id=gone.pk, volunteer=volunteer)
    fixes.keep(run=run, found=rows)
    assert Fix.objects.get().mistake == held[0]
    Run.objects.filter(pk=run.pk).update(fence=run.fence + 1)
    with pytest.raises(FencedOff):
        fixes.keep(run=run, found=[])
    assert Fix.objects.count() == 1


def test_a_rolled_back_release_keeps_the_version_that_mended(mended, recognizer):
    _, photo, _ = mended
    released(recognizer, b"v2")
    release.rollback(recognizer=recognizer)
    assert told(photo)[0].startswith("Your photo of Gold helped version 1 ")
