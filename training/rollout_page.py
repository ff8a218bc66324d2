"""PHONE → RELEASE, on screen: what phones reported of what a channel offers, and how its test stands."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse

from training import release, watch
from training.models import Benchmark, Channel
from training.sequential import LEAST_PAIRS, median_interval

COLUMNS = (  # heading, field, format of a value
    ("latency, ms", "latency_ms", "{:.1f}"),
    ("cold start, ms", "cold_start_ms", "{:.0f}"),
    ("memory, MB", "memory_mb", "{:.0f}"),
    ("canaries right", "canary_accuracy", "{:.1%}"),
)


def page(request: HttpRequest, channel_id: int, context: dict[str, Any]) -> HttpResponse:
    """GET only; nothing can be changed here."""
    known = get_object_or_404(Channel.objects.select_related("recognizer"), pk=channel_id)
    row = release.channel_of(known.recognizer, known.name)
    trial = watch.trial_of(row)
    context |= {
        "title": f"Reports on {row.recognizer.name}, {row.name}",
        "channel": row,
        "trial": trial,
        "least_pairs": LEAST_PAIRS,
        "risk": settings.ROLLOUT_RISK_PERCENT,
        "outlook": _outlook(row, trial),
        "columns": [heading for heading, _, _ in COLUMNS],
        "rows": [_row(*found) for found in watch.by_model(row)],
        "moves": row.moves.all()[:10],
    }
    return TemplateResponse(request, "training/reports.html", context)


def _outlook(row: Channel, trial: watch.Trial) -> str:
    """One sentence: what happens next."""
    step = watch.next_step(row, trial)
    if step is None:
        return "An arm runs until it is halted or published." if row.arm else "All devices are offered the release."
    if not row.automatic or row.paused:
        return "The ramp is paused." if row.paused else "The ramp is moved by hand."
    percent, wait_s, missing = step
    waits = [f"{wait_s / 60:.0f} minutes"] * (wait_s > 0) + [f"{missing} reports"] * (missing > 0)
    return f"It goes on to {percent} % after {' and '.join(waits) or 'the next look'}, unless it is worse."


def _row(version: int, model: str, reports: list[Benchmark]) -> dict[str, Any]:
    cells = [_median([getattr(each, field) for each in reports], shape) for _, field, shape in COLUMNS]
    share = watch.corrected(reports)
    cells.append("–" if share is None else f"{share:.1%}")
    return {"version": version, "model": model or "not told", "n": len(reports), "cells": cells}


def _median(values: Sequence[float | None], shape: str) -> str:
    found = median_interval([value for value in values if value is not None])
    if found is None:
        return "–"
    middle, low, high = (shape.format(value) for value in found)
    return f"{middle} ({low} to {high})"
