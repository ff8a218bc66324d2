"""What a web process holds of a channel: a 304 without a query, and never an answer that takes a phone back."""

import json

import pytest
import time_machine
from django.test import Client

from tests.nights import released
from training import held, release

MANIFEST = "/api/v1/recognizers/coins/manifest"


@pytest.fixture(autouse=True)
def _held_for_five_seconds(settings):
    held.forget()
    settings.MANIFEST_HOLD_S = 5


@pytest.fixture
def clock():
    with time_machine.travel("2026-11-22T10:00:01Z", tick=False) as clock:
        yield clock


def asked(etag: str = "", **query: str):
    return Client().get(MANIFEST, query, headers={"If-None-Match": etag} if etag else {})


def version(response) -> int:
    import base64

    body = response.content.split(b".")[1]
    return json.loads(base64.urlsafe_b64decode(body + b"=" * (-len(body) % 4)))["version"]


def test_a_304_costs_no_query(recognizer, clock, django_assert_num_queries):
    released(recognizer, b"model")
    etag = asked()["ETag"]
    for known in (etag, f'"other", {etag}', f"W/{etag}"):
        with django_assert_num_queries(0):
            assert asked(known).status_code == 304


def test_a_phone_that_names_another_etag_is_told_what_the_rows_say_now(recognizer, clock):
    released(recognizer, b"one")
    asked()
    released(recognizer, b"two")
    assert version(asked('"other"')) == 2


def test_a_phone_that_has_no_manifest_yet_may_get_what_is_held(recognizer, clock, settings, django_assert_num_queries):
    released(recognizer, b"one")
    first = asked()
    with django_assert_num_queries(0):
        assert asked().content == first.content
    released(recognizer, b"two")
    clock.shift(settings.MANIFEST_HOLD_S)
    assert version(asked()) == 2


def test_what_is_held_for_one_device_says_nothing_of_another(recognizer, clock):
    released(recognizer, b"one")
    release.ramp(recognizer=recognizer, percent=0)
    assert asked(device="d1").status_code == 404
    release.ramp(recognizer=recognizer, percent=100)
    assert asked(device="d1").status_code == 200


def test_a_phone_that_has_the_new_one_never_gets_the_old_one(recognizer, clock):
    released(recognizer, b"one")
    asked()
    stale = dict(held._held)  # another process, which has not heard of the move
    released(recognizer, b"two")
    newest = asked()["ETag"]
    held._held.update(stale)
    assert asked(newest).status_code == 304


@pytest.mark.parametrize("move", ["rollback", "ramp", "withdraw", "offer"])
def test_every_move_is_seen_when_the_hold_is_over(recognizer, clock, settings, move):
    released(recognizer, b"one")
    second = released(recognizer, b"two")
    assert version(asked()) == 2
    clock.shift(settings.MANIFEST_HOLD_S)
    if move == "rollback":
        release.rollback(recognizer=recognizer)
        assert version(asked()) == 3
    elif move == "ramp":
        release.ramp(recognizer=recognizer, percent=0)
        assert version(asked()) == 3  # the files of v1 under a version that phones with v2 take
    elif move == "withdraw":
        release.withdraw(release=second)
        assert version(asked()) == 3
    else:
        release.offer(recognizer=recognizer, version=2, rollout=0)
        assert version(asked()) == 3


def test_as_before_is_said_no_longer_than_the_hold(recognizer, clock, settings):
    released(recognizer, b"one")
    etag = asked()["ETag"]
    released(recognizer, b"two")
    clock.shift(settings.MANIFEST_HOLD_S - 1)
    assert asked(etag).status_code == 304
    clock.shift(1)
    assert version(asked(etag)) == 2


def test_devices_of_a_ramp_are_told_apart_by_what_is_held(recognizer, clock, django_assert_num_queries):
    released(recognizer, b"one")
    released(recognizer, b"two")
    release.ramp(recognizer=recognizer, percent=50)
    before = {device: asked(device=device) for device in map(str, range(20))}
    assert {version(answer) for answer in before.values()} == {3, 4}
    with django_assert_num_queries(0):
        assert {asked(answer["ETag"], device=device).status_code for device, answer in before.items()} == {304}


def test_what_is_withdrawn_is_held_no_longer_than_others(recognizer, clock, settings):
    first = released(recognizer, b"one")
    etag = asked()["ETag"]
    release.withdraw(release=first)
    clock.shift(settings.MANIFEST_HOLD_S)
    assert asked().status_code == 404
    assert asked(etag).status_code == 404
