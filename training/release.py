"""RELEASE: makes exported files a release that phones may get, and points a channel at it or back.

A version only rises, also to roll back; every move of a channel is conditional on where it pointed before, and logged.
"""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from collector.models import Recognizer
from collector.storage import LocalStore, put_blob, store
from training import cohorts, moves, runs
from training.errors import (
    ChannelMoved,
    CorruptBlob,
    NotAPercentage,
    NothingReleased,
    NothingToRollBackTo,
    NotOffered,
    UnknownChannel,
    UnknownRelease,
)
from training.models import Artifact, Channel, Release, Run
from training.moves import PROGRAM, Cause, State
from training.signals import photos_judged

KIND = "blobs"
STABLE = "stable"


@dataclass(frozen=True)
class Exported:
    """One exported file on its way into a release; `labels` are ordered slugs, one per output; `answers` is what the manifest
    says of its answers, "confidence" and "canaries"."""

    format: str
    data: bytes
    input_spec: dict[str, Any]
    labels: list[str]
    metrics: dict[str, Any]
    answers: dict[str, Any] = field(default_factory=dict)


def publish(
    *, run: Run, artifacts: Sequence[Exported], replaces: Release | None, message: str, channel: str = STABLE
) -> Release:
    """Release the artifacts of a run and point the channel at them; the run ends as released.

    `replaces` is what the channel pointed at when the candidate was judged. The bytes go first, are read back and compared;
    the rows follow in one transaction that begins with the run's own fenced update, so a process that lost its run publishes
    nothing. An automatic channel offers it to the share of the first step. Raises FencedOff, CorruptBlob, ChannelMoved.
    """
    digests = [_stored(artifact.data) for artifact in artifacts]
    with transaction.atomic():
        runs.renew(run.pk, run.fence)
        moves.take_turn(run.recognizer)
        rows = [
            Artifact.objects.update_or_create(
                run=run,
                format=artifact.format,
                defaults={
                    "sha256": digest,
                    "bytes": len(artifact.data),
                    "input_spec": artifact.input_spec,
                    "labels": artifact.labels,
                    "metrics": artifact.metrics,
                    "answers": artifact.answers,
                },
            )[0]
            for artifact, digest in zip(artifacts, digests, strict=True)
        ]
        release = moves.new_release(run.recognizer, run=run, artifacts=rows)
        _advance(run.recognizer, channel, release, replaces, Cause("publish", f"night {run.slot}", message))
        runs.finish(run, Run.State.RELEASED, f"Released {release}. {message}".strip())
        photos_judged.send(sender=Run, recognizer_id=run.recognizer_id)
    return release


def offer(
    *, recognizer: Recognizer, version: int, channel: str = STABLE, rollout: int = 100, by: str = PROGRAM, why: str = ""
) -> Channel:
    """Put an existing release on a channel, which is made if it is new. Raises UnknownRelease, NotOffered, NotAPercentage."""
    check_percent(rollout)
    release = published(recognizer, version)
    cause = Cause("publish", by, why)
    with transaction.atomic():
        moves.take_turn(recognizer)
        row = pointer(recognizer, channel)
        if row is not None and row.release.version > version:
            raise NotOffered(
                f"{channel} is at v{row.release.version}, and phones refuse a lower version. Use rollback: it gives the old "
                "files a higher one.",
                version=version,
                current=row.release.version,
            )
        if row is None:
            moves.first(recognizer, channel, release, cause, rollout)
            moves.note_what_left(recognizer)
        elif row.release_id == release.pk:
            moves.flip(row, replace(moves.state_of(row), rollout=rollout), cause)
        else:
            _advance(recognizer, channel, release, row.release, cause, rollout)
    return channel_of(recognizer, channel)


