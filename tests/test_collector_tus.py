"""tus 1.0.0 over HTTP: every answer as the protocol says, and the official client against the real web server."""

import base64
import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import threading
import uuid
from collections.abc import Iterator
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import time_machine
from django.conf import settings as configured
from django.utils import timezone
from rest_framework.test import APIClient

from clients import resume
from clients.calls import ServerRefused
from clients.phone import Phone
from collector.models import Photo, Piece, Upload
from collector.storage import store
from collector.tus import parse_metadata
from collector.volunteers import register
from tests.drawing import jpeg
from tests.serving import web_process

ROOT = Path(__file__).resolve().parent.parent
PHOTO = jpeg(1)
TYPE = "application/offset+octet-stream"
HAVE_CLIENT = bool(shutil.which("node")) and (ROOT / "node_modules" / "tus-js-client").is_dir()
official = pytest.mark.skipif(not HAVE_CLIENT, reason="NOT RUN: no node, or no tus-js-client (make test installs them by npm)")


def pairs(**values: str) -> str:
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items())


def call(client: APIClient, method: str, path: str, body: bytes = b"", **headers: str) -> Any:
    sent = {"tus_resumable": "1.0.0"} | headers
    named = {f"HTTP_{name.upper()}": value for name, value in sent.items() if value and name != "content_type"}
    kind = headers.get("content_type", TYPE if body or method == "PATCH" else "")
    return client.generic(method, path, body, content_type=kind, **named)


def begin(client: APIClient, body: bytes = b"", **headers: str) -> Any:
    metadata = pairs(photo=str(uuid.uuid4()), recognizer="coins", label="gold", filename="a.jpg")
    sent = {"upload_length": str(len(PHOTO)), "upload_metadata": metadata} | headers
    return call(client, "POST", "/api/v1/tus/", body, **sent)


