"""FAME: which stretch of days a leaderboard sums up: a day, a week, a season, or all of them. Plain Python; days are UTC."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from django.conf import settings

Kind = Literal["day", "week", "season", "all"]
KINDS: tuple[Kind, ...] = ("day", "week", "season", "all")
FIRST = date(1970, 1, 1)  # where "all" begins: before every photo


@dataclass(frozen=True, order=True)
class Period:
    """[begins, ends): `begins` is its name among those of its kind, `ends` None for "all"."""

    kind: Kind
    begins: date

    @property
    def ends(self) -> date | None:
        """The first day after it."""
        if self.kind == "all":
            return None
        if self.kind == "season":
            months = self.begins.year * 12 + self.begins.month - 1 + settings.FAME_SEASON_MONTHS
            return date(months // 12, months % 12 + 1, 1)
        return self.begins + timedelta(days=1 if self.kind == "day" else 7)

    @property
    def words(self) -> str:
        """For people, e.g. "the week from 23 November 2026"."""
        day = f"{self.begins.day} {self.begins:%B %Y}"
        return {"day": day, "week": f"the week from {day}", "season": f"the season from {day}", "all": "the whole time"}[
            self.kind
        ]


def period(kind: Kind, day: date) -> Period:
    """The period of this kind that holds `day`. Weeks begin on Mondays (ISO 8601), seasons every FAME_SEASON_MONTHS months from
    January on: with 3 they are the calendar's quarters. Raises ValueError for a kind that is none of KINDS."""
    if kind == "day":
        return Period(kind, day)
    if kind == "week":
        return Period(kind, day - timedelta(days=day.weekday()))
    if kind == "season":
        return Period(kind, date(day.year, day.month - (day.month - 1) % settings.FAME_SEASON_MONTHS, 1))
    if kind == "all":
        return Period(kind, FIRST)
    raise ValueError(f"{kind!r} is none of {', '.join(KINDS)}")


def holding(day: date) -> list[Period]:
    """The four periods that count what was done on `day`."""
    return [period(kind, day) for kind in KINDS]
