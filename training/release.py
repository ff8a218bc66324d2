"""RELEASE: makes exported files a release that phones may get, and moves the pointer that phones follow.

A version only rises, also to roll back; every move of a channel is conditional on where it pointed before.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Max, Q
from django.utils import timezone

from collector.models import Recognizer
from collector.storage import LocalStore, put_blob, store
from training import runs
from training.errors import (
    ChannelMoved,
    CorruptBlob,
    NotAPercentage,
    NothingReleased,
    NothingToRollBackTo,
    NotOffered,
    UnknownChannel,
    UnknownRelease,
    VersionOutOfReach,
)
from training.models import Artifact, Channel, Release, Run

KIND = "blobs"
STABLE = "stable"
VERSION_GAP_MOST = 10_000  # phones refuse a version that is further above what they have (docs/phone/README.md)
BUCKETS = 10_000  # of devices: a ramp is exact to a hundredth of a percent


@dataclass(frozen=True)
class Exported:
    """One exported file on its way into a release; `labels` are ordered slugs, one per output."""

    format: str
    data: bytes
    input_spec: dict[str, Any]
    labels: list[str]
    metrics: dict[str, Any]


def publish(
    *, run: Run, artifacts: Sequence[Exported], replaces: Release | None, message: str, channel: str = STABLE
) -> Release:
    """Release the artifacts of a run and point the channel at them; the run ends as released.

    `replaces` is what the channel pointed at when the candidate was judged. The bytes go first, are read back and compared;
    the rows follow in one transaction that begins with the run's own fenced update, so a process that lost its run publishes
    nothing. Raises FencedOff, CorruptBlob, ChannelMoved.
    """
    digests = [_stored(artifact.data) for artifact in artifacts]
    with transaction.atomic():
        runs.renew(run.pk, run.fence)
        _take_turn(run.recognizer)
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
                },
            )[0]
            for artifact, digest in zip(artifacts, digests, strict=True)
        ]
        release = _new_release(run.recognizer, run=run, artifacts=rows)
        _advance(run.recognizer, channel, release, replaces)
        _note_what_left(run.recognizer)
        runs.finish(run, Run.State.RELEASED, f"Released {release}. {message}".strip())
    return release


def offer(*, recognizer: Recognizer, version: int, channel: str = STABLE, rollout: int = 100) -> Channel:
    """Put an existing release on a channel, which is made if it is new. Raises UnknownRelease, NotOffered, NotAPercentage."""
    _check_percent(rollout)
    release = Release.objects.filter(recognizer=recognizer, version=version).first()
    if release is None:
        raise UnknownRelease(f"{recognizer.slug} has no version {version}.", recognizer=recognizer.slug, version=version)
    if release.state != Release.State.PUBLISHED:
        raise NotOffered(f"{release} is withdrawn.", version=version)
    with transaction.atomic():
        _take_turn(recognizer)
        row = pointer(recognizer, channel)
        if row is not None and row.release.version > version:
            raise NotOffered(
                f"{channel} is at v{row.release.version}, and phones refuse a lower version. Use rollback: it gives the old "
                "files a higher one.",
                version=version,
                current=row.release.version,
            )
        if row is None or row.release_id != release.pk:
            _advance(recognizer, channel, release, row.release if row else None)
        Channel.objects.filter(recognizer=recognizer, name=channel).update(rollout=rollout, changed_at=timezone.now())
        _note_what_left(recognizer)
    return channel_of(recognizer, channel)


def rollback(*, recognizer: Recognizer, channel: str = STABLE) -> Release:
    """Give all devices of a channel the artifacts of the newest published release before the current one, under a new and
    higher version. Raises UnknownChannel, NothingToRollBackTo.
    """
    with transaction.atomic():
        _take_turn(recognizer)
        row = channel_of(recognizer, channel)
        # After a roll-back the current release carries old files: going back again means going behind those.
        version = (row.release.rolls_back_to or row.release).version
        older = Release.objects.filter(recognizer=recognizer, version__lt=version, state=Release.State.PUBLISHED)
        target = older.order_by("-version").first()
        if target is None:
            raise NothingToRollBackTo(f"{row.release} is the oldest published release of {channel}.", channel=channel)
        source = target.rolls_back_to or target
        release = _new_release(recognizer, run=source.run, artifacts=list(source.artifacts.all()), rolls_back_to=source)
        _flip(row, release=release, previous=source, rollout=100)
        _note_what_left(recognizer)
    return release


def withdraw(*, release: Release) -> Release | None:
    """Mark a release as never to be offered again. Channels that offer it are rolled back; returns the last roll-back's
    release, or None where there was none to make: then those channels offer nothing. Its blobs stay for valid manifests.
    """
    replacement = None
    with transaction.atomic():
        _take_turn(release.recognizer)
        Release.objects.filter(pk=release.pk, state=Release.State.PUBLISHED).update(state=Release.State.WITHDRAWN)
        for name in Channel.objects.filter(release=release).values_list("name", flat=True):
            try:
                replacement = rollback(recognizer=release.recognizer, channel=name)
            except NothingToRollBackTo:
                continue
        _note_what_left(release.recognizer)
    release.refresh_from_db()
    return replacement


def ramp(*, recognizer: Recognizer, percent: int, channel: str = STABLE) -> Channel:
    """Offer the channel's release to this share of devices. Raises NotAPercentage, UnknownChannel."""
    _check_percent(percent)
    with transaction.atomic():
        _take_turn(recognizer)
        if not Channel.objects.filter(recognizer=recognizer, name=channel).update(rollout=percent, changed_at=timezone.now()):
            raise _unknown_channel(recognizer, channel)
        _note_what_left(recognizer)
    return channel_of(recognizer, channel)


