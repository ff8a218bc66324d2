"""PHONE → RELEASE: what the phones' reports mean for a channel: halted, rolled back, or on to the next step. Done by a duty."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from config.errors import Problem
from training import release, rollout
from training.models import Benchmark, Channel, Release
from training.moves import AUTOMATIC
from training.sequential import Finding, Report, capped, compare

ANSWERS_LEAST = 20  # answers of a device before its share of corrections says anything
log = structlog.get_logger()


@dataclass(frozen=True)
class Trial:
    """What is compared on a channel. `findings` are empty where there is nothing to compare with; `counted` are the candidate's
    reports without those that one source sent too many of."""

    candidate: Release
    baseline: Release | None
    findings: list[Finding]
    counted: int

    @property
    def worse(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.halts]


def due() -> list[int]:
    """Channels to look at: with news since the last look, or with a ramp that goes on by itself."""
    now = timezone.now()
    news = Benchmark.objects.filter(recognizer=OuterRef("recognizer"))
    never = Q(watched_at=None) & Exists(news)
    since = Q(watched_at__lte=now - timedelta(seconds=settings.WATCH_EVERY_S))
    again = since & Exists(news.filter(reported_at__gte=OuterRef("watched_at")))
    by_itself = Q(automatic=True, paused=False, arm=None, rollout__lt=100) & (since | Q(watched_at=None))
    found = Channel.objects.filter(never | again | by_itself)
    return list(found.order_by(F("watched_at").asc(nulls_first=True)).values_list("pk", flat=True))


def look(*, channel_id: int) -> None:
    """Judge a channel's reports and move it if they say so. Who is second at the same look does nothing; a move is made only
    from where the channel was when it was judged."""
    known = Channel.objects.filter(pk=channel_id).select_related("recognizer").first()
    if known is None:
        return
    # Stamped before the reports are read: what comes meanwhile is news for the next look.
    claimed = Channel.objects.filter(pk=channel_id, watched_at=known.watched_at).update(watched_at=timezone.now())
    if not claimed:
        return
    row = release.channel_of(known.recognizer, known.name)
    trial = trial_of(row)
    try:
        _act(row, trial)
    except Problem as problem:  # moved meanwhile, or nothing to go back to: an operator's business, and the page shows it
        log.warning("nothing was moved", channel=str(row), why=str(problem))


def trial_of(row: Channel) -> Trial:
    """The comparison that the channel is in: its arm with its release, else its release with the one before."""
    candidate, baseline = (row.arm, row.release) if row.arm else (row.release, row.previous)
    ours, theirs = _files(candidate), _files(baseline) if baseline else {}
    common = ours.keys() & theirs.keys()  # after a roll-back both are the same
    since = (candidate.rolls_back_to or candidate).published_at - timedelta(days=settings.BASELINE_DAYS)
    reports = _reports(row, {sha: ours[sha] for sha in ours.keys() - common} or ours)
    counted = len(capped(reports, settings.REPORTS_PER_SOURCE))
    if not theirs.keys() - common:
        return Trial(candidate, baseline, [], counted)
    before = _reports(row, {sha: theirs[sha] for sha in theirs.keys() - common}, since)
    risk = settings.ROLLOUT_RISK_PERCENT / 100
    return Trial(candidate, baseline, compare(reports, before, risk=risk, source_most=settings.REPORTS_PER_SOURCE), counted)


def next_step(row: Channel, trial: Trial) -> tuple[int, float, int] | None:
    """(percent, seconds still to wait, reports still missing) of the step that comes next; None for a complete release."""
    if row.rollout == 100 or row.arm:
        return None
    percents = [percent for percent, _, _ in settings.RAMP_STEPS] + [100]
    after = next(percent for percent in percents if percent > row.rollout)
    here = [(least_s, least) for percent, least_s, least in settings.RAMP_STEPS if percent <= row.rollout]
    least_s, least = here[-1] if here else (0, 0)
    waited = (timezone.now() - row.changed_at).total_seconds()
    return after, max(0.0, least_s - waited), max(0, least - trial.counted)


def _act(row: Channel, trial: Trial) -> None:
    if trial.worse:
        why = f"{trial.candidate} is worse. {'; '.join(finding.sentence() for finding in trial.worse)}"
        rollout.halt(recognizer=row.recognizer, channel=row.name, by=AUTOMATIC, why=why, seen=row)
        return
    step = next_step(row, trial)
    if step and row.automatic and not row.paused and step[1:] == (0.0, 0):
        why = f"{trial.counted} reports on {trial.candidate}, none of its measures is worse"
        release.ramp(recognizer=row.recognizer, channel=row.name, percent=step[0], by=AUTOMATIC, why=why, seen=row)


def _files(of: Release) -> dict[str, str]:
    """sha256 → format"""
    return dict(of.artifacts.values_list("sha256", "format"))


def _reports(row: Channel, formats: dict[str, str], since: datetime | None = None) -> list[Report]:
    rows = Benchmark.objects.filter(recognizer=row.recognizer_id, artifact_sha256__in=formats)
    if since is not None:
        rows = rows.filter(first_at__gte=since)
    return [_report(each, formats) for each in rows.order_by("first_at", "pk")[: settings.WATCH_REPORTS]]


def _report(row: Benchmark, formats: dict[str, str]) -> Report:
    measured = {
        "latency_ms": row.latency_ms,
        "cold_start_ms": row.cold_start_ms,
        "memory_mb": row.memory_mb,
        "canary_accuracy": row.canary_accuracy,
        "corrections": corrected([row]),
    }
    model = row.device_model.strip().casefold()
    return Report((model, formats[row.artifact_sha256]), row.source, {k: v for k, v in measured.items() if v is not None})


def by_model(row: Channel) -> list[tuple[int, str, list[Benchmark]]]:
    """(version, device model, reports) for what the channel offers, newest version first, the most common models first; at most
    DASHBOARD_ROWS. The newest WATCH_REPORTS reports of each release."""
    found = []
    for each in sorted({r for r in (row.release, row.previous, row.arm) if r}, key=lambda each: -each.version):
        grouped: dict[str, list[Benchmark]] = defaultdict(list)
        reports = Benchmark.objects.filter(recognizer=row.recognizer_id, artifact_sha256__in=_files(each))
        for report in reports[: settings.WATCH_REPORTS]:
            grouped[report.device_model.strip().casefold()].append(report)
        common = sorted(grouped.values(), key=lambda group: -len(group))
        found += [(each.version, group[0].device_model.strip(), group) for group in common]
    return found[: settings.DASHBOARD_ROWS]


def corrected(rows: Iterable[Benchmark]) -> float | None:
    """The share of answers that users corrected, over these reports; None below ANSWERS_LEAST answers."""
    told = [(row.answers, row.corrections or 0) for row in rows if row.answers]
    answers = sum(answers for answers, _ in told)
    return sum(wrong for _, wrong in told) / answers if answers >= ANSWERS_LEAST else None
