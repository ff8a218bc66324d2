"""EDITION: what may be shown of an edition now. Pages, feed and mails all read it here, and nowhere else.

Words and order are as they were frozen. What was withdrawn, rejected or erased since is left out.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from collector.models import Photo
from newsletter.fame_names import NOBODY, names, renamed, wishes
from newsletter.models import Edition, EditionEntry


@dataclass(frozen=True)
class Reading:
    """An edition as a reader gets it. `gone` counts entries that are no longer shown."""

    edition: Edition
    entries: list[EditionEntry]
    gone: int
    leaderboard: list[dict[str, Any]]
    model: dict[str, Any] | None
    challenge: dict[str, str] | None
    next_challenge: dict[str, str] | None


def published(recognizer_id: int) -> QuerySet[Edition]:
    """What the public may read, newest first: never drafts."""
    return Edition.objects.filter(recognizer=recognizer_id).exclude(state=Edition.State.DRAFT).order_by("-number")


def read(*, edition: Edition) -> Reading:
    """Everything an edition shows now."""
    entries = list(_shown(edition).select_related("photo__volunteer"))
    return Reading(
        edition=edition,
        entries=_credited(entries),
        gone=edition.entries.count() - len(entries),
        leaderboard=_named(edition.content.get("leaderboard") or []),
        model=edition.content.get("model"),
        challenge=edition.content.get("challenge"),
        next_challenge=edition.content.get("next_challenge"),
    )


def fingerprint(*, edition: Edition) -> tuple[tuple[int, ...], frozenset[tuple[UUID, str]]]:
    """Changes exactly when something must no longer be shown: two small queries, asked before every mail."""
    entries = list(_shown(edition).values_list("pk", "photo__volunteer"))
    lines = {UUID(line["volunteer"]) for line in edition.content.get("leaderboard") or []}
    return tuple(pk for pk, _ in entries), frozenset(names({person for _, person in entries} | lines).items())


def _shown(edition: Edition) -> QuerySet[EditionEntry]:
    return edition.entries.filter(photo__state=Photo.State.ACCEPTED).order_by("position")


def _named(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    known = names(UUID(line["volunteer"]) for line in lines)
    return [{**line, "name": known[UUID(line["volunteer"])]} for line in lines if UUID(line["volunteer"]) in known]


def _credited(entries: list[EditionEntry]) -> list[EditionEntry]:
    """Who has a wish of how to be named is named so, whatever was printed. The rows stay as they were frozen."""
    wished = wishes(entry.photo.volunteer_id for entry in entries)
    for entry in entries:
        name = wished.get(entry.photo.volunteer_id)
        if name is not None:
            printed = {entry.photo.volunteer.name, entry.credit} - {name, NOBODY}
            entry.alt, entry.credit = renamed(entry.alt, printed, name), name
    return entries
