"""RELEASE: how a channel is moved: one compare-and-set, the versions that must rise with it, and the line in the log.

What phones may be given is decided by `cohorts`; a move that would give a device a lower version than it had is made with the
same files under new and higher versions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Count, F, Max
from django.utils import timezone

from collector.models import Recognizer
from training import cohorts
from training.errors import ChannelMoved, VersionOutOfReach
from training.models import Artifact, Channel, Move, Release, Run

VERSION_GAP_MOST = 10_000  # phones refuse a version that is further above what they have (docs/phone/README.md)
PROGRAM = "program"  # who moves a channel where no person and no command did
AUTOMATIC = "automatic"


@dataclass(frozen=True)
class Cause:
    """Who moves a channel, by which verb, and why."""

    verb: str
    by: str = PROGRAM
    why: str = ""


@dataclass(frozen=True)
class State:
    """What a channel offers, as rows (cohorts.Offer says what each means)."""

    release: Release
    previous: Release | None = None
    rollout: int = 100
    arm: Release | None = None
    arm_percent: int = 0
    arm_number: int = 0
    earlier: tuple[Release, ...] = ()

    def below(self) -> Release | None:
        """The newest complete release before the current one whose files may still be offered. After a roll-back the current
        release carries old files: going back again means going behind those."""
        version = (self.release.rolls_back_to or self.release).version
        complete = {*self.earlier, *([self.previous] if self.previous else [])}
        fit = [
            each for each in complete if each.version < version and _published(each) and _published(each.rolls_back_to or each)
        ]
        return max(fit, key=lambda each: each.version, default=None)

    @property
    def shown(self) -> dict[str, Any]:
        """For the log: versions and shares, JSON-ready."""
        return {
            "release": self.release.version,
            "previous": self.previous.version if self.previous else None,
            "rollout": self.rollout,
            "arm": self.arm.version if self.arm else None,
            "arm_percent": self.arm_percent,
        }


def newest_of(row: Channel) -> State:
    """The channel's state without its earlier releases: they cost a query, and few phones need them."""
    return State(row.release, row.previous, row.rollout, row.arm, row.arm_percent, row.arm_number)


def state_of(row: Channel) -> State:
    """The channel's state, with its earlier releases."""
    earlier = tuple(row.earlier.select_related("rolls_back_to", "recognizer").order_by("-version"))
    return replace(newest_of(row), earlier=earlier)


def offer_of(name: str, state: State) -> cohorts.Offer:
    """The state as the rules read it; what is withdrawn is not in it. `name`: line(channel)."""
    return cohorts.Offer(
        name,
        _candidate(state.release),
        state.rollout,
        _candidate(state.previous),
        _candidate(state.arm),
        state.arm_percent,
        state.arm_number,
        tuple(found for release in state.earlier if (found := _candidate(release))),
    )


def line(row: Channel) -> str:
    return f"{row.recognizer.slug}/{row.name}"


def target_of(release: Release) -> cohorts.Target:
    """Which phones a release is for."""
    return cohorts.Target(release.minimum_app, frozenset(release.platforms), frozenset(release.tiers))


def take_turn(recognizer: Recognizer) -> None:
    """Serialises version numbers and moves of a recognizer: an UPDATE locks on both databases, SELECT … FOR UPDATE on one."""
    Recognizer.objects.filter(pk=recognizer.pk).update(turn=F("turn") + 1)


def first(recognizer: Recognizer, channel: str, release: Release, cause: Cause, rollout: int = 100) -> Channel:
    """A new channel that offers this release."""
    row = Channel.objects.create(recognizer=recognizer, name=channel, release=release, rollout=rollout)
    log(row, cause, {}, state_of(row).shown)
    return row


def flip(row: Channel, to: State, cause: Cause) -> State:
    """Move the channel, if it still is where `row` says; returns where it went. Inside a transaction. Raises ChannelMoved."""
    before = state_of(row)
    to = _risen(row, before, to)
    unmoved = Channel.objects.filter(
        pk=row.pk, release=row.release_id, previous=row.previous_id, rollout=row.rollout, arm=row.arm_id
    )
    moved = unmoved.update(
        release=to.release,
        previous=to.previous,
        rollout=to.rollout,
        arm=to.arm,
        arm_percent=to.arm_percent,
        arm_number=to.arm_number,
        changed_at=timezone.now(),
    )
    if not moved:
        raise ChannelMoved(channel=row.name)
    row.earlier.set(to.earlier)
    log(row, cause, before.shown, to.shown)
    note_what_left(row.recognizer)
    return to


