"""FAME: badges for kinds of help. Each is a rule over rows, and carries the facts that earned it; nobody gives or takes one.

All badges of a recognizer are made anew together: a badge whose photos were withdrawn is gone, or goes to who came next.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Min, Q

from collector.models import Photo, Recognizer
from newsletter.fame_counted import counted
from newsletter.models import FameBadge
from training import conditions
from training.models import Condition, Fix, Run

DARK = "dark"  # training.conditions.NAMES


@dataclass(frozen=True)
class Earned:
    """A badge that the rows give. The photo is the first (by acceptance) that completes it."""

    volunteer: UUID
    kind: str
    photo: UUID
    accepted_at: Any
    facts: dict[str, Any] = field(default_factory=dict)


def recount(*, recognizer: Recognizer) -> None:
    """Inside the recognizer's turn (newsletter.fame_rows): make its badges what the rows say; equal ones keep their row."""
    earned = {(one.volunteer, one.kind): one for one in reversed([*_looks(recognizer), *_fixes(recognizer)])}
    for row in FameBadge.objects.filter(recognizer=recognizer):
        found = earned.get((row.volunteer_id, row.kind))
        if found is None or (found.photo, found.facts) != (row.photo_id, row.facts):
            row.delete()
        else:
            del earned[row.volunteer_id, row.kind]
    FameBadge.objects.bulk_create(
        FameBadge(
            recognizer=recognizer,
            volunteer_id=one.volunteer,
            kind=one.kind,
            photo_id=one.photo,
            day=one.accepted_at.date(),
            facts=one.facts,
        )
        for one in earned.values()
    )


def _looks(recognizer: Recognizer) -> Iterator[Earned]:
    """First in the dark: the first counted photo of a label in the dark. New corner: one of the first FAME_CORNER_PHOTOS of a
    label under a condition, once it has that many. Both as measured by the nights (training.conditions); oldest first."""
    rows = (
        Condition.objects.filter(photo__in=counted(recognizer).values("pk"))
        .order_by("photo__accepted_at", "photo__received_at", "photo_id")
        .values_list("photo_id", "photo__volunteer_id", "photo__label__slug", "photo__accepted_at", *conditions.MEASURES)
    )
    corners: dict[tuple[str, str], list[Earned]] = {}
    for photo, volunteer, label, accepted_at, *measures in rows.iterator():
        for condition in conditions.names(measures):
            first = corners.setdefault((label, condition), [])
            if condition == DARK and not first:
                yield Earned(volunteer, FameBadge.Kind.FIRST_IN_THE_DARK, photo, accepted_at, {"label": label})
            if len(first) < settings.FAME_CORNER_PHOTOS:
                facts = {"label": label, "condition": condition}
                first.append(Earned(volunteer, FameBadge.Kind.NEW_CORNER, photo, accepted_at, facts))
    taught = [one for first in corners.values() if len(first) == settings.FAME_CORNER_PHOTOS for one in first]
    yield from sorted(taught, key=lambda one: (one.accepted_at, str(one.photo), one.facts["label"], one.facts["condition"]))


def _fixes(recognizer: Recognizer) -> Iterator[Earned]:
    """Fixed mistakes: FAME_FIXES held-out photos that a released model got right and the one before it did not, each with a
    counted photo of this volunteer as the nearest new one (training.fixes). The facts name the release that completed it."""
    rows = (
        Fix.objects.filter(photo__in=counted(recognizer).values("pk"), run__state=Run.State.RELEASED)
        .exclude(mistake__state=Photo.State.WITHDRAWN)
        .annotate(version=Min("run__releases__version", filter=Q(run__releases__rolls_back_to=None)))
        .order_by("version", "photo__accepted_at", "photo_id", "mistake_id")
        .values_list("photo__volunteer_id", "photo_id", "photo__accepted_at", "mistake_id", "version")
    )
    mistakes: dict[UUID, set[UUID]] = {}
    for volunteer, photo, accepted_at, mistake, version in rows.iterator():
        fixed = mistakes.setdefault(volunteer, set())
        before = len(fixed)
        fixed.add(mistake)
        if before < len(fixed) == settings.FAME_FIXES:
            facts = {"count": settings.FAME_FIXES, "release": version}
            yield Earned(volunteer, FameBadge.Kind.FIXED_MISTAKES, photo, accepted_at, facts)
