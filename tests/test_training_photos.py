"""SNAPSHOT → FINE-TUNE: the photos of a night are those that are still accepted when it reads them."""

import pytest

from collector.erasure import withdraw
from collector.models import Photo
from collector.storage import MissingObject, store
from tests.nights import claimed, collected
from training import photos, plan


def silent(step: str, done: int, total: int) -> None:
    """Progress that nobody looks at."""


def test_a_photo_withdrawn_after_the_snapshot_is_left_out_of_the_night(recognizer, volunteer):
    all_of_them = collected(recognizer, volunteer)
    run = claimed(recognizer)
    tonight = plan.make(run)
    gone = all_of_them[0]
    Photo.objects.filter(pk=gone.pk).update(state=Photo.State.WITHDRAWN)
    store().delete(f"views/{gone.view_sha256}")
    frozen = run.snapshot
    tonight, loaded = photos.ready(run, tonight, silent)
    assert str(gone.pk) not in loaded.train.ids
    assert len(loaded.train) == 17
    assert run.snapshot != frozen
    size = tonight.recipes[0].image_size
    assert loaded.train.pixels.shape == (17, size, size, 3)
    assert loaded.made == 17 + 12


def test_photos_withdrawn_one_after_the_other_are_all_left_out_and_a_lost_one_is_an_error(recognizer, volunteer, monkeypatch):
    all_of_them = collected(recognizer, volunteer)
    run = claimed(recognizer)
    tonight = plan.make(run)
    really, left = photos.load, all_of_them[:2]

    def withdrawn_before_each_try(run, tonight, progress):
        if left:
            gone = left.pop()
            withdraw(photo_id=gone.pk, volunteer=volunteer)
            store().delete(f"views/{gone.view_sha256}")  # what follows the commit
        return really(run, tonight, progress)

    monkeypatch.setattr(photos, "load", withdrawn_before_each_try)
    _, loaded = photos.ready(run, tonight, silent)
    assert len(loaded.train) == 16 and not {str(photo.pk) for photo in all_of_them[:2]} & set(loaded.train.ids)
    store().delete(f"views/{all_of_them[5].view_sha256}")
    with pytest.raises(MissingObject):
        photos.ready(run, plan.make(run), silent)
