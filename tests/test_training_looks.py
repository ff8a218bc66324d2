"""SNAPSHOT → FINE-TUNE: a photo is looked at once, by whoever comes first, and what was seen of it leaves with it."""

import uuid
from dataclasses import replace

import numpy as np
import pytest

from collector.erasure import withdraw
from collector.models import Photo
from collector.storage import store
from tests.nights import accepted
from training import looks
from training.models import CachedView, Trunk
from training.recipe import top_blocks
from training.seen import Wanted, from_cache

SMALL = replace(top_blocks(), image_size=40, view_size=32, source_size=48, views=3)


@pytest.fixture(scope="session")
def files() -> tuple[bytes, bytes]:
    """A trunk of random weights, width 0.35 at 32 pixels."""
    import keras

    from training.export import export_float
    from training.network import eye_of, trunk_of

    keras.utils.set_random_seed(1)
    front, whole = (
        keras.applications.MobileNetV2(input_shape=(side, side, 3), alpha=0.35, include_top=False, weights=None)
        for side in (SMALL.view_size, SMALL.image_size)
    )
    return export_float(trunk_of(front, SMALL.boundary)), export_float(eye_of(whole, SMALL.boundary))


@pytest.fixture
def trunk(recognizer, files) -> Trunk:
    return made(recognizer, files, "a backbone")


def made(recognizer, files, backbone: str) -> Trunk:
    cut = looks.cut_name(backbone, SMALL)
    return looks.keep_trunk(recognizer=recognizer, cut=cut, recipe=SMALL, front=files[0], embedder=files[1])


def gathered(trunk: Trunk, photos: list[Photo], *, held_out: bool = False) -> tuple:
    wanted = [Wanted(str(photo.pk), f"views/{photo.view_sha256}", "group", 0) for photo in photos]
    return from_cache(trunk, wanted, SMALL, held_out=held_out, progress=lambda *_: None)


@pytest.mark.training
def test_an_accepted_photo_is_looked_at_once_by_the_worker_and_the_night_only_reads(recognizer, volunteer, trunk):
    photos = [accepted(recognizer, volunteer, "gold") for _ in range(3)]
    assert set(looks.unseen()) == {str(photo.pk) for photo in photos}
    assert looks.see(photo_id=photos[0].pk)
    assert not looks.see(photo_id=photos[0].pk)  # a second ring
    assert set(looks.unseen()) == {str(photo.pk) for photo in photos[1:]}
    seen, first = gathered(trunk, photos)
    assert first == 2  # the worker had looked at one
    assert (seen.pixels.shape, seen.pixels.dtype) == ((3, 40, 40, 3), np.uint8)
    assert (seen.activations.shape[:2], seen.activations.dtype) == ((3, 3), np.float16)
    assert (seen.centre.shape, seen.centre.dtype) == ((3, 3, 3, 32), np.float16)  # 40 pixels by 16, rounded up
    assert seen.features.shape == (3, 1280)
    again, second = gathered(trunk, [*photos, accepted(recognizer, volunteer, "copper")])
    assert second == 1  # one new photo, however many old ones
    np.testing.assert_array_equal(again.activations[:3], seen.activations)
    assert looks.unseen() == []
    assert not looks.see(photo_id=uuid.uuid4())


@pytest.mark.training
def test_until_a_night_has_made_its_trunk_anew_no_worker_looks_by_one_of_an_older_program(recognizer, volunteer, trunk):
    photo = accepted(recognizer, volunteer, "gold")
    older = {name: value for name, value in trunk.spec.items() if name != "format"}
    Trunk.objects.update(spec=older)
    assert looks.current(recognizer) is None and looks.unseen() == []
    assert not looks.see(photo_id=photo.pk)
    assert not CachedView.objects.exists()
    Trunk.objects.update(spec=trunk.spec)
    assert looks.see(photo_id=photo.pk)


