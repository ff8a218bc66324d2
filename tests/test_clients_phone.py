"""The reference phone against servers that are slow, gone, hostile, or real."""

import hashlib
import io
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

import numpy as np
import pytest
from PIL import Image

from clients import refusals
from clients.calls import ATTEMPTS, LONGEST_WAIT_S, ServerRefused, TryLater
from clients.forging import Signer
from clients.phone import Phone, content_type
from clients.vision import prepare
from tests.answering import Answer, Server
from tests.drawing import jpeg, picture, png, webp

NOW = 1_790_000_000.0
MODEL = bytes(range(256)) * 1000  # 256,000 bytes: four chunks, so that a download can break in the middle
ROOT, KEY, STRANGER = Signer.named("root"), Signer.named("online"), Signer.named("stranger")


@pytest.fixture
def server() -> Iterator[Server]:
    started = Server()
    yield started
    started.close()


@dataclass
class Waits:
    seconds: list[float] = field(default_factory=list)

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def phone(server: Server, waits: Waits, tmp_path) -> Phone:
    return Phone(server.url, folder=tmp_path, sleep=waits, clock=lambda: NOW)


def problem(status: int, code: str, **headers: str) -> Answer:
    facts = {"type": f"urn:photorally:{code}", "title": "No.", "status": status, "detail": "Really not."}
    return status, {"Content-Type": "application/problem+json", **headers}, json.dumps(facts).encode()


# ---- calls on a bad network --------------------------------------------------------------------------------------
def test_an_upload_survives_errors_that_pass_and_is_the_same_call_each_time(phone, server, waits):
    photo_id, body = uuid.uuid4(), jpeg(1)
    server.sequence(f"/api/v1/photos/{photo_id}", None, problem(503, "busy"), (201, {}, b"{}"))
    assert phone.send(body, recognizer="coins", label="gold", photo_id=photo_id) == photo_id
    assert [(method, path, sent) for method, path, _, sent in server.requests] == [
        ("PUT", f"/api/v1/photos/{photo_id}?recognizer=coins&label=gold", body)
    ] * 3
    assert len(waits.seconds) == 2


def test_retry_after_is_waited_for(phone, server, waits):
    server.sequence("/api/v1/recognizers", problem(429, "limit-reached", **{"Retry-After": "7"}), (200, {}, b"[]"))
    assert phone.recognizers() == []
    assert waits.seconds == [7.0]


def test_a_long_retry_after_is_left_to_the_app(phone, server, waits):
    later = str(LONGEST_WAIT_S + 1)
    server.sequence("/api/v1/recognizers", problem(429, "limit-reached", **{"Retry-After": later}))
    with pytest.raises(TryLater) as error:
        phone.recognizers()
    assert error.value.retry_after_s == LONGEST_WAIT_S + 1
    assert waits.seconds == []


def test_patience_is_bounded_and_the_waits_grow(phone, server, waits):
    server.sequence("/api/v1/recognizers", None)
    with pytest.raises(TryLater):
        phone.recognizers()
    assert len(server.requests) == ATTEMPTS
    assert len(waits.seconds) == ATTEMPTS - 1
    assert all(later > sooner for sooner, later in zip(waits.seconds, waits.seconds[1:], strict=False))


def test_a_final_answer_is_not_asked_for_twice(phone, server, waits):
    server.sequence("/api/v1/photos/" + str(uuid.UUID(int=1)), problem(422, "not-a-whole-image"))
    with pytest.raises(ServerRefused) as error:
        phone.send(b"no photo", recognizer="coins", label="gold", photo_id=uuid.UUID(int=1))
    assert (error.value.status, error.value.code) == (422, "not-a-whole-image")
    assert len(server.requests) == 1


def test_a_registration_whose_answer_was_lost_is_not_repeated(phone, server):
    server.sequence("/api/v1/volunteers", None)
    with pytest.raises(TryLater):
        phone.register(consent=True)
    assert len(server.requests) == 1


