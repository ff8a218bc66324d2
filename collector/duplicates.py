"""INTAKE: which photos show the same moment? A 64-bit perceptual hash, indexed so that a look-up never scans.

The hash (pHash: signs of the lowest 8×8 DCT coefficients) is dealt out over four bands of 16 bits. Two hashes that differ in
at most 7 bits agree in at least one band to within one bit (pigeonhole: 7 // 4 = 1), so a look-up asks each band's index for
the 17 values within one bit and compares what stands there. Three bands of 21 bits within two bits would compare a quarter of
that, but ask for 718 values: PostgreSQL took 8 ms to look for them.
"""

from collections.abc import Sequence
from itertools import combinations
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Count, F

from collector.models import HASH_BANDS, INDEXED_BANDS, Fingerprint, Photo

BAND_BITS = 16  # of an indexed band, and of a photo's columns phash_0 … phash_3
REACH = 1  # bits in which an indexed band may differ
FORGET_BATCH = 500  # photos that one statement names: far below the number of values that SQLite takes
_BITS = 64  # of a hash
_ALL = 2**_BITS - 1


def bands_of(phash: int) -> tuple[int, ...]:
    """Four bands of 0…65535 of a 64-bit hash (collector.decoder.perceptual_hash)."""
    return tuple(phash >> BAND_BITS * band & 0xFFFF for band in range(HASH_BANDS))


def distance(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """Bits in which two hashes differ, 0…64."""
    return sum((a ^ b).bit_count() for a, b in zip(one, other, strict=True))


def cluster_of(photo: Photo, bands: tuple[int, ...]) -> UUID:
    """The cluster of the nearest fingerprint of this recognizer within NEAR_DUPLICATE_BITS (the oldest of equals), or its own.

    Reads only. `remember` follows in the same transaction, with the recognizer's `turn` taken before both.
    """
    recognizer, bits = int(photo.recognizer_id), as_bits(bands)
    # The same picture again is the commonest near-duplicate: one row of a unique index.
    same = _cluster(f"recognizer_id = {recognizer} AND bits = {bits}")
    nearest = _nearest_by_postgresql if connection.vendor == "postgresql" else _nearest
    return same or nearest(recognizer, bits) or photo.pk


def remember(photo: Photo, bands: tuple[int, ...], cluster: UUID) -> None:
    """Let later photos find this one. Call it with the recognizer's `turn` taken, after the photo's own row is written.

    A cluster that has FINGERPRINTS_PER_CLUSTER gets no further one: it is a flood, and is found by those it has.
    """
    bits = as_bits(bands)
    same = Fingerprint.objects.filter(recognizer=photo.recognizer_id, bits=bits)
    # The UPDATE comes first: it locks the row, so that `forget` cannot remove it before we commit.
    if not same.update(photos=F("photos") + 1):
        if Fingerprint.objects.filter(cluster=cluster).count() >= settings.FINGERPRINTS_PER_CLUSTER:
            return
        values = {f"band_{band}": value for band, value in enumerate(indexed_bands(bits))}
        Fingerprint.objects.create(recognizer_id=photo.recognizer_id, bits=bits, cluster=cluster, **values)
    Photo.objects.filter(pk=photo.pk).update(fingerprint=same.get())


def forget(photo_ids: Sequence[UUID]) -> None:
    """Withdrawn photos leave no hash behind: their columns are emptied, and a fingerprint goes with the last that carried it.

    Call it in the transaction that withdraws them, after the UPDATE that says so: that one locks the photos' rows, so two
    withdrawals of one photo cannot count it twice. Calling it again changes nothing.
    """
    for start in range(0, len(photo_ids), FORGET_BATCH):
        photos = Photo.objects.filter(pk__in=photo_ids[start : start + FORGET_BATCH])
        carried = photos.filter(fingerprint__isnull=False).order_by("fingerprint").values_list("fingerprint")
        counts = list(carried.annotate(count=Count("pk")))  # by key: two withdrawals lock fingerprints in the same order
        photos.update(fingerprint=None, cluster=None, **{f"phash_{band}": None for band in range(HASH_BANDS)})
        for fingerprint, count in counts:
            row = Fingerprint.objects.filter(pk=fingerprint)
            row.update(photos=F("photos") - count)
            row.filter(photos=0).delete()


def as_bits(bands: tuple[int, ...]) -> int:
    """The four 16-bit columns as one signed 64-bit number: what a BIGINT holds."""
    value = sum(part << BAND_BITS * band for band, part in enumerate(bands))
    return value - 2**64 if value >> 63 else value


def indexed_bands(bits: int) -> tuple[int, ...]:
    """Bits 0, 4, 8, … / 1, 5, 9, … / 2, 6, 10, … / 3, 7, 11, … of a hash, as four numbers of 0…65535.

    Dealt out in turn, because neighbouring coefficients of real pictures depend on one another: in bands of neighbours some
    values are common, and a look-up of them compares more.
    """
    text = f"{bits & _ALL:064b}"
    return tuple(int(text[band::INDEXED_BANDS], 2) for band in range(INDEXED_BANDS))


# A look-up is written by hand: Django takes longer to carry its parameters, and to make a query of one row, than the databases
# need to answer. What stands in it are numbers, all ours.


def _cluster(condition: str) -> UUID | None:
    """The cluster of the one fingerprint that the condition names, if it is there."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT cluster FROM collector_fingerprint WHERE {condition}")  # noqa: S608
        row = cursor.fetchone()
    return UUID(str(row[0])) if row else None  # SQLite keeps text


def _nearest(recognizer: int, bits: int) -> UUID | None:
    """The cluster of the nearest fingerprint within NEAR_DUPLICATE_BITS; the smaller key is the older of equals."""
    with connection.cursor() as cursor:
        cursor.execute(_candidates(recognizer, bits))
        near = [(((other ^ bits) & _ALL).bit_count(), key) for other, key in cursor.fetchall()]
    far, key = min(near, default=(_BITS, 0))
    return _cluster(f"id = {key}") if far <= settings.NEAR_DUPLICATE_BITS else None


def _nearest_by_postgresql(recognizer: int, bits: int) -> UUID | None:
    """The same. PostgreSQL counts bits itself: one answer instead of thousands of candidates. SQLite cannot."""
    far = f"bit_count((bits # {bits})::bit({_BITS}))"
    return _cluster(
        f"id = (SELECT id FROM ({_candidates(recognizer, bits)}) AS candidates"  # noqa: S608
        f" WHERE {far} <= {settings.NEAR_DUPLICATE_BITS} ORDER BY {far}, id LIMIT 1)"
    )


def _candidates(recognizer: int, bits: int) -> str:
    """SELECT (bits, id) of the fingerprints that agree with `bits` in a band to within REACH bits; some twice.

    UNION and not OR: each part is answered by its own index alone. ALL: a doubled row costs less than its removal.
    """
    return " UNION ALL ".join(
        f"SELECT bits, id FROM collector_fingerprint WHERE recognizer_id = {recognizer}"  # noqa: S608
        f" AND band_{band} IN ({','.join([str(value ^ flips) for flips in _FLIPS])})"
        for band, value in enumerate(indexed_bands(bits))
    )


_FLIPS = [
    sum(1 << bit for bit in chosen) for ones in range(REACH + 1) for chosen in combinations(range(BAND_BITS), ones)
]  # all patterns of a band's bits with at most REACH ones
