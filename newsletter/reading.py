"""EDITION: what may be shown of an edition now. Pages, feed and mails all read it here, and nowhere else.

Words and order are as they were frozen. What was withdrawn, rejected or erased since is left out.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from collector.models import Photo
from config.rows import Found, Statement, key, together
from newsletter.fame_names import NOBODY, names, renamed, wishes
from newsletter.models import Edition, EditionEntry
from newsletter.words import one_line, paragraphs

Fingerprint = frozenset[Any]
LENGTHS = {"caption": 160, "alt": 240, "credit": 60, "mended": 240}  # characters of an entry's words, as its columns have them

SHOWN = """
FROM newsletter_editionentry e JOIN collector_photo p ON p.id = e.photo_id WHERE e.edition_id = %s AND p.state = 'accepted'
"""
# One statement for both, as each takes its time before every mail: which entries stand where, and how people are named.
# UNION and not OR: PostgreSQL would look through all volunteers for photos' senders and leaders together.
TOLD = f"""
SELECT CAST(e.id AS VARCHAR(36)), e.position, NULL, NULL, NULL {SHOWN} UNION ALL
SELECT CAST(v.id AS VARCHAR(36)), NULL, v.handle, f.listed, f.pseudonym FROM collector_volunteer v
LEFT JOIN newsletter_famepreference f ON f.volunteer_id = v.id WHERE v.erased_at IS NULL AND v.id IN
"""  # noqa: S608  our own words


@dataclass(frozen=True)
class Reading:
    """An edition as a reader gets it. `entries` are its finds, `gone` counts those that are no longer shown.

    `fixer` fixed the mistake that the edition tells of: one of the finds, or a photo of its own.
    """

    edition: Edition
    entries: list[EditionEntry]
    fixer: EditionEntry | None
    gone: int
    leaderboard: list[dict[str, Any]]
    model: dict[str, Any] | None
    challenge: dict[str, Any] | None
    next_challenge: dict[str, Any] | None

    @property
    def title(self) -> str:
        return one_line(self.edition.title, 120)

    @property
    def name(self) -> str:
        """What the recognizer is called."""
        return one_line(self.edition.recognizer.name, 80)

    @property
    def introduction(self) -> str:
        return paragraphs(self.edition.introduction)

    @property
    def pictured(self) -> list[EditionEntry]:
        """All photos that it shows, in order."""
        return self.entries + ([self.fixer] if self.fixer and self.fixer not in self.entries else [])


def published(recognizer_id: int) -> QuerySet[Edition]:
    """What the public may read, newest first: never drafts, and no reminders, which are of no use a day later."""
    issued = Edition.objects.filter(recognizer=recognizer_id).exclude(state=Edition.State.DRAFT)
    return issued.exclude(kind=Edition.Kind.REMINDER).order_by("-number")


def read(*, edition: Edition) -> Reading:
    """Everything an edition shows now."""
    shown = _credited([_cleaned(entry) for entry in _shown(edition).select_related("photo__volunteer")])
    entries = [entry for entry in shown if entry.part == EditionEntry.Part.FIND]
    own = [entry for entry in shown if entry.part == EditionEntry.Part.FIX]
    return Reading(
        edition=edition,
        entries=entries,
        fixer=next(iter([*own, *(entry for entry in entries if entry.mended)]), None),
        gone=edition.entries.filter(part=EditionEntry.Part.FIND).count() - len(entries),
        leaderboard=_named(edition.content.get("leaderboard") or []),
        model=edition.content.get("model"),
        challenge=edition.content.get("challenge"),
        next_challenge=edition.content.get("next_challenge"),
    )


def asking(*, edition: Edition) -> Statement:
    """What `fingerprint` asks; also before every mail, so by hand, and in one message with what is written of that mail."""
    leaders = sorted({line["volunteer"] for line in edition.content.get("leaderboard") or []})
    people = " UNION ".join([f"SELECT p.volunteer_id {SHOWN}", *["SELECT %s"] * len(leaders)])
    return f"{TOLD} ({people})", [edition.pk, edition.pk, *(key(UUID(leader)) for leader in leaders)]


def told(found: Found) -> Fingerprint:
    """The fingerprint in what was found for `asking`."""
    return frozenset(found.rows)


def fingerprint(*, edition: Edition) -> Fingerprint:
    """Changes exactly when something must no longer be shown, or is named otherwise."""
    return told(*together([asking(edition=edition)]))


def _shown(edition: Edition) -> QuerySet[EditionEntry]:
    return edition.entries.filter(photo__state=Photo.State.ACCEPTED).order_by("position")


def _cleaned(entry: EditionEntry) -> EditionEntry:
    """Words were made safe when they were composed or edited; rows that came another way are made safe here."""
    for field, limit in LENGTHS.items():
        setattr(entry, field, one_line(getattr(entry, field), limit))
    return entry


def _named(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    known = names(UUID(line["volunteer"]) for line in lines)
    there = [line for line in lines if UUID(line["volunteer"]) in known]
    return [{**line, "name": one_line(known[UUID(line["volunteer"])], LENGTHS["credit"])} for line in there]


def _credited(entries: list[EditionEntry]) -> list[EditionEntry]:
    """Who has a wish of how to be named is named so, whatever was printed. The rows stay as they were frozen."""
    wished = wishes(entry.photo.volunteer_id for entry in entries)
    for entry in entries:
        name = wished.get(entry.photo.volunteer_id)
        if name is not None:
            printed = {entry.photo.volunteer.name, entry.credit} - {name, NOBODY}
            entry.alt, entry.credit = renamed(entry.alt, printed, name), name
    return entries
