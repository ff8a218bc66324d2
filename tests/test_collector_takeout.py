"""The takeout: whole, without metadata, nobody else's, in flat memory, and honest about what is missing."""

import io
import json
import tracemalloc
import uuid
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.dispatch import Signal
from django.utils import timezone
from rest_framework.test import APIClient

from clients.phone import Phone
from collector import takeout
from collector.erasure import erase, withdraw
from collector.models import Photo, Recognizer, Volunteer
from collector.storage import store
from collector.volunteers import register
from newsletter.edition import compose
from newsletter.votes import cast
from tests.drawing import SECRET, png
from tests.nights import claimed
from training.models import PhotoValue

pytestmark = pytest.mark.django_db
EXPORT = "/api/v1/volunteers/me/export"


@pytest.fixture(autouse=True)
def own_store(settings: Any, tmp_path: Path) -> None:
    settings.STORE_DIR = tmp_path / "store"


def opened(parts: Any) -> tuple[zipfile.ZipFile, dict[str, Any]]:
    archive = zipfile.ZipFile(io.BytesIO(b"".join(parts)))
    assert archive.testzip() is None
    return archive, json.loads(archive.read("data.json"))


def test_a_takeout_holds_everything_and_nothing_of_others(
    live_photo: Any, api: APIClient, volunteer: Volunteer, recognizer: Recognizer, moderator: Any
) -> None:
    other = register(consent=True, handle="Grace", address="192.0.2.2")[0]
    photos = [live_photo(), live_photo(state="rejected"), live_photo(state="received")]
    theirs, gone = live_photo(by=other), live_photo()
    alpha = uuid.uuid4()
    query = "recognizer=coins&label=gold"
    assert api.put(f"/api/v1/photos/{alpha}?{query}", data=png(3), content_type="image/png").status_code == 201
    cast(volunteer=volunteer, photo_id=theirs.pk, like=True)
    cast(volunteer=other, photo_id=photos[0].pk, like=True)
    PhotoValue.objects.create(run=claimed(recognizer), photo=photos[0], value=0.25)
    printed = compose(recognizer=recognizer, day=timezone.now().date())
    receipt = withdraw(photo_id=gone.pk, volunteer=volunteer)

    answer = api.get(EXPORT, headers={"Accept": "application/zip"})

    assert answer.status_code == 200 and answer["Content-Type"] == "application/zip" and answer.streaming
    assert "no-store" in answer["Cache-Control"]
    archive, data = opened(answer.streaming_content)
    mine = [*photos, Photo.objects.get(pk=alpha)]
    endings = {"image/jpeg": "jpg", "image/png": "png"}
    files = {f"photos/{photo.pk}.{endings[photo.content_type]}": photo for photo in mine}
    assert set(archive.namelist()) == {*files, "README.txt", "data.json"}
    for name, photo in files.items():
        assert archive.read(name) == store().get(f"originals/{photo.sha256}") and SECRET.encode() not in archive.read(name)
        assert archive.getinfo(name).compress_type == zipfile.ZIP_STORED
    assert data["account"]["handle"] == "Ada" and data["account"]["consent_version"] == volunteer.consent_version
    told = {row["id"]: row for row in data["photos"]}
    assert set(told) == {str(photo.pk) for photo in (*mine, gone)}
    first = told[str(photos[0].pk)]
    assert first["label"] == "copper" and first["device_model"] == "Phone 7" and first["worth"] == 0.25
    assert first["votes"] == {"likes": 1, "passes": 0} and first["sha256"] == photos[0].sha256
    assert told[str(photos[1].pk)]["decisions"][0]["reason"] == "unclear"
    assert (told[str(gone.pk)]["file"], told[str(gone.pk)]["why"]) == (None, "withdrawn")
    assert [row["id"] for row in data["erasures"]] == [str(receipt.pk)]
    assert [(row["photo"], row["like"]) for row in data["votes_given"]] == [(str(theirs.pk), True)]
    assert data["worth"][0]["value"] == 0.25 and data["fame"][0]["recognizer"] == "coins"
    assert str(printed) in [row["edition"] for row in data["printed"]]
    text = archive.read("data.json").decode()
    assert moderator.username not in text and "Grace" not in text and volunteer.token_hash not in text
    # Every column of the row is told, under its own name.
    assert {field.name for field in Photo._meta.concrete_fields} - {"volunteer"} <= set(first)


