"""EDITION: composes the day's issue from the ranking, once, and freezes it with a delivery row for every reader."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, Max, Q
from django.utils import timezone

from collector import challenges
from collector.models import Photo, Recognizer
from newsletter import fame, fame_names, mail
from newsletter.candidates import candidates, end_of
from newsletter.errors import Contended, NotADraft, NothingToShow
from newsletter.models import Delivery, Edition, EditionEntry, Subscriber
from newsletter.periods import period
from newsletter.ranking import Ranked, rank
from newsletter.words import one_line
from training import fixes
from training.fixes import Mended
from training.models import Channel
from training.release import STABLE

FREEZE_BATCH = 1000  # delivery rows an INSERT carries; a statement of SQLite takes 32,766 values
NUMBERING_TRIES = 5  # two days of one recognizer that are composed at the same moment want the same number


def compose(*, recognizer: Recognizer, day: date) -> Edition:
    """The edition of `day` (UTC): the best photos accepted by then and never printed before, with words and scores frozen.

    Once a recognizer and day: a second call returns what the first one made.
    Raises NothingToShow, Contended, and then made nothing.
    """
    for _ in range(NUMBERING_TRIES):
        if edition := Edition.objects.filter(recognizer=recognizer, day=day).first():
            return edition
        best = rank(candidates(recognizer=recognizer, day=day))[: settings.EDITION_ENTRIES]
        if not best:
            raise NothingToShow(
                f"{recognizer.name} has no accepted photo of the last {settings.EDITION_WINDOW_DAYS} days that was not printed "
                f"before. Accept some in the review queue, then compose {day} again.",
                recognizer=recognizer.slug,
                day=day.isoformat(),
            )
        try:
            return _make(recognizer, day, best)
        except IntegrityError:
            continue  # somebody else made this day's edition or took the number: look again
    raise Contended(day=day.isoformat())


def freeze(*, edition: Edition) -> int:
    """Fix a draft for good and make a delivery row for every confirmed subscriber; returns how many. The caller rings
    `deliver`. Raises NotADraft, EditionTooLong, and NothingToShow when every photo was withdrawn since.
    """
    if not edition.entries.filter(photo__state=Photo.State.ACCEPTED).exists():
        raise NothingToShow("All its photos were withdrawn or rejected. Delete the draft and compose it again.")
    mail.prepare(edition=edition)  # what cannot become a mail must be found while an editor can still change it
    with transaction.atomic():
        # The row count decides between two editors who press the button together.
        drafts = Edition.objects.filter(pk=edition.pk, state=Edition.State.DRAFT)
        if not drafts.update(state=Edition.State.FROZEN, frozen_at=timezone.now()):
            raise NotADraft(f"{edition} can no longer be changed; its deliveries are under way.", edition=edition.pk)
        confirmed = Subscriber.objects.filter(recognizer=edition.recognizer_id, state=Subscriber.State.CONFIRMED)
        rows = (Delivery(edition=edition, subscriber_id=pk) for pk in confirmed.order_by("pk").values_list("pk", flat=True))
        Delivery.objects.bulk_create(rows, batch_size=FREEZE_BATCH, ignore_conflicts=True)
    edition.refresh_from_db()
    return edition.deliveries.count()


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


def _make(recognizer: Recognizer, day: date, best: list[Ranked]) -> Edition:
    ids = [item.candidate.id for item in best]
    photos = Photo.objects.select_related("label", "claimed", "challenge", "volunteer").in_bulk(ids)
    mended = fixes.mended_by(photo_ids=list(photos))
    with transaction.atomic():
        newest = Edition.objects.filter(recognizer=recognizer).aggregate(newest=Max("number"))["newest"] or 0
        edition = Edition.objects.create(
            recognizer=recognizer,
            number=newest + 1,
            day=day,
            title=one_line(f"{recognizer.name}: the best finds of {day.day} {day:%B %Y}", 120),
            introduction=_introduction(recognizer, day, any(item.parts.likes for item in best)),
            content=_content(recognizer, day),
        )
        EditionEntry.objects.bulk_create(
            _entry(edition, position, photos[item.candidate.id], item, mended.get(photos[item.candidate.id].pk, []))
            for position, item in enumerate(best, start=1)
        )
    return edition


def _entry(edition: Edition, position: int, photo: Photo, item: Ranked, mended: list[Mended]) -> EditionEntry:
    label = (photo.label or photo.claimed).name
    where = f" {photo.challenge.setting}" if photo.challenge else ""
    name = fame_names.shown(photo.volunteer_id, fame_names.names([photo.volunteer_id]))
    return EditionEntry(
        edition=edition,
        photo=photo,
        position=position,
        view_sha256=photo.view_sha256,
        caption=one_line(f"{label}{where}", 160),
        alt=one_line(fame_names.renamed(photo.alt, [photo.volunteer.name], name), 240),
        credit=one_line(name, 60),
        mended=one_line(mended[0].sentence("It"), 240) if mended else "",
        scores=item.parts.as_json(),
    )


def _introduction(recognizer: Recognizer, day: date, any_votes: bool) -> str:
    sent = Photo.objects.filter(recognizer=recognizer, received_at__lt=end_of(day))
    today = sent.filter(received_at__gte=end_of(day) - timedelta(days=1)).exclude(source=Photo.Source.IMPORT)
    found = today.aggregate(
        photos=Count("pk"), people=Count("volunteer", distinct=True), accepted=Count("pk", filter=Q(state="accepted"))
    )
    chosen = "These are the photos that you liked best." if any_votes else "Nobody has liked a photo yet: these came first."
    if not found["photos"]:
        return chosen
    people = "1 volunteer" if found["people"] == 1 else f"{found['people']} volunteers"
    photos = "1 photo" if found["photos"] == 1 else f"{found['photos']} photos"
    return f"{people} sent {photos} on this day, and {found['accepted']} were accepted. {chosen}"


def _content(recognizer: Recognizer, day: date) -> dict[str, Any]:
    fame.settle(recognizer=recognizer)  # what happened in the last seconds of the day is printed too
    week = fame.board(recognizer=recognizer, period=period("week", day))
    lines = fame.leaderboard(board=week, limit=settings.EDITION_FAME_ROWS)
    return {
        "model": model_news(recognizer),
        "challenge": _challenge(recognizer, day),
        "next_challenge": _challenge(recognizer, day + timedelta(days=1)),
        # Ids, not names: they are looked up when an edition is read, so an erased volunteer is gone from old ones too.
        "leaderboard": [
            {"place": line.place, "volunteer": str(line.volunteer), "photos": line.photos, "points": line.points}
            for line in lines
        ],
    }


def _challenge(recognizer: Recognizer, day: date) -> dict[str, str] | None:
    found = challenges.standing(recognizer=recognizer, day=day)
    return {"day": day.isoformat(), "prompt": one_line(found.prompt, 240)} if found else None


def model_news(recognizer: Recognizer) -> dict[str, Any] | None:
    """{"version", "accuracy", "before", "held_out"} of what the stable channel offers, None before the first release.

    Accuracies are shares of the same `held_out` photos, `before` that of the model it replaced; None where not known.
    """
    channel = Channel.objects.filter(recognizer=recognizer, name=STABLE).select_related("release__run").first()
    if channel is None:
        return None
    release = channel.release
    metrics = release.run.metrics
    # A roll-back carries an old night's files: what that night replaced is not what phones had yesterday.
    before = None if release.rolls_back_to_id else metrics.get("incumbent")
    return {
        "version": release.version,
        "accuracy": (metrics.get("int8") or {}).get("accuracy"),
        "before": (before or {}).get("accuracy"),
        "held_out": metrics.get("held_out"),
    }