def assert_refused(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, (response.status_code, response.content)
    assert response["Tus-Resumable"] == "1.0.0" and response["Content-Type"] == "application/problem+json"
    facts: dict[str, Any] = response.json()
    assert facts["type"] == f"urn:photorally:{code}" and facts["detail"]
    return facts


@pytest.fixture
def own_store(settings: Any, tmp_path: Path) -> None:
    settings.STORE_DIR = tmp_path / "store"


pytestmark = pytest.mark.django_db
protocol = pytest.mark.usefixtures("own_store", "recognizer")


# ---- the protocol ------------------------------------------------------------------------------------------------
@protocol
def test_options_tells_what_the_server_can_and_needs_no_token() -> None:
    for path in ("/api/v1/tus/", f"/api/v1/tus/{uuid.uuid4()}"):
        told = call(APIClient(), "OPTIONS", path, tus_resumable="")
        assert told.status_code == 204 and told.content == b""
        assert told["Tus-Version"] == "1.0.0" and told["Tus-Max-Size"] == str(configured.PHOTO_MAX_BYTES)
        assert told["Tus-Extension"] == "creation,creation-with-upload,checksum,expiration,termination"
        assert told["Tus-Checksum-Algorithm"] == "sha1,sha256"


@protocol
def test_an_upload_from_its_beginning_to_its_photo(api: APIClient) -> None:
    photo_id = uuid.uuid4()
    metadata = pairs(photo=str(photo_id), recognizer="coins", label="gold", filename="a.jpg")
    begun = begin(api, upload_metadata=metadata)
    assert begun.status_code == 201 and begun["Upload-Offset"] == "0" and begun["Tus-Resumable"] == "1.0.0"
    path, expires = begun["Location"], begun["Upload-Expires"]
    ends = parsedate_to_datetime(expires) - timezone.now()
    assert 0 <= configured.UPLOAD_VALID_S - ends.total_seconds() < 10 and configured.UPLOAD_VALID_S < 3600

    first = call(api, "PATCH", path, PHOTO[:4000], upload_offset="0")
    assert (first.status_code, first["Upload-Offset"], first["Upload-Expires"]) == (204, "4000", expires)
    asked = call(api, "HEAD", path)
    assert asked.status_code == 200 and asked["Upload-Offset"] == "4000" and asked["Upload-Length"] == str(len(PHOTO))
    assert asked["Cache-Control"] == "no-store" and asked["Upload-Metadata"] == metadata and asked["Upload-Expires"] == expires
    assert "Content-Location" not in asked

    last = call(api, "PATCH", path, PHOTO[4000:], upload_offset="4000")
    assert (last.status_code, last["Upload-Offset"]) == (204, str(len(PHOTO)))
    assert last["Content-Location"] == f"/api/v1/photos/{photo_id}"
    assert api.get(last["Content-Location"]).json()["sha256"] == hashlib.sha256(PHOTO).hexdigest()
    # The answer was lost: the phone asks, or finishes again.
    for again in (call(api, "HEAD", path), call(api, "PATCH", path, upload_offset=str(len(PHOTO)))):
        assert again["Upload-Offset"] == str(len(PHOTO)) and again["Content-Location"] == f"/api/v1/photos/{photo_id}"
    assert call(api, "DELETE", path).status_code == 204 and Photo.objects.get().pk == photo_id


@protocol
def test_the_first_bytes_may_come_with_the_beginning_and_so_may_all(api: APIClient) -> None:
    some = begin(api, PHOTO[:100])
    assert some.status_code == 201 and some["Upload-Offset"] == "100"
    all_of_it = begin(api, PHOTO)
    assert all_of_it.status_code == 201 and all_of_it["Upload-Offset"] == str(len(PHOTO))
    assert Photo.objects.get().pk == uuid.UUID(all_of_it["Content-Location"].rpartition("/")[2])


@protocol
def test_a_beginning_whose_bytes_are_refused_leaves_nothing(api: APIClient) -> None:
    wrong = "sha1 " + base64.b64encode(bytes(20)).decode()
    assert_refused(begin(api, PHOTO[:100], upload_checksum=wrong), 460, "checksum-mismatch")
    assert_refused(begin(api, b"GIF89a" + bytes(50)), 415, "not-an-allowed-format")
    assert not Upload.objects.filter(state="open").exists() and not Piece.objects.exists()


@protocol
@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE"])
def test_another_version_is_not_processed(api: APIClient, method: str) -> None:
    path = begin(api)["Location"]
    for spoken in ("", "0.2.2", "1.0.0, 2.0.0"):
        told = call(api, method, path, tus_resumable=spoken, upload_offset="0")
        assert told.status_code == 412 and told["Tus-Version"] == told["Tus-Resumable"] == "1.0.0"
    assert_refused(begin(api, tus_resumable="2.0.0"), 412, "wrong-version")
    assert Upload.objects.count() == 1 and Upload.objects.get().state == "open"


@protocol
def test_without_a_token_nothing_is_told(api: APIClient) -> None:
    path = begin(api)["Location"]
    stranger = APIClient()
    for told in (begin(stranger), call(stranger, "PATCH", path, b"x", upload_offset="0"), call(stranger, "DELETE", path)):
        assert_refused(told, 401, "not-authenticated")
    other = APIClient()
    other.credentials(HTTP_AUTHORIZATION=f"Token {register(consent=True, handle='Grace', address='192.0.2.2')[1]}")
    for address in (path, f"/api/v1/tus/{uuid.uuid4()}"):
        assert_refused(call(other, "PATCH", address, b"x", upload_offset="0"), 404, "unknown-upload")
        assert_refused(call(other, "DELETE", address), 404, "unknown-upload")
        asked = call(other, "HEAD", address)
        assert asked.status_code == 404 and "Upload-Offset" not in asked and asked.content == b""
    assert Upload.objects.get().offset == 0


@protocol
def test_a_patch_says_where_it_begins_and_what_it_is(api: APIClient) -> None:
    path = begin(api)["Location"]
    assert assert_refused(call(api, "PATCH", path, PHOTO, upload_offset="7"), 409, "wrong-offset")["offset"] == 0
    assert_refused(call(api, "PATCH", path, PHOTO, upload_offset="0", content_type="image/jpeg"), 415, "wrong-content-type")
    for offset in ("", "-1", "0x1", "1.0", "9" * 30, "٣"):
        assert_refused(call(api, "PATCH", path, PHOTO, upload_offset=offset), 400, "bad-header")
    assert_refused(call(api, "PATCH", path, PHOTO + b"x", upload_offset="0"), 413, "upload-too-long")
    in_chunks = api.generic(
        "PATCH",
        path,
        b"",
        content_type=TYPE,
        HTTP_TRANSFER_ENCODING="chunked",
        HTTP_UPLOAD_OFFSET="0",
        HTTP_TUS_RESUMABLE="1.0.0",
    )
    assert_refused(in_chunks, 411, "length-required")
    assert Upload.objects.get().offset == 0 and not Piece.objects.exists()


@protocol
@pytest.mark.parametrize(
    "checksum",
    ["", "sha1", "sha1 x", "sha1 AAAA", "md5 " + "A" * 22 + "==", "crc32 AAAAAA==", "SHA1 " + "A" * 27 + "=", "sha1  AAAA"],
)
def test_a_checksum_that_cannot_be_checked_is_a_400(api: APIClient, checksum: str) -> None:
    path = begin(api)["Location"]
    told = api.generic(
        "PATCH",
        path,
        PHOTO,
        content_type=TYPE,
        HTTP_UPLOAD_OFFSET="0",
        HTTP_TUS_RESUMABLE="1.0.0",
        HTTP_UPLOAD_CHECKSUM=checksum,
    )
    assert_refused(told, 400, "bad-header")
    assert Upload.objects.get().offset == 0


@protocol
@pytest.mark.parametrize("name", ["sha1", "sha256"])
def test_a_checksum_is_checked(api: APIClient, name: str) -> None:
    path = begin(api)["Location"]

    def checksum(data: bytes) -> str:
        return f"{name} {base64.b64encode(hashlib.new(name, data).digest()).decode()}"

    told = call(api, "PATCH", path, PHOTO[:500], upload_offset="0", upload_checksum=checksum(PHOTO[:499]))
    assert_refused(told, 460, "checksum-mismatch")
    assert not Piece.objects.exists()
    kept = call(api, "PATCH", path, PHOTO[:500], upload_offset="0", upload_checksum=checksum(PHOTO[:500]))
    assert kept.status_code == 204 and kept["Upload-Offset"] == "500"


@protocol
@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"upload_length": ""}, 400, "bad-header"),
        ({"upload_length": "", "upload_defer_length": "1"}, 400, "bad-header"),
        ({"upload_length": "0"}, 422, "empty-body"),
        ({"upload_length": str(10**9)}, 413, "photo-too-large"),
        ({"upload_metadata": ""}, 400, "bad-metadata"),
        ({"upload_metadata": pairs(photo="7", recognizer="coins", label="gold")}, 400, "bad-metadata"),
        ({"upload_metadata": pairs(photo=str(uuid.uuid4()), label="gold")}, 400, "bad-metadata"),
        ({"upload_metadata": pairs(photo=str(uuid.uuid4()), recognizer="stamps", label="gold")}, 404, "unknown-recognizer"),
        ({"upload_metadata": pairs(photo=str(uuid.uuid4()), recognizer="coins", label="x")}, 422, "unknown-label"),
        (
            {"upload_metadata": pairs(photo=str(uuid.uuid4()), recognizer="coins", label="gold", challenge="7")},
            422,
            "unknown-challenge",
        ),
    ],
)
def test_what_could_not_be_kept_is_refused_at_the_beginning(
    api: APIClient, changes: dict[str, str], status: int, code: str
) -> None:
    assert_refused(begin(api, **changes), status, code)
    assert not Upload.objects.exists()


