"""FAME: how volunteers want to be named. Asked whenever a name is shown, so a wish holds at once, also in what was printed."""

import re
from collections.abc import Iterable, Mapping
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet

from collector.models import Recognizer, Volunteer
from collector.volunteers import clean_handle
from newsletter.errors import NameTaken
from newsletter.fame_rows import turn
from newsletter.models import FameBoard, FameLine, FamePreference

NOBODY = "a volunteer"  # a credit without a name


def preference(*, volunteer: Volunteer) -> FamePreference:
    """What this volunteer wishes; an unsaved row where nothing was said."""
    return FamePreference.objects.filter(volunteer=volunteer).first() or FamePreference(volunteer=volunteer)


def wish(*, volunteer: Volunteer, listed: bool | None = None, pseudonym: str | None = None) -> FamePreference:
    """Change how a volunteer is named; None leaves a wish as it is, an empty pseudonym goes back to the handle.

    Leaderboards follow in the same transaction. Raises InvalidHandle for what is no name, NameTaken.
    """
    changes: dict[str, object] = {} if listed is None else {"listed": listed}
    if pseudonym is not None:
        name = clean_handle(pseudonym) if pseudonym.strip() else ""
        if name and _is_anothers(name, volunteer):
            raise NameTaken("Choose another pseudonym.", pseudonym=name)
        changes |= {"pseudonym": name, "pseudonym_key": name.casefold() or None}
    try:
        with transaction.atomic():
            # A recount that is under way would write its lines by the old wish: every recognizer, in one order.
            _take_turns(volunteer)
            row, _ = FamePreference.objects.update_or_create(volunteer=volunteer, defaults=changes)
            FameLine.objects.filter(volunteer=volunteer).exclude(listed=row.listed).update(listed=row.listed)
            _boards_of(volunteer).update(version=F("version") + 1)  # the name is on them
    except IntegrityError:
        raise NameTaken("Choose another pseudonym.") from None
    return row


def forget(*, volunteer: Volunteer) -> None:
    """Inside the transaction that erases an account: its lines go with its row; no phone may keep a board that it was on."""
    _take_turns(volunteer)
    _boards_of(volunteer).update(version=F("version") + 1)


def names(volunteer_ids: Iterable[UUID]) -> dict[UUID, str]:
    """Volunteer → name, of those who are there and want to be named."""
    people = Volunteer.objects.filter(pk__in=list(volunteer_ids), erased_at__isnull=True).select_related("fame_preference")
    wishes = {person: getattr(person, "fame_preference", None) for person in people}
    return {one.pk: (row.pseudonym if row else "") or one.name for one, row in wishes.items() if row is None or row.listed}


def wishes(volunteer_ids: Iterable[UUID]) -> dict[UUID, str]:
    """Volunteer → the name that is wished, NOBODY for none; absent who never said anything: then what was printed stands."""
    ids = list(volunteer_ids)
    said = FamePreference.objects.filter(volunteer__in=ids).values_list("pk", flat=True)
    known = names(ids)
    return {pk: shown(pk, known) for pk in said}


def renamed(text: str, printed: Iterable[str], now: str) -> str:
    """`text` with each of the `printed` names, as a whole word, replaced by the one that is wished now."""
    for name in sorted({name for name in printed if name}, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", lambda _: now, text)
    return text


def shown(volunteer_id: UUID, known: Mapping[UUID, str]) -> str:
    return known.get(volunteer_id, NOBODY)


def _take_turns(volunteer: Volunteer) -> None:
    for recognizer in Recognizer.objects.filter(photos__volunteer=volunteer).distinct().order_by("pk"):
        with turn(recognizer):  # kept until the transaction around it ends
            pass


def _boards_of(volunteer: Volunteer) -> QuerySet[FameBoard]:
    return FameBoard.objects.filter(pk__in=FameLine.objects.filter(volunteer=volunteer).values("board"))


def _is_anothers(name: str, volunteer: Volunteer) -> bool:
    return Volunteer.objects.filter(handle__iexact=name).exclude(pk=volunteer.pk).exists()