def pointer(recognizer: Recognizer, channel: str = STABLE) -> Channel | None:
    """The channel's row, or None before its first release."""
    rows = Channel.objects.select_related("release__rolls_back_to", "previous", "recognizer")
    return rows.filter(recognizer=recognizer, name=channel).first()


def channel_of(recognizer: Recognizer, channel: str) -> Channel:
    """The channel's row. Raises UnknownChannel."""
    row = pointer(recognizer, channel)
    if row is None:
        raise _unknown_channel(recognizer, channel)
    return row


def offered(row: Channel, device: str) -> Release:
    """What this device should run: the channel's release inside the rollout, else the one before. Raises NothingReleased.

    A device that names no id gets a release only when all devices get it.
    """
    inside = row.rollout == 100 or (device != "" and in_rollout(row, device))
    release = row.release if inside else row.previous
    if release is None or release.state != Release.State.PUBLISHED:
        raise NothingReleased(recognizer=row.recognizer.slug, channel=row.name)
    return release


def in_rollout(row: Channel, device: str) -> bool:
    """Sticky: a device keeps its bucket, so a rising percentage only adds devices. Channels draw their buckets apart."""
    digest = hashlib.sha256(f"{row.recognizer.slug}/{row.name}/{device}".encode()).digest()
    return int.from_bytes(digest[:8]) % BUCKETS < row.rollout * (BUCKETS // 100)


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


def _take_turn(recognizer: Recognizer) -> None:
    # Serialises version numbers of a recognizer: an UPDATE locks on both databases, SELECT … FOR UPDATE only on one.
    Recognizer.objects.filter(pk=recognizer.pk).update(turn=F("turn") + 1)


def _new_release(
    recognizer: Recognizer, *, run: Run, artifacts: Sequence[Artifact], rolls_back_to: Release | None = None
) -> Release:
    rows = Release.objects.filter(recognizer=recognizer).aggregate(newest=Max("version"), made=Count("pk"))
    newest = rows["newest"] or 0
    if newest - rows["made"] > VERSION_GAP_MOST:  # each release is one more than the last: somebody has set one by hand
        raise VersionOutOfReach(
            f"{recognizer.slug} has {rows['made']} releases and a version {newest}; phones refuse a jump that large, "
            "and so every version after it. Give that row a version near those before it.",
            version=newest,
        )
    release = Release.objects.create(recognizer=recognizer, version=newest + 1, run=run, rolls_back_to=rolls_back_to)
    release.artifacts.set(artifacts)
    return release


def _advance(recognizer: Recognizer, channel: str, release: Release, replaces: Release | None) -> None:
    """Point the channel at a new release. A ramp that is under way stays at its percentage, and the devices outside it stay
    with what they have: the release before the ramp.
    """
    row = pointer(recognizer, channel)
    if row is None and replaces is None:
        Channel.objects.create(recognizer=recognizer, name=channel, release=release)
        return
    if row is None or replaces is None or row.release_id != replaces.pk:
        raise ChannelMoved(f"{channel} no longer offers {replaces or 'nothing'}. The next night judges against what it offers.")
    _flip(row, release=release, previous=row.release if row.rollout == 100 else row.previous, rollout=row.rollout)


def _flip(row: Channel, *, release: Release, previous: Release | None, rollout: int) -> None:
    unmoved = Channel.objects.filter(pk=row.pk, release=row.release_id)  # compare and set
    if not unmoved.update(release=release, previous=previous, rollout=rollout, changed_at=timezone.now()):
        raise ChannelMoved(channel=row.name)


def _note_what_left(recognizer: Recognizer) -> None:
    """After every move: stamp releases that no channel offers any more, and clear the stamp of those that came back.

    Receipts of erasures read it: when did the last model that had learned from a photo leave? Safe to repeat.
    """
    channels = Channel.objects.filter(recognizer=recognizer)
    # While a ramp is under way, the devices outside it get the release before.
    offered = Q(pk__in=channels.values("release")) | Q(pk__in=channels.filter(rollout__lt=100).values("previous"))
    offered &= Q(state=Release.State.PUBLISHED)
    releases = Release.objects.filter(recognizer=recognizer)
    releases.filter(offered).exclude(left_at=None).update(left_at=None)
    releases.exclude(offered).filter(left_at=None).update(left_at=timezone.now())


def _check_percent(percent: int) -> None:
    if not 0 <= percent <= 100:
        raise NotAPercentage(f"{percent} is outside.", percent=percent)


def _unknown_channel(recognizer: Recognizer, channel: str) -> UnknownChannel:
    return UnknownChannel(
        f"{recognizer.name} has no channel {channel!r} yet: the first night that passes its gate makes “{STABLE}”.",
        recognizer=recognizer.slug,
        channel=channel,
    )


def _where(sha256: str) -> str:
    key = f"{KIND}/{sha256}"
    objects = store()
    return str(objects.path(key)) if isinstance(objects, LocalStore) else f"s3://{settings.S3_BUCKET}/{key}"
