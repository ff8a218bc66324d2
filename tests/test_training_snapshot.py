"""Snapshots: what they hold, what they refuse, and where a withdrawn photo went."""

import hashlib
import json
import uuid

import pytest

from collector.models import Photo
from collector.signals import photo_described, photos_withdrawn
from collector.storage import store
from tests.nights import accepted, claimed, collected, released
from training import runs, snapshot
from training.errors import CorruptSnapshot, EmptySnapshot, NothingHeldOut, TooFewPhotos
from training.models import PhotoValue, Run, Snapshot
from training.receipts import learned_from


@pytest.fixture
def labels(recognizer):
    return list(recognizer.labels.all())


def test_a_snapshot_is_named_by_the_digest_of_its_canonical_lines(recognizer, volunteer):
    photos = collected(recognizer, volunteer)
    taken = snapshot.take(recognizer=recognizer)
    stored = store().get(f"snapshots/{taken.digest}")
    assert hashlib.sha256(stored).hexdigest() == taken.digest
    lines = [json.loads(line) for line in stored.splitlines()]
    assert [line["photo"] for line in lines] == sorted(str(photo.pk) for photo in photos)
    assert list(lines[0]) == ["group", "label", "photo", "sha256", "split", "view"]
    assert taken.photos == len(photos)
    assert taken.counts["train"] == {"copper": 6, "silver": 6, "gold": 6}
    assert taken.counts["test"] == {"copper": 2, "silver": 2, "gold": 2}


def test_the_same_photos_are_the_same_snapshot_and_one_more_is_another(recognizer, volunteer):
    collected(recognizer, volunteer)
    first = snapshot.take(recognizer=recognizer)
    assert snapshot.take(recognizer=recognizer) == first
    accepted(recognizer, volunteer, "gold")
    second = snapshot.take(recognizer=recognizer)
    assert second.digest != first.digest
    assert second.photos == first.photos + 1
    assert len(snapshot.read(first)) == first.photos


def test_only_accepted_photos_with_a_split_get_in(recognizer, volunteer):
    kept = accepted(recognizer, volunteer, "gold")
    accepted(recognizer, volunteer, "gold", split="none")
    for state in (Photo.State.WITHDRAWN, Photo.State.REJECTED, Photo.State.PENDING):
        photo = accepted(recognizer, volunteer, "gold")
        Photo.objects.filter(pk=photo.pk).update(state=state)
    assert [entry.photo for entry in snapshot.read(snapshot.take(recognizer=recognizer))] == [str(kept.pk)]


def test_a_group_tells_volunteers_apart_without_naming_them(recognizer, volunteer):
    from collector.volunteers import register

    other, _ = register(consent=True, handle="Bo", address="192.0.2.2")
    cluster = uuid.uuid4()
    by_phone = accepted(recognizer, volunteer, "gold", source="phone", cluster=cluster)
    by_other = accepted(recognizer, other, "gold", source="phone", cluster=cluster)
    imported = accepted(recognizer, volunteer, "gold", cluster=cluster)
    groups = {entry.photo: entry.group for entry in snapshot.read(snapshot.take(recognizer=recognizer))}
    assert groups[str(imported.pk)] == str(cluster)
    assert groups[str(by_phone.pk)] != groups[str(by_other.pk)]
    assert groups[str(by_phone.pk)].endswith(f"/{cluster}")
    assert str(volunteer.pk) not in groups[str(by_phone.pk)]


def test_no_accepted_photo_is_an_empty_snapshot(recognizer):
    with pytest.raises(EmptySnapshot, match="no accepted photo"):
        snapshot.take(recognizer=recognizer)
    assert not Snapshot.objects.exists()


def test_a_changed_file_is_no_snapshot(recognizer, volunteer):
    collected(recognizer, volunteer)
    taken = snapshot.take(recognizer=recognizer)
    path = store().path(f"snapshots/{taken.digest}")
    path.write_bytes(path.read_bytes().replace(b'"train"', b'"test"', 1))
    with pytest.raises(CorruptSnapshot):
        snapshot.read(taken)
    path.unlink()
    with pytest.raises(CorruptSnapshot):
        snapshot.read(taken)


