"""EDITION: composes the day's issue from the ranking, once, and freezes it with a delivery row for every reader."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Max
from django.db.models.functions import Coalesce
from django.utils import timezone

from collector.models import Photo, Recognizer
from newsletter import fame_names, mail
from newsletter.candidates import opinions
from newsletter.content import challenge_ahead, compose_content, fixer, introduction, title
from newsletter.errors import Contended, Held, NotADraft, NothingToShow
from newsletter.models import Delivery, Edition, EditionChange, EditionEntry, Slot, Subscriber
from newsletter.ranking import Ranked, rank
from newsletter.reading import LENGTHS
from newsletter.words import one_line
from training import fixes
from training.fixes import Mended

Kind = Edition.Kind
PROGRAM = "command"  # who composes and freezes where it is no person of the admin
FREEZE_BATCH = 1000  # delivery rows an INSERT carries; a statement of SQLite takes 32,766 values
NUMBERING_TRIES = 5  # two days of one recognizer that are composed at the same moment want the same number


def compose(
    *, recognizer: Recognizer, day: date, kind: str = Kind.DAILY, asks: date | None = None, by: str = PROGRAM
) -> Edition:
    """The edition of `day` (UTC) as a draft, with words and scores of its photos: the best ones accepted by then.

    Once a recognizer, day and kind: a second call returns what the first one made. A photo is printed in one daily edition and
    in one weekly one. A reminder has no photos, only the challenge of `asks`: the day whose challenge is today's for readers
    (None: the day after `day`). Raises NothingToShow, Contended, and then made nothing.
    """
    for _ in range(NUMBERING_TRIES):
        if edition := Edition.objects.filter(recognizer=recognizer, day=day, kind=kind).first():
            return edition
        best = [] if kind == Kind.REMINDER else _best(recognizer, day, kind)
        content = compose_content(recognizer=recognizer, day=day, kind=kind, asks=asks)
        if kind == Kind.REMINDER and content["next_challenge"] is None:
            raise NothingToShow(
                f"{recognizer.name} has no challenge for {asks or day + timedelta(days=1)} yet. Set one in the admin.",
                recognizer=recognizer.slug,
                day=day.isoformat(),
            )
        try:
            return _make(recognizer, day, kind, best, content, by)
        except IntegrityError:
            continue  # somebody else made this day's edition or took the number: look again
    raise Contended(day=day.isoformat())


def best_of(*, recognizer: Recognizer, day: date, kind: str) -> list[Ranked]:
    """What an edition may print, best first: ranked photos of the last days without printed ones and their near-duplicates.

    A weekly edition may print what daily ones have printed, but nothing that a weekly one has.
    """
    found = opinions(recognizer=recognizer, day=day)
    printed = EditionEntry.objects.filter(edition__recognizer=recognizer, part=EditionEntry.Part.FIND).order_by()
    if kind == Kind.WEEKLY:
        printed = printed.filter(edition__kind=kind)
    printed_kin = set(printed.values_list(Coalesce("photo__cluster", "photo_id"), flat=True))
    return [item for item in rank(found.candidates, found.votes, found.people) if item.candidate.cluster not in printed_kin]


def freeze(*, edition: Edition, by: str = PROGRAM, not_before: datetime | None = None) -> int:
    """Fix a draft for good and make a delivery row for every confirmed subscriber who wants this kind; returns how many. The
    caller rings `deliver`; nothing is sent before `not_before`.

    Raises NotADraft, Held, EditionTooLong, and NothingToShow when every photo was withdrawn since.
    """
    finds = edition.entries.filter(part=EditionEntry.Part.FIND, photo__state=Photo.State.ACCEPTED)
    if edition.kind != Kind.REMINDER and not finds.exists():
        raise NothingToShow("All its photos were withdrawn or rejected. Delete the draft and compose it again.")
    _complete(edition)
    mail.prepare(edition=edition)  # what cannot become a mail must be found while an editor can still change it
    now = timezone.now()
    with transaction.atomic():
        # The row count decides between two editors who press the button together, and between approval and objection.
        drafts = Edition.objects.filter(pk=edition.pk, state=Edition.State.DRAFT, held_by="")
        if not drafts.update(state=Edition.State.FROZEN, frozen_at=now):
            raise _refusal(edition)
        Slot.objects.filter(edition=edition).update(state=Slot.State.GONE, why="")
        note(edition, by, "approve", f"to be sent from {not_before:%Y-%m-%d %H:%M} UTC" if not_before else "")
        wanted = Subscriber.objects.filter(
            recognizer=edition.recognizer_id, state=Subscriber.State.CONFIRMED, **{f"wants_{edition.kind}": True}
        )
        keys = wanted.order_by("pk").values_list("pk", flat=True)
        rows = (Delivery(edition=edition, subscriber_id=pk, not_before=not_before or now) for pk in keys)
        Delivery.objects.bulk_create(rows, batch_size=FREEZE_BATCH, ignore_conflicts=True)
    edition.refresh_from_db()
    return edition.deliveries.count()


def candidates_left(*, edition: Edition) -> list[Ranked]:
    """What an editor may add, best first: the ranking without what the edition has already."""
    there = set(edition.entries.values_list("photo_id", flat=True))
    ranked = best_of(recognizer=edition.recognizer, day=edition.day, kind=edition.kind)
    return [item for item in ranked if item.candidate.id not in there]


def entry_of(*, edition: Edition, position: int, photo: Photo, item: Ranked | None, mended: str) -> EditionEntry:
    """An unsaved entry with the photo's words as they are now. `item`: its place in the ranking, None for a photo that is there
    for what it fixed."""
    label = (photo.label or photo.claimed).name
    where = f" {photo.challenge.setting}" if photo.challenge else ""
    name = fame_names.shown(photo.volunteer_id, fame_names.names([photo.volunteer_id]))
    return EditionEntry(
        edition=edition,
        photo=photo,
        part=EditionEntry.Part.FIND if item else EditionEntry.Part.FIX,
        position=position,
        view_sha256=photo.view_sha256,
        caption=one_line(f"{label}{where}", LENGTHS["caption"]),
        alt=one_line(fame_names.renamed(photo.alt, [photo.volunteer.name], name), LENGTHS["alt"]),
        credit=one_line(name, LENGTHS["credit"]),
        mended=mended,
        scores=item.parts.as_json() if item else {},
    )


def forget(photo_ids: list[UUID]) -> dict[str, list[str]]:
    """Withdrawn photos: take their volunteer's name out of what was printed; returns the editions that had shown them.

    Pages and mails that are yet to be made leave them out by themselves: they ask for the photo's state.
    """
    entries = EditionEntry.objects.filter(photo__in=photo_ids)
    shown = Edition.objects.filter(entries__in=entries).exclude(state=Edition.State.DRAFT).select_related("recognizer")
    names = sorted(str(edition) for edition in shown.distinct())
    entries.update(credit="", alt="withdrawn by its volunteer", view_sha256="", mended="", scores={})
    return {"editions": names} if names else {}


def forget_volunteer(volunteer_id: UUID) -> None:
    """An erased account: take its lines out of the leaderboards that were frozen. An edition a day makes few rows."""
    for edition in Edition.objects.only("content").iterator():
        lines = edition.content.get("leaderboard") or []
        kept = [line for line in lines if line["volunteer"] != str(volunteer_id)]
        if len(kept) < len(lines):
            Edition.objects.filter(pk=edition.pk).update(content=edition.content | {"leaderboard": kept})


def photos_of(ids: Sequence[Any]) -> dict[Any, Photo]:
    """Photos, by id, with all that their words are made of."""
    return Photo.objects.select_related("label", "claimed", "challenge", "volunteer").in_bulk(ids)


def mended_sentence(mended: list[Mended]) -> str:
    return one_line(mended[0].sentence("It"), LENGTHS["mended"]) if mended else ""


def note(edition: Edition, by: str, verb: str, what: str = "") -> None:
    """Add to the edition's log who did what. `what` names positions and fields, never a volunteer or their words."""
    EditionChange.objects.create(edition=edition, by=by[:150], verb=verb, what=what[:300])


