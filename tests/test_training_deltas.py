"""Files made smaller by what phones have: which are wanted, made once, verified, chosen by what a phone says, and let go."""

import base64
import hashlib
import random
from datetime import timedelta

import pytest
import time_machine
import zstandard
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from collector.storage import MissingObject, store
from config.duties import work_once
from tests.nights import released
from training import deltas, release
from training.models import Benchmark, Encoded


def night(seed: int, changed: int = 200) -> bytes:
    """20 kB that no compressor makes smaller, of which a night changes a few bytes."""
    file = bytearray(random.Random(0).randbytes(20_000))
    rng = random.Random(seed)
    for _ in range(changed if seed else 0):
        file[rng.randrange(len(file))] = rng.randrange(256)
    return bytes(file)


def digest(file: bytes) -> str:
    return hashlib.sha256(file).hexdigest()


def named(file: bytes) -> str:
    return f":{base64.b64encode(hashlib.sha256(file).digest()).decode()}:"


@pytest.fixture
def two_nights(recognizer):
    """Two releases, and everything a worker makes of them."""
    for seed in (1, 2):
        released(recognizer, night(seed))
    while work_once():
        pass
    return night(1), night(2)


def get(file: bytes, **headers: str):
    return Client().get(f"/blobs/{digest(file)}", headers={key.replace("_", "-"): value for key, value in headers.items()})


# ---- bodies ------------------------------------------------------------------------------------------------------
@given(st.binary(max_size=3000), st.binary(max_size=3000), st.integers(0, 3000))
def test_what_is_told_by_another_file_comes_out_again(before, fresh, cut):
    file = before[:cut] + fresh + before[cut:]
    body = deltas.difference(file, before)
    assert body[:8] == bytes.fromhex("5e2a4d1820000000")
    assert body[8:40] == hashlib.sha256(before).digest()
    assert deltas.restored(body, before, most=len(file)) == file


