"""Who gets what: shares that hold, devices that stay, arms drawn apart, and the newest release that a phone can run."""

from dataclasses import replace

import pytest
from hypothesis import given as using
from hypothesis import settings
from hypothesis import strategies as st

from bench.rollout import shares
from training.cohorts import CONTROL, TREATMENT, Candidate, Offer, Phone, Target, arm_of, drops, given, reachable

OLD, NEW, TRIED = Candidate(1), Candidate(2), Candidate(3)
RAMP = Offer("coins/stable", NEW, 10, OLD, earlier=(OLD,))
TRIAL = Offer("coins/stable", NEW, 100, arm=TRIED, arm_percent=20, arm_number=1)


def test_100_000_ids_hold_their_shares_stay_inside_and_are_balanced_in_arms():
    wrong = [found for found in shares(100_000) if not found[3]]
    assert wrong == []


@settings(deadline=None)  # a busy machine is no bug
@using(device=st.text(min_size=1, max_size=64), low=st.integers(0, 100), high=st.integers(0, 100))
def test_a_rising_share_never_drops_a_device(device, low, high):
    low, high = min(low, high), max(low, high)
    before, after = (given(replace(RAMP, rollout=share), Phone(device)) for share in (low, high))
    assert before.version <= after.version
    assert not drops(replace(RAMP, rollout=low), replace(RAMP, rollout=high))
    assert drops(replace(RAMP, rollout=high), replace(RAMP, rollout=low)) == (low < high)


def test_the_half_of_an_arm_does_not_change_when_it_is_widened_and_does_with_the_next_arm():
    phones = [Phone(f"d{n}") for n in range(2000)]
    narrow, wide = ([arm_of(replace(TRIAL, arm_percent=share), phone) for phone in phones] for share in (10, 60))
    assert all(before in ("", after) for before, after in zip(narrow, wide, strict=True))
    following = [arm_of(replace(TRIAL, arm_percent=60, arm_number=2), phone) for phone in phones]
    both = [(a, b) for a, b in zip(wide, following, strict=True) if a and b]
    assert 0.4 < sum(a == b for a, b in both) / len(both) < 0.6  # drawn anew


def test_treatment_gets_the_arm_and_control_what_all_have():
    versions = {
        group: {given(TRIAL, phone).version for n in range(500) if arm_of(TRIAL, phone := Phone(f"d{n}")) == group}
        for group in (TREATMENT, CONTROL, "")
    }
    assert versions == {TREATMENT: {3}, CONTROL: {2}, "": {2}}
    assert (arm_of(TRIAL, Phone()), given(TRIAL, Phone())) == ("", NEW)  # who names no id takes no part


@pytest.mark.parametrize(
    ("phone", "version"),
    [
        (Phone("d", app="2.0", platform="android", tier="high"), 3),
        (Phone("d", app="2", platform="android", tier="high"), 3),
        (Phone("d", app="10.0", platform="android", tier="high"), 3),  # by numbers, not by letters
        (Phone("d", app="1.9", platform="android", tier="high"), 2),
        (Phone("d", app="2.0", platform="ios", tier="high"), 1),
        (Phone("d", app="2.0", platform="android", tier="low"), 2),
        (Phone("d", platform="android", tier="high"), 3),  # no app told: the phone judges by the manifest
        (Phone("d", app="٢.0", platform="android", tier="high"), 3),  # no app's version
        (Phone("d", app="2.0"), 1),
        (Phone("d", app="0.9"), None),
    ],
)
def test_a_phone_gets_the_newest_release_that_is_for_it(phone, version):
    only = frozenset({"android"})
    offer = Offer(
        "coins/stable",
        Candidate(3, Target("2.0", only, frozenset({"high"}))),
        earlier=(OLD, Candidate(2, Target("1.0", only))),
    )
    found = given(offer, phone)
    assert (found.version if found else None) == version
    assert reachable(offer) == {1, 2, 3}


def test_what_a_newer_release_covers_nobody_gets():
    assert reachable(Offer("coins/stable", NEW, 100, OLD, earlier=(OLD,))) == {2}
    assert reachable(RAMP) == {1, 2}
    assert reachable(replace(RAMP, rollout=0)) == {1}
    assert reachable(TRIAL) == {2, 3}


def test_ending_an_arm_drops_its_devices_unless_the_version_rises():
    ended = replace(TRIAL, arm=None, arm_percent=0)
    assert drops(TRIAL, ended)
    assert not drops(TRIAL, replace(ended, release=Candidate(4)))
    assert drops(TRIAL, replace(TRIAL, arm_percent=10)) and not drops(TRIAL, replace(TRIAL, arm_percent=50))


def test_narrowing_a_release_drops_those_that_it_is_no_longer_for():
    all_phones = Offer("coins/stable", NEW, earlier=(OLD,))
    narrow = Candidate(3, Target(platforms=frozenset({"ios"})))
    assert drops(all_phones, replace(all_phones, release=narrow))
    assert not drops(all_phones, replace(all_phones, release=replace(narrow, version=4), earlier=(Candidate(3), OLD)))
