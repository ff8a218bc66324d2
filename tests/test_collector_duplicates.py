"""Near-duplicates: every one is found, the nearest and oldest wins, copies add nothing, and a withdrawn hash is gone."""

import random
import uuid
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from collector.develop import develop
from collector.duplicates import as_bits, cluster_of, forget, indexed_bands, remember
from collector.erasure import erase, withdraw
from collector.intake import receive
from collector.models import Fingerprint, Photo, Recognizer
from collector.volunteers import register
from tests.drawing import jpeg
from tests.test_collector_limits import together

pytestmark = pytest.mark.django_db


def bands(value: int) -> tuple[int, ...]:
    return tuple(value >> 16 * band & 0xFFFF for band in range(4))


def keep(recognizer: Recognizer, value: int) -> tuple[uuid.UUID, uuid.UUID]:
    """Cluster a hash as the worker does, without a photo's row; returns the photo's key and its cluster."""
    photo = Photo(pk=uuid.uuid4(), recognizer=recognizer)
    cluster = cluster_of(photo, bands(value))
    remember(photo, bands(value), cluster)
    return photo.pk, cluster


def brute_force(known: list[tuple[int, uuid.UUID]], value: int, own: uuid.UUID) -> uuid.UUID:
    """What `cluster_of` promises: the nearest within the limit, of equals the one that was known first."""
    near = [((value ^ other).bit_count(), place, cluster) for place, (other, cluster) in enumerate(known)]
    best = min(near, default=(65, 0, own))
    return best[2] if best[0] <= settings.NEAR_DUPLICATE_BITS else own


def flipped(value: int, bits: int, rng: random.Random) -> int:
    for bit in rng.sample(range(64), bits):
        value ^= 1 << bit
    return value


@examples(max_examples=8)
@given(seed=st.integers(0, 2**32), crowded=st.booleans())
def test_clusters_are_those_of_a_brute_force_search(seed: int, crowded: bool) -> None:
    """Random hashes, near ones of those that are known, far ones just beyond the limit; also where all share a band."""
    rng = random.Random(seed)
    known: list[tuple[int, uuid.UUID]] = []
    with transaction.atomic():
        recognizer = Recognizer.objects.create(slug=uuid.uuid4().hex, name="any")
        for _ in range(40):
            if known and rng.random() < 0.7:
                value = flipped(rng.choice(known)[0], rng.randint(0, 9), rng)
            else:
                value = rng.getrandbits(64) & (0x5555_5555_5555_5555 if crowded else 2**64 - 1)
            own, cluster = keep(recognizer, value)
            assert cluster == brute_force(known, value, own), f"{value:016x}"
            known += [] if any(value == other for other, _ in known) else [(value, cluster)]
        transaction.set_rollback(True)


def test_every_pattern_of_flips_at_the_limit_is_within_reach(recognizer: Any) -> None:
    """However six flips fall on the four bands, one band is within one bit: all in one, shared out, on the borders."""
    rng = random.Random(5)
    value = rng.getrandbits(64)
    first, cluster = keep(recognizer, value)
    in_band = [[63 - bit for bit in range(start, 64, 4)] for start in range(4)]
    for shares in [
        (6, 0, 0, 0),
        (0, 0, 0, 6),
        (2, 2, 2, 0),
        (2, 2, 1, 1),
        (1, 1, 2, 2),
        (2, 1, 2, 1),
        (0, 3, 3, 0),
        (4, 0, 1, 1),
    ]:
        for _ in range(10):
            other = value
            for share, places in zip(shares, in_band, strict=True):
                for bit in rng.sample(places, share):
                    other ^= 1 << bit
            assert cluster_of(Photo(pk=uuid.uuid4(), recognizer=recognizer), bands(other)) == cluster == first, shares


