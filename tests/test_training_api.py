"""What phones ask over HTTP: manifests with ETags, blobs with ranges, keys; and what they report."""

import hashlib
import json
import time
import uuid

import pytest
import time_machine
from django.core.management import call_command
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.signatures import Envelope
from clients.trust import Trust
from collector.storage import S3Store, store
from tests.nights import claimed, exported, released
from training import blobs, manifest, release, rollout
from training.errors import RangeNotSatisfiable
from training.models import Artifact, Benchmark, Run

MODEL = bytes(range(256)) * 4  # 1024 bytes
MANIFEST = "/api/v1/recognizers/coins/manifest"
BENCHMARKS = "/api/v1/recognizers/coins/benchmarks"


@pytest.fixture
def phone() -> Client:
    return Client()


@pytest.fixture
def model(recognizer):
    return released(recognizer, MODEL)


@pytest.fixture
def blob(model) -> str:
    return f"/blobs/{model.artifacts.get().sha256}"


def problem(response) -> dict:
    assert response["Content-Type"] == "application/problem+json"
    return json.loads(response.content)


def test_a_phone_gets_a_manifest_it_can_verify(phone, model):
    response = phone.get(MANIFEST, headers={"Accept": "application/jose"})
    assert (response.status_code, response["Content-Type"]) == (200, "application/jose")
    assert response["Cache-Control"] == "public, max-age=60"
    document = phone.get("/.well-known/photorally-keys.json").json()
    now = time.time()
    _, signers = Trust.pinned(document["root"]).follow(document, clock=now)
    envelope = Envelope.read(response.content.decode(), manifest.TYPE)
    assert envelope.open(signers.signer(envelope.kid, now=now))["version"] == 1


