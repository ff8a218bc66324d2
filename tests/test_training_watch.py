"""Rollouts that are watched: worse ones are halted by themselves, others go on step by step, and each move is in the log."""

import datetime as dt
import random

import pytest
import time_machine

from config import duties
from config.errors import Problem
from tests.nights import released
from training import benchmarks, release, rollout, watch
from training.errors import NoSuchTarget, NothingToHalt, NotOffered
from training.models import Channel, Move, Release

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as travelled:
        yield travelled


@pytest.fixture
def two(recognizer) -> tuple[Release, Release]:
    return released(recognizer, b"one"), released(recognizer, b"two")


def reports(of: Release, count: int, *, latency: float = 10, canaries: float = 0.9, prefix: str = "") -> None:
    rng = random.Random(of.version)
    for number in range(count):
        benchmarks.report(
            recognizer=of.recognizer,
            artifact_sha256=of.artifacts.get().sha256,
            version=of.version,
            device=f"{prefix}{of.version}-{number}",
            device_model=f"Phone {number % 3}",
            address=f"10.{number // 250}.{of.version}.{number % 250}",
            latency_ms=latency * rng.lognormvariate(0, 0.3),
            canary_accuracy=min(1, max(0, canaries + rng.gauss(0, 0.05))),
        )


def look() -> None:
    """What a worker does, once."""
    for key in watch.due():
        watch.look(channel_id=key)


def last() -> Move:
    return Move.objects.first()


def test_a_slow_release_is_rolled_back_by_itself_and_the_log_says_why(recognizer, two):
    reports(two[0], 60)
    reports(two[1], 60, latency=20)
    look()
    row = release.pointer(recognizer)
    assert (row.release.version, row.release.rolls_back_to, row.rollout) == (3, two[0], 100)
    assert (last().verb, last().by) == ("rollback", "automatic")
    assert "coins v2 is worse. latency ms: worse in" in last().why
    assert (last().before["release"], last().after["release"]) == (2, 3)
    look()
    assert Move.objects.filter(verb="rollback").count() == 1  # the same files: there is nothing more to compare


def test_an_arm_with_worse_answers_is_halted_and_its_devices_go_on_to_a_higher_version(recognizer, two):
    release.offer(recognizer=recognizer, version=1, channel="beta")
    row = rollout.try_beside(recognizer=recognizer, version=1, percent=40)
    assert (row.arm.version, row.arm.rolls_back_to) == (3, two[0])  # a lower version would be refused by phones
    reports(two[1], 100)
    reports(row.arm, 100, canaries=0.8)
    look()
    row = release.pointer(recognizer)
    assert (row.arm, row.arm_percent, row.release.version, row.release.rolls_back_to) == (None, 0, 4, two[1])
    assert (last().verb, last().by) == ("halt", "automatic")


def test_a_release_that_is_no_worse_stays(recognizer, two):
    reports(two[0], 100)
    reports(two[1], 100)
    look()
    assert release.pointer(recognizer).release == two[1]
    assert {row.verb for row in Move.objects.all()} == {"publish"}


def test_an_automatic_ramp_goes_on_step_by_step_when_time_and_reports_allow_it(recognizer, two, clock):
    rollout.switch(recognizer=recognizer, field="automatic", on=True, by="Ada")
    third = released(recognizer, b"three")
    row = release.pointer(recognizer)
    assert (row.release, row.previous, row.rollout) == (third, two[1], 1)
    reports(two[1], 100)
    for hours, count, percent in ((0, 10, 1), (3, 0, 10), (3, 0, 10), (0, 60, 50), (1, 200, 50), (2, 0, 100)):
        clock.shift(dt.timedelta(hours=hours, seconds=60))
        reports(third, count)
        look()
        assert release.pointer(recognizer).rollout == percent, (hours, count)
    assert [row.by for row in Move.objects.filter(verb="ramp")] == ["automatic"] * 3
    assert release.pointer(recognizer).release == third  # no version was used up


def test_a_paused_ramp_waits_and_is_still_halted(recognizer, two, clock):
    rollout.switch(recognizer=recognizer, field="automatic", on=True)
    third = released(recognizer, b"three")
    rollout.switch(recognizer=recognizer, field="paused", on=True, by="Ada", why="Lunch.")
    rollout.switch(recognizer=recognizer, field="paused", on=True)  # is so already: no move
    assert (last().verb, last().by, last().why) == ("pause", "Ada", "Lunch.")
    reports(two[1], 100)
    reports(third, 20)
    clock.shift(dt.timedelta(hours=4))
    look()
    assert release.pointer(recognizer).rollout == 1
    reports(third, 100, latency=30, prefix="slow")
    clock.shift(dt.timedelta(minutes=2))
    look()
    row = release.pointer(recognizer)
    assert (row.release.rolls_back_to, row.rollout) == (two[1], 100)


def test_one_address_cannot_halt_a_release(recognizer, two):
    reports(two[0], 100)
    for number in range(300):
        benchmarks.report(
            recognizer=recognizer,
            artifact_sha256=two[1].artifacts.get().sha256,
            version=2,
            device=f"liar{number}",
            device_model=f"Phone {number % 3}",
            address="192.0.2.1",
            latency_ms=60_000,
        )
    trial = watch.trial_of(release.pointer(recognizer))
    assert (trial.counted, trial.findings[0].pairs, trial.worse) == (2, 2, [])


def test_the_bucket_of_an_address_is_small_and_another_for_each_file():
    buckets = {benchmarks.source("192.0.2.1", digest * 64) for digest in "0123456789"}
    assert len(buckets) > 8 and all(len(bucket) == 4 for bucket in buckets)
    assert benchmarks.source("", "0" * 64) == ""


