"""RELEASE: how a release comes to all devices: arms beside the current one, pauses, halts, and phones that it is only for."""

import re
from dataclasses import replace

from django.db import transaction

from collector.models import Recognizer
from training import cohorts, moves
from training.errors import NoSuchTarget, NothingToHalt, NotOffered
from training.models import Channel, Release
from training.moves import PROGRAM, Cause
from training.release import STABLE, channel_of, check_percent, published, rollback, still

WORD = re.compile(r"[a-z0-9][a-z0-9_-]{0,19}")  # a platform or a tier, as in the manifest's query
SWITCHES = {"paused": ("resume", "pause"), "automatic": ("by hand", "automatic")}  # field → verb for False, True


def try_beside(
    *, recognizer: Recognizer, version: int, percent: int, channel: str = STABLE, by: str = PROGRAM, why: str = ""
) -> Channel:
    """Offer a release as an arm: of `percent` of the devices one half gets it, the other half is the control. The arm that
    runs, with a higher percentage, is widened. A release whose version is too low gets a higher one.

    Raises UnknownChannel, UnknownRelease, NotOffered, NotAPercentage.
    """
    check_percent(percent)
    release = published(recognizer, version)
    with transaction.atomic():
        moves.take_turn(recognizer)
        row = channel_of(recognizer, channel)
        state, wide = moves.state_of(row), row.arm_id == release.pk and percent >= row.arm_percent
        if not wide and (row.arm_id or row.rollout < 100):
            raise NotOffered(
                f"{row} is in the middle of a ramp or has an arm already. One at a time can be judged: halt it, or let it end.",
                version=version,
            )
        if release == row.release:
            raise NotOffered(f"{row} offers it to all devices already.", version=version)
        if not wide:
            above = release if version > row.release.version else moves.again(release)
            state = replace(state, arm=above, arm_number=row.arm_number + 1)
        moves.flip(row, replace(state, arm_percent=percent), Cause("arm", by, why))
    return channel_of(recognizer, channel)


def halt(
    *, recognizer: Recognizer, channel: str = STABLE, by: str = PROGRAM, why: str = "", seen: Channel | None = None
) -> Release:
    """Take back what is on trial: the arm, or the release of a ramp. Devices that have it get the files from before under a
    higher version. Returns what the channel offers then. Raises UnknownChannel, NothingToHalt, ChannelMoved."""
    with transaction.atomic():
        moves.take_turn(recognizer)
        row = still(seen, channel_of(recognizer, channel))
        if row.arm is None:
            if row.rollout == 100 and seen is None:
                raise NothingToHalt(f"{row} is offered to all devices. Use rollback.", channel=channel)
            return rollback(recognizer=recognizer, channel=channel, by=by, why=why)
        return moves.flip(row, replace(moves.state_of(row), arm=None, arm_percent=0), Cause("halt", by, why)).release


def switch(*, recognizer: Recognizer, field: str, on: bool, channel: str = STABLE, by: str = PROGRAM, why: str = "") -> Channel:
    """Set `paused` or `automatic`. What is so already is no move. Raises UnknownChannel."""
    with transaction.atomic():
        moves.take_turn(recognizer)
        row = channel_of(recognizer, channel)
        if Channel.objects.filter(pk=row.pk, **{field: not on}).update(**{field: on}):
            moves.log(row, Cause(SWITCHES[field][on], by, why), {field: not on}, {field: on})
    return channel_of(recognizer, channel)


def limit(
    *,
    release: Release,
    minimum_app: str | None = None,
    platforms: list[str] | None = None,
    tiers: list[str] | None = None,
    by: str = PROGRAM,
    why: str = "",
) -> None:
    """Say which phones a release is for; None leaves that as it is, an empty list means all. Where it is offered now, it and
    what is below it get higher versions as far as some devices must go back. Raises NoSuchTarget, NotOffered.
    """
    target = {"minimum_app": minimum_app, "platforms": platforms, "tiers": tiers}
    told = {name: value for name, value in target.items() if value is not None}
    _check_target(minimum_app, [*(platforms or []), *(tiers or [])])
    with transaction.atomic():
        moves.take_turn(release.recognizer)
        rows = Channel.objects.filter(recognizer=release.recognizer)
        if not any(release.version in cohorts.reachable(moves.offer_of(moves.line(r), moves.state_of(r))) for r in rows):
            Release.objects.filter(pk=release.pk).update(**told)
            return
        names = list(rows.filter(release=release).values_list("name", flat=True))
        if not names:
            raise NotOffered(f"{release} is an arm, or below a newer release. Only what a channel offers can be limited.")
        for name in names:
            row = channel_of(release.recognizer, name)
            state = replace(moves.state_of(row), release=moves.again(release, **told), arm=None, arm_percent=0)
            moves.flip(row, state, Cause("limit", by, why))


def _check_target(minimum_app: str | None, words: list[str]) -> None:
    if minimum_app is not None and not (cohorts.APP.fullmatch(minimum_app) and len(minimum_app) <= 20):
        raise NoSuchTarget(f"{minimum_app!r} is no app version such as 1.10.", minimum_app=minimum_app)
    for word in words:
        if not WORD.fullmatch(word):
            raise NoSuchTarget(f"{word!r} is no platform or tier: small letters, digits, - and _, at most 20.", word=word)