def test_unchanged_keys_are_304_until_another_set_is_signed(phone, settings, tmp_path):
    settings.VAR_DIR = tmp_path
    settings.SIGNING_KEY_FILE, settings.KEYS_FILE = tmp_path / "keys" / "manifest.jwk", tmp_path / "keys" / "keys.json"
    address = "/.well-known/photorally-keys.json"
    first = phone.get(address)
    assert (first.status_code, first["Content-Type"], first["Cache-Control"]) == (200, "application/json", "public, max-age=60")
    again = phone.get(address, headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    call_command("keys", "sign")
    assert phone.get(address, headers={"If-None-Match": first["ETag"]}).status_code == 200


def test_an_unchanged_manifest_is_304_until_something_is_released(phone, model, recognizer):
    with time_machine.travel("2026-11-22T10:00:01Z", tick=False) as clock:
        first = phone.get(MANIFEST)
        assert first["ETag"].startswith('"')  # strong
        clock.shift(600)
        again = phone.get(MANIFEST, headers={"If-None-Match": first["ETag"]})
        assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
        released(recognizer, b"newer")
        newer = phone.get(MANIFEST, headers={"If-None-Match": first["ETag"]})
        assert (newer.status_code, newer["ETag"] != first["ETag"]) == (200, True)


def test_the_manifest_depends_on_the_device_during_a_ramp(phone, model, recognizer):
    released(recognizer, b"newer")
    release.ramp(recognizer=recognizer, percent=50)
    versions = set()
    for n in range(30):
        token = phone.get(MANIFEST, {"device": f"d{n}"}).content.decode()
        versions.add(Envelope.read(token, manifest.TYPE).unverified()["version"])
    assert versions == {3, 4}  # from all devices down to half: both sides get higher versions of their files


def offer(phone: Client, **about: str) -> dict:
    return Envelope.read(phone.get(MANIFEST, about).content.decode(), manifest.TYPE).unverified()


def test_the_manifest_names_the_arm_and_the_newest_release_for_the_phone(phone, model, recognizer):
    rollout.limit(release=released(recognizer, b"newer"), minimum_app="2.0", platforms=["android"])
    told = {"device": "d", "app": "2.1", "platform": "android", "tier": "high" * 20}
    assert (offer(phone, **told)["minimum_app"], offer(phone, **told | {"app": "1.0"})["minimum_app"]) == ("2.0", "1.0")
    assert offer(phone, **told)["arm"] == ""
    rollout.try_beside(recognizer=recognizer, version=1, percent=100)
    arms = {offer(phone, **told | {"device": f"d{n}"})["arm"] for n in range(20)}
    assert arms == {"treatment", "control"}


@pytest.mark.parametrize("address", [MANIFEST, f"{MANIFEST}?channel=beta", "/api/v1/recognizers/stamps/manifest"])
def test_where_nothing_is_released_the_answer_is_a_404_problem(phone, recognizer, address):
    response = phone.get(address, headers={"Accept": "application/jose"})
    assert response.status_code == 404
    assert problem(response)["type"] in ("urn:photorally:nothing-released", "urn:photorally:unknown-recognizer")


def test_a_blob_is_served_whole_and_for_ever(phone, blob):
    response = phone.get(blob)
    assert (response.status_code, response.content) == (200, MODEL)
    assert response["ETag"] == f'"{hashlib.sha256(MODEL).hexdigest()}"'
    assert response["Cache-Control"] == "public, max-age=31536000, immutable"
    assert response["Content-Type"] == "application/octet-stream"
    assert (response["Accept-Ranges"], response["X-Content-Type-Options"]) == ("bytes", "nosniff")
    assert response["Content-Length"] == "1024"


def test_head_tells_the_length_and_sends_nothing(phone, blob):
    response = phone.head(blob, headers={"Range": "bytes=0-9"})  # Range is defined for GET alone
    assert (response.status_code, response.content, response["Content-Length"]) == (200, b"", "1024")


def test_a_known_blob_is_304(phone, blob):
    etag = phone.get(blob)["ETag"]
    assert phone.get(blob, headers={"If-None-Match": etag, "Range": "bytes=0-9"}).status_code == 304
    assert phone.get(blob, headers={"If-None-Match": '"other"'}).status_code == 200


RANGES = [  # header → first and last byte of a 206, None for the whole as 200, 416
    ("bytes=0-0", (0, 0)),
    ("bytes=0-9", (0, 9)),
    ("bytes=1000-", (1000, 1023)),
    ("bytes=1000-5000", (1000, 1023)),
    ("bytes=0-1023", (0, 1023)),
    ("bytes=-1", (1023, 1023)),
    ("bytes=-5000", (0, 1023)),
    ("bytes=1023-1023", (1023, 1023)),
    ("bytes=1024-", 416),
    ("bytes=99999-100000", 416),
    ("bytes=-0", 416),
    ("bytes=9-0", None),
    ("bytes=0-1,5-6", None),
    ("bytes=", None),
    ("bytes=-", None),
    ("bytes=a-b", None),
    ("bytes=0x0-9", None),
    ("bytes=٠-٩", None),
    ("bytes=" + "9" * 5000 + "-", None),
    ("items=0-9", None),
    ("", None),
]


@pytest.mark.parametrize(("header", "wanted"), RANGES)
def test_ranges_are_answered_as_rfc_9110_says(phone, blob, header, wanted):
    response = phone.get(blob, headers={"Range": header})
    if wanted is None:
        assert (response.status_code, response.content, "Content-Range" in response) == (200, MODEL, False)
    elif wanted == 416:
        assert (response.status_code, response["Content-Range"]) == (416, "bytes */1024")
        assert problem(response)["bytes"] == 1024
    else:
        first, last = wanted
        assert (response.status_code, response.content) == (206, MODEL[first : last + 1])
        assert response["Content-Range"] == f"bytes {first}-{last}/1024"
        assert response["Content-Length"] == str(last - first + 1)


@pytest.mark.parametrize("condition", ['"another"', 'W/"{etag}"', "Sun, 22 Nov 2026 10:00:00 GMT", "*"])
def test_a_range_of_another_version_gets_the_whole_file(phone, blob, condition):
    etag = phone.get(blob)["ETag"]
    assert phone.get(blob, headers={"Range": "bytes=0-9", "If-Range": etag}).status_code == 206
    other = condition.format(etag=etag.strip('"'))
    assert phone.get(blob, headers={"Range": "bytes=0-9", "If-Range": other}).status_code == 200


@settings(deadline=None)  # a busy machine is no bug
@given(header=st.one_of(st.text(max_size=40), st.from_regex(r"bytes=[0-9]{0,5}-[0-9]{0,5}(,[0-9]-[0-9])?", fullmatch=True)))
def test_any_range_header_yields_a_part_within_the_file_or_416(header):
    try:
        part = blobs.wanted(header, "", etag='"e"', length=1024)
    except RangeNotSatisfiable:
        return
    assert part is None or 0 <= part[0] < part[1] <= 1024


@settings(deadline=None)  # a busy machine is no bug
@given(start=st.integers(0, 1023), size=st.integers(16, 1024))
def test_consecutive_ranges_put_the_file_together(start, size):
    whole = b""
    while len(whole) < len(MODEL):
        first, stop = blobs.wanted(f"bytes={len(whole)}-{len(whole) + size - 1}", "", etag='"e"', length=1024)
        whole += MODEL[first:stop]
    assert whole == MODEL
    assert blobs.wanted(f"bytes={start}-", "", etag='"e"', length=1024) == (start, 1024)


def test_only_released_files_can_be_fetched(phone, recognizer):

    run = claimed(recognizer)
    artifact = exported(b"never released")
    digest = hashlib.sha256(artifact.data).hexdigest()
    store().put(f"blobs/{digest}", artifact.data)
    Artifact.objects.create(run=run, format="int8", sha256=digest, bytes=14, input_spec={}, labels=[])
    for sha256 in (digest, "0" * 64, "..", "%2e%2e%2fsecret_key"):
        response = phone.get(f"/blobs/{sha256}")
        assert response.status_code == 404
        assert response["Content-Type"] == "application/problem+json"


def test_a_withdrawn_releases_blob_stays_for_manifests_that_are_out(phone, blob, model):
    release.withdraw(release=model)
    assert phone.get(blob).content == MODEL


def test_a_released_file_that_the_store_lost_is_a_503(phone, blob):
    store().delete(f"blobs/{blob.removeprefix('/blobs/')}")
    response = phone.get(blob)
    assert (response.status_code, response["Retry-After"]) == (503, "300")
    assert "Cache-Control" not in response


def test_blobs_come_from_s3_too(recognizer, phone, monkeypatch, settings):
    from moto import mock_aws

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        import boto3

        boto3.client("s3").create_bucket(Bucket="models-of-a-test")
        settings.S3_BUCKET = "models-of-a-test"
        settings.S3_ENDPOINT_URL = ""
        assert isinstance(store(), S3Store)
        sha256 = released(recognizer, MODEL).artifacts.get().sha256
        assert phone.get(f"/blobs/{sha256}").content == MODEL
        assert phone.get(f"/blobs/{sha256}", headers={"Range": "bytes=-4"}).content == MODEL[-4:]
        shown = release.show(recognizer=recognizer)
        assert shown["artifacts"][0]["path"] == f"s3://models-of-a-test/blobs/{sha256}"


def test_whole_files_may_come_straight_from_the_bucket(recognizer, phone, s3_endpoint, settings):
    import boto3
    import requests

    boto3.client("s3", endpoint_url=s3_endpoint).create_bucket(Bucket="models-for-phones")
    settings.S3_BUCKET, settings.S3_ENDPOINT_URL, settings.BLOB_REDIRECT = "models-for-phones", s3_endpoint, True
    sha256 = released(recognizer, MODEL).artifacts.get().sha256
    answer = phone.get(f"/blobs/{sha256}")
    assert (answer.status_code, answer.content) == (307, b"")
    assert answer["Cache-Control"] == "private, max-age=1800"  # less than the address works
    assert requests.get(answer["Location"], timeout=5).content == MODEL
    assert requests.get(answer["Location"], headers={"Range": "bytes=-4"}, timeout=5).content == MODEL[-4:]
    assert phone.get(f"/blobs/{'0' * 64}").status_code == 404  # nobody gets an address of what was never released
    settings.BLOB_REDIRECT = False
    assert phone.get(f"/blobs/{sha256}").content == MODEL


def reported(phone: Client, body: dict, **headers: str):
    return phone.post(BENCHMARKS, json.dumps(body), content_type="application/json", headers=headers)


@pytest.fixture
def body(model) -> dict:
    return {"artifact_sha256": model.artifacts.get().sha256, "version": 1, "device": "d1", "latency_ms": 12.5}


def test_a_device_reports_once_per_file_and_may_correct_itself(phone, body):
    first = reported(phone, body | {"device_model": "Phone 7", "canary_accuracy": 0.9})
    assert (first.status_code, first.json()["latency_ms"]) == (201, 12.5)
    again = reported(phone, body | {"latency_ms": 11.0})
    assert again.status_code == 200
    row = Benchmark.objects.get()
    assert (row.latency_ms, row.device, row.version) == (11.0, "d1", 1)
    assert reported(phone, body | {"device": "d2"}).status_code == 201


@pytest.mark.parametrize("change", [{"artifact_sha256": "0" * 64}, {"version": 2}])
def test_a_report_on_a_file_that_was_never_released_is_404(phone, body, change):
    response = reported(phone, body | change)
    assert (response.status_code, problem(response)["type"]) == (404, "urn:photorally:unknown-artifact")
    assert not Benchmark.objects.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"latency_ms": -1},
        {"latency_ms": "fast"},
        {"latency_ms": float("nan")},
        {"canary_accuracy": 1.5},
        {"device": ""},
        {"device": "x" * 65},
        {"artifact_sha256": "../../etc"},
        {"version": 2**40},
        {"latency_ms": None},
        {"device": "a\x00b"},
        {"platform": "An droid"},
        {"cold_start_ms": 0},
        {"answers": 2**31},
    ],
)
def test_a_report_of_no_sense_is_a_400_problem(phone, body, change):
    response = reported(phone, body | change)
    assert response.status_code == 400
    assert problem(response)["status"] == 400
    assert not Benchmark.objects.exists()


