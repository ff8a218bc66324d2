"""PHONE → EXPORT: how restless phones' videos are, beside the simulated ones by which `frames` tunes how frames are joined.

A phone counts frames during which its answer stood, and in how many of them the frame by itself said something else than the
one before. `frames.restless` is the same share of simulated frames, for the very file and the very numbers that it came with.
"""

from dataclasses import dataclass

from django.conf import settings
from django.db.models import Count, Max, QuerySet

from collector.models import Recognizer
from training.models import Artifact, Benchmark
from training.sequential import Report, capped

DEVICES_LEAST = 20  # that report on one file; of fewer, one or two in odd places would move what all phones do
FRAMES_LEAST = 100  # of a device: ten seconds
TRIMMED = 0.2  # of the devices on either side: phones that lie or lie on a table, as long as they are not more
FILES = 10  # newest ones that are looked through for enough reports


@dataclass(frozen=True)
class Observed:
    """Phones' share of restless frames is `livelier` (≥ 0) times the simulated one, by `devices` that run release `version`."""

    livelier: float
    devices: int
    version: int


def observed(*, recognizer: Recognizer) -> Observed | None:
    """Of the newest int8 file that enough devices told about; None where there is none."""
    told = Benchmark.objects.filter(recognizer=recognizer, frames__gte=FRAMES_LEAST)
    files = told.values("artifact_sha256").annotate(devices=Count("pk"), newest=Max("version"))
    for file in files.filter(devices__gte=DEVICES_LEAST).order_by("-newest")[:FILES]:
        simulated = _simulated(recognizer, file["artifact_sha256"])
        rates = _rates(told, file["artifact_sha256"])
        if simulated and len(rates) >= DEVICES_LEAST:
            return Observed(_trimmed_mean(rates) / simulated, len(rates), file["newest"])
    return None


def _simulated(recognizer: Recognizer, sha256: str) -> float | None:
    """`frames.restless` of a released int8 file; None where it was not simulated, as before there was this number."""
    released = Artifact.objects.filter(releases__recognizer=recognizer, format="int8", sha256=sha256).first()
    confidence = released.answers.get("confidence") if released else None
    return (confidence or {}).get("frames", {}).get("restless")


def _rates(told: QuerySet[Benchmark], sha256: str) -> list[float]:
    """Of each device; at most REPORTS_PER_SOURCE of one network address, the first that came."""
    rows = told.filter(artifact_sha256=sha256).order_by("first_at", "pk")[: settings.WATCH_REPORTS]
    reports = [Report(("", ""), row.source, {"restless": (row.frame_changes or 0) / row.frames}) for row in rows if row.frames]
    return [report.values["restless"] for report in capped(reports, settings.REPORTS_PER_SOURCE)]


def _trimmed_mean(rates: list[float]) -> float:
    kept = sorted(rates)[int(TRIMMED * len(rates)) : len(rates) - int(TRIMMED * len(rates))]
    return sum(kept) / len(kept)
