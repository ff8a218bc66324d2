"""INTAKE, in the worker: one decode gives everything, upright; broken photos and dead workers are dealt with."""

import io
import subprocess
import sys
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.utils import timezone
from PIL import Image

from collector import develop as developing
from collector.decoder import perceptual_hash
from collector.develop import derive, develop, undeveloped
from collector.duplicates import bands_of, distance
from collector.models import Photo
from collector.storage import store
from config.duties import work_once
from tests.drawing import SECRET, jpeg, picture, png

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_is_derived_is_upright_whatever_the_phone_held(orientation: int) -> None:
    upright = picture(5, (640, 480))
    turned = upright
    for turn in {  # the inverse of what a viewer has to do
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }.get(orientation, []):
        turned = turned.transpose(turn)
    file = io.BytesIO()
    turned.save(file, "JPEG", quality=95)
    derived = derive(file.getvalue(), orientation)
    assert Image.open(io.BytesIO(derived.view)).size == (640, 480)
    assert distance(derived.bands, derive(_jpeg(upright), 1).bands) <= 4


def _jpeg(image: Image.Image, quality: int = 95) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def test_view_and_thumbnail_are_small_and_carry_no_metadata() -> None:
    derived = derive(jpeg(1, size=(4000, 3000)), 1)
    assert Image.open(io.BytesIO(derived.view)).size == (1000, 750)
    assert Image.open(io.BytesIO(derived.thumbnail)).size == (320, 240)
    for data in (derived.view, derived.thumbnail):
        assert SECRET.encode() not in data and not Image.open(io.BytesIO(data)).getexif()


def test_what_is_transparent_becomes_white() -> None:
    file = io.BytesIO()
    Image.new("RGBA", (64, 64), (255, 0, 0, 0)).save(file, "PNG")
    assert Image.open(io.BytesIO(derive(file.getvalue(), 1).view)).getpixel((5, 5)) == (255, 255, 255)
    assert derive(png(1, alpha=True), 1).view


