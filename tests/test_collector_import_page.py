"""INTAKE for owners, on screen: who may import, what the page's script and the plain form do, and that everybody can use it."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings as django_settings
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page, expect, sync_playwright

from collector import import_steps
from collector.models import Decision, ImportJob, ImportRefusal, Photo, Recognizer
from config.duties import work_once
from tests.drawing import jpeg
from tests.zips import zipped

pytestmark = pytest.mark.django_db
ADDRESS = "/admin/collector/photo/import/"
BEGIN = {"kind": "files", "recognizer": "coins", "confirmed": True}


def with_permissions(user: User, *codenames: str) -> User:
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


@pytest.fixture
def owner(moderator: User, client: Client) -> Client:
    """Signed in as somebody who may add photos and decide about them."""
    client.force_login(with_permissions(moderator, "add_photo", "add_decision", "view_photo"))
    return client


def begin(client: Client, **changes: Any) -> Any:
    return client.post(f"{ADDRESS}begin/", {**BEGIN, **changes}, content_type="application/json")


def put(client: Client, address: str, name: str, body: bytes, **headers: Any) -> Any:
    query, headers = {"name": name, "size": len(body)}, {"CONTENT_LENGTH": str(len(body)), **headers}
    return client.put(address, body, content_type="application/octet-stream", query_params=query, **headers)


def code(answer: Any) -> str:
    assert answer["Content-Type"] == "application/problem+json", answer.content
    assert answer.json()["status"] == answer.status_code
    return answer.json()["type"].removeprefix("urn:photorally:")


# ---- who may -----------------------------------------------------------------------------------------------------
def test_strangers_are_sent_to_the_login_and_staff_need_the_permission(
    client: Client, moderator: User, recognizer: Any
) -> None:
    job = ImportJob.objects.create(kind="files", recognizer_slug="coins", recognizer_name="Coins", user=moderator, licence="x")
    pages = [ADDRESS, reverse("admin:collector_import_job", args=[job.pk]), f"{ADDRESS}{job.pk}/refused.csv"]
    file, piece, end, state = (f"{ADDRESS}{job.pk}/{name}/" for name in ("file", "piece/0", "end", "state"))
    for permitted in (False, True):
        if permitted:
            client.force_login(moderator)  # staff, without the permission
        assert {client.get(page).status_code for page in pages} == {403 if permitted else 302}
        assert client.post(pages[1]).status_code == (403 if permitted else 302)
        answers = [begin(client), put(client, file, "gold/1.jpg", jpeg(1)), put(client, piece, "", b"x"), client.post(end)]
        for answer in [*answers, client.get(state)]:
            assert answer.status_code == 403
            assert code(answer) == ("permission-denied" if permitted else "not-authenticated")
    job.refresh_from_db()
    assert job.open and not Photo.objects.exists() and ImportJob.objects.count() == 1


def test_every_call_that_changes_something_needs_the_csrf_token(moderator: User, recognizer: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(with_permissions(moderator, "add_photo"))
    assert client.post(ADDRESS, {"recognizer": "coins"}).status_code == 403
    assert begin(client).status_code == 403 and code(begin(client)) == "permission-denied"
    token = re.search('name="csrfmiddlewaretoken" value="(.+?)"', client.get(ADDRESS).content.decode()).group(1)
    headers = {"headers": {"X-CSRFToken": token}}
    job = client.post(f"{ADDRESS}begin/", BEGIN, content_type="application/json", **headers).json()
    assert put(client, job["file"], "gold/1.jpg", jpeg(1)).status_code == 403
    assert client.post(job["end"], {}, content_type="application/json").status_code == 403
    assert client.post(job["job"]).status_code == 403
    assert not Photo.objects.exists() and ImportJob.objects.get().open
    assert put(client, job["file"], "gold/1.jpg", jpeg(1), **headers).json()["state"] == "new"


def test_accepting_at_once_needs_the_permission_to_decide(owner: Client, moderator: User, recognizer: Any) -> None:
    with_permissions(moderator, "add_photo")
    assert "Accept them at once" not in owner.get(ADDRESS).content.decode()
    assert code(begin(owner, accept=True)) == "permission-denied"
    assert owner.post(ADDRESS, {**form(), "accept": "on", "zip": upload("a.zip", zipped({}))}).status_code == 403
    assert not ImportJob.objects.exists()


def test_an_import_takes_files_only_from_whoever_confirmed_it(owner: Client, recognizer: Any) -> None:
    job = begin(owner).json()
    other = Client()
    other.force_login(with_permissions(User.objects.create_user("other", is_staff=True), "add_photo"))
    assert code(put(other, job["file"], "gold/1.jpg", jpeg(1))) == "not-found"
    assert code(other.post(job["end"], {"stopped": True}, content_type="application/json")) == "not-found"
    assert other.get(job["job"]).status_code == 200  # looking is for all who may import
    assert not Photo.objects.exists()


# ---- the script's calls ------------------------------------------------------------------------------------------
def test_files_come_one_by_one_and_again_without_twins(owner: Client, moderator: User, recognizer: Any) -> None:
    body = jpeg(1, size=(96, 64))
    for state, accepted in (("new", True), ("known", False)):
        job = begin(owner, accept=True, total=1).json()
        answer = put(owner, job["file"], "all/gold/1.jpg", body)
        assert answer.status_code == 200
        assert answer.json() == {"state": state, "accepted": accepted, "label": "gold"}
        assert owner.post(job["end"], {}, content_type="application/json").json()["state"] == "done"
        facts = owner.get(job["state"]).json()
        assert (facts["total"], facts["done"], facts[state], facts["open"]) == (1, 1, 1, False)
        assert code(put(owner, job["file"], "gold/2.jpg", body)) == "import-not-open"
    assert Photo.objects.get().state == "accepted" and Decision.objects.get().moderator == moderator
    row = ImportJob.objects.first()
    assert row and (row.user, row.licence, row.kind) == (moderator, django_settings.PHOTO_LICENCE, "files") and row.confirmed_at


def test_a_refused_file_is_answered_counted_and_listed(owner: Client, recognizer: Any, settings: Any) -> None:
    settings.PHOTO_MAX_BYTES = 5000
    job = begin(owner).json()
    whole = jpeg(1, size=(96, 64))
    sent = {
        "notes/read.txt": (b"text", 415, "not-an-allowed-format"),
        "gold/cut.jpg": (whole[:-300], 422, "not-a-whole-image"),
        "gold/empty.jpg": (b"", 422, "empty-body"),
        "loose.jpg": (whole, 422, "no-label"),
        "../gold/up.jpg": (whole, 422, "no-label"),
        "gold/huge.jpg": (bytes(5001), 413, "photo-too-large"),
        "=cmd()/nul\x00.txt": (b"text", 415, "not-an-allowed-format"),
    }
    for name, (body, status, kind) in sent.items():
        answer = put(owner, job["file"], name, body)
        assert (answer.status_code, code(answer)) == (status, kind), name
    announced = owner.put(job["file"], b"", content_type="image/jpeg", query_params={"name": "gold/x.jpg", "size": 10**9})
    assert code(announced) == "photo-too-large"
    assert owner.get(job["state"]).json()["refused"] == 8 and not Photo.objects.exists()
    assert recognizer.labels.count() == 3
    page = owner.get(job["job"]).content.decode()
    assert "gold/cut.jpg" in page and "neither JPEG, PNG nor WebP" in page and "<code>=cmd()/nul\ufffd.txt</code>" in page
    listed = owner.get(f"{ADDRESS}{job['id']}/refused.csv")
    rows = list(csv.reader(io.StringIO(listed.content.decode())))
    assert listed["Content-Disposition"].startswith("attachment") and rows[0] == ["file", "why"] and len(rows) == 9
    assert rows[7][0] == "'=cmd()/nul\ufffd.txt"  # no spreadsheet calculates it


def test_nothing_begins_without_the_right_to_give_or_with_nonsense(owner: Client, recognizer: Any) -> None:
    assert code(begin(owner, confirmed=False)) == "not-confirmed"
    assert code(begin(owner, recognizer="no")) == "no-recognizer"
    assert code(begin(owner, kind="zip", size=django_settings.IMPORT_ZIP_MAX_BYTES + 1)) == "import-too-large"
    assert code(begin(owner, kind="tar")) == "invalid"
    assert code(owner.post(f"{ADDRESS}begin/", "{", content_type="application/json")) == "parse-error"
    assert begin(owner, total=-1).status_code == begin(owner, total=10**12).status_code == 400
    assert not ImportJob.objects.exists()


def test_a_zip_comes_in_pieces_and_a_worker_takes_it_apart(owner: Client, recognizer: Any, settings: Any) -> None:
    settings.IMPORT_PIECE_BYTES = 1500
    data = zipped({"gold/1.jpg": jpeg(1, size=(96, 64)), "gold/2.txt": b"no"})
    job = begin(owner, kind="zip", size=len(data)).json()
    assert code(owner.post(job["end"], {}, content_type="application/json")) == "nothing-to-import"
    for number, at in enumerate(range(0, len(data), 1500)):
        piece = data[at : at + 1500]
        assert owner.put(f"{job['pieces']}{number}/", piece, content_type="application/octet-stream").status_code == 204
    too_long = owner.put(f"{job['pieces']}9/", bytes(1501), content_type="application/octet-stream")
    assert code(too_long) == "import-too-large"
    assert code(put(owner, f"{job['pieces']}0/".replace("/piece/0", "/file"), "gold/1.jpg", jpeg(1))) == "import-not-open"
    assert owner.post(job["end"], {}, content_type="application/json").json()["state"] == "working"
    assert '<meta http-equiv="refresh"' in owner.get(job["job"]).content.decode()
    while work_once():
        pass
    facts = owner.get(job["state"]).json()
    assert (facts["state"], facts["new"], facts["refused"]) == ("done", 1, 1)
    assert Photo.objects.get().state == "pending" and ImportJob.objects.get().pieces == 0
    assert '<meta http-equiv="refresh"' not in owner.get(job["job"]).content.decode()


# ---- the form without a script -----------------------------------------------------------------------------------
def upload(name: str, data: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, data)


def form(**changes: Any) -> dict[str, Any]:
    return {"recognizer": "coins", "new_name": "", "label": "", "confirmed": "on", **changes}


def test_without_a_script_a_zip_and_photos_are_sent_by_the_form(owner: Client, recognizer: Any, settings: Any) -> None:
    settings.IMPORT_PIECE_BYTES = 1000
    data = zipped({f"gold/{seed}.jpg": jpeg(seed, size=(96, 64)) for seed in range(3)})
    answer = owner.post(ADDRESS, form(zip=upload("coins.zip", data)))
    assert answer.status_code == 302 and "being worked through" in owner.get(answer["Location"]).content.decode().lower()
    assert import_steps.step(job_id=ImportJob.objects.get().pk) is False
    page = owner.get(answer["Location"]).content.decode()
    assert "3 of 3 files: 3 new, 0 known already, 0 refused." in " ".join(page.split())
    photos = [upload("../0.jpg", jpeg(0, size=(96, 64))), upload("8.jpg", jpeg(8, size=(96, 64))), upload("n.txt", b"no")]
    answer = owner.post(ADDRESS, form(label="Gold", photos=photos))
    page = " ".join(owner.get(answer["Location"]).content.decode().split())
    assert "3 of 3 files: 1 new, 1 known already, 1 refused." in page and "<code>Gold/n.txt</code>" in page
    assert Photo.objects.count() == 4 and recognizer.labels.count() == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "Choose either a zip or photos."),
        ({"photos": True}, "a folder&#x27;s name is the label"),
        ({"photos": True, "label": "Gold", "confirmed": ""}, "Confirm that you have the right"),
        ({"photos": True, "label": "Gold", "recognizer": "", "new_name": ""}, "letter of a to z"),
    ],
)
def test_a_form_that_lacks_something_says_so_and_keeps_what_was_typed(
    owner: Client, recognizer: Any, changes: dict[str, Any], words: str
) -> None:
    if "photos" in changes:
        changes = {**changes, "photos": [upload("1.jpg", jpeg(1))]}
    answer = owner.post(ADDRESS, form(**changes))
    page = answer.content.decode()
    assert answer.status_code == 422 and words in page and 'role="alert"' in page
    assert not ImportJob.objects.exists() and f'value="{changes.get("label", "")}"' in page


def test_stopping_is_a_post_and_is_shown(owner: Client, recognizer: Any) -> None:
    job = begin(owner).json()
    assert owner.get(job["job"]).status_code == 200 and ImportJob.objects.get().open
    page = owner.post(job["job"], follow=True).content.decode()
    assert "Stopped" in page and ImportJob.objects.get().state == "stopped"


def test_the_list_of_photos_leads_to_the_page_for_those_who_may(owner: Client, moderator: User, recognizer: Any) -> None:
    assert f'href="{ADDRESS}"' in owner.get("/admin/collector/photo/").content.decode()
    with_permissions(moderator, "view_photo")
    assert f'href="{ADDRESS}"' not in owner.get("/admin/collector/photo/").content.decode()


def test_the_pages_ask_few_questions_of_the_database(
    owner: Client, recognizer: Any, django_assert_max_num_queries: Any
) -> None:
    for _ in range(12):
        ImportJob.objects.create(kind="files", recognizer_slug="coins", recognizer_name="Coins", licence="x")
    with django_assert_max_num_queries(12):
        owner.get(ADDRESS)


# ---- in a browser ------------------------------------------------------------------------------------------------
@pytest.fixture
def browser_page(live_server: Any, moderator: User, recognizer: Any, monkeypatch: Any) -> Iterator[Page]:
    """Chromium, signed in as an importer, 1280 pixels wide."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # playwright's loop runs in the tests' thread
    client = Client()
    client.force_login(with_permissions(moderator, "add_photo", "add_decision", "view_photo"))
    session = client.cookies[django_settings.SESSION_COOKIE_NAME].value
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        cookie = {"name": django_settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}
        context.add_cookies([cookie])
        page = context.new_page()
        page.set_default_timeout(10_000)
        yield page
        browser.close()
        connections.close_all()  # the loop has its own: left open, no test database could be dropped