@pytest.mark.parametrize(
    "raw",
    [
        ",",
        "a",
        "a Zg==,",
        "a Zg==,a Zg==",
        "a Zg",
        "a Z g==",
        "a  Zg==",
        "a Zg=\n=",
        "ä Zg==",
        "a Zg==;b Zg==",
        "x" * 3000,
    ],
)
def test_metadata_that_is_not_pairs_of_key_and_base64_is_refused(raw: str) -> None:
    from collector.errors import BadMetadata

    if raw == "a":  # an empty value needs no space
        assert parse_metadata(raw) == {"a": b""}
        return
    with pytest.raises(BadMetadata):
        parse_metadata(raw)


@protocol
def test_what_has_ended_is_gone(api: APIClient) -> None:
    ended, old = begin(api)["Location"], begin(api)["Location"]
    assert call(api, "DELETE", ended).status_code == 204
    with time_machine.travel(timezone.now() + timedelta(seconds=configured.UPLOAD_VALID_S + 1)):
        for path in (ended, old):
            assert_refused(call(api, "PATCH", path, PHOTO, upload_offset="0"), 410, "upload-gone")
            assert_refused(call(api, "DELETE", path), 410, "upload-gone")
            assert call(api, "HEAD", path).status_code == 410


@protocol
def test_a_refused_photo_is_refused_by_the_patch_that_completes_it(api: APIClient) -> None:
    broken = PHOTO[:200]
    path = begin(api, upload_length=str(len(broken)))["Location"]
    call(api, "PATCH", path, broken[:100], upload_offset="0")
    assert_refused(call(api, "PATCH", path, broken[100:], upload_offset="100"), 422, "not-a-whole-image")
    gone = assert_refused(call(api, "PATCH", path, upload_offset="200"), 410, "upload-gone")
    assert gone["reason"] == "urn:photorally:not-a-whole-image"