def rollback(*, recognizer: Recognizer, channel: str = STABLE, by: str = PROGRAM, why: str = "") -> Release:
    """Give all devices of a channel the artifacts of the newest complete release before the current one, under a new and
    higher version. An arm ends with it. Raises UnknownChannel, NothingToRollBackTo.
    """
    with transaction.atomic():
        moves.take_turn(recognizer)
        row = channel_of(recognizer, channel)
        state = moves.state_of(row)
        target = state.below()
        if target is None:
            raise NothingToRollBackTo(f"{row.release} is the oldest published release of {channel}.", channel=channel)
        release = moves.again(target)
        # Those behind the target were left before; phones that this one is not for must not come back to them.
        earlier = tuple(each for each in state.earlier if each.version <= target.version)
        back = State(release, target.rolls_back_to or target, arm_number=state.arm_number, earlier=earlier)
        moves.flip(row, back, Cause("rollback", by, why))
    return release


def withdraw(*, release: Release, by: str = PROGRAM, why: str = "") -> Release | None:
    """Mark a release as never to be offered again. Channels that offer it are rolled back, an arm ends, and devices that it was
    left to get the complete release before it. Returns the last roll-back's release, or None where there was none to make: then
    those channels offer nothing. Its blobs stay for valid manifests.
    """
    replacement = None
    cause = Cause("withdraw", by, why)
    with transaction.atomic():
        moves.take_turn(release.recognizer)
        for row in _rows().filter(recognizer=release.recognizer):
            state = moves.state_of(row)
            left = replace(state, earlier=tuple(each for each in state.earlier if each != release))
            if row.release_id == release.pk:
                with suppress(NothingToRollBackTo):
                    replacement = rollback(recognizer=release.recognizer, channel=row.name, by=by, why=why or "withdrawn")
                continue
            if row.arm_id == release.pk:
                left = replace(left, arm=None, arm_percent=0)
            if row.previous_id == release.pk:
                left = replace(left, previous=replace(left, release=release).below())
            if left != state:
                moves.flip(row, left, cause)
        Release.objects.filter(pk=release.pk, state=Release.State.PUBLISHED).update(state=Release.State.WITHDRAWN)
        moves.note_what_left(release.recognizer)
    release.refresh_from_db()
    return replacement


def ramp(
    *,
    recognizer: Recognizer,
    percent: int,
    channel: str = STABLE,
    by: str = PROGRAM,
    why: str = "",
    seen: Channel | None = None,
) -> Channel:
    """Offer the channel's release to this share of devices. A lower share than before gives both sides higher versions of their
    files, so that devices which fall out are not asked to go down. `seen`: move only from there.

    Raises NotAPercentage, UnknownChannel, ChannelMoved.
    """
    check_percent(percent)
    with transaction.atomic():
        moves.take_turn(recognizer)
        row = still(seen, channel_of(recognizer, channel))
        if row.rollout != percent:
            moves.flip(row, replace(moves.state_of(row), rollout=percent), Cause("ramp", by, why))
    return channel_of(recognizer, channel)


def pointer(recognizer: Recognizer, channel: str = STABLE) -> Channel | None:
    """The channel's row, or None before its first release."""
    return _rows().filter(recognizer=recognizer, name=channel).first()


def channel_of(recognizer: Recognizer, channel: str) -> Channel:
    """The channel's row. Raises UnknownChannel."""
    row = pointer(recognizer, channel)
    if row is None:
        raise UnknownChannel(
            f"{recognizer.name} has no channel {channel!r} yet: the first night that passes its gate makes “{STABLE}”.",
            recognizer=recognizer.slug,
            channel=channel,
        )
    return row


def published(recognizer: Recognizer, version: int) -> Release:
    """The release of this version. Raises UnknownRelease, NotOffered if it is withdrawn."""
    release = (
        Release.objects.filter(recognizer=recognizer, version=version).select_related("rolls_back_to", "recognizer").first()
    )
    if release is None:
        raise UnknownRelease(f"{recognizer.slug} has no version {version}.", recognizer=recognizer.slug, version=version)
    if release.state != Release.State.PUBLISHED:
        raise NotOffered(f"{release} is withdrawn.", version=version)
    return release


def still(seen: Channel | None, row: Channel) -> Channel:
    """The row, unless the channel has moved since `seen` was read. Raises ChannelMoved."""
    if seen is not None and (seen.release_id, seen.changed_at) != (row.release_id, row.changed_at):
        raise ChannelMoved(channel=row.name)
    return row