def test_a_hash_is_kept_whole_in_a_signed_column_and_four_bands(recognizer: Any) -> None:
    for value in (0, 1, 2**63 - 1, 2**63, 2**64 - 1, 0xF0E1_D2C3_B4A5_9687):
        keep(recognizer, value)
        row = Fingerprint.objects.get(recognizer=recognizer, bits=as_bits(bands(value)))
        assert row.bits & 2**64 - 1 == value and str(row) == f"{value:016x}"
        parts = [f"{part:016b}" for part in indexed_bands(row.bits)]
        again = "".join(parts[place % 4][place // 4] for place in range(64))
        assert int(again, 2) == value


def test_another_recognizers_photos_are_nobodys_duplicates(recognizer: Any) -> None:
    other = Recognizer.objects.create(slug="other", name="Other")
    _, cluster = keep(recognizer, 77)
    own, there = keep(other, 77)
    assert there == own != cluster


def test_a_flood_of_one_picture_adds_few_rows_and_is_still_found(recognizer: Any, settings: Any) -> None:
    settings.FINGERPRINTS_PER_CLUSTER = 20
    rng = random.Random(9)
    value = rng.getrandbits(64)
    first, _ = keep(recognizer, value)
    for _ in range(30):
        assert keep(recognizer, value)[1] == first
    assert Fingerprint.objects.get().photos == 31
    clusters = {keep(recognizer, flipped(value, 3, rng))[1] for _ in range(60)}
    assert clusters == {first} and Fingerprint.objects.count() == 20


def test_a_look_up_reads_indexes_only(recognizer: Any) -> None:
    """On SQLite the plan itself says so; with few rows PostgreSQL rightly reads the table."""
    if connection.vendor != "sqlite":
        pytest.skip("SQLite's plans do not depend on the number of rows")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        cluster_of(Photo(pk=uuid.uuid4(), recognizer=recognizer), bands(77))
    assert len(queries) == 2
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN QUERY PLAN " + queries[1]["sql"])
        plan = [row[3] for row in cursor.fetchall()]
    searches = [line for line in plan if "collector_fingerprint" in line]
    assert len(searches) == 4
    for band, line in enumerate(searches):
        assert f"USING COVERING INDEX fingerprint_band_{band} (recognizer_id=? AND band_{band}=?)" in line, line


def test_a_withdrawn_hash_is_gone_with_its_last_living_photo(live_photo: Any, volunteer: Any) -> None:
    other, _ = register(consent=True, handle="Grace", address="192.0.2.9")
    first, copy, stranger = live_photo(seed=7), live_photo(seed=7, by=other), live_photo(seed=8)
    assert first.fingerprint == copy.fingerprint and first.fingerprint.photos == 2
    withdraw(photo_id=first.pk, volunteer=volunteer)
    withdraw(photo_id=first.pk, volunteer=volunteer)  # twice is once
    assert Fingerprint.objects.get(pk=first.fingerprint_id).photos == 1
    body = jpeg(7, progressive=True)  # other bytes, the same picture: those that were withdrawn are not taken again
    late, _ = receive(
        photo_id=uuid.uuid4(),
        volunteer=volunteer,
        recognizer=copy.recognizer,
        label=copy.claimed,
        challenge=None,
        body=body,
    )
    develop(photo_id=late.pk)
    late.refresh_from_db()
    assert late.cluster == copy.cluster
    erase(volunteer=other)
    erase(volunteer=volunteer)
    assert not Fingerprint.objects.exists()
    for photo in Photo.objects.all():
        assert (photo.phash_0, photo.phash_1, photo.phash_2, photo.phash_3, photo.cluster) == (None,) * 5
        assert photo.fingerprint is None
    assert stranger.fingerprint_id is not None


@pytest.mark.django_db(transaction=True)
def test_copies_that_are_withdrawn_at_the_same_moment_leave_no_hash(live_photo: Any) -> None:
    people = [register(consent=True, handle=f"c{number}", address="192.0.2.9")[0] for number in range(6)]
    photos = [live_photo(seed=7, by=person, state="pending") for person in people]
    assert Fingerprint.objects.get().photos == 6
    results = together(6, lambda number: withdraw(photo_id=photos[number].pk, volunteer=people[number]).photos)
    assert results == [1] * 6
    assert not Fingerprint.objects.exists()


def test_forgetting_twice_or_nothing_changes_nothing(live_photo: Any) -> None:
    photo, _ = live_photo(seed=7), live_photo(seed=7)
    forget([photo.pk])
    forget([photo.pk])
    forget([])
    assert Fingerprint.objects.get().photos == 1