@protocol
def test_other_methods_are_refused_with_those_there_are(api: APIClient) -> None:
    path = begin(api)["Location"]
    for method in ("GET", "PUT", "POST"):
        told = call(api, method, path)
        assert_refused(told, 405, "method-not-allowed")
        assert {part.strip() for part in told["Allow"].split(",")} == {"HEAD", "PATCH", "DELETE", "OPTIONS"}
    assert {part.strip() for part in call(api, "GET", "/api/v1/tus/")["Allow"].split(",")} == {"POST", "OPTIONS"}


@protocol
def test_where_only_post_passes_the_method_may_stand_in_a_header(api: APIClient) -> None:
    path = begin(api)["Location"]
    told = call(api, "POST", path, PHOTO[:10], upload_offset="0", x_http_method_override="PATCH")
    assert told.status_code == 204 and told["Upload-Offset"] == "10"
    assert call(api, "POST", path, x_http_method_override="DELETE").status_code == 204
    assert_refused(call(api, "POST", path, x_http_method_override="BREW"), 405, "method-not-allowed")


# ---- the web server, the official client, and our own phone ------------------------------------------------------
@pytest.fixture(scope="module")
def gunicorn(django_db_setup: None, tmp_path_factory: Any) -> Iterator[str]:
    """The web process as it runs in production, on the tests' database and store."""
    with web_process(tmp_path_factory.mktemp("gunicorn")) as url:
        yield url


