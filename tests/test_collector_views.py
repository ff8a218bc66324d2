"""Pictures: what may be seen, with which headers, on which host."""

from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import Client
from rest_framework.test import APIClient

from collector.models import Photo
from newsletter import links
from newsletter.edition import compose, freeze
from newsletter.votes import cast
from tests.drawing import SECRET

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_store(settings: Any, tmp_path: Path) -> None:
    settings.STORE_DIR = tmp_path / "store"


@pytest.fixture
def two_hosts(settings: Any) -> None:
    settings.SITE_URL, settings.MEDIA_SITE_URL = "http://photorally.example", "http://pictures.example"
    settings.ALLOWED_HOSTS = ["photorally.example", "pictures.example", "testserver"]


def test_a_picture_can_only_be_shown(live_photo: Any) -> None:
    photo = live_photo()
    for digest in (photo.view_sha256, photo.thumbnail_sha256):
        answer = Client().get(f"/media/{digest}")
        assert answer.status_code == 200 and answer["Content-Type"] == "image/jpeg"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert answer["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert answer["ETag"] == f'"{digest}"' and "max-age=3600" in answer["Cache-Control"]
        assert not answer.cookies and SECRET.encode() not in answer.content
    assert Client().get(f"/media/{photo.sha256}").status_code == 404
    assert Client().get(f"/media/{photo.view_sha256}", headers={"Accept": "image/avif"}).status_code == 200


def test_a_picture_answers_head_and_if_none_match(live_photo: Any, volunteer: Any) -> None:
    photo = live_photo()
    address = f"/media/{photo.view_sha256}"
    whole, head = Client().get(address), Client().head(address)
    assert head.status_code == 200 and head.content == b"" and head["Content-Length"] == str(len(whole.content))
    same = Client().get(address, headers={"If-None-Match": whole["ETag"]})
    assert same.status_code == 304 and same.content == b"" and same["ETag"] == whole["ETag"]
    assert Client().get(address, headers={"If-None-Match": '"other"'}).status_code == 200
    Photo.objects.filter(pk=photo.pk).update(state="rejected")  # whoever still has it learns that it is gone
    assert Client().get(address, headers={"If-None-Match": whole["ETag"]}).status_code == 404


def test_the_media_host_answers_pictures_and_nothing_else(two_hosts: None, live_photo: Any) -> None:
    photo = live_photo()
    media = Client(headers={"host": "pictures.example"})
    assert media.get(f"/media/{photo.view_sha256}").status_code == 200
    assert Client(headers={"host": "pictures.example:8443"}).get(f"/media/{photo.view_sha256}").status_code == 200
    for path in (
        "/",
        "/admin/",
        "/admin/login/",
        "/api/v1/recognizers",
        "/newsletter/coins/",
        "/static/admin.css",
        "/mediax",
        "/healthz",
    ):
        answer = media.get(path)
        assert answer.status_code == 404 and not answer.cookies, path
    assert media.post("/api/v1/volunteers", {"consent": True}, content_type="application/json").status_code == 404


def test_the_other_hosts_send_pictures_to_the_media_host(two_hosts: None, live_photo: Any) -> None:
    photo = live_photo()
    for host in ("photorally.example", "testserver"):
        client = Client(headers={"host": host})
        answer = client.get(f"/media/{photo.view_sha256}")
        assert answer.status_code == 302 and answer.content == b""
        assert answer["Location"] == f"http://pictures.example/media/{photo.view_sha256}"
        assert client.get("/healthz").status_code == 200
    # No address leads anywhere else than to the media host.
    assert Client().get("/media///evil.example/x")["Location"].startswith("http://pictures.example/media/")


def test_without_a_media_host_every_host_answers_both(settings: Any, live_photo: Any) -> None:
    assert settings.MEDIA_SITE_URL == ""
    assert Client().get(f"/media/{live_photo().view_sha256}").status_code == 200
    assert Client().get("/healthz").status_code == 200


def test_pages_ballots_and_previews_name_the_media_host(
    two_hosts: None, live_photo: Any, api: APIClient, client: Client
) -> None:
    from django.utils import timezone

    from collector.volunteers import register

    other = register(consent=True, handle="Grace", address="192.0.2.2")[0]
    photo = live_photo(by=other)
    expected = f"http://pictures.example/media/{photo.view_sha256}"
    assert links.media(photo.view_sha256) == expected
    assert api.get("/api/v1/recognizers/coins/ballot").json()["photos"][0]["image"] == expected
    cast(volunteer=live_photo().volunteer, photo_id=photo.pk, like=True)
    edition = compose(recognizer=photo.recognizer, day=timezone.now().date())
    freeze(edition=edition)
    page = client.get(f"/newsletter/coins/{edition.number}/").content.decode()
    assert f'src="{expected}"' in page and 'src="/media/' not in page


@pytest.mark.parametrize(
    ("site", "media", "found"),
    [
        ("https://a.example", "", set()),
        ("https://a.example", "https://b.example", set()),
        ("https://a.example", "https://a.example", {"photorally.E021"}),
        ("https://a.example", "https://a.example:8443", {"photorally.E021"}),
        ("https://a.example", "http://b.example", {"photorally.W021"}),
        ("https://a.example", "https://b.example/pictures", {"photorally.W021"}),
    ],
)
def test_a_media_host_that_protects_nothing_is_found(settings: Any, site: str, media: str, found: set[str]) -> None:
    settings.SITE_URL, settings.MEDIA_SITE_URL = site, media
    messages = [message for message in run_checks() if str(message.id).endswith("021")]
    assert {message.id for message in messages} == found and all(message.hint for message in messages)
