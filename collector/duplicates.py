"""INTAKE: which photos show the same moment? A 64-bit perceptual hash, indexed so that a look-up never scans.

The hash (pHash: signs of the lowest 8×8 DCT coefficients) is stored as four 16-bit bands. Two hashes that differ in at most 7
bits agree in at least one band to within one bit (pigeonhole: 7 // 4 = 1), so a look-up asks each band's index for 17 values.
At a million photos that is about 68 × 15 candidates, on any database.
"""

from functools import reduce
from operator import or_
from typing import cast
from uuid import UUID

from django.conf import settings
from django.db.models import Q

from collector.models import HASH_BANDS, Photo

BAND_BITS = 16
CANDIDATES = 2_000  # rows compared at the most; a flood of one picture must not make each look-up slower than the last


def bands_of(phash: int) -> tuple[int, ...]:
    """Four bands of 0…65535 of a 64-bit hash (collector.decoder.perceptual_hash)."""
    return tuple(phash >> BAND_BITS * band & 0xFFFF for band in range(HASH_BANDS))


def distance(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """Bits in which two hashes differ, 0…64."""
    return sum((a ^ b).bit_count() for a, b in zip(one, other, strict=True))


def cluster_of(photo: Photo, bands: tuple[int, ...]) -> UUID:
    """The cluster of the nearest photo of this recognizer within NEAR_DUPLICATE_BITS (the oldest of equals), or its own."""
    near = reduce(or_, (Q(**{f"phash_{band}__in": _within_one_bit(value)}) for band, value in enumerate(bands)))
    rows = (
        Photo.objects.filter(near, recognizer=photo.recognizer_id, cluster__isnull=False)
        .exclude(pk=photo.pk)
        .order_by("received_at", "id")
        .values_list("phash_0", "phash_1", "phash_2", "phash_3", "cluster")[:CANDIDATES]
    )
    fewest, nearest = settings.NEAR_DUPLICATE_BITS + 1, photo.pk
    for row in rows:
        bits = distance(bands, cast(tuple[int, ...], row[:HASH_BANDS]))  # the filter leaves no NULL
        if bits < fewest:
            fewest, nearest = bits, cast(UUID, row[HASH_BANDS])
    return nearest


def _within_one_bit(value: int) -> list[int]:
    return [value, *(value ^ 1 << bit for bit in range(BAND_BITS))]
