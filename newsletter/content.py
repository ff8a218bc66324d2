"""EDITION: what an issue tells beside its photos: the model, the mistake it no longer makes, the challenge, the leaderboard."""

from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Q

from collector import challenges
from collector.models import Photo, Recognizer
from newsletter import fame
from newsletter.candidates import end_of
from newsletter.models import Edition
from newsletter.periods import period
from newsletter.words import one_line
from training import fixes
from training.models import Channel, Fix
from training.release import STABLE

Kind = Edition.Kind
DAYS = {Kind.DAILY: 1, Kind.WEEKLY: 7}  # an edition counts so many days up to the end of its own
DAYS_LOOKED_BACK = 10  # editions; versions only rise, so the newest few know the newest


def compose_content(*, recognizer: Recognizer, day: date, kind: str, asks: date | None) -> dict[str, Any]:
    """What is frozen beside the photos. `asks`: the day whose challenge is today's for the readers; None: the day after."""
    found = {"asks": asks.isoformat() if asks else None, "next_challenge": challenge_ahead(recognizer, day, asks)}
    if kind == Kind.REMINDER:
        return found
    fame.settle(recognizer=recognizer)  # what happened in the last seconds of the day is printed too
    week = fame.board(recognizer=recognizer, period=period("week", day))
    lines = fame.leaderboard(board=week, limit=settings.EDITION_FAME_ROWS)
    return found | {
        "model": model_news(recognizer),
        "told_version": told_version(recognizer, kind),
        "challenge": _challenge(recognizer, day) if asks is None or day < asks else None,
        # Ids, not names: they are looked up when an edition is read, so an erased volunteer is gone from old ones too.
        "leaderboard": [
            {"place": line.place, "volunteer": str(line.volunteer), "photos": line.photos, "points": line.points}
            for line in lines
        ],
    }


def challenge_ahead(recognizer: Recognizer, day: date, asks: date | None) -> dict[str, Any] | None:
    """The challenge that readers can still answer: {"day", "prompt", "today"}, None where it is not known yet."""
    found = _challenge(recognizer, asks or day + timedelta(days=1))
    return found | {"today": asks is not None} if found else None


def told_version(recognizer: Recognizer, kind: str) -> int:
    """The newest model version that editions of this kind have told of; 0 before the first."""
    gone = Edition.objects.filter(recognizer=recognizer, kind=kind).exclude(state=Edition.State.DRAFT)  # a draft told nobody
    told = gone.order_by("-day").values_list("content", flat=True)
    return max((int((content.get("model") or {}).get("version", 0)) for content in told[:DAYS_LOOKED_BACK]), default=0)


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


def fixer(*, recognizer: Recognizer, content: dict[str, Any], finds: list[Photo]) -> tuple[Photo, str] | None:
    """The photo that fixed a mistake of the model, and the sentence that tells of it; None where nothing new is to be told.

    Only of a version that no edition of this kind has told of, so that a model which stays is news once. One of the finds where
    it fixed something itself, otherwise the photo that fixed most.
    """
    model = content.get("model")
    if model is None or model["version"] <= content["told_version"] or model["before"] is None:
        return None
    run = Channel.objects.get(recognizer=recognizer, name=STABLE).release.run
    there = Fix.objects.filter(run=run, photo__state=Photo.State.ACCEPTED).exclude(photo__view_sha256="")
    counted = (
        there.exclude(mistake__state=Photo.State.WITHDRAWN).values("photo").annotate(n=Count("pk")).order_by("-n", "photo")
    )
    ids = [row["photo"] for row in counted]
    if not ids:
        return None
    chosen = next((photo.pk for photo in finds if photo.pk in set(ids)), ids[0])
    mended = fixes.mended_by(photo_ids=[chosen])[chosen]
    photo = Photo.objects.select_related("label", "claimed", "challenge", "volunteer").get(pk=chosen)
    return photo, one_line(mended[0].sentence("It"), 240)


def title(recognizer: Recognizer, day: date, kind: str) -> str:
    """One line of at most 120 characters, whatever the recognizer is called."""
    name = one_line(recognizer.name, 70)
    words = {
        Kind.DAILY: f"{name}: the best finds of {day.day} {day:%B %Y}",
        Kind.WEEKLY: f"{name}: the best finds of the week to {day.day} {day:%B %Y}",
        Kind.REMINDER: f"{name}: the challenge of {day.day} {day:%B %Y}",
    }
    return one_line(words[Kind(kind)], 120)


def introduction(recognizer: Recognizer, day: date, kind: str, any_votes: bool) -> str:
    """How many people sent how many photos, and by what the photos below were chosen."""
    start = end_of(day) - timedelta(days=DAYS[Kind(kind)])
    found = _counted(recognizer, start, end_of(day))
    chosen = "These are the photos that you liked best." if any_votes else "Nobody has liked a photo yet: these came first."
    if not found["photos"]:
        return chosen
    people = "1 volunteer" if found["people"] == 1 else f"{found['people']} volunteers"
    photos = "1 photo" if found["photos"] == 1 else f"{found['photos']} photos"
    when = "on this day" if kind == Kind.DAILY else "in this week"
    return f"{people} sent {photos} {when}, and {found['accepted']} were accepted. {chosen}"


def _counted(recognizer: Recognizer, start: datetime, end: datetime) -> dict[str, int]:
    sent = Photo.objects.filter(recognizer=recognizer, received_at__gte=start, received_at__lt=end)
    return sent.exclude(source=Photo.Source.IMPORT).aggregate(
        photos=Count("pk"), people=Count("volunteer", distinct=True), accepted=Count("pk", filter=Q(state="accepted"))
    )


def _challenge(recognizer: Recognizer, day: date) -> dict[str, Any] | None:
    found = challenges.standing(recognizer=recognizer, day=day)
    return {"day": day.isoformat(), "prompt": one_line(found.prompt, 240)} if found else None
