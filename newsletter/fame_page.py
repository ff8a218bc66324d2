"""FAME, on the web: the page of a recognizer's leaderboards."""

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from newsletter.fame import Board, leaderboard, teams
from newsletter.fame_asked import asked
from newsletter.periods import KINDS
from newsletter.views import page, recognizer_of

WORDS = {"day": "today", "week": "this week", "season": "this season", "all": "whole time"}
TEAM_ROWS = 10  # teams on the page


@require_safe
@page
def fame(request: HttpRequest, slug: str) -> HttpResponse:
    """Who did most, in `?period=`, for `?label=`, from line `?from=` on."""
    recognizer = recognizer_of(slug)
    board, skip = asked(recognizer=recognizer, query=request.GET)
    lines = leaderboard(board=board, limit=settings.FAME_ROWS + 1, skip=skip)
    context = {
        "recognizer": recognizer,
        "board": board,
        "lines": lines[: settings.FAME_ROWS],
        "teams": teams(board=board, limit=TEAM_ROWS) if not skip else [],
        "periods": [(_query(board, period=kind), WORDS[kind], kind == board.period.kind) for kind in KINDS],
        "labels": [("", "all", board.label is None)]
        + [(label.slug, label.name, label == board.label) for label in recognizer.labels.all()],
        "earlier": _query(board, first=max(1, skip + 1 - settings.FAME_ROWS)) if skip else "",
        "later": _query(board, first=skip + 1 + settings.FAME_ROWS) if len(lines) > settings.FAME_ROWS else "",
    }
    return render(request, "newsletter/fame.html", context)


def _query(board: Board, *, period: str = "", first: int = 1) -> str:
    values: dict[str, Any] = {"period": period or board.period.kind}
    values |= {"label": board.label.slug} if board.label else {}
    return "?" + urlencode(values | ({"from": first} if first > 1 else {}))
