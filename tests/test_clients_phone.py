"""The reference phone against servers that are slow, gone, hostile, or real."""

import hashlib
import io
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import numpy as np
import pytest
from joserfc import jws
from joserfc.jwk import OctKey, OKPKey
from PIL import Image

from clients import refusals
from clients.calls import ATTEMPTS, LONGEST_WAIT_S, ServerRefused, TryLater
from clients.phone import Phone, content_type
from clients.vision import prepare
from tests.drawing import jpeg, picture, png, webp

NOW = 1_790_000_000.0
MODEL = bytes(range(256)) * 1000  # 256,000 bytes: four chunks, so that a download can break in the middle
KEY = OKPKey.generate_key("Ed25519", private=True)

Answer = tuple[int, dict[str, str], bytes]


class Server:
    """A real socket that answers what a test says; every request is kept as (method, path, headers, body)."""

    def __init__(self) -> None:
        self.routes: dict[str, Callable[[BaseHTTPRequestHandler], Answer | None]] = {}
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                path = urlsplit(self.path).path
                server.requests.append((self.command, self.path, dict(self.headers), body))
                answer = server.routes[path](self)
                if answer is None:  # the connection breaks
                    self.close_connection = True
                    return
                status, headers, content = answer
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(content))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)
                self.close_connection = True

            do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815

            def log_message(self, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def sequence(self, path: str, *answers: Answer | None) -> None:
        """Answer one after another; the last one stays."""
        left = list(answers)
        self.routes[path] = lambda handler: left.pop(0) if len(left) > 1 else left[0]

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


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


def signed(content: dict, *, key: OKPKey = KEY, **header: str) -> str:
    head = {"alg": "Ed25519", "typ": "photorally-manifest+jwt", "kid": key.thumbprint()} | header
    return jws.serialize_compact(head, json.dumps(content).encode(), key, algorithms=[head["alg"]])


def publish(server: Server, *, token: str | None = None, key: OKPKey = KEY, blob: bytes = MODEL, **changes) -> None:
    """Offer a model, as the server does: manifest with ETag, keys, blob with Range."""
    token = token or signed(payload(**changes))
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

    public = {**key.as_dict(private=False), "kid": key.thumbprint(), "alg": "Ed25519", "use": "sig"}
    server.routes["/api/v1/recognizers/coins/manifest"] = manifest
    server.sequence("/.well-known/photorally-keys.json", (200, {}, json.dumps({"keys": [public]}).encode()))
    server.routes[f"/blobs/{payload(**changes)['artifacts'][0]['sha256']}"] = ranged


def downloads(server: Server) -> list[tuple[str, str, dict[str, str], bytes]]:
    return [request for request in server.requests if request[1].startswith("/blobs/")]


def test_a_verified_model_is_downloaded_once(phone, server):
    publish(server)
    assert phone.update_model("coins") is True
    assert phone.model("coins").file().read_bytes() == MODEL
    assert phone.update_model("coins") is False
    assert len(downloads(server)) == 1
    assert "If-None-Match" in server.requests[-1][2]
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


def hs256() -> str:
    """The classic: signed with the public key as if it were a shared secret."""
    public = OctKey.import_key(KEY.as_dict(private=False)["x"])
    head = {"alg": "HS256", "typ": "photorally-manifest+jwt", "kid": KEY.thumbprint()}
    return jws.serialize_compact(head, json.dumps(payload(version=9)).encode(), public, algorithms=["HS256"])


def tampered() -> str:
    head, _, signature = signed(payload()).split(".")
    other = signed(payload(version=9)).split(".")[1]
    return f"{head}.{other}.{signature}"


def unsigned() -> str:
    return signed(payload(version=9)).rpartition(".")[0] + "."


STRANGER = OKPKey.generate_key("Ed25519", private=True)
HOSTILE: dict[str, tuple[type[refusals.Refused], dict]] = {
    "no JWS": (refusals.Malformed, {"token": "yes, sure"}),
    "an empty answer": (refusals.Malformed, {"token": " "}),
    "another algorithm": (refusals.WrongAlgorithm, {"token": hs256()}),
    "EdDSA by its old name": (refusals.WrongAlgorithm, {"token": signed(payload(version=9), alg="EdDSA")}),
    "a token of another purpose": (refusals.WrongAlgorithm, {"token": signed(payload(version=9), typ="JWT")}),
    "a stranger's key": (refusals.UnknownKey, {"token": signed(payload(version=9), key=STRANGER)}),
    "a stranger under our key's name": (
        refusals.BadSignature,
        {"token": signed(payload(version=9), key=STRANGER, kid=KEY.thumbprint())},
    ),
    "changed content": (refusals.BadSignature, {"token": tampered()}),
    "no signature": (refusals.BadSignature, {"token": unsigned()}),
    "another recognizer": (refusals.WrongRecognizer, {"recognizer": "stamps", "version": 9}),
    "another channel": (refusals.WrongRecognizer, {"channel": "beta", "version": 9}),
    "an expired manifest": (refusals.Expired, {"expires_at": int(NOW), "version": 9}),
    "a manifest from the future": (refusals.NotYetValid, {"issued_at": int(NOW) + 90_000, "version": 9}),
    "a lower version": (refusals.LowerVersion, {"version": 2}),
    "the same version with another file": (refusals.VersionReused, {"artifact": {"sha256": "0" * 64}}),
    "a release for newer apps": (refusals.AppTooOld, {"minimum_app": "1.1", "version": 9}),
    "only formats it cannot run": (refusals.NoUsableArtifact, {"artifact": {"format": "coreml"}, "version": 9}),
    "a missing field": (refusals.Malformed, {"artifact": {"bytes": None}, "version": 9}),
    "a digest that is a path": (refusals.Malformed, {"artifact": {"sha256": "../../../account"}, "version": 9}),
    "a file beyond all measure": (refusals.Malformed, {"artifact": {"bytes": 10**12}, "version": 9}),
    "a file that is too long": (refusals.WrongLength, {"artifact": {"sha256": "1" * 64, "url": "/long"}, "version": 9}),
    "a file that is too short": (refusals.WrongLength, {"artifact": {"sha256": "1" * 64, "url": "/short"}, "version": 9}),
    "a file with other bytes": (refusals.WrongDigest, {"artifact": {"sha256": "1" * 64, "url": "/other"}, "version": 9}),
}


@pytest.mark.parametrize("offered", HOSTILE)
def test_yesterdays_model_stays_when_the_server_offers(offered, phone, server, tmp_path):
    publish(server)
    phone.update_model("coins")
    refusal, offer = HOSTILE[offered]
    publish(server, **offer)
    server.sequence("/long", (200, {}, MODEL + b"!"))
    server.sequence("/short", (200, {}, MODEL[:-1]))
    server.sequence("/other", (200, {}, bytes(len(MODEL))))
    with pytest.raises(refusal):
        phone.update_model("coins")
    assert phone.model("coins").current.version == 3
    assert phone.model("coins").file().read_bytes() == MODEL
    assert not list(tmp_path.rglob("*.part"))


def test_keys_are_pinned_at_first_use(phone, server):
    publish(server)
    phone.update_model("coins")
    publish(server, token=signed(payload(version=9), key=STRANGER), key=STRANGER)
    with pytest.raises(refusals.UnknownKey):
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
