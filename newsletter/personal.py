"""INBOX: what is one reader's own in a mail: which mistake their photo fixed, their place, their streak.

Only for addresses that a signed-in volunteer gave. Facts are read for a set of deliveries at once: five queries, however many
readers there are. Other people's names are never among them.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from django.utils.html import escape
from django.utils.safestring import mark_safe

from collector.models import Photo, Recognizer
from newsletter import fame
from newsletter.models import Delivery, Edition
from newsletter.periods import period
from newsletter.words import one_line
from training import fixes
from training.models import Fix

# Where a reader's own lines go. Nobody can guess it: a title or a name that held it would be given those lines too, any number
# of times, and the mail would pass its limit of bytes.
PERSONAL_MARK = f"personal-{secrets.token_hex(8)}"
FIXES = 3  # sentences on fixed mistakes; a good night may have fixed dozens with one volunteer's photos
LINES = FIXES + 2
LINE_CHARS = 240
# Bytes of HTML that a reader's own lines take at the most: a quote is six bytes when escaped, an emoji four.
MOST_BYTES = LINES * (LINE_CHARS * 6 + len("<li></li>"))
LEAST_STREAK = 2  # days; everybody who sends a photo has one of 1


@dataclass(frozen=True)
class Personal:
    """A reader's own lines, plain words."""

    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(f"- {line}" for line in self.lines)

    @property
    def html(self) -> str:
        return mark_safe("".join(f"<li>{escape(line)}</li>" for line in self.lines))  # noqa: S308  each line is escaped


class Place(Personal):
    """Nobody's lines: the mark stays where it is, for those of each reader."""

    def __init__(self) -> None:
        super().__init__(())

    @property
    def text(self) -> str:
        return PERSONAL_MARK

    @property
    def html(self) -> str:
        return PERSONAL_MARK


EXAMPLE = Personal(
    (
        "Your photo of a label helped version 7 recognise it in 2 photos that the one before took for another.",
        "You are in place 3 of this week’s leaderboard.",
        "You have sent photos on 4 days in a row.",
    )
)


def of_deliveries(*, edition: Edition, delivery_ids: Sequence[UUID]) -> dict[UUID, Personal]:
    """Delivery → its reader's own lines; readers of whom nothing is known or to be told are absent."""
    readers = Delivery.objects.filter(pk__in=delivery_ids, subscriber__volunteer__erased_at=None)
    people = dict(readers.exclude(subscriber__volunteer=None).values_list("pk", "subscriber__volunteer"))
    if not people:
        return {}
    known = sorted(set(people.values()))
    mended, streaks = _mended(edition, known), _streaks(edition, known)
    places = _places(edition.recognizer, _counted_day(edition), known)
    found = {}
    for delivery_id, volunteer_id in people.items():
        lines = mended.get(volunteer_id, [])[:FIXES]
        lines = [*lines, *_of_place(places.get(volunteer_id)), *_of_streak(edition, streaks.get(volunteer_id, 0))]
        if lines:
            found[delivery_id] = Personal(tuple(one_line(line, LINE_CHARS) for line in lines))
    return found


def _mended(edition: Edition, volunteer_ids: list[UUID]) -> dict[UUID, list[str]]:
    """Volunteer → a sentence for each mistake that their photos fixed in versions that no edition before this one told of."""
    model = edition.content.get("model")
    if not model:
        return {}
    told, newest = edition.content.get("told_version", 0), model["version"]
    new = Fix.objects.filter(
        photo__volunteer__in=volunteer_ids,
        photo__recognizer=edition.recognizer_id,
        photo__state=Photo.State.ACCEPTED,
        run__releases__version__gt=told,
        run__releases__version__lte=newest,
        run__releases__rolls_back_to=None,
    )
    owners = dict(new.order_by().values_list("photo", "photo__volunteer").distinct())
    found: dict[UUID, list[str]] = {}
    for photo_id, mended in fixes.mended_by(photo_ids=list(owners)).items() if owners else ():
        told_now = [each.sentence(f"Your photo of {each.label}") for each in mended if told < each.version <= newest]
        found.setdefault(owners[photo_id], []).extend(told_now)
    return found


def _places(recognizer: Recognizer, day: date, volunteer_ids: list[UUID]) -> dict[UUID, int]:
    return fame.places(recognizer=recognizer, period=period("week", day), volunteer_ids=volunteer_ids)


def _streaks(edition: Edition, volunteer_ids: list[UUID]) -> dict[UUID, int]:
    return fame.streaks(recognizer=edition.recognizer, volunteer_ids=volunteer_ids, day=_counted_day(edition))


def _counted_day(edition: Edition) -> date:
    """The last day that is over: a reminder is read on its own day."""
    return edition.day - timedelta(days=1) if edition.kind == Edition.Kind.REMINDER else edition.day


def _of_place(place: int | None) -> list[str]:
    return [f"You are in place {place} of this week’s leaderboard."] if place else []


def _of_streak(edition: Edition, days: int) -> list[str]:
    if days < LEAST_STREAK:
        return []
    more = f" One today makes it {days + 1}." if edition.kind == Edition.Kind.REMINDER else ""
    return [f"You have sent photos on {days} days in a row.{more}"]
