"""Photos in, model out, for one person: what the page says of photos, what a click begins, how far it is, what can be taken."""

import re
import uuid
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from collector.models import Photo
from tests.browsing import assert_accessible, signed_in
from tests.nights import accepted, claimed, released
from training import process, runs, workshop
from training.models import Run

ROOT = Path(__file__).resolve().parent.parent
INT8 = {
    "accuracy": 0.5,
    "per_label": {"copper": {"n": 8, "right": 3, "recall": 0.375}},
    "confusions": [{"truth": "copper", "predicted": "gold", "n": 4}, {"truth": "copper", "predicted": "silver", "n": 1}],
}


@pytest.fixture
def owner(client, db):
    """Signed in as somebody who may train, and add photos."""
    user = User.objects.create_user("owner", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["change_workshop", "add_photo"]))
    client.force_login(user)
    return client


def address(recognizer, *more: str) -> str:
    return reverse("admin:training_workshop_change", args=[recognizer.pk]).removesuffix("change/") + "/".join(more)


def page(client, recognizer) -> str:
    return re.sub(r"\s+", " ", client.get(reverse("admin:training_workshop_change", args=[recognizer.pk])).content.decode())


# ---- photos and advice -------------------------------------------------------------------------------------------
def test_labels_are_counted_with_near_duplicates_once_and_with_what_the_last_night_made_of_them(recognizer, volunteer):
    burst = uuid.uuid4()
    for at in range(3):
        accepted(recognizer, volunteer, "copper", cluster=burst if at else None)
    waiting = accepted(recognizer, volunteer, "gold")
    Photo.objects.filter(pk=waiting.pk).update(state=Photo.State.PENDING, label=None)
    run = claimed(recognizer)
    runs.finish(run, Run.State.KEPT, "The gate refused it.", metrics={"int8": INT8})
    copper, silver, gold = workshop.counted(recognizer)
    assert (copper.label, copper.photos, copper.different, copper.waiting) == ("Copper", 3, 2, 0)
    assert (copper.tested, copper.right, copper.taken_for) == (8, 3, "Gold")
    assert (silver.photos, silver.tested, silver.taken_for) == (0, 0, "")
    assert (gold.photos, gold.waiting) == (0, 1)


def test_the_page_says_what_each_label_is_good_for_and_what_to_collect(owner, recognizer, volunteer):
    for label in ("copper", "silver", "gold"):
        accepted(recognizer, volunteer, label)
    text = page(owner, recognizer)
    assert '<th scope="row">Copper</th> <td>prototype</td> <td>1</td> <td>1</td> <td>0</td> <td>–</td>' in text
    assert "Copper has the fewest photos, 1: 29 more make it better than a prototype, 199 more make it robust." in text
    assert "3 accepted photos, by label" in text


def test_a_new_recognizer_begins_with_its_photos(owner, recognizer):
    answer = owner.get(reverse("admin:training_workshop_add"))
    assert answer["Location"] == reverse("admin:collector_photo_import") + "?recognizer="
    form = re.sub(r"\s+", " ", owner.get(answer["Location"]).content.decode())
    assert '<option value="" selected>A new one, named here</option>' in form
    form = re.sub(r"\s+", " ", owner.get(reverse("admin:collector_photo_import") + "?recognizer=coins").content.decode())
    assert '<option value="coins" selected>Coins</option>' in form


# ---- a night by hand ---------------------------------------------------------------------------------------------
def test_train_now_begins_one_night_however_often_it_is_clicked(owner, recognizer):
    there = reverse("admin:training_workshop_change", args=[recognizer.pk])
    for _ in range(3):
        assert owner.post(there)["Location"] == there
    run = Run.objects.get()
    assert (run.state, run.long) == (Run.State.QUEUED, False)
    assert "waiting for a worker" in page(owner, recognizer)
    assert "Train now" not in page(owner, recognizer)
    held = runs.held(run.pk, runs.claim(run.pk))
    runs.finish(held, Run.State.KEPT, "There is no accepted photo.")
    assert "<strong>Kept the incumbent.</strong> There is no accepted photo." in page(owner, recognizer)
    owner.post(there)
    assert Run.objects.count() == 2


