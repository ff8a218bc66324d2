"""The reference phone's pixels: a photo made as small as the server has measured to be enough."""

import io

import pytest
from PIL import Image

from clients.phone import Phone
from clients.vision import shrunk
from tests.drawing import jpeg


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize(("orientation", "size"), [(1, (640, 480)), (6, (480, 640)), (3, (640, 480))])
def test_a_shrunk_photo_is_upright_and_without_metadata(orientation, size):
    small = opened(shrunk(jpeg(1, orientation=orientation), shorter_side=120, quality=70))
    assert small.size == (size[0] // 4, size[1] // 4)
    assert small.format == "JPEG"
    assert not small.getexif()


def test_a_small_photo_does_not_grow():
    assert opened(shrunk(jpeg(2, size=(90, 300)), shorter_side=120, quality=70)).size == (90, 300)


@pytest.mark.django_db(transaction=True)
def test_a_phone_fits_its_photo_to_what_the_server_says_is_enough(recognizer, live_server, tmp_path):
    photo = jpeg(1)
    with Phone(live_server.url, folder=tmp_path) as phone:
        assert phone.fitted(photo, recognizer="coins") == photo  # nothing is known yet
        recognizer.upload_side, recognizer.upload_quality = 120, 70
        recognizer.save()
        small = phone.fitted(photo, recognizer="coins")
        assert opened(small).size == (160, 120)
        assert len(phone.fitted(small, recognizer="coins")) <= len(small)
        assert phone.fitted(photo, recognizer="tins") == photo