def _best(recognizer: Recognizer, day: date, kind: str) -> list[Ranked]:
    best = best_of(recognizer=recognizer, day=day, kind=kind)[: settings.EDITION_ENTRIES]
    if not best:
        raise NothingToShow(
            f"{recognizer.name} has no accepted photo of the last {settings.EDITION_WINDOW_DAYS} days that was not printed "
            f"before. Accept some in the review queue, then compose {day} again.",
            recognizer=recognizer.slug,
            day=day.isoformat(),
        )
    return best


def _make(recognizer: Recognizer, day: date, kind: str, best: list[Ranked], content: dict[str, Any], by: str) -> Edition:
    photos = photos_of([item.candidate.id for item in best])
    mended = fixes.mended_by(photo_ids=list(photos))
    finds = [photos[item.candidate.id] for item in best]
    fixed = fixer(recognizer=recognizer, content=content, finds=finds)
    with transaction.atomic():
        edition = Edition.objects.create(
            recognizer=recognizer,
            number=None if kind == Kind.REMINDER else _next_number(recognizer),
            day=day,
            kind=kind,
            title=title(recognizer, day, kind),
            introduction=introduction(recognizer, day, kind, any(item.parts.likes for item in best)) if best else "",
            content=content,
        )
        entries = [
            entry_of(edition=edition, position=place, photo=photo, item=item, mended=mended_sentence(mended.get(photo.pk, [])))
            for place, (photo, item) in enumerate(zip(finds, best, strict=True), start=1)
        ]
        if fixed and fixed[0] not in finds:
            entries.append(entry_of(edition=edition, position=len(entries) + 1, photo=fixed[0], item=None, mended=fixed[1]))
        EditionEntry.objects.bulk_create(entries)
        note(edition, by, "compose", f"{len(best)} photos")
    return edition


def _next_number(recognizer: Recognizer) -> int:
    return (Edition.objects.filter(recognizer=recognizer).aggregate(newest=Max("number"))["newest"] or 0) + 1


def _complete(edition: Edition) -> None:
    """A draft that was composed before the night had set the challenge gets it now."""
    asks = edition.content.get("asks")
    if edition.content.get("next_challenge") is None and asks:
        found = challenge_ahead(edition.recognizer, edition.day, date.fromisoformat(asks))
        edition.content = edition.content | {"next_challenge": found}
        Edition.objects.filter(pk=edition.pk, state=Edition.State.DRAFT).update(content=edition.content)


def _refusal(edition: Edition) -> NotADraft | Held:
    edition.refresh_from_db()
    if edition.state == Edition.State.DRAFT:
        return Held(f"{edition.held_by} holds {edition}: {edition.held_why} Release it first.", edition=edition.pk)
    return NotADraft(f"{edition} can no longer be changed; its deliveries are under way.", edition=edition.pk)