def test_the_token_is_kept_for_the_owner_alone_and_sent_only_where_it_is_needed(phone, server, tmp_path):
    server.sequence("/api/v1/volunteers", (201, {}, json.dumps({"id": "7", "token": "secret"}).encode()))
    server.sequence("/api/v1/recognizers", (200, {}, b"[]"))
    phone.register(consent=True)
    assert (tmp_path / "account.json").stat().st_mode & 0o077 == 0
    again = Phone(server.url, folder=tmp_path)
    again.recognizers()
    assert server.requests[-1][2]["Authorization"] == "Token secret"
    publish(server)
    Phone(server.url, folder=tmp_path, clock=lambda: NOW).update_model("coins")
    assert len(server.requests) == 5  # two above; manifest, keys and file go to whoever serves them, without the token
    assert not any("Authorization" in headers for _, _, headers, _ in server.requests[2:])


@pytest.mark.parametrize(
    ("draw", "expected"), [(jpeg, "image/jpeg"), (png, "image/png"), (webp, "image/webp"), (lambda: b"?", "image/jpeg")]
)
def test_the_content_type_follows_from_the_bytes(draw, expected):
    assert content_type(draw()) == expected


# ---- the model ---------------------------------------------------------------------------------------------------
def payload(**changes) -> dict:
    spec = {"width": 32, "height": 32, "channels": "RGB", "layout": "NHWC", "batch": 1, "dtype": "uint8", "range": [0, 255]}
    digest = hashlib.sha256(MODEL).hexdigest()
    artifact = {"format": "int8", "sha256": digest, "bytes": len(MODEL), "url": f"/blobs/{digest}", "input": spec}
    artifact |= changes.pop("artifact", {})
    return {
        "recognizer": "coins",
        "channel": "stable",
        "version": 3,
        "issued_at": int(NOW) - 60,
        "expires_at": int(NOW) + 86_400,
        "minimum_app": "1.0",
        "rollout": 100,
        "labels": [{"slug": "copper", "name": "Copper"}, {"slug": "gold", "name": "Gold"}],
        "artifacts": [artifact],
    } | changes


def publish(
    server: Server, *, token: str | None = None, root: Signer = ROOT, keys_version: int = 1, blob: bytes = MODEL, **changes
) -> None:
    """Offer a model, as the server does: manifest with ETag, keys, blob with Range."""
    token = token or KEY.sign(payload(**changes))
    etag = f'"{hashlib.sha256(token.encode()).hexdigest()}"'

    def manifest(handler: BaseHTTPRequestHandler) -> Answer:
        if handler.headers.get("If-None-Match") == etag:
            return 304, {"ETag": etag}, b""
        return 200, {"ETag": etag, "Content-Type": "application/jose"}, token.encode()

    def ranged(handler: BaseHTTPRequestHandler) -> Answer:
        asked = handler.headers.get("Range")
        if not asked:
            return 200, {}, blob
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        return 206, {"Content-Range": f"bytes {start}-{len(blob) - 1}/{len(blob)}"}, blob[start:]

    said = root.key_set(KEY, version=keys_version, issued_at=int(NOW) - 60, expires_at=int(NOW) + 30 * 86_400)
    document = {"root": {"version": 1, "key": root.jwk}, "rotations": [], "keys": said}
    content = json.dumps(document).encode()
    keys_etag = f'"{hashlib.sha256(content).hexdigest()}"'

    def keys(handler: BaseHTTPRequestHandler) -> Answer:
        if handler.headers.get("If-None-Match") == keys_etag:
            return 304, {"ETag": keys_etag}, b""
        return 200, {"ETag": keys_etag}, content

    server.routes["/api/v1/recognizers/coins/manifest"] = manifest
    server.routes["/.well-known/photorally-keys.json"] = keys
    server.routes[f"/blobs/{payload(**changes)['artifacts'][0]['sha256']}"] = ranged


def downloads(server: Server) -> list[tuple[str, str, dict[str, str], bytes]]:
    return [request for request in server.requests if request[1].startswith("/blobs/")]


