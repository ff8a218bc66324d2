"""The admin's page of reports: what phones said by version and device model, and how the test stands."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from tests.browsing import assert_accessible, signed_in
from tests.nights import released
from training import benchmarks, release
from training.models import Channel, Move, Release


def report(of: Release, number: int, **measured: Any) -> None:
    benchmarks.report(
        recognizer=of.recognizer,
        artifact_sha256=of.artifacts.get().sha256,
        version=of.version,
        device=f"{of.version}-{number}",
        address=f"10.0.{of.version}.{number}",
        **measured,
    )


@pytest.fixture
def channel(recognizer: Any) -> Channel:
    first, second = released(recognizer, b"one"), released(recognizer, b"two")
    for number in range(50):
        measured = {"device_model": ("<Phone>", "Tablet")[number % 2], "canary_accuracy": 0.9, "answers": 30, "corrections": 3}
        report(first, number, latency_ms=10.0 + number / 10, **measured)
        report(second, number, latency_ms=20.0 + number / 10, **measured)
    return release.pointer(recognizer)


def test_medians_intervals_and_the_state_of_the_test_are_shown(admin_client: Any, channel: Channel) -> None:
    page = admin_client.get(reverse("admin:training_channel_reports", args=[channel.pk])).content.decode()
    row = '<td>v2</td>\n                <th scope="row">&lt;Phone&gt;</th>\n                <td>25</td>\n'
    assert row + "                <td>22.4 (21.4 to 23.4)</td>" in page
    assert "<td>90.0% (90.0% to 90.0%)</td><td>10.0%</td>" in page
    assert "coins v2 against coins v1" in page and "<td>worse</td>" in page
    assert "publish by night slot 1" in page


def test_a_channel_without_reports_says_so(admin_client: Any, recognizer: Any) -> None:
    released(recognizer, b"one")
    page = admin_client.get(reverse("admin:training_channel_reports", args=[Channel.objects.get().pk])).content.decode()
    assert "There is nothing to compare coins v1 with." in page and "No phone has reported" in page
    assert admin_client.get(reverse("admin:training_channel_reports", args=[0])).status_code == 404


def test_only_who_may_see_channels_sees_reports(client: Any, channel: Channel) -> None:
    client.force_login(User.objects.create_user("somebody", is_staff=True))
    assert client.get(reverse("admin:training_channel_reports", args=[channel.pk])).status_code == 403


def test_a_channel_is_paused_resumed_and_halted_by_its_actions_and_the_log_names_who(
    admin_client: Any, channel: Channel
) -> None:
    release.ramp(recognizer=channel.recognizer, percent=10)
    address = reverse("admin:training_channel_changelist")
    for action, told in (
        ("pause", "stable is paused."),
        ("resume", "stable goes on."),
        ("halt", "stable now offers coins v5."),
    ):
        form = {"action": action, "_selected_action": [channel.pk]}
        assert told in admin_client.post(address, form, follow=True).content.decode()
    assert [(row.verb, row.by) for row in Move.objects.all()[:3]] == [
        ("rollback", "admin"),
        ("resume", "admin"),
        ("pause", "admin"),
    ]
    page = admin_client.get(reverse("admin:training_move_changelist")).content.decode()
    assert "release 4 → 5" in page
    assert admin_client.get(reverse("admin:training_move_change", args=[Move.objects.first().pk])).status_code == 200
    assert admin_client.post(reverse("admin:training_move_delete", args=[Move.objects.first().pk])).status_code == 403


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_is_accessible_in_a_browser(live_server: Any, channel: Channel, settings: Any, width: int) -> None:
    with signed_in(live_server, settings, User.objects.create_superuser("engineer"), width) as page:
        page.goto(live_server.url + reverse("admin:training_channel_reports", args=[channel.pk]))
        assert_accessible(page, ".reports")
        assert page.evaluate("document.querySelector('.reports').scrollWidth <= document.documentElement.clientWidth")
