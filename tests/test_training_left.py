"""A run's page: pictures with words and tables, and files for staff alone that can do a browser no harm."""

import os
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from collector.storage import store
from tests.browsing import assert_accessible, signed_in
from tests.nights import claimed, collected
from tests.stories import account
from training import leave, runs, snapshot
from training.models import Run

pytestmark = pytest.mark.django_db
WIDE = tuple(f"Sort-Of-Apple-{number:02}" for number in range(81))


@pytest.fixture(autouse=True)
def own_store(settings, tmp_path: Path) -> None:
    settings.STORE_DIR = tmp_path / "store"


@pytest.fixture
def run(recognizer) -> Run:
    """A finished night with pictures of 81 labels."""
    told, held = account(WIDE, photos=300), claimed(recognizer)
    files = [leave._store(held, made) for make in leave.MAKERS if (made := make(told))]
    leave.keep(held, files)
    metrics = {"int8": told.reports["int8"], "history": dict(told.history)}
    runs.finish(held, Run.State.KEPT, "For a test.", metrics=metrics)
    return held


def address(run: Run, name: str) -> str:
    return reverse("admin:training_run_file", args=[run.pk, name])


def test_the_page_shows_pictures_with_words_and_the_tables_behind_them(admin_client, run):
    page = admin_client.get(reverse("admin:training_run_change", args=[run.pk])).content.decode()
    assert f'<img src="{address(run, "confusion.svg")}" alt="Confusion matrix: ' in page
    assert f'<img src="{address(run, "learning-curves.svg")}" alt="Learning curves: head loss from 1.1 to 0.5' in page
    assert "<caption>Most frequent confusions of the int8 file</caption>" in page
    assert '<th scope="row">head loss</th><td>1.1</td><td>0.5</td><td>3</td>' in page
    assert all(f'href="{address(run, row.name)}" download' in page for row in run.files.all())


def test_a_picture_is_shown_and_everything_else_is_downloaded_and_nothing_runs(admin_client, run):
    for row in run.files.all():
        answer = admin_client.get(address(run, row.name))
        assert answer.content == store().get(f"runs/{row.sha256}")
        assert answer["Content-Type"] == row.content_type
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert answer["Content-Security-Policy"] == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
        assert answer["Content-Disposition"].startswith("inline" if row.name.endswith(".svg") else "attachment")


def test_only_staff_who_may_see_runs_get_a_file(client, run):
    place = address(run, "metrics.json")
    assert client.get(place).status_code == 302  # to the login
    clerk = User.objects.create_user("clerk", is_staff=True)
    client.force_login(clerk)
    assert client.get(place).status_code == 403
    clerk.user_permissions.add(Permission.objects.get(codename="view_run"))
    assert client.get(place).status_code == 200
    client.force_login(User.objects.create_user("reader"))
    assert client.get(place).status_code == 302


def test_an_unknown_or_lost_file_is_not_found(admin_client, run):
    assert admin_client.get(address(run, "other.svg")).status_code == 404
    store().delete(f"runs/{run.files.get(name='metrics.json').sha256}")
    assert admin_client.get(address(run, "metrics.json")).status_code == 404


def test_a_run_that_left_nothing_says_so(admin_client, recognizer):
    bare = claimed(recognizer)
    page = admin_client.get(reverse("admin:training_run_change", args=[bare.pk])).content.decode()
    assert "It left no files." in page and "There is no picture of it." in page


def test_a_snapshots_list_is_offered_as_it_was_frozen(admin_client, client, recognizer, volunteer):
    collected(recognizer, volunteer, train=1, held=1)
    frozen = snapshot.take(recognizer=recognizer)
    place = reverse("admin:training_snapshot_file", args=[frozen.pk])
    assert place in admin_client.get(reverse("admin:training_snapshot_change", args=[frozen.pk])).content.decode()
    answer = admin_client.get(place)
    assert answer.content == store().get(f"snapshots/{frozen.digest}")
    assert 'filename="snapshot.jsonl"' in answer["Content-Disposition"]
    client.force_login(User.objects.create_user("clerk", is_staff=True))
    assert client.get(place).status_code == 403


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("width", [390, 1280])
def test_the_pictures_are_accessible_and_scroll_in_their_frames(live_server: Any, run: Run, settings: Any, width: int) -> None:
    with signed_in(live_server, settings, User.objects.create_superuser("engineer"), width) as page:
        page.goto(live_server.url + reverse("admin:training_run_change", args=[run.pk]))
        for picture in page.locator(".picture img").all():
            picture.scroll_into_view_if_needed()
            page.wait_for_function("image => image.complete && image.naturalWidth > 300", arg=picture.element_handle())
        for place in (".picture", ".files", ".data"):
            assert_accessible(page, place)
        if folder := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=f"{folder}/run-{width}.png", full_page=True)
        matrix = page.get_by_role("region", name="Confusion")
        wide, shown = matrix.evaluate("frame => [frame.scrollWidth, frame.clientWidth]")
        assert wide > 1600 and shown < width
        matrix.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function("frame => frame.scrollLeft > 0", arg=matrix.element_handle())
