"""The phone's API: every good and bad thing a phone can send, and what is stored afterwards."""

import hashlib
import io
import struct
import threading
import uuid
import zlib
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from collector.models import Allowance, Challenge, Photo, Recognizer, Volunteer
from collector.storage import store
from collector.volunteers import register
from tests.drawing import SECRET, jpeg, png, webp

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_store(settings: Any, tmp_path: Path) -> None:
    settings.STORE_DIR = tmp_path / "store"


@pytest.fixture
def other_api() -> APIClient:
    """A phone of somebody else."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {register(consent=True, handle='Grace', address='192.0.2.2')[1]}")
    return client


def address(photo_id: uuid.UUID | str, **changes: str) -> str:
    query = {"recognizer": "coins", "label": "copper"} | changes
    return f"/api/v1/photos/{photo_id}?" + "&".join(f"{name}={value}" for name, value in query.items() if value)


def send(client: Client, photo_id: uuid.UUID, data: bytes, kind: str = "image/jpeg", **changes: str) -> Any:
    return client.put(address(photo_id, **changes), data=data, content_type=kind)


def stored_objects() -> list[Path]:
    """What lies in the store, but for the empty tombstones of withdrawn photos."""
    return [path for path in settings.STORE_DIR.rglob("*") if path.is_file() and "tombstones" not in path.parts]


def assert_problem(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["type"] == f"urn:photorally:{code}" and body["status"] == status and body["detail"]
    return body


def test_registration_needs_consent_and_shows_a_token_once() -> None:
    client = APIClient()
    assert_problem(client.post("/api/v1/volunteers", {"consent": False}, format="json"), 422, "consent-required")
    assert_problem(client.post("/api/v1/volunteers", {}, format="json"), 400, "invalid")
    answer = client.post("/api/v1/volunteers", {"consent": True, "handle": "Ada"}, format="json")
    assert answer.status_code == 201
    row = Volunteer.objects.get(pk=answer.json()["id"])
    token = answer.json()["token"]
    assert row.token_hash == hashlib.sha256(token.encode()).hexdigest()
    assert row.consent_version == settings.CONSENT_VERSION
    assert_problem(client.post("/api/v1/volunteers", {"consent": True, "handle": "Ada"}, format="json"), 409, "handle-taken")


@pytest.mark.parametrize("handle", ["a", "x\r\nBcc: y", "\u202eevil", "<b>b</b>", "a" * 41])
def test_a_handle_that_cannot_be_printed_safely_is_refused(handle: str) -> None:
    answer = APIClient().post("/api/v1/volunteers", {"consent": True, "handle": handle}, format="json")
    assert answer.status_code in (400, 422)
    assert Volunteer.objects.count() == 0


def test_registrations_are_limited_by_address(settings: Any) -> None:
    settings.REGISTRATIONS_PER_DAY = 2
    client = APIClient()
    for _ in range(2):
        assert client.post("/api/v1/volunteers", {"consent": True}, format="json").status_code == 201
    refused = client.post("/api/v1/volunteers", {"consent": True}, format="json")
    assert_problem(refused, 429, "limit-reached")
    assert 0 < int(refused["Retry-After"]) <= 86_400


@pytest.mark.parametrize("header", [None, "Token wrong", "Token", "Token a b", "Token \xff", "Bearer x"])
def test_without_the_right_token_nothing_is_taken(recognizer: Recognizer, header: str | None) -> None:
    client = APIClient()
    if header is not None:
        client.credentials(HTTP_AUTHORIZATION=header)
    answer = send(client, uuid.uuid4(), jpeg())
    assert answer.status_code == 401 and answer["WWW-Authenticate"] == "Token"
    assert answer["Content-Type"] == "application/problem+json"
    assert Photo.objects.count() == 0


@pytest.mark.parametrize(("data", "kind"), [(jpeg(1), "image/jpeg"), (png(2), "image/png"), (webp(3), "image/webp")])
def test_a_photo_is_stored_without_metadata_under_its_digest(
    api: APIClient, recognizer: Recognizer, data: bytes, kind: str
) -> None:
    photo_id = uuid.uuid4()
    answer = send(api, photo_id, data, kind)
    assert answer.status_code == 201, answer.content
    assert answer.json()["sha256"] == hashlib.sha256(data).hexdigest()
    photo = Photo.objects.get(pk=photo_id)
    kept = store().get(f"originals/{photo.sha256}")
    assert hashlib.sha256(kept).hexdigest() == photo.sha256
    assert photo.state == "received" and photo.content_type == kind and photo.bytes == len(kept)
    assert photo.device_model == "Phone 7" and photo.licence == settings.PHOTO_LICENCE
    written = [*settings.VAR_DIR.rglob("*"), *settings.STORE_DIR.rglob("*")]
    assert not [path for path in written if path.is_file() and SECRET.encode() in path.read_bytes()]


def test_the_same_bytes_again_answer_200_and_other_bytes_409(api: APIClient, recognizer: Recognizer) -> None:
    photo_id = uuid.uuid4()
    assert send(api, photo_id, jpeg(1)).status_code == 201
    before = stored_objects()
    assert send(api, photo_id, jpeg(1)).status_code == 200
    problem = assert_problem(send(api, photo_id, jpeg(2)), 409, "photo-conflict")
    assert problem["sha256"] == hashlib.sha256(jpeg(1)).hexdigest()
    assert Photo.objects.count() == 1 and stored_objects() == before
    assert Allowance.objects.get(subject__startswith="photos:").used == 1


def test_another_volunteers_photo_is_neither_overwritten_nor_shown(
    api: APIClient, recognizer: Recognizer, other_api: APIClient
) -> None:
    photo_id = uuid.uuid4()
    assert send(api, photo_id, jpeg(1)).status_code == 201
    problem = assert_problem(send(other_api, photo_id, jpeg(1)), 409, "photo-conflict")
    assert "sha256" not in problem
    assert_problem(other_api.get(f"/api/v1/photos/{photo_id}"), 404, "unknown-photo")
    assert_problem(other_api.delete(f"/api/v1/photos/{photo_id}"), 404, "unknown-photo")
    assert Photo.objects.get().state == "received"
    assert api.get(f"/api/v1/photos/{photo_id}").json()["state"] == "received"


def huge_png() -> bytes:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    pieces = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in pieces
    )


@pytest.mark.parametrize(
    ("data", "kind", "changes", "status", "code"),
    [
        (jpeg(), "image/jpeg", {"label": "unicorn"}, 422, "unknown-label"),
        (jpeg(), "image/jpeg", {"label": ""}, 400, "missing-parameter"),
        (jpeg(), "image/jpeg", {"recognizer": ""}, 400, "missing-parameter"),
        (jpeg(), "image/jpeg", {"recognizer": "nothing"}, 404, "unknown-recognizer"),
        (jpeg(), "image/jpeg", {"challenge": "77"}, 422, "unknown-challenge"),
        (jpeg(), "image/jpeg", {"challenge": "x"}, 422, "unknown-challenge"),
        (b"hello", "image/jpeg", {}, 415, "not-an-allowed-format"),
        (jpeg(), "image/heic", {}, 415, "not-an-allowed-format"),
        (jpeg(), "text/plain", {}, 415, "not-an-allowed-format"),
        (jpeg()[:-200], "image/jpeg", {}, 422, "not-a-whole-image"),
        (b"\xff\xd8\xff\xd9", "image/jpeg", {}, 422, "not-a-whole-image"),
        (huge_png(), "image/png", {}, 413, "photo-too-large"),
    ],
)
def test_bad_input_is_a_clear_problem_and_stores_nothing(
    api: APIClient, recognizer: Recognizer, data: bytes, kind: str, changes: dict[str, str], status: int, code: str
) -> None:
    good = uuid.uuid4()
    assert send(api, good, jpeg(1)).status_code == 201
    before = stored_objects()
    assert_problem(send(api, uuid.uuid4(), data, kind, **changes), status, code)
    assert stored_objects() == before
    assert list(Photo.objects.values_list("pk", flat=True)) == [good]


def test_a_body_that_is_shorter_than_it_says_is_refused(api: APIClient, recognizer: Recognizer) -> None:
    data = jpeg()
    answer = api.generic(
        "PUT",
        address(uuid.uuid4()),
        data,
        content_type="image/jpeg",
        CONTENT_LENGTH=str(len(data) + 10),
        **{"wsgi.input": io.BytesIO(data)},
    )
    assert_problem(answer, 400, "length-mismatch")
    assert Photo.objects.count() == 0 and not stored_objects()


def test_zero_bytes_are_refused(api: APIClient, recognizer: Recognizer) -> None:
    answer = api.generic("PUT", address(uuid.uuid4()), b"", content_type="image/jpeg", CONTENT_LENGTH="0")
    assert_problem(answer, 422, "empty-body")
    assert Photo.objects.count() == 0 and not stored_objects()


def test_a_body_without_a_length_is_refused(api: APIClient, recognizer: Recognizer) -> None:
    answer = api.generic("PUT", address(uuid.uuid4()), jpeg(), content_type="image/jpeg", CONTENT_LENGTH="")
    assert_problem(answer, 411, "length-required")


def test_too_many_bytes_are_refused_before_they_are_read(api: APIClient, recognizer: Recognizer, settings: Any) -> None:
    settings.PHOTO_MAX_BYTES = 1000

    class Unread(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise AssertionError("the body was read")

    answer = api.generic(
        "PUT", address(uuid.uuid4()), b"", content_type="image/jpeg", CONTENT_LENGTH="1001", **{"wsgi.input": Unread()}
    )
    assert_problem(answer, 413, "photo-too-large")


def test_the_daily_limit_counts_photos_not_retries_and_ends_at_midnight(
    api: APIClient, recognizer: Recognizer, settings: Any
) -> None:
    settings.PHOTOS_PER_DAY = 2
    with time_machine.travel("2026-11-22T23:00:00Z", tick=False) as clock:
        first = uuid.uuid4()
        assert send(api, first, jpeg(1)).status_code == 201
        assert send(api, first, jpeg(1)).status_code == 200
        assert send(api, uuid.uuid4(), jpeg(2)).status_code == 201
        refused = send(api, uuid.uuid4(), jpeg(3))
        assert_problem(refused, 429, "limit-reached")
        assert refused["Retry-After"] == "3601"
        assert send(api, first, jpeg(1)).status_code == 200  # a retry is still answered
        clock.shift(3601)
        assert send(api, uuid.uuid4(), jpeg(3)).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_concurrent_twins_become_one_photo(recognizer: Recognizer, token: str) -> None:
    photo_id, data, answers = uuid.uuid4(), jpeg(1), []
    start = threading.Barrier(4)

    def twin() -> None:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
        start.wait()
        answers.append(send(client, photo_id, data).status_code)
        connection.close()

    threads = [threading.Thread(target=twin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 200, 200, 201]
    assert Photo.objects.count() == 1
    assert Allowance.objects.get(subject__startswith="photos:").used == 1
    assert store().size(f"originals/{Photo.objects.get().sha256}")


def test_a_withdrawn_photo_loses_its_bytes_and_its_uuid(
    api: APIClient, recognizer: Recognizer, django_capture_on_commit_callbacks: Any
) -> None:
    photo_id = uuid.uuid4()
    send(api, photo_id, jpeg(1))
    with django_capture_on_commit_callbacks(execute=True):
        receipt = api.delete(f"/api/v1/photos/{photo_id}").json()
    assert receipt["photos"] == 1
    assert not stored_objects()
    assert Photo.objects.get().state == "withdrawn" and Photo.objects.get().device_model == ""
    assert_problem(send(api, photo_id, jpeg(1)), 410, "photo-gone")


def test_withdrawing_keeps_bytes_that_another_photo_shares(
    api: APIClient, other_api: APIClient, recognizer: Recognizer, django_capture_on_commit_callbacks: Any
) -> None:
    mine, theirs = uuid.uuid4(), uuid.uuid4()
    send(api, mine, jpeg(1))
    send(other_api, theirs, jpeg(1))
    with django_capture_on_commit_callbacks(execute=True):
        api.delete(f"/api/v1/photos/{mine}")
    assert store().size(f"originals/{Photo.objects.get(pk=theirs).sha256}")


def test_erasure_withdraws_everything_and_ends_the_token(
    api: APIClient, volunteer: Volunteer, recognizer: Recognizer, django_capture_on_commit_callbacks: Any
) -> None:
    for seed in range(3):
        send(api, uuid.uuid4(), jpeg(seed))
    with django_capture_on_commit_callbacks(execute=True):
        receipt = api.delete("/api/v1/volunteers/me").json()
    assert receipt["photos"] == 3 and not stored_objects()
    assert not Volunteer.objects.filter(pk=volunteer.pk).exists()
    assert api.get(f"/api/v1/photos/{uuid.uuid4()}").status_code == 401


def test_recognizers_and_todays_challenge_are_public(recognizer: Recognizer) -> None:
    client = APIClient()
    listed = client.get("/api/v1/recognizers").json()
    assert [label["slug"] for label in listed[0]["labels"]] == ["copper", "silver", "gold"]
    with time_machine.travel("2026-11-22T10:00:00Z", tick=False):
        first = client.get("/api/v1/recognizers/coins/challenge").json()
        again = client.get("/api/v1/recognizers/coins/challenge").json()
    assert first == again and first["day"] == "2026-11-22"
    assert Challenge.objects.count() == 1
    assert_problem(client.get("/api/v1/recognizers/none/challenge"), 404, "unknown-recognizer")


def test_probes_answer_without_a_token() -> None:
    assert Client().get("/healthz").json() == {"alive": True}
    assert Client().get("/readyz").json() == {"ready": True, "broken": {}}
    assert "django_http_requests_total" in Client().get("/metrics").content.decode()


def test_readiness_says_which_part_does_not_answer(monkeypatch: Any) -> None:
    def gone() -> None:
        raise ConnectionError

    monkeypatch.setattr("collector.probes.store", gone)
    answer = Client().get("/readyz")
    assert answer.status_code == 503 and answer.json() == {"ready": False, "broken": {"store": "ConnectionError"}}


def test_an_unknown_address_is_a_problem_too() -> None:
    assert_problem(Client().get("/api/v1/nothing"), 404, "not-found")