def log(row: Channel, cause: Cause, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Add the move to the channel's log."""
    Move.objects.create(channel=row, by=cause.by[:150], verb=cause.verb, why=cause.why[:500], before=before, after=after)


def new_release(
    recognizer: Recognizer, *, run: Run, artifacts: Sequence[Artifact], source: Release | None = None, **target: Any
) -> Release:
    """The recognizer's next version. `source`: the release whose files it carries, where they are not new."""
    row = Release.objects.create(
        recognizer=recognizer, version=_newest(recognizer) + 1, run=run, rolls_back_to=source, **target
    )
    row.artifacts.set(artifacts)
    return row


def again(release: Release, **target: Any) -> Release:
    """The same files under a new and higher version. `target`: minimum_app, platforms, tiers, where they shall be others."""
    source = release.rolls_back_to or release
    kept = {name: getattr(release, name) for name in ("minimum_app", "platforms", "tiers")}
    files = list(source.artifacts.all())
    return new_release(release.recognizer, run=source.run, artifacts=files, source=source, **(kept | target))


def note_what_left(recognizer: Recognizer) -> None:
    """After every move: stamp releases that no phone can get any more, and clear the stamp of those that came back.

    Receipts of erasures read it: when did the last model that had learned from a photo leave? Safe to repeat.
    """
    channels = Channel.objects.filter(recognizer=recognizer).select_related("release", "previous", "arm", "recognizer")
    offered: set[int] = set().union(*(cohorts.reachable(offer_of(line(row), state_of(row))) for row in channels))
    releases = Release.objects.filter(recognizer=recognizer)
    releases.filter(version__in=offered).exclude(left_at=None).update(left_at=None)
    releases.exclude(version__in=offered).filter(left_at=None).update(left_at=timezone.now())


def _risen(row: Channel, before: State, to: State) -> State:
    """The state to go to, with higher versions of the same files where some device would otherwise be given a lower one: of the
    release if that is enough, else of all that devices may be given. A device that none of it is for keeps what it has.
    """
    name, was = line(row), offer_of(line(row), before)
    if not cohorts.drops(was, offer_of(name, to)):
        return to
    # An unsaved row stands in: no version is used up while it is not known whether it helps.
    higher = Release(version=_newest(row.recognizer) + 1, state=to.release.state)
    higher.minimum_app, higher.platforms, higher.tiers = to.release.minimum_app, to.release.platforms, to.release.tiers
    if not cohorts.drops(was, offer_of(name, replace(to, release=higher))):
        return replace(to, release=again(to.release))
    reached = cohorts.reachable(offer_of(name, to))
    earlier = [again(each) for each in reversed(to.earlier) if each.version in reached and each != to.previous]
    previous = again(to.previous) if to.previous and to.previous.version in reached else to.previous
    if previous != to.previous and to.rollout == 100 and previous is not None:
        earlier.append(previous)  # nobody is below a complete release: for phones that it is not for
    return replace(to, release=again(to.release), previous=previous, earlier=(*reversed(earlier), *to.earlier))


def _candidate(release: Release | None) -> cohorts.Candidate | None:
    if release is None or not _published(release):
        return None
    return cohorts.Candidate(release.version, target_of(release))


def _published(release: Release) -> bool:
    return bool(release.state == Release.State.PUBLISHED)


def _newest(recognizer: Recognizer) -> int:
    """The highest version. Raises VersionOutOfReach where no phone would follow one more."""
    rows = Release.objects.filter(recognizer=recognizer).aggregate(newest=Max("version"), made=Count("pk"))
    newest = int(rows["newest"] or 0)
    if newest - rows["made"] > VERSION_GAP_MOST:  # each release is one more than the last: somebody has set one by hand
        raise VersionOutOfReach(
            f"{recognizer.slug} has {rows['made']} releases and a version {newest}; phones refuse a jump that large, "
            "and so every version after it. Give that row a version near those before it.",
            version=newest,
        )
    return newest
