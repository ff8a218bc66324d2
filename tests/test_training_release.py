"""Releases: versions that only rise, a pointer that a zombie cannot move, and ramps that never drop a device."""

import datetime as dt
import hashlib
import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from collector.storage import LocalStore, store
from tests.nights import claimed, exported, released
from training import release, runs
from training.errors import (
    ChannelMoved,
    CorruptBlob,
    FencedOff,
    NotAPercentage,
    NothingReleased,
    NothingToRollBackTo,
    NotOffered,
    UnknownChannel,
    UnknownRelease,
)
from training.models import Artifact, Release, Run


def contents(row: Release) -> bytes:
    return store().get(f"blobs/{row.artifacts.get(format='int8').sha256}")


def test_publishing_stores_the_bytes_and_points_the_channel_at_them(recognizer):
    run = claimed(recognizer)
    made = release.publish(run=run, artifacts=[exported(b"model")], replaces=None, message="Good.")
    run.refresh_from_db()
    assert (made.version, run.state, run.message) == (1, Run.State.RELEASED, "Released coins v1. Good.")
    assert (run.lease_until, run.finished_at is not None) == (None, True)
    artifact = made.artifacts.get()
    assert (artifact.sha256, artifact.bytes) == (hashlib.sha256(b"model").hexdigest(), 5)
    assert contents(made) == b"model"
    row = release.pointer(recognizer)
    assert (row.release, row.previous, row.rollout) == (made, None, 100)


def test_the_next_release_rises_and_remembers_the_one_before(recognizer):
    first, second = released(recognizer, b"one"), released(recognizer, b"two")
    row = release.pointer(recognizer)
    assert (second.version, row.release, row.previous) == (2, second, first)


def test_a_zombie_publishes_nothing(recognizer):
    first = released(recognizer, b"one")
    zombie = claimed(recognizer)
    Run.objects.filter(pk=zombie.pk).update(lease_until=timezone.now() - dt.timedelta(seconds=1))
    assert runs.claim(zombie.pk) == 2
    with pytest.raises(FencedOff):
        release.publish(run=zombie, artifacts=[exported(b"undead")], replaces=first, message="")
    assert Release.objects.count() == 1
    assert not Artifact.objects.filter(run=zombie).exists()
    assert release.pointer(recognizer).release == first
    assert Run.objects.get(pk=zombie.pk).state == Run.State.RUNNING
    heir = runs.held(zombie.pk, 2)
    assert release.publish(run=heir, artifacts=[exported(b"alive")], replaces=first, message="").version == 2


def test_a_channel_that_moved_during_the_night_is_not_overrun(recognizer):
    first, second = released(recognizer, b"one"), released(recognizer, b"two")
    run = claimed(recognizer)
    judged_against = second
    back = release.rollback(recognizer=recognizer)
    with pytest.raises(ChannelMoved):
        release.publish(run=run, artifacts=[exported(b"three")], replaces=judged_against, message="")
    assert release.pointer(recognizer).release == back
    assert back.rolls_back_to == first
    run.refresh_from_db()
    assert run.state == Run.State.RUNNING  # the whole transaction went, the run's end with it


def test_bytes_that_come_back_changed_are_not_released(recognizer, monkeypatch):
    run = claimed(recognizer)
    monkeypatch.setattr(LocalStore, "get", lambda self, key: b"rotten")
    with pytest.raises(CorruptBlob):
        release.publish(run=run, artifacts=[exported(b"model")], replaces=None, message="")
    assert not Release.objects.exists()


def test_rolling_back_is_a_higher_version_of_the_old_bytes(recognizer):
    first = released(recognizer, b"one")
    released(recognizer, b"two")
    back = release.rollback(recognizer=recognizer)
    assert (back.version, contents(back), back.rolls_back_to) == (3, b"one", first)
    row = release.pointer(recognizer)
    assert (row.release, row.rollout) == (back, 100)
    with pytest.raises(NothingToRollBackTo):  # behind v1 there is nothing: v2, which was left, is no way back
        release.rollback(recognizer=recognizer)
    released(recognizer, b"four")
    again = release.rollback(recognizer=recognizer)
    assert (again.version, contents(again), again.rolls_back_to) == (5, b"one", first)


def test_a_withdrawn_release_is_replaced_where_it_was_offered(recognizer):
    first, second = released(recognizer, b"one"), released(recognizer, b"two")
    replacement = release.withdraw(release=second)
    assert contents(replacement) == b"one"
    assert second.state == Release.State.WITHDRAWN
    assert release.offered(release.pointer(recognizer), "a") == replacement
    with pytest.raises(NotOffered):
        release.offer(recognizer=recognizer, version=2)
    assert release.withdraw(release=first) is None  # no channel offers v1 itself any more
    assert release.pointer(recognizer).release == replacement