class Cutting:
    """A proxy in front of `target` that cuts the first connections, each after some bytes towards the server."""

    def __init__(self, target: str, *after: int) -> None:
        host, port = target.removeprefix("http://").split(":")
        self.target, self.after, self.cut = (host, int(port)), list(after), 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self.target) as server:
            lost = threading.Event()
            back = threading.Thread(target=self.pump, args=(server, client, lost), daemon=True)
            back.start()
            with contextlib.suppress(OSError):
                passed = 0
                while data := client.recv(4096):
                    passed += len(data)
                    if self.after and passed > self.after[0]:
                        self.after.pop(0)
                        self.cut += 1
                        # The phone hears of it when the server has seen it: otherwise it might ask too early.
                        lost.set()
                        server.shutdown(socket.SHUT_WR)
                        back.join(10)
                        break
                    server.sendall(data)
            for end in (server, client):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def pump(source: socket.socket, sink: socket.socket, lost: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                if not lost.is_set():
                    sink.sendall(data)


@pytest.fixture
def large() -> bytes:
    return jpeg(7, size=(1600, 1200))


@pytest.fixture
def client(gunicorn: str, transactional_db: None, recognizer: Any, token: str, large: bytes, tmp_path: Path) -> Any:
    """`client(…)` runs tus-js-client on the photo `large` and returns what it reports."""
    file = tmp_path / "photo.jpg"
    file.write_bytes(large)

    def run(via: str = gunicorn, **asked: Any) -> dict[str, Any]:
        photo = str(asked.pop("photo", uuid.uuid4()))
        metadata = {"photo": photo, "recognizer": "coins", "label": "gold", "filename": "photo.jpg"}
        told = {"file": str(file), "endpoint": f"{via}/api/v1/tus/", "token": token, "metadata": metadata} | asked
        environment = {**os.environ, "NODE_PATH": str(ROOT / "node_modules")}
        command = ["node", str(ROOT / "tests" / "tus_client.cjs"), json.dumps(told)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        reported: dict[str, Any] = json.loads(done.stdout)
        return reported

    return run


def assert_same_as_put(photo_id: uuid.UUID, body: bytes, gunicorn: str, token: str) -> None:
    """What is stored for `photo_id` is to the byte what a PUT of the same body stores."""
    twin, kept = uuid.uuid4(), Photo.objects.get(pk=photo_id)
    put = requests.put(
        f"{gunicorn}/api/v1/photos/{twin}?recognizer=coins&label=gold",
        data=body,
        headers={"Authorization": f"Token {token}", "Content-Type": "image/jpeg"},
        timeout=10,
    )
    assert put.status_code == 201, put.text
    other = Photo.objects.get(pk=twin)
    assert (kept.sha256, kept.sent_sha256) == (other.sha256, other.sent_sha256)
    assert kept.sent_sha256 == hashlib.sha256(body).hexdigest()
    assert hashlib.sha256(store().get(f"originals/{kept.sha256}")).hexdigest() == kept.sha256
    assert not Piece.objects.exists() and not list((configured.STORE_DIR / "staging").rglob("*/*-*"))


@official
@pytest.mark.parametrize("options", [{}, {"uploadDataDuringCreation": True}, {"overridePatchMethod": True}], ids=str)
def test_the_official_client_sends_a_photo_in_chunks(
    client: Any, gunicorn: str, token: str, large: bytes, options: dict[str, Any]
) -> None:
    photo_id = uuid.uuid4()
    done = client(photo=photo_id, chunkSize=20_000, checksumOf=None, **options)
    assert done["ended"] == "success" and done["requests"][-1][1:] == [204, len(large)], done
    assert len(done["requests"]) >= 3 and done["photo"] == f"/api/v1/photos/{photo_id}"
    assert_same_as_put(photo_id, large, gunicorn, token)


@official
def test_the_official_client_goes_on_after_the_connection_was_cut_twice(
    client: Any, gunicorn: str, token: str, large: bytes
) -> None:
    photo_id, proxy = uuid.uuid4(), Cutting(gunicorn, 15_000, 15_000)
    done = client(via=proxy.url, photo=photo_id, retryDelays=[100, 300, 500, 500])
    proxy.listener.close()
    assert done["ended"] == "success" and proxy.cut == 2, done
    asked = [offset for method, status, offset in done["requests"] if method == "HEAD" and status == 200]
    assert len(asked) == 2 and 0 < asked[0] < asked[1] < len(large)  # what had come was kept, both times
    assert_same_as_put(photo_id, large, gunicorn, token)


@official
def test_the_official_client_is_told_of_a_wrong_checksum_and_a_right_one_passes(
    client: Any, gunicorn: str, large: bytes
) -> None:
    wrong = client(checksumOf="something else")
    assert (wrong["ended"], wrong["status"]) == ("error", 460)
    assert json.loads(wrong["problem"])["type"] == "urn:photorally:checksum-mismatch"
    assert Upload.objects.get().offset == 0 and not Piece.objects.exists() and not Photo.objects.exists()
    right = client(checksumOf="body", uploadUrl=wrong["url"])
    assert right["ended"] == "success" and right["requests"][0] == ["HEAD", 200, 0]


@official
def test_the_official_client_ends_an_upload(client: Any, gunicorn: str) -> None:
    done = client(chunkSize=10_000, terminateAt=20_000)
    assert done["ended"] == "terminated" and done["requests"][-1][:2] == ["DELETE", 204]
    assert Upload.objects.get().state == "ended" and not Piece.objects.exists() and not Photo.objects.exists()


@pytest.fixture
def phone(gunicorn: str, transactional_db: None, recognizer: Any, token: str, tmp_path: Path, monkeypatch: Any) -> Any:
    """`phone(url)`: the reference phone at a server, which resumes what is larger than 10 KB."""
    monkeypatch.setattr(resume, "RESUMED_BYTES", 10_000)

    def make(url: str = gunicorn) -> Phone:
        made = Phone(url, folder=tmp_path / "phone", sleep=lambda seconds: None)
        made.http.token = token
        return made

    return make


def test_the_phone_goes_on_where_its_connection_broke(phone: Any, gunicorn: str, token: str, large: bytes) -> None:
    proxy = Cutting(gunicorn, 15_000, 15_000)
    photo_id = phone(proxy.url).send(large, recognizer="coins", label="gold")
    proxy.listener.close()
    assert proxy.cut == 2 and Upload.objects.get().pieces == 3
    assert_same_as_put(photo_id, large, gunicorn, token)


def test_the_phone_sends_small_photos_whole_and_large_ones_may_be_refused(phone: Any, large: bytes) -> None:
    small = jpeg(2, size=(320, 240))
    assert len(small) < 10_000
    phone().send(small, recognizer="coins", label="gold")
    assert Photo.objects.count() == 1 and not Upload.objects.exists()
    with pytest.raises(ServerRefused) as refused:
        phone().send(large[:20_000], recognizer="coins", label="gold")
    assert refused.value.code == "not-a-whole-image"
