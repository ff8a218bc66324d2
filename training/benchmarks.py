"""PHONE → RELEASE: what a device measured of a released file, once per device and file."""

from typing import Any

from django.utils import timezone

from collector.models import Recognizer
from training.errors import UnknownArtifact
from training.models import Benchmark, Release


def report(
    *, recognizer: Recognizer, artifact_sha256: str, version: int, device: str, **measured: Any
) -> tuple[Benchmark, bool]:
    """Keep a device's newest report on a file; returns the row and whether it is the first. Raises UnknownArtifact."""
    if not Release.objects.filter(recognizer=recognizer, version=version, artifacts__sha256=artifact_sha256).exists():
        raise UnknownArtifact("Report the version and sha256 of the manifest.", sha256=artifact_sha256, version=version)
    return Benchmark.objects.update_or_create(
        recognizer=recognizer,
        device=device,
        artifact_sha256=artifact_sha256,
        defaults={"version": version, "reported_at": timezone.now(), **measured},
    )