def offered(row: Channel, device: str, *, app: str = "", platform: str = "", tier: str = "") -> Release:
    """What this device should run. Raises NothingReleased.

    Only a phone that the newer releases are not for costs a query, for the earlier ones.
    """
    phone = cohorts.Phone(device, app, platform, tier)
    found = cohorts.given(moves.offer_of(moves.line(row), moves.newest_of(row)), phone)
    for release in (row.arm, row.release, row.previous):
        if found and release and release.version == found.version:
            return release
    for release in moves.state_of(row).earlier:
        if release.state == Release.State.PUBLISHED and moves.target_of(release).fits(phone):
            return release
    raise NothingReleased(recognizer=row.recognizer.slug, channel=row.name)


def arm_of(row: Channel, device: str, *, app: str = "", platform: str = "", tier: str = "") -> str:
    """ "treatment", "control", or "" for a device that takes no part in a trial."""
    return cohorts.arm_of(moves.offer_of(moves.line(row), moves.newest_of(row)), cohorts.Phone(device, app, platform, tier))


def show(*, recognizer: Recognizer, channel: str = STABLE) -> dict[str, Any]:
    """The channel's current release, JSON-ready, with where each artifact's bytes lie. Raises UnknownChannel."""
    row = channel_of(recognizer, channel)
    release = row.release
    return {
        "recognizer": recognizer.slug,
        "channel": row.name,
        "version": release.version,
        "state": release.state,
        "rollout": row.rollout,
        "previous": row.previous.version if row.previous else None,
        "arm": row.arm.version if row.arm else None,
        "arm_percent": row.arm_percent,
        "automatic": row.automatic,
        "paused": row.paused,
        "published_at": release.published_at.isoformat(),
        "artifacts": [
            {"format": item.format, "sha256": item.sha256, "bytes": item.bytes, "path": _where(item.sha256)}
            for item in release.artifacts.order_by("format")
        ],
    }


def _stored(data: bytes) -> str:
    """Write by hash, read back, compare: what phones get is what the gate judged."""
    digest = put_blob(KIND, data)
    if hashlib.sha256(store().get(f"{KIND}/{digest}")).hexdigest() != digest:
        raise CorruptBlob("Check the disk or the bucket; nothing was released.", sha256=digest)
    return digest


def check_percent(percent: int) -> None:
    """Raises NotAPercentage."""
    if not 0 <= percent <= 100:
        raise NotAPercentage(f"{percent} is outside.", percent=percent)


def _rows() -> QuerySet[Channel]:
    return Channel.objects.select_related(
        "recognizer",
        *(f"{name}{deep}" for name in ("release", "previous", "arm") for deep in ("__rolls_back_to", "__recognizer")),
    )


def _advance(
    recognizer: Recognizer,
    channel: str,
    release: Release,
    replaces: Release | None,
    cause: Cause,
    rollout: int | None = None,
) -> None:
    """Point the channel at a new release. A ramp that is under way stays at its percentage, and the devices outside it stay
    with what they have: the release before the ramp. An arm ends: it was compared with what is offered no more.
    """
    row = pointer(recognizer, channel)
    if row is None and replaces is None:
        moves.first(recognizer, channel, release, cause)
        return
    if row is None or replaces is None or row.release_id != replaces.pk:
        raise ChannelMoved(f"{channel} no longer offers {replaces or 'nothing'}. The next night judges against what it offers.")
    state = moves.state_of(row)
    to = State(release, row.previous, row.rollout, arm_number=row.arm_number, earlier=state.earlier)
    if row.rollout == 100 and row.release.state == Release.State.PUBLISHED:
        begin = settings.RAMP_STEPS[0][0] if row.automatic else 100
        to = replace(to, previous=row.release, rollout=begin, earlier=(row.release, *state.earlier))
    moves.flip(row, to if rollout is None else replace(to, rollout=rollout), cause)


def _where(sha256: str) -> str:
    key = f"{KIND}/{sha256}"
    objects = store()
    return str(objects.path(key)) if isinstance(objects, LocalStore) else f"s3://{settings.S3_BUCKET}/{key}"
