"""FAME: which leaderboard a query asks for. The page and the API read the same parameters."""

from collections.abc import Mapping
from datetime import date, datetime

from django.utils import timezone

from collector.errors import MissingParameter
from collector.models import Recognizer
from newsletter.errors import UnknownBoard
from newsletter.fame import Board, board
from newsletter.periods import KINDS, period

DEEPEST = 10**6  # lines that `from` may skip; a page that deep costs a walk along the index


def asked(*, recognizer: Recognizer, query: Mapping[str, str]) -> tuple[Board, int]:
    """(leaderboard, lines to skip) of `period` (KINDS, a season if left out), `day` (YYYY-MM-DD UTC, today), `label` (slug,
    all) and `from` (1 is the best line). Raises MissingParameter, UnknownBoard."""
    kind = query.get("period", "season")
    if kind not in KINDS:
        raise MissingParameter(f"period is one of {', '.join(KINDS)}.", period=kind[:40])
    label = None
    if slug := query.get("label"):
        label = recognizer.labels.filter(slug=slug).first()
        if label is None:
            raise UnknownBoard("GET /api/v1/recognizers lists the labels.", label=slug[:80])
    found = board(recognizer=recognizer, period=period(kind, _day(query.get("day"))), label=label)
    return found, _first(query.get("from", "1")) - 1


def _day(text: str | None) -> date:
    if text is None:
        return timezone.now().date()
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # fromisoformat would also take 20261125 and weeks
    except ValueError:
        raise MissingParameter("day is YYYY-MM-DD.", day=text[:40]) from None


def _first(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 7 and 1 <= int(text) <= DEEPEST):
        raise MissingParameter(f"from is a whole number from 1 to {DEEPEST}: 1 is the best line.", asked=text[:40])
    return int(text)