def test_who_may_look_may_not_train_and_others_see_nothing(client, recognizer):
    there = reverse("admin:training_workshop_change", args=[recognizer.pk])
    user = User.objects.create_user("guest", is_staff=True)
    client.force_login(user)
    for method, where in (("get", there), ("post", there), ("get", address(recognizer, "state/"))):
        assert getattr(client, method)(where).status_code == 403
    user.user_permissions.set(Permission.objects.filter(codename="view_workshop"))
    assert client.get(there).status_code == 200
    assert "Train now" not in page(client, recognizer)
    assert client.post(there).status_code == 403
    assert not Run.objects.exists()


def test_progress_is_the_stage_and_the_last_whole_line_of_the_log(owner, recognizer, settings, tmp_path):
    settings.VAR_DIR = tmp_path  # logs are named by slot and fence: another test's night may have left one of the same name
    run = claimed(recognizer)
    runs.advance(run, "training")
    there = address(recognizer, "state/")
    assert owner.get(there).json() == {"says": "learning", "done": 0, "total": 0, "ended": False}
    log = process.log_path(run, run.fence)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"@ 1/7 training the top blocks\nsome warning\n@ 3/7 training the top blocks\n@ 4/7 train")
    assert owner.get(there).json() == {"says": "learning: training the top blocks", "done": 3, "total": 7, "ended": False}
    runs.finish(run, Run.State.RELEASED, "Released coins v1.")
    assert owner.get(there).json() == {"says": "Released coins v1.", "done": 1, "total": 1, "ended": True}


def test_without_a_night_there_is_no_progress(owner, recognizer):
    assert owner.get(address(recognizer, "state/")).status_code == 404


def test_every_stage_of_a_night_has_words():
    source = (ROOT / "training" / "nightly.py").read_text() + (ROOT / "training" / "runs.py").read_text()
    named = set(re.findall(r'(?:clock\.stage\(|advance\(run, |stage=)"(\w+)"', source))
    assert {"snapshot", "training", "publishing", "starting"} <= named
    assert named <= set(workshop.STAGES)


# ---- the files ---------------------------------------------------------------------------------------------------
def test_the_offered_files_are_downloaded_under_names_that_tell_them_apart(owner, recognizer):
    assert owner.get(address(recognizer, "files", "int8")).status_code == 404
    released(recognizer, b"one")
    released(recognizer, b"two")
    answer = owner.get(address(recognizer, "files", "int8"))
    assert answer.content == b"two"
    assert answer["Content-Disposition"] == 'attachment; filename="coins-v2-int8.tflite"'
    labels = owner.get(address(recognizer, "files", "labels.txt"))
    assert labels.content == b"copper\nsilver\ngold\n"
    assert owner.get(address(recognizer, "files", "coreml")).status_code == 404
    assert "coins-v2-int8.tflite" in page(owner, recognizer)


def test_addresses_of_nothing_are_not_found(owner, recognizer):
    for wrong in ("9999/change/", "abc/change/", "9999/state/", "9999/files/int8"):
        assert owner.get(f"/admin/training/workshop/{wrong}").status_code == 404, wrong


# ---- for everybody -----------------------------------------------------------------------------------------------
@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("width", [360, 1280])
def test_the_workshop_works_by_keyboard_and_axe_finds_nothing(live_server, settings, recognizer, volunteer, width, tmp_path):
    user = User.objects.create_superuser("owner")
    for label in ("copper", "silver"):
        accepted(recognizer, volunteer, label)
    released(recognizer, b"one")
    with signed_in(live_server, settings, user, width) as tab:
        tab.goto(live_server.url + reverse("admin:training_workshop_change", args=[recognizer.pk]))
        assert_accessible(tab, "main.workshop")
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        tab.screenshot(path=tmp_path / "still.png", full_page=True)
        tab.get_by_role("button", name="Train now").focus()
        tab.keyboard.press("Enter")
        tab.wait_for_selector("progress")
        assert_accessible(tab, "main.workshop")
        run = Run.objects.get(state=Run.State.QUEUED)
        held = runs.held(run.pk, runs.claim(run.pk))
        runs.advance(held, "exporting")
        tab.wait_for_function("document.getElementById('says').textContent.includes('writing the files')")
        tab.screenshot(path=tmp_path / "running.png", full_page=True)
        runs.finish(held, Run.State.KEPT, "The gate refused the candidate.")
        tab.get_by_role("button", name="Train now").wait_for()  # the page came anew by itself
        assert "The gate refused the candidate." in tab.inner_text("main.workshop")