def test_a_common_tool_reads_the_body_by_the_dictionary():
    """zstd skips the frame in front, as RFC 9842 wants of it."""
    body = deltas.difference(night(2), night(1))
    dictionary = zstandard.ZstdCompressionDict(night(1), dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    assert zstandard.ZstdDecompressor(dict_data=dictionary).decompress(body[40:]) == night(2)
    assert zstandard.get_frame_parameters(body[40:]).window_size <= 8 * 2**20


def test_a_body_of_another_dictionary_is_not_read():
    body = deltas.difference(night(2), night(1))
    with pytest.raises(ValueError, match="another file"):
        deltas.restored(body, night(3), most=20_000)


# ---- which are wanted, and made once -----------------------------------------------------------------------------
def test_a_file_is_wanted_by_itself_and_by_the_files_that_phones_have(recognizer):
    assert deltas.due() == []
    released(recognizer, night(1))
    assert deltas.due() == [f"{digest(night(1))} "]
    released(recognizer, night(2))
    pairs = set(deltas.due())
    assert {f"{digest(night(2))} ", f"{digest(night(2))} {digest(night(1))}"} <= pairs
    assert all(pair.split(" ")[0] != pair.split(" ")[1] for pair in pairs)


def test_of_old_files_only_those_count_that_devices_reported_lately(recognizer, settings):
    settings.DELTA_RELEASES, settings.DELTA_REPORTED = 1, 1
    with time_machine.travel("2026-11-22T10:00Z", tick=False):
        for seed in range(1, 6):
            released(recognizer, night(seed))
        ago = {1: (40, 5), 2: (1, 2), 3: (1, 1)}  # seed → days, devices
        for seed, (days, devices) in ago.items():
            for device in range(devices):
                row = Benchmark.objects.create(
                    recognizer=recognizer,
                    artifact_sha256=digest(night(seed)),
                    version=seed,
                    device=f"{seed}-{device}",
                    latency_ms=1,
                )
                Benchmark.objects.filter(pk=row.pk).update(reported_at=timezone.now() - timedelta(days=days))
        bases = {pair.split(" ")[1] for pair in deltas.due() if pair.startswith(digest(night(5)))}
    assert bases == {"", digest(night(4)), digest(night(2))}  # the release before; the most reported of the last month


def test_a_pair_is_made_once_verified_and_kept(two_nights):
    before, after = two_nights
    rows = {(row.sha256, row.base): row for row in Encoded.objects.all()}
    row = rows[digest(after), digest(before)]
    assert row.state == Encoded.State.MADE
    body = store().get(f"encodings/{row.body}")
    assert len(body) == row.bytes < 3_000
    assert deltas.restored(body, before, most=20_000) == after
    assert rows[digest(after), ""].state == Encoded.State.USELESS  # noise: zstd alone makes nothing smaller
    assert deltas.due() == []


def test_two_workers_make_a_pair_once_and_a_dead_one_is_followed(recognizer, settings, monkeypatch):
    released(recognizer, night(1))
    pair = f"{digest(night(1))} "
    with time_machine.travel("2026-11-22T10:00Z", tick=False) as clock:
        monkeypatch.setattr(deltas, "_encoded", lambda *_: (_ for _ in ()).throw(MemoryError))
        with pytest.raises(MemoryError):
            deltas.make(pair)
        assert deltas.due() == []  # it has a lease
        assert not deltas.make(pair)
        clock.shift(settings.DELTA_LEASE_S + 1)
        assert deltas.due() == [pair]
        for _ in range(settings.DELTA_ATTEMPTS - 1):
            with pytest.raises(MemoryError):
                deltas.make(pair)
            clock.shift(settings.DELTA_LEASE_S + 1)
        assert not deltas.make(pair)
    assert Encoded.objects.get().state == Encoded.State.FAILED
    assert deltas.due() == []
    assert get(night(1), accept_encoding="zstd").content == night(1)


def test_a_zombie_does_not_overwrite_what_a_later_worker_made(recognizer, settings, monkeypatch):
    released(recognizer, bytes(20_000))
    pair = f"{digest(bytes(20_000))} "
    real = deltas._encoded
    with time_machine.travel("2026-11-22T10:00Z", tick=False) as clock:

        def slow(*asked):
            monkeypatch.setattr(deltas, "_encoded", real)
            clock.shift(settings.DELTA_LEASE_S + 1)
            assert deltas.make(pair)  # another took it over
            return b"late"

        monkeypatch.setattr(deltas, "_encoded", slow)
        deltas.make(pair)
    assert Encoded.objects.get().bytes > len(b"late")


def test_what_is_offered_no_more_goes_when_no_manifest_names_it(recognizer, settings):
    with time_machine.travel("2026-11-22T10:00Z", tick=False) as clock:
        released(recognizer, bytes(20_000))
        deltas.make(deltas.due()[0])
        old = Encoded.objects.get()
        for seed in (1, 2):
            released(recognizer, night(seed))
        deltas.make(deltas.due()[0])
        assert Encoded.objects.filter(pk=old.pk).exists()
        clock.shift(settings.MANIFEST_VALID_S + 1)
        deltas.make(deltas.due()[0])
        assert not Encoded.objects.filter(pk=old.pk).exists()


# ---- what a phone gets -------------------------------------------------------------------------------------------
def test_a_phone_that_has_the_file_before_gets_the_difference(two_nights):
    before, after = two_nights
    answer = get(after, accept_encoding="gzip, zstd, dcz", available_dictionary=named(before))
    assert answer["Content-Encoding"] == "dcz"
    assert answer["Vary"] == "Accept-Encoding, Available-Dictionary"
    assert answer["Cache-Control"] == "public, max-age=31536000, immutable"
    assert deltas.restored(answer.content, before, most=20_000) == after
    assert int(answer["Content-Length"]) == len(answer.content) < 3_000
    plain = get(after)
    assert (plain.content, "Content-Encoding" in plain) == (after, False)
    assert plain["Use-As-Dictionary"] == 'match="/blobs/*"'
    assert answer["ETag"] != plain["ETag"]  # another representation


@pytest.mark.parametrize(
    "headers",
    [
        {"accept_encoding": "zstd, dcz"},
        {"accept_encoding": "zstd, dcz", "available_dictionary": named(b"other")},
        {"accept_encoding": "zstd, dcz;q=0", "available_dictionary": named(night(1))},
        {"accept_encoding": "*", "available_dictionary": named(night(1))},
        {"accept_encoding": "dcz", "available_dictionary": named(night(1)).strip(":")},
        {"accept_encoding": "dcz", "available_dictionary": named(night(1)), "range": "bytes=0-"},
    ],
)
def test_whoever_cannot_read_a_difference_gets_the_file(two_nights, headers):
    answer = get(two_nights[1], **headers)
    assert answer.content == two_nights[1]
    assert "Content-Encoding" not in answer


def test_a_file_that_can_be_compressed_comes_by_zstd(recognizer):
    file = b"weights " * 4000
    released(recognizer, file)
    while work_once():
        pass
    answer = get(file, accept_encoding="zstd")
    assert answer["Content-Encoding"] == "zstd"
    assert zstandard.ZstdDecompressor().decompress(answer.content) == file
    head = Client().head(f"/blobs/{digest(file)}", headers={"Accept-Encoding": "zstd"})
    assert (head["Content-Length"], head["ETag"], head.content) == (answer["Content-Length"], answer["ETag"], b"")


def test_an_encoding_that_the_phone_has_is_304_by_its_own_etag(two_nights):
    before, after = two_nights
    asked = {"accept_encoding": "dcz", "available_dictionary": named(before)}
    etag = get(after, **asked)["ETag"]
    assert get(after, **asked, if_none_match=etag).status_code == 304
    assert get(after, if_none_match=etag).status_code == 200


def test_a_body_that_is_lost_costs_nobody_an_update(two_nights):
    before, after = two_nights
    row = Encoded.objects.get(sha256=digest(after), base=digest(before))
    store().delete(f"encodings/{row.body}")
    assert get(after, accept_encoding="dcz", available_dictionary=named(before)).content == after
    with pytest.raises(MissingObject):
        store().get(f"encodings/{row.body}")


def test_after_a_roll_back_phones_get_the_way_back_as_a_difference(two_nights, recognizer):
    before, after = two_nights
    release.rollback(recognizer=recognizer)
    while work_once():
        pass
    answer = get(before, accept_encoding="dcz", available_dictionary=named(after))
    assert deltas.restored(answer.content, after, most=20_000) == before


# ---- headers -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("", set()),
        ("gzip, ZSTD ;q=0.5,dcz", {"gzip", "zstd", "dcz"}),
        ("zstd;q=0, dcz;q=0.000, br;q=0.001", {"br"}),
        (" , ;q=1,,", set()),
    ],
)
def test_codings_are_read_as_rfc_9110_writes_them(header, accepted):
    assert deltas.accepts(header) == accepted


@given(st.text(max_size=80))
def test_no_header_breaks_the_reading(header):
    deltas.accepts(header)
    found = deltas.dictionary_named(header)
    assert found is None or len(found) == 64


@given(st.binary(min_size=32, max_size=32))
def test_a_dictionary_is_named_by_its_digest(sha256):
    assert deltas.dictionary_named(f" :{base64.b64encode(sha256).decode()}: ") == sha256.hex()
