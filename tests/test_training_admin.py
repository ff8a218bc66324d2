"""The admin's pages about nights and releases: readable, and changed through the verbs alone."""

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from tests.nights import claimed, released
from training import release, runs
from training.models import Benchmark, Channel, Release, Run, Snapshot

REPORT = {
    "n": 4,
    "right": 3,
    "accuracy": 0.75,
    "interval": [0.3, 0.95],
    "per_label": {"copper": {"n": 2, "right": 1, "recall": 0.5, "interval": [0.1, 0.9]}},
}


@pytest.fixture
def engineer(client, db):
    client.force_login(User.objects.create_superuser("engineer"))
    return client


@pytest.fixture
def run(recognizer) -> Run:
    held = claimed(recognizer)
    checks = [{"name": "int8 keeps up", "passed": False, "value": "9 points", "limit": "< 1", "sentence": "<Too much.>"}]
    runs.finish(
        held,
        Run.State.KEPT,
        "The gate refused the candidate.",
        metrics={"int8": REPORT, "float": REPORT, "incumbent": None, "seconds": {"training": 9.5}},
        verdict={"passed": False, "checks": checks},
    )
    return held


def test_a_run_shows_why_it_was_refused_and_how_each_label_does(engineer, run):
    page = engineer.get(reverse("admin:training_run_change", args=[run.pk])).content.decode()
    assert (
        '<th scope="row">int8 keeps up</th><td>refused</td><td>9 points</td><td>&lt; 1</td><td>&lt;Too much.&gt;</td>' in page
    )
    assert '<th scope="row">copper</th><td>50.0%</td><td>–</td><td>2</td>' in page
    assert '<th scope="row">int8</th><td>75.0%</td><td>30.0% – 95.0%</td><td>4</td>' in page
    assert "<caption>Seconds per stage, longest first</caption>" in page


def test_a_run_that_has_only_begun_can_be_looked_at(engineer, recognizer):
    run = claimed(recognizer)
    assert engineer.get(reverse("admin:training_run_change", args=[run.pk])).status_code == 200


def test_every_list_opens(engineer, run, recognizer):
    released(recognizer, b"one")
    Snapshot.objects.create(recognizer=recognizer, digest="0" * 64, photos=1, counts={"train": {"gold": 1}})
    Benchmark.objects.create(recognizer=recognizer, artifact_sha256="0" * 64, version=1, device="d", latency_ms=1.5)
    for model in (Run, Release, Channel, Snapshot, Benchmark):
        name = f"admin:training_{model._meta.model_name}"
        assert engineer.get(reverse(f"{name}_changelist")).status_code == 200, model
        assert engineer.get(reverse(f"{name}_change", args=[model.objects.first().pk])).status_code == 200, model


def test_the_rollout_is_changed_by_its_form_and_nothing_else_is(engineer, recognizer):
    released(recognizer, b"one")
    second = released(recognizer, b"two")
    channel = Channel.objects.get()
    address = reverse("admin:training_channel_change", args=[channel.pk])
    assert engineer.post(address, {"rollout": 10, "name": "other", "release": 1}).status_code == 302
    channel.refresh_from_db()
    assert (channel.rollout, channel.name, channel.release.rolls_back_to) == (10, "stable", second)
    assert engineer.post(address, {"rollout": 101}).status_code == 200  # the form again, with its error
    channel.refresh_from_db()
    assert channel.rollout == 10


def test_a_channel_is_rolled_back_by_its_action(engineer, recognizer):
    released(recognizer, b"one")
    address = reverse("admin:training_channel_changelist")
    form = {"action": "roll_back", "_selected_action": [Channel.objects.get().pk]}
    page = engineer.post(address, form, follow=True).content.decode()
    assert "coins v1 is the oldest published release of stable." in page
    released(recognizer, b"two")
    page = engineer.post(address, form, follow=True).content.decode()
    assert "stable now offers coins v3: the files of coins v1." in page
    assert release.pointer(recognizer).release.version == 3


def test_a_release_is_withdrawn_by_its_action_and_by_those_who_may(engineer, client, recognizer):
    released(recognizer, b"one")
    second = released(recognizer, b"two")
    form = {"action": "withdraw", "_selected_action": [second.pk]}
    address = reverse("admin:training_release_changelist")
    reader = User.objects.create_user("reader", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_release"))
    client.force_login(reader)
    client.post(address, form)
    second.refresh_from_db()
    assert second.state == Release.State.PUBLISHED
    client.force_login(User.objects.get(username="engineer"))
    page = client.post(address, form, follow=True).content.decode()
    assert "coins v2 is withdrawn; phones now get coins v3." in page
    second.refresh_from_db()
    assert second.state == Release.State.WITHDRAWN