def test_who_looks_second_does_nothing_and_a_moved_channel_is_left_alone(recognizer, two, monkeypatch):
    reports(two[0], 60)
    reports(two[1], 60, latency=20)
    row = release.pointer(recognizer)
    seen = watch.trial_of(row)
    other = release.ramp(recognizer=recognizer, percent=100)  # no move
    assert other.changed_at == row.changed_at
    release.rollback(recognizer=recognizer, by="Ada")
    monkeypatch.setattr(watch, "trial_of", lambda row: seen)  # judged before Ada moved it
    monkeypatch.setattr(release, "channel_of", lambda *args: row, raising=True)
    watch.look(channel_id=row.pk)
    assert (last().by, Release.objects.count()) == ("Ada", 3)


def test_a_look_is_taken_when_there_is_news_and_not_more_than_once_a_minute(recognizer, two, clock):
    assert watch.due() == []
    reports(two[1], 1)
    assert watch.due() == [Channel.objects.get().pk]
    look()
    reports(two[1], 1, prefix="more")
    assert watch.due() == []
    clock.shift(61)
    reports(two[1], 1, prefix="and")
    assert watch.due() != []
    clock.shift(1)
    look()
    clock.shift(61)
    assert watch.due() == []  # no news


def test_the_worker_watches(recognizer, two):
    reports(two[0], 60)
    reports(two[1], 60, latency=20)
    duties.work_once()
    assert last().by == "automatic"


def test_halting_by_hand_takes_back_what_is_on_trial(recognizer, two):
    with pytest.raises(NothingToHalt):
        rollout.halt(recognizer=recognizer)
    release.ramp(recognizer=recognizer, percent=10)
    back = rollout.halt(recognizer=recognizer, by="Ada", why="It smells.")
    assert (back.rolls_back_to, last().by, last().why) == (two[0], "Ada", "It smells.")


def test_one_thing_at_a_time_is_tried(recognizer, two):
    with pytest.raises(NotOffered, match="offers it to all"):
        rollout.try_beside(recognizer=recognizer, version=2, percent=10)
    rollout.try_beside(recognizer=recognizer, version=1, percent=10)
    with pytest.raises(NotOffered, match="One at a time"):
        rollout.try_beside(recognizer=recognizer, version=1, percent=20)
    assert rollout.try_beside(recognizer=recognizer, version=3, percent=20).arm_percent == 20
    adopted = release.offer(recognizer=recognizer, version=3)
    assert (adopted.release.version, adopted.arm) == (3, None)


def test_phones_that_a_release_is_not_for_keep_the_newest_that_is(recognizer, two):
    rollout.limit(release=two[1], minimum_app="2.0", platforms=["android"], by="Ada")
    row = release.pointer(recognizer)
    new = release.offered(row, "d", app="2.1", platform="android")
    old = release.offered(row, "d", app="1.0", platform="android")
    assert (new.version, new.rolls_back_to) == (5, two[1])
    assert (old.version, old.rolls_back_to) == (4, two[0])  # above v2, which this phone has
    assert old.left_at is None and Release.objects.get(pk=two[1].pk).left_at is not None
    with pytest.raises(NoSuchTarget):
        rollout.limit(release=two[1], platforms=["An droid"])
    later = Release.objects.get(pk=two[1].pk)
    rollout.limit(release=later, tiers=["high"])  # offered to nobody: as it is
    assert Release.objects.get(pk=later.pk).tiers == ["high"]


def test_the_log_is_only_added_to(recognizer, two):
    move = last()
    for change in (move.delete, move.save, Move.objects.all().delete, lambda: Move.objects.update(by="nobody")):
        with pytest.raises(TypeError, match="only added"):
            change()
    assert Move.objects.count() == 2


MOVES = (
    lambda r, rng: release.ramp(recognizer=r, percent=rng.choice((0, 1, 10, 50, 100))),
    lambda r, rng: released(r, str(rng.random()).encode()),
    lambda r, rng: release.rollback(recognizer=r),
    lambda r, rng: rollout.halt(recognizer=r),
    lambda r, rng: rollout.try_beside(
        recognizer=r, version=rng.randint(1, Release.objects.count()), percent=rng.choice((20, 60, 100))
    ),
    lambda r, rng: release.offer(
        recognizer=r, version=rng.randint(1, Release.objects.count()), rollout=rng.choice((1, 30, 100))
    ),
    lambda r, rng: rollout.switch(recognizer=r, field="automatic", on=rng.random() < 0.5),
    lambda r, rng: release.withdraw(release=rng.choice(list(Release.objects.all()))),
    lambda r, rng: rollout.limit(
        release=release.pointer(r).release, minimum_app=rng.choice(("1.0", "2.0")), platforms=rng.choice(([], ["android"]))
    ),
)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_operators_and_nights_do_no_device_is_given_a_lower_version(recognizer, seed):
    """Random moves; after each, 60 devices of every kind ask. One that no release is for is told so."""
    rng = random.Random(seed)
    released(recognizer, b"first")
    devices = [(f"d{n}", {"app": ("1.5", "2.5", "")[n % 3], "platform": ("android", "ios", "")[n // 3 % 3]}) for n in range(60)]
    had = dict.fromkeys((device for device, _ in devices), 0)
    made = 0
    for step in range(30):
        move = rng.choice(MOVES) if step else MOVES[1]
        try:
            move(recognizer, rng)
            made += 1
        except Problem:
            continue
        row = release.pointer(recognizer)
        for device, about in devices:
            try:
                version = release.offered(row, device, **about).version
            except Problem:
                continue
            assert version >= had[device], (step, device, about, last())
            had[device] = version
    assert made > 10