@pytest.mark.training
def test_views_of_a_photo_differ_and_whoever_looks_again_sees_the_same(recognizer, volunteer, trunk):
    photo = accepted(recognizer, volunteer, "gold")
    data = store().get(f"views/{photo.view_sha256}")
    first, second = (looks.eye_of(trunk).look(data, str(photo.pk), held_out=False) for _ in range(2))
    assert looks.as_bytes(first, "a") == looks.as_bytes(second, "a") != looks.as_bytes(first, "b")
    assert not np.array_equal(first.activations[0], first.activations[1])
    alone = looks.eye_of(trunk).look(data, str(photo.pk), held_out=True)
    np.testing.assert_array_equal(alone.features, first.features)
    np.testing.assert_array_equal(alone.centre, first.centre)
    assert len(alone.activations) == 0
    other = looks.eye_of(trunk).look(data, str(uuid.uuid4()), held_out=False)
    np.testing.assert_array_equal(other.pixels, first.pixels)
    assert not np.array_equal(other.activations[0], first.activations[0])


@pytest.mark.training
def test_what_was_seen_of_a_withdrawn_photo_leaves_with_it_and_is_not_kept_afterwards(
    recognizer, volunteer, trunk, django_capture_on_commit_callbacks
):
    photo = accepted(recognizer, volunteer, "gold")
    looks.see(photo_id=photo.pk)
    row = CachedView.objects.get(photo=photo)
    look = looks.fetch(row.sha256)
    with django_capture_on_commit_callbacks(execute=True):
        withdraw(photo_id=photo.pk, volunteer=volunteer)
    assert not CachedView.objects.exists()
    assert store().size(f"{looks.KIND}/{row.sha256}") is None
    assert not looks.keep(photo_id=str(photo.pk), cut=trunk.cut, look=look)  # a worker that had begun before
    assert not CachedView.objects.exists()
    assert store().size(f"{looks.KIND}/{row.sha256}") is None


@pytest.mark.training
def test_a_lost_or_damaged_object_is_made_anew_by_the_night(recognizer, volunteer, trunk):
    photos = [accepted(recognizer, volunteer, "gold") for _ in range(2)]
    seen, _ = gathered(trunk, photos)
    lost, damaged = (CachedView.objects.get(photo=photo).sha256 for photo in photos)
    store().delete(f"{looks.KIND}/{lost}")
    store().put(f"{looks.KIND}/{damaged}", b"other bytes")
    again, made_anew = gathered(trunk, photos)
    assert made_anew == 2
    np.testing.assert_array_equal(again.activations, seen.activations)
    assert gathered(trunk, photos)[1] == 0


@pytest.mark.training
def test_another_backbone_is_another_name_and_what_the_old_one_saw_is_removed(
    recognizer, volunteer, trunk, files, django_capture_on_commit_callbacks
):
    photo = accepted(recognizer, volunteer, "gold")
    looks.see(photo_id=photo.pk)
    old = CachedView.objects.get().sha256
    newer = made(recognizer, files, "another backbone")
    assert newer.cut != trunk.cut
    assert looks.current(recognizer) == newer
    assert looks.unseen() == [str(photo.pk)]
    assert looks.see(photo_id=photo.pk)
    with django_capture_on_commit_callbacks(execute=True):
        assert looks.forget_others(newer) == 1
    assert [row.cut for row in CachedView.objects.all()] == [newer.cut]
    assert list(Trunk.objects.all()) == [newer]
    assert store().size(f"{looks.KIND}/{old}") is None
    assert gathered(newer, [photo])[1] == 0  # what the new one saw is its own, although it is the same picture


def test_every_number_of_looking_is_in_the_name_and_no_other():
    name = looks.cut_name("a backbone", SMALL)
    assert name == looks.cut_name("a backbone", replace(SMALL, top_epochs=99, seed=1))
    for change in ({"views": 4}, {"boundary": "block_9_add"}, {"source_size": 64}, {"image_size": 64}, {"view_size": 64}):
        assert looks.cut_name("a backbone", replace(SMALL, **change)) != name
    assert looks.cut_name("another", SMALL) != name