def test_a_verified_model_is_downloaded_once(phone, server):
    publish(server)
    assert phone.update_model("coins") is True
    assert phone.model("coins").file().read_bytes() == MODEL
    assert phone.update_model("coins") is False
    assert len(downloads(server)) == 1
    asked_again = [headers for _, path, headers, _ in server.requests[3:] if "blobs" not in path]
    assert len(asked_again) == 2 and all("If-None-Match" in headers for headers in asked_again)
    assert f"device={phone.device}" in server.requests[0][1]


def test_a_newer_version_replaces_the_older_one(phone, server, tmp_path):
    publish(server)
    phone.update_model("coins")
    newer = MODEL + b"more"
    artifact = {"sha256": hashlib.sha256(newer).hexdigest(), "bytes": len(newer), "url": "/newer"}
    publish(server, version=4, artifact=artifact)
    server.sequence("/newer", (200, {}, newer))
    assert phone.update_model("coins") is True
    assert phone.model("coins").file().read_bytes() == newer
    assert len(list(tmp_path.rglob("*.tflite"))) == 1


def test_a_higher_version_that_points_at_the_same_file_needs_no_download(phone, server):
    publish(server)
    phone.update_model("coins")
    publish(server, version=5)
    assert phone.update_model("coins") is False
    assert phone.model("coins").current.version == 5
    assert len(downloads(server)) == 1


def test_the_root_is_pinned_at_first_use(phone, server):
    publish(server)
    phone.update_model("coins")
    publish(server, version=9, root=STRANGER)
    with pytest.raises(refusals.KeysNotVouched):
        phone.update_model("coins")


def test_a_root_that_ships_with_the_app_is_the_only_one_believed(server, tmp_path):
    publish(server, root=STRANGER)
    shipped = Phone(server.url, folder=tmp_path, clock=lambda: NOW, root={"version": 1, "key": ROOT.jwk})
    with pytest.raises(refusals.KeysNotVouched):
        shipped.update_model("coins")
    publish(server)
    assert shipped.update_model("coins") is True


def test_what_is_remembered_outlives_the_app(server, tmp_path):
    publish(server, keys_version=7)
    Phone(server.url, folder=tmp_path, clock=lambda: NOW).update_model("coins")
    publish(server, keys_version=6)
    with pytest.raises(refusals.KeysLowerVersion):
        Phone(server.url, folder=tmp_path, clock=lambda: NOW).update_model("coins")


def test_a_clock_set_back_below_the_newest_manifest_brings_no_expired_one_back(server, tmp_path):
    publish(server)
    Phone(server.url, folder=tmp_path, clock=lambda: NOW).update_model("coins")
    publish(server, version=4, issued_at=int(NOW) - 7200, expires_at=int(NOW) - 3600)
    with pytest.raises(refusals.Expired):
        Phone(server.url, folder=tmp_path, clock=lambda: NOW - 86_400).update_model("coins")


def test_a_damaged_file_takes_the_version_not_with_it(phone, server, tmp_path):
    publish(server)
    phone.update_model("coins")
    next(tmp_path.rglob("*.tflite")).write_bytes(b"decayed")
    with pytest.raises(refusals.WrongDigest):
        phone.model("coins").file()
    publish(server, version=2)
    with pytest.raises(refusals.LowerVersion):
        phone.update_model("coins")


def test_an_unchanged_manifest_expires_too(server, tmp_path):
    publish(server)
    Phone(server.url, folder=tmp_path, clock=lambda: NOW).update_model("coins")
    with pytest.raises(refusals.Expired):
        Phone(server.url, folder=tmp_path, clock=lambda: NOW + 86_400).update_model("coins")


