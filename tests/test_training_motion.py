"""PHONE → EXPORT: how still the answers of phones are, and what the next night makes of it."""

import dataclasses
import datetime as dt

import pytest
import time_machine

from tests.nights import claimed, exported
from training import benchmarks, motion, release
from training.models import Release

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False):
        yield


def released(recognizer, data: bytes, *, restless: float | None) -> Release:
    """A release whose simulated frames were `restless`."""
    row, told = release.pointer(recognizer), {"confidence": {"frames": {"keep": 0.6, "margin": 0.1, "restless": restless}}}
    file = dataclasses.replace(exported(data), answers=told)
    before = row.release if row else None
    return release.publish(run=claimed(recognizer, data.decode()), artifacts=[file], replaces=before, message="")


def report(of: Release, number: int, *, changes: int, frames: int = 200, address: str = "") -> None:
    benchmarks.report(
        recognizer=of.recognizer,
        artifact_sha256=of.artifacts.get().sha256,
        version=of.version,
        device=f"device-{number}",
        address=address or f"10.{number}.0.1",
        latency_ms=10.0,
        frames=frames,
        frame_changes=changes,
    )


def test_phones_are_so_many_times_as_restless_as_the_simulated_frames_of_their_file(recognizer):
    first = released(recognizer, b"one", restless=0.05)
    for number in range(20):
        report(first, number, changes=30)
    assert motion.observed(recognizer=recognizer) == motion.Observed(pytest.approx(3.0), 20, 1)


def test_a_fifth_of_the_devices_moves_nothing_whatever_it_reports(recognizer):
    first = released(recognizer, b"one", restless=0.05)
    for number in range(20):
        report(first, number, changes=200 if number < 4 else 10)
    assert motion.observed(recognizer=recognizer).livelier == pytest.approx(1.0)


def test_one_address_is_not_many_devices(recognizer, settings):
    settings.REPORTS_PER_SOURCE = 2
    first = released(recognizer, b"one", restless=0.05)
    for number in range(40):
        report(first, number, changes=200, address="192.0.2.1")
    for number in range(40, 57):
        report(first, number, changes=10)
    assert motion.observed(recognizer=recognizer) is None  # 17 and 2
    report(first, 57, changes=10)
    assert motion.observed(recognizer=recognizer) == motion.Observed(pytest.approx(1.0), 20, 1)


def test_devices_that_saw_few_frames_say_nothing(recognizer):
    first = released(recognizer, b"one", restless=0.05)
    for number in range(30):
        report(first, number, changes=5, frames=99)
    assert motion.observed(recognizer=recognizer) is None


def test_the_newest_file_with_enough_reports_counts(recognizer):
    first = released(recognizer, b"one", restless=0.05)
    for number in range(20):
        report(first, number, changes=10)
    second = released(recognizer, b"two", restless=0.1)
    for number in range(19):
        report(second, number, changes=80)
    assert motion.observed(recognizer=recognizer).version == 1
    report(second, 19, changes=80)
    assert motion.observed(recognizer=recognizer) == motion.Observed(pytest.approx(4.0), 20, 2)


@pytest.mark.parametrize("restless", [None, 0.0])
def test_a_file_that_was_not_simulated_or_never_restless_is_compared_with_nothing(recognizer, restless):
    first = released(recognizer, b"one", restless=restless)
    for number in range(20):
        report(first, number, changes=10)
    assert motion.observed(recognizer=recognizer) is None
