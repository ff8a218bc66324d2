"""The reference phone reads a file as it comes: whole, by zstd, or told by the one it has; and nothing else."""

import contextlib
import hashlib
import io
import random

import pytest
import requests
import urllib3
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from clients import encodings
from clients.phone import Phone
from config.duties import work_once
from tests.nights import claimed
from training import release
from training.deltas import DCZ_MAGIC, difference
from training.images import INPUT_SPEC
from training.models import Run

OLD = random.Random(1).randbytes(50_000)
NEW = OLD[:20_000] + b"changed" + OLD[20_010:]


def offer(recognizer, data: bytes) -> None:
    """Release these bytes as a file that a phone can feed."""
    row = release.pointer(recognizer)
    artifact = release.Exported("int8", data, INPUT_SPEC(32), ["copper", "silver", "gold"], {})
    run = claimed(recognizer, f"slot {Run.objects.count()}")
    release.publish(run=run, artifacts=[artifact], replaces=row.release if row else None, message="For a test.")


def answer(body: bytes, encoding: str = "", **headers: str) -> requests.Response:
    """An answer as `requests` hands it out, its body still on the wire."""
    response = requests.Response()
    response.headers.update(({"Content-Encoding": encoding} if encoding else {}) | headers)
    response.raw = urllib3.HTTPResponse(io.BytesIO(body), headers=dict(response.headers), preload_content=False)
    return response


def read(body: bytes, encoding: str = "", have: bytes | None = None) -> bytes:
    return b"".join(encodings.decoded(answer(body, encoding), have))


def test_a_phone_asks_for_what_it_can_read():
    assert encodings.wanted(None) == {"Accept-Encoding": "zstd"}
    asked = encodings.wanted(b"model")
    assert asked == {"Accept-Encoding": "zstd, dcz", "Available-Dictionary": ":k3LEcO6t1ezZw8dMKzy2M/ji8vrXmSUKD3DWUra4JeQ=:"}


def test_each_encoding_gives_the_file():
    assert read(NEW) == NEW
    assert read(zstandard.ZstdCompressor().compress(NEW), "zstd") == NEW
    assert read(difference(NEW, OLD), "dcz", OLD) == NEW


@pytest.mark.parametrize(
    ("body", "encoding", "have"),
    [
        (difference(NEW, OLD), "dcz", b"another file"),
        (difference(NEW, OLD), "dcz", None),
        (difference(NEW, OLD)[:20], "dcz", OLD),
        (b"", "dcz", OLD),
        (DCZ_MAGIC + hashlib.sha256(OLD).digest() + b"no zstd at all", "dcz", OLD),
        (b"no zstd at all", "zstd", None),
        (NEW, "gzip", OLD),
        (NEW, "zstd, dcz", OLD),
    ],
)
def test_what_cannot_be_read_is_refused(body, encoding, have):
    with pytest.raises(encodings.BadEncoding):
        read(body, encoding, have)


@given(st.binary(max_size=400))
def test_no_body_breaks_the_reading(body):
    for encoding in ("zstd", "dcz"):
        with contextlib.suppress(encodings.BadEncoding):
            read(body, encoding, OLD)


def test_a_frame_that_wants_more_memory_than_agreed_is_refused():
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=27, write_content_size=False)
    greedy = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(encodings.BadEncoding, match="zstd cannot be read"):
        read(greedy.compress(bytes(1000)) + greedy.flush(), "zstd")


def test_a_small_answer_that_grows_without_end_comes_in_small_pieces():
    bomb = zstandard.ZstdCompressor().compress(bytes(2**26))
    assert len(bomb) < 10_000
    pieces = encodings.decoded(answer(bomb, "zstd"), None)
    assert max(len(next(pieces)) for _ in range(20)) <= encodings.CHUNK


@pytest.mark.django_db(transaction=True)
def test_the_second_model_comes_as_its_difference_from_the_first(recognizer, live_server, settings, tmp_path, monkeypatch):
    settings.SITE_URL = live_server.url
    came = []
    real = encodings._raw
    monkeypatch.setattr(encodings, "_raw", lambda response: (came.append(len(part)) or part for part in real(response)))
    offer(recognizer, OLD)
    with Phone(live_server.url, folder=tmp_path) as phone:
        assert phone.update_model("coins")
        assert sum(came) == len(OLD)
        came.clear()
        offer(recognizer, NEW)
        while work_once():
            pass
        assert phone.update_model("coins")
        assert sum(came) < len(NEW) / 100
    assert [path.read_bytes() for path in tmp_path.rglob("*.tflite")] == [NEW]


@pytest.mark.django_db(transaction=True)
def test_a_difference_that_cannot_be_read_costs_a_download_alone(recognizer, live_server, settings, tmp_path, monkeypatch):
    settings.SITE_URL, settings.MANIFEST_HOLD_S = live_server.url, 0
    from training import deltas

    offer(recognizer, OLD)
    with Phone(live_server.url, folder=tmp_path, sleep=lambda seconds: None) as phone:
        phone.update_model("coins")
        offer(recognizer, NEW)
        monkeypatch.setattr(deltas, "_encoded", lambda sha256, base: b"not what it says")
        while work_once():
            pass
        assert phone.update_model("coins")
    assert [path.read_bytes() for path in tmp_path.rglob("*.tflite")] == [NEW]