def test_withdrawing_the_only_release_leaves_nothing_to_offer(recognizer):
    assert release.withdraw(release=released(recognizer, b"one")) is None
    with pytest.raises(NothingReleased):
        release.offered(release.pointer(recognizer), "a")
    after = released(recognizer, b"two")  # the next night mends it
    assert release.offered(release.pointer(recognizer), "a") == after


def test_devices_outside_a_ramp_stay_with_the_release_before(recognizer):
    first, second = released(recognizer, b"one"), released(recognizer, b"two")
    release.ramp(recognizer=recognizer, percent=0)
    row = release.pointer(recognizer)
    below = release.offered(row, "a")
    assert release.offered(row, "") == below and contents(below) == b"one"
    third = released(recognizer, b"three")  # a night during the ramp: it goes on with the newer candidate
    row = release.ramp(recognizer=recognizer, percent=50)
    assert (row.release, row.previous) == (third, below)
    assert {release.offered(row, str(n)) for n in range(100)} == {below, third}
    assert release.offered(row, "") == below  # who says nothing waits for everybody
    assert not {first, second} & {row.release, row.previous}


def test_a_lower_share_gives_both_sides_higher_versions_of_their_files(recognizer):
    first, second = released(recognizer, b"one"), released(recognizer, b"two")  # all devices have v2
    row = release.ramp(recognizer=recognizer, percent=10)
    assert (row.previous.version, row.release.version) == (3, 4)
    assert (row.previous.rolls_back_to, row.release.rolls_back_to) == (first, second)
    assert (contents(row.previous), contents(row.release)) == (b"one", b"two")
    assert release.ramp(recognizer=recognizer, percent=100).release.version == 4  # a higher share needs no new version


def test_a_first_release_can_be_ramped_too(recognizer):
    released(recognizer, b"one")
    row = release.ramp(recognizer=recognizer, percent=0)
    with pytest.raises(NothingReleased):
        release.offered(row, "a")


@pytest.mark.parametrize("percent", [-1, 101])
def test_a_rollout_is_a_percentage(recognizer, percent):
    released(recognizer, b"one")
    with pytest.raises(NotAPercentage):
        release.ramp(recognizer=recognizer, percent=percent)
    assert release.pointer(recognizer).rollout == 100


def test_an_existing_version_can_be_put_on_another_channel(recognizer):
    first, second = released(recognizer, b"one"), released(recognizer, b"two")
    assert release.offer(recognizer=recognizer, version=1, channel="beta").release == first
    assert release.offer(recognizer=recognizer, version=2, channel="beta", rollout=25).rollout == 25
    row = release.pointer(recognizer, "beta")
    assert (row.release, row.previous) == (second, first)
    assert release.offer(recognizer=recognizer, version=2, channel="beta").previous == first  # the same again: a ramp
    with pytest.raises(NotOffered, match="Use rollback"):
        release.offer(recognizer=recognizer, version=1, channel="beta")
    with pytest.raises(UnknownRelease):
        release.offer(recognizer=recognizer, version=9)
    with pytest.raises(UnknownChannel):
        release.ramp(recognizer=recognizer, percent=5, channel="nightly")


def test_the_command_shows_and_moves_the_channel(recognizer, capsys):
    with pytest.raises(CommandError, match="no channel 'stable' yet"):
        call_command("release", "show", "--recognizer", "coins")
    released(recognizer, b"one")
    released(recognizer, b"two")
    call_command("release", "show", "--recognizer", "coins", "--json")
    shown = json.loads(capsys.readouterr().out)
    (artifact,) = shown["artifacts"]
    assert (shown["version"], artifact["format"], artifact["bytes"]) == (2, "int8", 3)
    assert hashlib.sha256(Path(artifact["path"]).read_bytes()).hexdigest() == artifact["sha256"]
    call_command("release", "ramp", "--recognizer", "coins", "--percent", "10")
    assert "on stable for 10 % of devices" in capsys.readouterr().out
    call_command("release", "rollback", "--recognizer", "coins", "--json")
    assert json.loads(capsys.readouterr().out)["version"] == 5  # the ramp from all to a tenth took two versions
    call_command("release", "publish", "--recognizer", "coins", "--version", "5", "--channel", "beta")
    assert "coins v5 (published) on beta" in capsys.readouterr().out
    with pytest.raises(CommandError, match="Use rollback"):
        call_command("release", "publish", "--recognizer", "coins", "--version", "1")
    with pytest.raises(CommandError, match="no recognizer 'stamps'"):
        call_command("release", "show", "--recognizer", "stamps")