def drop(page: Page, path: Path) -> None:
    """Drop a file or folder of this machine onto the field, as a hand does."""
    box = page.locator("#drop").bounding_box()
    assert box
    devtools = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
        devtools.send("Input.dispatchDragEvent", {"type": kind, "x": box["x"] + 9, "y": box["y"] + 9, "data": data})


def faults(page: Page) -> list[str]:
    """What axe finds on the page's own part; the frame around it is the admin theme's."""
    found = Axe().run(page, context="main.import").response["violations"]
    return [f"{each['id']}: {node['html']}" for each in found for node in each["nodes"]]


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.querySelector('main.import').scrollWidth <= innerWidth"))


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_in_a_browser_a_folder_is_sent_its_refusals_are_listed_and_everybody_can_use_the_page(
    browser_page: Page, live_server: Any, tmp_path: Path
) -> None:
    page = browser_page
    for name, data in {
        **{f"photos/gold/{seed}.jpg": jpeg(seed, size=(96, 64)) for seed in range(5)},
        "photos/Green-Apple/1.jpg": jpeg(77, size=(96, 64)),
        "photos/gold/cut.jpg": jpeg(9)[:-300],
        "photos/notes/read.txt": b"text",
        "photos/gold/.DS_Store": b"litter",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    page.goto(f"{live_server.url}{ADDRESS}")
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert faults(page) == [] and fits(page)
    page.get_by_label("A folder of label folders", exact=True).set_input_files(tmp_path / "photos")
    expect(page.locator("#chosen")).to_have_text("Chosen: 8 files in 3 folders.")
    page.get_by_label("I have the right to give these photos").check()
    page.get_by_role("button", name="Import").click()
    expect(page.locator("#progress-title")).to_have_text("Done.")
    expect(page.locator("#counts")).to_have_text("8 of 8 files: 6 new, 0 known already, 2 refused.")
    expect(page.locator("#spoken")).to_contain_text("Done. 8 of 8 files")
    expect(page.locator("#refused-list li")).to_have_count(2)
    expect(page.locator("#refused-list")).to_contain_text("photos/gold/cut.jpg")
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert faults(page) == [] and fits(page)
    assert Photo.objects.count() == 6 and ImportJob.objects.get().state == "done"
    assert ImportRefusal.objects.count() == 2
    assert Recognizer.objects.get().labels.filter(slug="green-apple", name="Green Apple").exists()
    page.get_by_role("button", name="Import").click()  # the same again
    expect(page.locator("#counts")).to_have_text("8 of 8 files: 0 new, 6 known already, 2 refused.")
    expect(page.locator("#progress-title")).to_have_text("Done.")
    page.get_by_role("link", name="Open this import’s page").click()
    expect(page.get_by_role("heading", name="Refused files")).to_be_visible()
    assert faults(page) == [] and fits(page)


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_in_a_browser_a_dropped_zip_arrives_over_a_failing_network_and_a_dropped_folder_is_walked(
    browser_page: Page, live_server: Any, tmp_path: Path
) -> None:
    page = browser_page
    page.goto(f"{live_server.url}{ADDRESS}")
    failures = iter([True, False])
    page.route("**/piece/**", lambda route: route.abort() if next(failures, False) else route.continue_())
    packed = tmp_path / "coins.zip"
    packed.write_bytes(zipped({"silver/1.jpg": jpeg(1, size=(96, 64)), "silver/2.txt": b"no"}))
    drop(page, packed)
    expect(page.locator("#chosen")).to_contain_text("coins.zip")
    page.get_by_label("I have the right to give these photos").check()
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_role("heading", name="Being worked through")).to_be_visible()
    assert faults(page) == [] and fits(page)
    while work_once():
        pass
    expect(page.get_by_role("heading", name="Done", exact=True)).to_be_visible()  # the page looks by itself
    expect(page.locator("#counts")).to_contain_text("1 new, 0 known already, 1 refused.")
    page.goto(f"{live_server.url}{ADDRESS}")
    (tmp_path / "many" / "gold").mkdir(parents=True)
    for number in range(230):  # a browser hands out a hundred at a time
        (tmp_path / "many" / "gold" / f"{number}.txt").touch()
    drop(page, tmp_path / "many")
    expect(page.locator("#chosen")).to_have_text("Chosen: 230 files in 1 folder.")
    assert faults(page) == []  # now with a list of earlier imports