def test_a_photo_withdrawn_while_the_zip_is_made_is_left_out_and_named(
    live_photo: Any, volunteer: Volunteer, django_capture_on_commit_callbacks: Any
) -> None:
    photos = sorted((live_photo() for _ in range(3)), key=lambda photo: photo.pk)
    parts = takeout.export(volunteer=volunteer)
    begun = [next(parts)]
    with django_capture_on_commit_callbacks(execute=True):
        withdraw(photo_id=photos[1].pk, volunteer=volunteer)
    late = live_photo()
    archive, data = opened([*begun, *parts])
    assert {name for name in archive.namelist() if name.startswith("photos/")} == {
        f"photos/{photo.pk}.jpg" for photo in (photos[0], photos[2])
    }
    told = {row["id"]: row for row in data["photos"]}
    assert told[str(photos[1].pk)]["why"] == "withdrawn" and told[str(photos[1].pk)]["device_model"] == ""
    assert told[str(late.pk)]["why"] == "it came in while this zip was made"
    assert told[str(photos[0].pk)]["file"] == f"photos/{photos[0].pk}.jpg"


def test_a_lost_file_is_named_and_an_erased_account_ends_the_zip_whole(live_photo: Any, volunteer: Volunteer) -> None:
    lost, kept = live_photo(), live_photo()
    store().delete(f"originals/{lost.sha256}")
    archive, data = opened(takeout.export(volunteer=volunteer))
    told = {row["id"]: row for row in data["photos"]}
    assert told[str(lost.pk)]["file"] is None and "operator" in told[str(lost.pk)]["why"]
    assert told[str(kept.pk)]["file"] in archive.namelist()
    parts = takeout.export(volunteer=volunteer)
    begun = next(parts)
    erase(volunteer=Volunteer.objects.get(pk=volunteer.pk))
    _, data = opened([begun, *parts])
    assert data["photos"] == [] and data["account"]["id"] == str(volunteer.pk)


def test_takeouts_are_limited_a_day_and_need_the_token(settings: Any, api: APIClient) -> None:
    settings.TAKEOUTS_PER_DAY = 1
    assert api.get(EXPORT).status_code == 200
    refused = api.get(EXPORT)
    assert refused.status_code == 429 and int(refused["Retry-After"]) > 0 and "takeouts" in refused.json()["detail"]
    assert APIClient().get(EXPORT).status_code == 401


def test_memory_does_not_grow_with_the_number_of_photos(live_photo: Any, volunteer: Volunteer, monkeypatch: Any) -> None:
    monkeypatch.setattr(takeout, "photo_described", Signal())  # two queries a photo, slow while memory is traced
    body = bytes(200_000)
    first = live_photo(state="received")
    row = Photo.objects.filter(pk=first.pk).values().get()

    def peak(count: int) -> int:
        digests = [f"{number:064x}" for number in range(Photo.objects.count(), count)]
        for digest in digests:
            path = store().path(f"originals/{digest}")  # type: ignore[attr-defined]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
        Photo.objects.bulk_create(Photo(**row | {"id": uuid.uuid4(), "sha256": digest}) for digest in digests)
        tracemalloc.start()
        for _ in takeout._parts(volunteer, timezone.now()):
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    for _ in takeout.export(volunteer=volunteer):  # once before: caches and imports are not what is measured
        pass
    few, many = peak(20), peak(200)
    # 180 photos more are 36 MB in the zip. In memory the directory grows, and rows that wait for the garbage collector.
    assert many - few < 0.06 * 180 * len(body), (few, many)


@pytest.mark.django_db(transaction=True)
def test_the_phone_saves_its_takeout(live_photo: Any, token: str, live_server: Any, tmp_path: Path) -> None:
    photo = live_photo()
    with Phone(live_server.url, folder=tmp_path / "phone") as phone:
        phone.http.token = token
        phone.takeout(tmp_path / "takeout.zip")
    with zipfile.ZipFile(tmp_path / "takeout.zip") as archive:
        assert archive.read(f"photos/{photo.pk}.jpg") == store().get(f"originals/{photo.sha256}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["phone", "store", "takeout.zip"]
