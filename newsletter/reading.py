"""EDITION: what may be shown of an edition now. Pages, feed and mails all read it here, and nowhere else.

Words and order are as they were frozen. What was withdrawn, rejected or erased since is left out.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from collector.models import Photo, Volunteer
from config.rows import key
from newsletter.models import Edition, EditionEntry

SHOWN = """
SELECT e.id FROM newsletter_editionentry e JOIN collector_photo p ON p.id = e.photo_id
WHERE e.edition_id = %s AND p.state = 'accepted' ORDER BY e.position
"""
PRESENT = "SELECT id FROM collector_volunteer WHERE erased_at IS NULL AND id IN"


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


def printed(recognizer_id: int) -> QuerySet[Edition]:
    """Those of them that are worth keeping: archive and feed leave out reminders, which are over with their day."""
    return published(recognizer_id).exclude(kind=Edition.Kind.REMINDER)


def read(*, edition: Edition) -> Reading:
    """Everything an edition shows now."""
    entries = list(_shown(edition).select_related("photo"))
    return Reading(
        edition=edition,
        entries=entries,
        gone=edition.entries.count() - len(entries),
        leaderboard=_named(edition.content.get("leaderboard") or []),
        model=edition.content.get("model"),
        challenge=edition.content.get("challenge"),
        next_challenge=edition.content.get("next_challenge"),
    )


def fingerprint(*, edition: Edition) -> tuple[tuple[int, ...], frozenset[Any]]:
    """Changes exactly when something must no longer be shown: two small queries, asked before every mail. By hand, since
    composing them would take Django as long as sending a mail takes."""
    people = [key(UUID(line["volunteer"])) for line in edition.content.get("leaderboard") or []]
    with connection.cursor() as cursor:
        cursor.execute(SHOWN, [edition.pk])
        shown = tuple(pk for (pk,) in cursor.fetchall())
        if not people:
            return shown, frozenset()
        cursor.execute(f"{PRESENT} ({', '.join(['%s'] * len(people))})", people)
        return shown, frozenset(pk for (pk,) in cursor.fetchall())


def _shown(edition: Edition) -> QuerySet[EditionEntry]:
    return edition.entries.filter(photo__state=Photo.State.ACCEPTED).order_by("position")


def _present(lines: list[dict[str, Any]]) -> dict[UUID, Volunteer]:
    ids = [line["volunteer"] for line in lines]
    return {row.pk: row for row in Volunteer.objects.filter(pk__in=ids, erased_at__isnull=True)}


def _named(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    present = _present(lines)
    return [{**line, "name": present[UUID(line["volunteer"])].name} for line in lines if UUID(line["volunteer"]) in present]