def test_a_label_with_too_few_training_photos_is_left_out_and_counted(recognizer, volunteer, labels, settings):
    collected(recognizer, volunteer)
    settings.MIN_PHOTOS_PER_LABEL = 6
    Photo.objects.filter(label__slug="silver", split="train").first().delete()
    classes = snapshot.classes(snapshot.read(snapshot.take(recognizer=recognizer)), labels)
    assert classes.labels == ["copper", "gold"]
    assert classes.dropped == {"silver": 5}


def test_one_learnable_label_is_too_few(recognizer, volunteer, labels):
    for _ in range(5):
        accepted(recognizer, volunteer, "gold")
    accepted(recognizer, volunteer, "silver")
    with pytest.raises(TooFewPhotos) as refusal:
        snapshot.classes(snapshot.read(snapshot.take(recognizer=recognizer)), labels)
    assert refusal.value.facts == {"counts": {"copper": 0, "silver": 1}, "needed": 3}
    assert "only 1 of 3 has them: copper (0), silver (1)" in refusal.value.detail


def test_nothing_is_learned_that_could_not_be_judged(recognizer, volunteer, labels):
    collected(recognizer, volunteer)
    Photo.objects.filter(split="test").delete()
    with pytest.raises(NothingHeldOut, match="test"):
        snapshot.classes(snapshot.read(snapshot.take(recognizer=recognizer)), labels)


def test_many_dropped_labels_fit_into_a_sentence():
    assert snapshot.too_few({f"label-{n}": n for n in range(8)}, most=2) == "label-0 (0), label-1 (1) and 6 more"


def test_a_withdrawn_photo_is_traced_to_its_snapshots_and_releases(recognizer, volunteer):
    early = collected(recognizer, volunteer)
    first = released(recognizer, b"first")
    Run.objects.filter(pk=first.run_id).update(snapshot=snapshot.take(recognizer=recognizer))
    late = accepted(recognizer, volunteer, "gold")
    second = released(recognizer, b"second")
    Run.objects.filter(pk=second.run_id).update(snapshot=snapshot.take(recognizer=recognizer))
    never = accepted(recognizer, volunteer, "gold", split="none")

    assert snapshot.containing([early[0].pk]) == [_digest(first), _digest(second)]
    assert snapshot.containing([late.pk]) == [_digest(second)]
    assert [str(row) for row in learned_from([_digest(first)]).releases] == ["coins v1"]
    assert snapshot.containing([never.pk]) == snapshot.containing([]) == []
    assert learned_from([]).releases == []


def _digest(release) -> str:
    return Run.objects.get(pk=release.run_id).snapshot.digest


def test_an_unreadable_snapshot_counts_as_holding_the_photo(recognizer, volunteer):
    photo = collected(recognizer, volunteer)[0]
    taken = snapshot.take(recognizer=recognizer)
    store().delete(f"snapshots/{taken.digest}")
    assert snapshot.containing([photo.pk]) == [taken.digest]


def test_the_receipt_of_a_withdrawal_names_what_learned_from_it(recognizer, volunteer):
    from collector.erasure import withdraw

    photo = collected(recognizer, volunteer)[0]
    taken = snapshot.take(recognizer=recognizer)
    learned = released(recognizer, b"model")
    Run.objects.filter(pk=learned.run_id).update(snapshot=taken)
    receipt = withdraw(photo_id=photo.pk, volunteer=volunteer).receipt
    assert receipt["snapshots"] == [taken.digest]
    assert receipt["releases"] == ["coins v1"]
    assert photos_withdrawn.has_listeners(Photo)


def test_a_photo_tells_what_the_newest_run_found_it_worth(recognizer, volunteer):
    photo = accepted(recognizer, volunteer, "gold")
    assert "worth" not in _described(photo)
    for slot, value in (("1", 0.5), ("2", -0.25)):
        run = claimed(recognizer, slot)
        PhotoValue.objects.create(run=run, photo=photo, value=value)
        runs.finish(run, Run.State.KEPT, "done")
    assert _described(photo)["worth"] == -0.25


def _described(photo: Photo) -> dict:
    answers = [facts for _, facts in photo_described.send(sender=Photo, photo=photo)]
    return {name: value for facts in answers for name, value in (facts or {}).items()}
