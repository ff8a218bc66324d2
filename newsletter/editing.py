"""EDITION: what an editor may do with a draft: words, order, which photos, objection. Each change leaves a line in the log."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Max

from collector.models import Photo
from newsletter.edition import candidates_left, entry_of, mended_sentence, note, photos_of
from newsletter.errors import NoSuchEntry, NotADraft
from newsletter.models import Edition, EditionEntry
from newsletter.reading import LENGTHS
from newsletter.words import one_line, paragraphs
from training import fixes

TITLE_CHARS = 120
INTRODUCTION_CHARS = 20_000  # a long read; the mail's bytes are checked besides
REASON_CHARS = 300
STEPS = {"up": -1, "down": 1}
Find = EditionEntry.Part.FIND


__all__ = ["add", "drop", "hold", "move", "note", "release", "reword", "reword_entry"]


def reword(*, edition: Edition, by: str, title: str, introduction: str) -> None:
    """Title and introduction. Raises NotADraft."""
    with _turn(edition):
        words = {"title": one_line(title, TITLE_CHARS), "introduction": paragraphs(introduction[:INTRODUCTION_CHARS])}
        changed = [name for name, value in words.items() if value and getattr(edition, name) != value]
        if not words["introduction"] and edition.introduction:
            changed.append("introduction")
        if not changed:
            return
        Edition.objects.filter(pk=edition.pk).update(**{name: words[name] for name in changed})
        note(edition, by, "reword", ", ".join(changed))


def reword_entry(*, edition: Edition, entry_id: int, by: str, **words: str) -> None:
    """Caption, alternative text, credit, mended sentence of one photo. What must not be empty stays what it was.

    Raises NotADraft, NoSuchEntry.
    """
    with _turn(edition):
        entry = _entry(edition, entry_id)
        safe = {name: one_line(words[name], limit) for name, limit in LENGTHS.items() if name in words}
        changed = [name for name, value in safe.items() if getattr(entry, name) != value and (value or name == "mended")]
        if changed:
            EditionEntry.objects.filter(pk=entry.pk).update(**{name: safe[name] for name in changed})
            note(edition, by, "reword", f"photo {entry.position}: {', '.join(changed)}")


def move(*, edition: Edition, entry_id: int, by: str, step: str) -> None:
    """One place "up" or "down" among the finds; at the end of the row nothing changes. Raises NotADraft, NoSuchEntry."""
    with _turn(edition):
        entry = _entry(edition, entry_id)
        finds = list(edition.entries.filter(part=Find).order_by("position"))
        place = next((at for at, each in enumerate(finds) if each.pk == entry.pk), None)
        if place is None or not 0 <= place + STEPS[step] < len(finds):
            return
        other = finds[place + STEPS[step]]
        # Positions are unique at every moment: one of the two waits on a free one.
        free = (edition.entries.aggregate(last=Max("position"))["last"] or 0) + 1
        for row, position in ((entry, free), (other, entry.position), (entry, other.position)):
            EditionEntry.objects.filter(pk=row.pk).update(position=position)
        note(edition, by, "move", f"photo {entry.position} → {other.position}")


def drop(*, edition: Edition, entry_id: int, by: str) -> None:
    """Leave a photo out; it may be added again. Raises NotADraft, NoSuchEntry."""
    with _turn(edition):
        entry = _entry(edition, entry_id)
        entry.delete()
        _close_gaps(edition)
        note(edition, by, "drop", f"photo {entry.position}")


def add(*, edition: Edition, photo_id: UUID, by: str) -> None:
    """Print one more of the ranked photos, behind the others. Raises NotADraft, NoSuchEntry."""
    with _turn(edition):
        item = next((each for each in candidates_left(edition=edition) if each.candidate.id == photo_id), None)
        finds = edition.entries.filter(part=Find)
        if item is None:
            raise NoSuchEntry("It was printed before, or is no longer accepted. The list shows what may be added.")
        if (there := finds.count()) >= settings.EDITION_ENTRIES_MOST:
            raise NoSuchEntry(f"The edition has {there} photos, the most that are allowed. Leave one out first.")
        photo: Photo = photos_of([photo_id])[photo_id]
        mended = mended_sentence(fixes.mended_by(photo_ids=[photo_id]).get(photo_id, []))
        # A photo that the edition tells of for what it fixed stays behind the finds.
        for row in edition.entries.exclude(part=Find).order_by("-position"):
            EditionEntry.objects.filter(pk=row.pk).update(position=F("position") + 1)
        last = finds.aggregate(last=Max("position"))["last"] or 0
        entry_of(edition=edition, position=last + 1, photo=photo, item=item, mended=mended).save()
        note(edition, by, "add", f"photo {last + 1}")


def hold(*, edition: Edition, by: str, why: str) -> None:
    """Object: nothing freezes it until it is released. A second objection replaces the first. Raises NotADraft."""
    with _turn(edition):
        reason = one_line(why, REASON_CHARS) or "no reason given."
        Edition.objects.filter(pk=edition.pk).update(held_by=by[:150], held_why=reason)
        note(edition, by, "hold", reason)


def release(*, edition: Edition, by: str) -> None:
    """Withdraw the objection, whoever made it. Raises NotADraft."""
    with _turn(edition):
        if Edition.objects.filter(pk=edition.pk).exclude(held_by="").update(held_by="", held_why=""):
            note(edition, by, "release")


@contextmanager
def _turn(edition: Edition) -> Iterator[None]:
    """One editor at a time, and only while it is a draft: the UPDATE locks the row on both databases. Raises NotADraft."""
    with transaction.atomic():
        drafts = Edition.objects.filter(pk=edition.pk, state=Edition.State.DRAFT)
        if not drafts.update(state=Edition.State.DRAFT):
            raise NotADraft(f"{edition} can no longer be changed; its deliveries are under way.", edition=edition.pk)
        yield
    edition.refresh_from_db()


def _entry(edition: Edition, entry_id: int) -> EditionEntry:
    found = edition.entries.filter(pk=entry_id).first()
    if found is None:
        raise NoSuchEntry("Somebody left it out meanwhile.", entry=entry_id)
    return found


def _close_gaps(edition: Edition) -> None:
    """Positions 1, 2, 3, … in the order that there is; from the front, so that none is taken twice."""
    for place, entry in enumerate(edition.entries.order_by("position"), start=1):
        if entry.position != place:
            EditionEntry.objects.filter(pk=entry.pk).update(position=place)