def test_the_hash_is_robust_to_encoding_and_size_and_tells_photos_apart() -> None:
    images = [picture(seed) for seed in range(12)]
    hashes = [bands_of(perceptual_hash(image)) for image in images]
    for image, bands in zip(images, hashes, strict=True):
        again = Image.open(io.BytesIO(_jpeg(image.resize((500, 375)), 60)))
        assert distance(bands, bands_of(perceptual_hash(again))) <= settings.NEAR_DUPLICATE_BITS
    apart = [distance(a, b) for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(apart) > settings.NEAR_DUPLICATE_BITS


def test_a_received_photo_becomes_pending_with_its_pictures(live_photo: Any) -> None:
    photo = live_photo(state="received")
    assert undeveloped() == [str(photo.pk)]
    assert work_once() >= 1
    photo.refresh_from_db()
    assert photo.state == "pending" and photo.cluster == photo.pk and undeveloped() == []
    assert store().size(f"views/{photo.view_sha256}") and store().size(f"thumbnails/{photo.thumbnail_sha256}")
    assert develop(photo_id=photo.pk) is False  # done is done


def test_a_photo_whose_picture_data_is_damaged_is_set_aside(live_photo: Any) -> None:
    photo = live_photo(state="received")
    body = store().get(f"originals/{photo.sha256}")
    damaged = body[: len(body) // 3]
    path = store().path(f"originals/{photo.sha256}")  # type: ignore[attr-defined]
    path.write_bytes(damaged)
    assert develop(photo_id=photo.pk)
    photo.refresh_from_db()
    assert photo.state == "broken" and "does not decode" in photo.problem
    assert undeveloped() == []


def test_a_dead_workers_photo_is_taken_over_and_given_up_in_the_end(live_photo: Any, monkeypatch: Any) -> None:
    photo = live_photo(state="received")

    def killed(data: bytes, orientation: int) -> None:
        raise KeyboardInterrupt  # what a killed worker leaves: the claim, and nothing else

    with monkeypatch.context() as broken, time_machine.travel(timezone.now(), tick=False) as clock:
        broken.setattr(developing, "derive", killed)
        for _ in range(settings.DEVELOP_ATTEMPTS):
            with pytest.raises(KeyboardInterrupt):
                develop(photo_id=photo.pk)
            assert undeveloped() == []  # somebody may still be at it
            assert develop(photo_id=photo.pk) is False
            clock.shift(timedelta(seconds=settings.DEVELOP_LEASE_S + 1))
            assert undeveloped() == [str(photo.pk)]
        assert develop(photo_id=photo.pk)
    photo.refresh_from_db()
    assert photo.state == "broken" and "attempts" in photo.problem


def test_a_worker_that_slept_through_its_lease_writes_nothing(live_photo: Any, monkeypatch: Any) -> None:
    photo = live_photo(state="received")
    real = developing.derive

    def slow(data: bytes, orientation: int) -> Any:
        Photo.objects.filter(pk=photo.pk).update(attempts=2)  # meanwhile another worker claimed it
        return real(data, orientation)

    monkeypatch.setattr(developing, "derive", slow)
    assert develop(photo_id=photo.pk) is False
    photo.refresh_from_db()
    assert photo.state == "received" and not photo.view_sha256
    assert not [path for path in Path(settings.STORE_DIR).glob("views/**/*") if path.is_file()]


def test_a_photo_withdrawn_while_it_is_developed_leaves_no_bytes(live_photo: Any, monkeypatch: Any) -> None:
    photo = live_photo(state="received")
    real = developing.derive

    def withdrawn_meanwhile(data: bytes, orientation: int) -> Any:
        Photo.objects.filter(pk=photo.pk).update(state="withdrawn")
        return real(data, orientation)

    monkeypatch.setattr(developing, "derive", withdrawn_meanwhile)
    assert develop(photo_id=photo.pk) is False
    assert not [path for path in Path(settings.STORE_DIR).glob("views/**/*") if path.is_file()]


@pytest.fixture(autouse=True)
def own_store(settings: Any, tmp_path: Path) -> None:
    settings.STORE_DIR = tmp_path / "store"


def test_near_duplicates_share_a_cluster_whoever_sent_them(live_photo: Any, recognizer: Any) -> None:
    from collector.volunteers import register

    first = live_photo(seed=7, state="pending")
    other, _ = register(consent=True, handle="Grace", address="192.0.2.9")
    twin = live_photo(seed=7, state="pending", by=other)
    stranger = live_photo(seed=8, state="pending", by=other)
    assert twin.cluster == first.cluster == first.pk
    assert stranger.cluster == stranger.pk


def test_a_look_up_finds_every_neighbour_within_the_limit(recognizer: Any, live_photo: Any) -> None:
    """All hashes at a distance up to the limit are found through the bands, from a fixed photo and seeded flips."""
    import random

    from collector.duplicates import BAND_BITS, cluster_of

    rng = random.Random(3)
    photo = live_photo(seed=1, state="pending")
    bands = (photo.phash_0, photo.phash_1, photo.phash_2, photo.phash_3)
    new = Photo(pk=uuid.uuid4(), recognizer=recognizer)
    for bits in range(settings.NEAR_DUPLICATE_BITS + 1):
        for _ in range(20):
            changed = list(bands)
            for flip in rng.sample(range(64), bits):
                changed[flip // BAND_BITS] ^= 1 << flip % BAND_BITS
            assert cluster_of(new, tuple(changed)) == photo.pk, changed
    far = list(bands)
    for flip in rng.sample(range(64), settings.NEAR_DUPLICATE_BITS + 1):
        far[flip // BAND_BITS] ^= 1 << flip % BAND_BITS
    assert cluster_of(new, tuple(far)) == new.pk


def test_the_worker_needs_no_tensorflow() -> None:
    code = "import django; django.setup(); import collector.develop, sys; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