@pytest.mark.parametrize(("said", "kept"), [({"answers": 3, "corrections": 4}, 3), ({"corrections": 1}, 0)])
def test_there_are_no_more_corrections_than_answers(phone, body, said, kept):
    assert reported(phone, body | said).status_code == 201
    assert Benchmark.objects.get().corrections == kept


@pytest.mark.parametrize(("said", "kept"), [({"frames": 300, "frame_changes": 301}, 300), ({"frame_changes": 1}, 0)])
def test_no_more_frames_changed_than_there_were(phone, body, said, kept):
    assert reported(phone, body | said).status_code == 201
    assert Benchmark.objects.get().frame_changes == kept


def test_a_wrong_token_is_refused_where_none_is_needed(phone, body):
    assert reported(phone, body, Authorization="Token nobody").status_code == 401
    assert reported(phone, body).status_code == 201


def test_an_address_reports_so_many_times_a_day(phone, body, settings):
    settings.BENCHMARKS_PER_DAY = 2
    assert [reported(phone, body | {"device": str(n)}).status_code for n in range(3)] == [201, 201, 429]


def test_another_recognizers_file_is_unknown(phone, body):
    from collector.models import Recognizer

    Recognizer.objects.create(slug="stamps", name="Stamps")
    response = phone.post(
        "/api/v1/recognizers/stamps/benchmarks",
        json.dumps(body | {"device": str(uuid.uuid4())}),
        content_type="application/json",
    )
    assert response.status_code == 404
    assert Run.objects.count() == 1
