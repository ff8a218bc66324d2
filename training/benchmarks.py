"""PHONE → RELEASE: what a device measured of a released file, once per device and file."""

from typing import Any

from django.utils import timezone

from collector import limits
from collector.addresses import network
from collector.models import Recognizer
from training.errors import UnknownArtifact
from training.models import Benchmark, Release

SOURCE_DIGITS = 4  # hexadecimal, of a keyed hash: 65,536 buckets tell nobody's address, and still keep one from counting twice


def report(
    *, recognizer: Recognizer, artifact_sha256: str, version: int, device: str, address: str = "", **measured: Any
) -> tuple[Benchmark, bool]:
    """Keep a device's newest report on a file; returns the row and whether it is the first. Raises UnknownArtifact.

    A corrected report keeps its place in the order and its source, so that a device cannot choose whom it is compared with.
    """
    if not Release.objects.filter(recognizer=recognizer, version=version, artifacts__sha256=artifact_sha256).exists():
        raise UnknownArtifact("Report the version and sha256 of the manifest.", sha256=artifact_sha256, version=version)
    said = {"version": version, "reported_at": timezone.now(), **measured}
    return Benchmark.objects.update_or_create(
        recognizer=recognizer,
        device=device,
        artifact_sha256=artifact_sha256,
        defaults=said,
        create_defaults=said | {"source": source(address, artifact_sha256)},
    )


def source(address: str, artifact_sha256: str) -> str:
    """The bucket of an address; another one for each file, so that reports on several files cannot be linked by it."""
    return limits.hashed(f"{artifact_sha256} {network(address)}")[:SOURCE_DIGITS] if address else ""