def test_a_broken_download_goes_on_where_it_broke(phone, server):
    publish(server)
    path = f"/blobs/{hashlib.sha256(MODEL).hexdigest()}"
    whole = server.routes[path]
    promised = {"Content-Length": str(len(MODEL))}
    broken: list[Answer] = [(200, promised, MODEL[:100_000])]
    server.routes[path] = lambda handler: broken.pop() if broken else whole(handler)
    assert phone.update_model("coins") is True
    assert phone.model("coins").file().read_bytes() == MODEL
    starts = [int(headers.get("Range", "bytes=0-")[6:-1]) for _, _, headers, _ in downloads(server)]
    assert len(starts) == 2
    assert 0 < starts[1] <= 100_000


def test_a_file_that_never_ends_is_cut_off_at_its_length(phone, server, tmp_path):
    publish(server)
    sent = []

    def endless(handler: BaseHTTPRequestHandler) -> Answer | None:
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(10_000):  # 640 MB, if anybody read them
                handler.wfile.write(bytes(64 * 1024))
                sent.append(64 * 1024)
        except OSError:
            pass
        return None

    server.routes[f"/blobs/{hashlib.sha256(MODEL).hexdigest()}"] = endless
    with pytest.raises(refusals.WrongLength):
        phone.update_model("coins")
    phone.http.session.close()
    assert sum(sent) < 100 * len(MODEL)
    assert not list(tmp_path.rglob("*.tflite"))


def test_a_damaged_file_is_noticed_and_fetched_anew(phone, server, tmp_path):
    publish(server)
    phone.update_model("coins")
    next(tmp_path.rglob("*.tflite")).write_bytes(MODEL[:-1] + b"?")
    with pytest.raises(refusals.WrongDigest):
        phone.model("coins").file()
    assert phone.update_model("coins") is True
    assert phone.model("coins").file().read_bytes() == MODEL


def test_a_phone_without_a_model_says_so(phone):
    with pytest.raises(LookupError, match="update first"):
        phone.classify("coins", jpeg(1))


# ---- pixels ------------------------------------------------------------------------------------------------------
def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


PHOTOS = {
    "a JPEG": jpeg(3),
    **{f"orientation {number}": jpeg(4, orientation=number) for number in range(1, 9)},
    "portrait": jpeg(5, size=(301, 977)),
    "a strip": jpeg(6, size=(1200, 40)),
    "smaller than the input": encoded(picture(7, (50, 41))),
    "transparent": png(8, alpha=True),
    "WebP": webp(9),
    "grey": encoded(picture(10).convert("L")),
    "a palette": encoded(picture(11).convert("P"), "PNG"),
}


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("size", [96, 224])
def test_the_phone_sees_the_very_pixels_that_the_network_was_trained_on(name, size):
    from training.images import prepare as prepare_for_training

    mine, theirs = prepare(PHOTOS[name], size), prepare_for_training(PHOTOS[name], size)
    assert mine.shape == (size, size, 3)
    assert mine.dtype == np.uint8
    assert np.array_equal(mine, theirs)


# ---- the real server ---------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_a_phone_and_the_real_server_understand_each_other(recognizer, live_server, tmp_path):
    from collector.models import Photo
    from config.duties import work_once

    body, photo_id = jpeg(1), uuid.uuid4()
    with Phone(live_server.url, folder=tmp_path, sleep=lambda seconds: work_once() and None) as phone:
        phone.register(consent=True, handle="Grace")
        assert phone.recognizers()[0]["labels"][0]["slug"] == "copper"
        assert {label["slug"] for label in phone.challenge("coins")["labels"]} <= {"copper", "silver", "gold"}
        for _ in range(2):
            assert phone.send(body, recognizer="coins", label="gold", photo_id=photo_id) == photo_id
        assert phone.wait_until_seen(photo_id)["state"] == "pending"
        assert Photo.objects.get().claimed.slug == "gold"
        with pytest.raises(ServerRefused, match="409"):
            phone.send(jpeg(2), recognizer="coins", label="gold", photo_id=photo_id)
        assert phone.withdraw(photo_id)["photos"] == 1
        assert phone.photo(photo_id)["state"] == "withdrawn"
