"""The editor's desk: words, order, photos, holding, approval, previews and a test mail; and nothing of it by a GET."""

import re
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from newsletter.delivery import deliver
from newsletter.edition import compose, freeze
from newsletter.errors import Held
from newsletter.models import Delivery, Edition, EditionChange, Subscriber
from tests.browsing import assert_accessible, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def editor(client) -> Client:
    user = User.objects.create_user("Erin", email="erin@example.org", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="newsletter"))
    client.force_login(user)
    return client


@pytest.fixture
def photos(live_photo):
    return [live_photo() for _ in range(4)]


@pytest.fixture
def edition(recognizer, photos, settings) -> Edition:
    settings.EDITION_ENTRIES = 3
    return compose(recognizer=recognizer, day=timezone.now().date())


def desk(edition: Edition) -> str:
    return f"/admin/newsletter/edition/{edition.pk}/change/"


def do(client: Client, edition: Edition, act: str, **fields: object) -> str:
    answer = client.post(desk(edition), {"do": act, **fields}, follow=True)
    return re.sub(r"\s+", " ", answer.content.decode())


def order(edition: Edition) -> list[object]:
    return list(edition.entries.order_by("position").values_list("pk", flat=True))


def test_words_are_saved_as_one_line_and_logged_without_the_words(edition, editor):
    do(editor, edition, "reword", title="Better\r\nBcc: x@example.org", introduction="One.\n\nTwo.")
    entry = edition.entries.first()
    do(editor, edition, "reword-entry", entry=entry.pk, caption="A\u202ebc", alt="What is seen", credit="Ada", mended="")
    edition.refresh_from_db()
    entry.refresh_from_db()
    assert edition.title == "Better Bcc: x@example.org" and edition.introduction == "One.\n\nTwo."
    assert (entry.caption, entry.alt) == ("A bc", "What is seen")
    log = list(EditionChange.objects.values_list("by", "verb", "what"))
    assert ("Erin", "reword", "title, introduction") in log and "What is seen" not in str(log)


def test_photos_move_up_and_down_by_buttons_and_the_ends_stay(edition, editor):
    first, second, third = order(edition)
    do(editor, edition, "down", entry=first)
    assert order(edition) == [second, first, third]
    do(editor, edition, "up", entry=third)
    assert order(edition) == [second, third, first]
    do(editor, edition, "up", entry=second)
    do(editor, edition, "down", entry=first)
    assert order(edition) == [second, third, first]


def test_a_photo_is_left_out_and_the_next_ranked_is_added(edition, editor, photos):
    assert 'aria-label="Add: ' in editor.get(desk(edition)).content.decode()
    dropped = edition.entries.first().photo_id
    do(editor, edition, "drop", entry=order(edition)[0])
    assert dropped not in edition.entries.values_list("photo_id", flat=True) and edition.entries.count() == 2
    left = next(photo for photo in photos if photo.pk not in edition.entries.values_list("photo_id", flat=True))
    do(editor, edition, "add", photo=left.pk)
    assert edition.entries.order_by("position").last().photo_id == left.pk
    assert "This photo is not in the edition" in do(editor, edition, "add", photo=left.pk)


def test_what_is_held_is_not_frozen_until_it_is_released(edition, editor):
    assert "Held" in do(editor, edition, "hold", why="The second photo shows a face.")
    with pytest.raises(Held, match="shows a face"):
        freeze(edition=edition)
    assert "holds this edition" in do(editor, edition, "approve")
    do(editor, edition, "release")
    assert "is frozen and goes to 0 subscribers" in do(editor, edition, "approve")
    assert [row.verb for row in EditionChange.objects.order_by("pk")] == ["compose", "hold", "release", "approve"]


def test_what_is_frozen_is_not_changed_any_more(edition, editor):
    freeze(edition=edition)
    before = order(edition), edition.entries.first().caption
    for act, fields in (
        ("reword", {"title": "Too late"}),
        ("down", {"entry": before[0][0]}),
        ("drop", {"entry": before[0][0]}),
        ("hold", {"why": "No"}),
        ("approve", {}),
    ):
        assert "frozen already" in do(editor, edition, act, **fields), act
    edition.refresh_from_db()
    assert edition.title != "Too late" and (order(edition), edition.entries.first().caption) == before
    page = editor.get(desk(edition)).content.decode()
    assert set(re.findall(r'name="do" value="([\w-]+)"', page)) == {"pause", "cancel"}


def test_only_readers_who_want_this_kind_get_it(edition, editor, recognizer):
    for name, wants in (("daily", True), ("weekly", False)):
        Subscriber.objects.create(recognizer=recognizer, email=f"{name}@example.org", state="confirmed", wants_daily=wants)
    do(editor, edition, "approve")
    assert [row.reader.email for row in Delivery.objects.all()] == ["daily@example.org"]


def test_a_get_changes_nothing_and_a_post_without_the_right_is_refused(edition, editor, client):
    before = EditionChange.objects.count(), order(edition)
    for act in ("approve", "hold", "drop", "test"):
        editor.get(desk(edition), {"do": act, "entry": before[1][0]})
    user = User.objects.get(username="Erin")
    user.user_permissions.set(Permission.objects.filter(codename="view_edition"))
    assert editor.get(desk(edition)).status_code == 200
    assert editor.post(desk(edition), {"do": "approve"}).status_code == 403
    user.user_permissions.clear()
    assert editor.get(desk(edition)).status_code == 403
    edition.refresh_from_db()
    assert (EditionChange.objects.count(), order(edition)) == before and edition.state == "draft"


@pytest.mark.parametrize("fields", [{"do": "nonsense"}, {"do": "drop", "entry": "x"}, {"do": "add", "photo": "no uuid"}, {}])
def test_a_malformed_form_is_told_so(edition, editor, fields):
    assert editor.post(desk(edition), fields).status_code == 400


def test_sending_is_paused_resumed_and_cancelled_and_the_page_says_how_far_it_is(edition, editor, recognizer):
    for name in ("a", "b"):
        Subscriber.objects.create(recognizer=recognizer, email=f"{name}@example.org", state="confirmed")
    freeze(edition=edition)
    assert "Of 2 deliveries: 2 queued." in editor.get(desk(edition)).content.decode()
    assert "Paused" in do(editor, edition, "pause")
    assert deliver(edition_id=edition.pk) == 0
    assert "Resumed" in do(editor, edition, "resume") and "Paused" in do(editor, edition, "pause")
    assert "2 readers get no mail" in do(editor, edition, "cancel")
    told = editor.get(f"/admin/newsletter/edition/{edition.pk}/standing/")
    assert told.content == b"Of 2 deliveries: 2 cancelled." and "no-store" in told["Cache-Control"]
    assert [row.verb for row in edition.interventions.all()] == ["pause", "resume", "pause", "cancel"]
    assert "not at that point" in do(editor, edition, "resume")


# ---- looking -----------------------------------------------------------------------------------------------------
def test_previews_are_the_mail_itself_in_both_colour_schemes_and_can_run_and_load_nothing(edition, editor):
    for scheme in ("light", "dark"):
        answer = editor.get(f"/admin/newsletter/edition/{edition.pk}/preview/?scheme={scheme}&personal=1")
        html = answer.content.decode()
        assert "data:image/jpeg;base64," in html and "cid:" not in html and "You have sent photos on 4 days" in html
        assert f'name="color-scheme" content="{scheme}"' in html
        content = answer["Content-Security-Policy"]
        assert "default-src 'none'" in content and "sandbox" in content and "script-src" not in content
        assert answer["X-Frame-Options"] == "SAMEORIGIN" and "no-store" in answer["Cache-Control"]
    page = editor.get(desk(edition)).content.decode()
    assert page.count("<iframe") == 4 and page.count('sandbox=""') == 4
    assert "List-Unsubscribe-Post" in page and "bytes of HTML" in page


def test_a_test_mail_goes_to_the_editor_alone_says_so_and_leaves_no_trace_of_a_reader(edition, editor, recognizer, settings):
    Subscriber.objects.create(recognizer=recognizer, email="reader@example.org", state="confirmed")
    assert "A test is on its way to erin@example.org" in do(editor, edition, "test")
    (file,) = Path(settings.EMAIL_URL.removeprefix("file://")).glob(f"test-{edition.pk}-*.eml")
    sent = message_from_bytes(file.read_bytes(), policy=policy.default)
    file.unlink()
    assert sent["To"] == "erin@example.org" and sent["Subject"].startswith("[Test] ")
    assert sent["List-Unsubscribe"] is None and "leave.invalid" not in sent.as_string()
    assert not Delivery.objects.exists()


def test_tests_are_limited_a_day_and_need_an_address(edition, editor, settings):
    settings.EDITION_TESTS_PER_DAY = 1
    do(editor, edition, "test")
    assert "on its way" not in do(editor, edition, "test")
    User.objects.update(email="")
    with time_machine.travel(timezone.now() + timedelta(days=2)):
        editor.force_login(User.objects.get(username="Erin"))
        assert "has no mail address" in do(editor, edition, "test")


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("width", [390, 1280])
def test_the_desk_is_accessible_on_phone_and_desktop_and_works_by_keyboard(
    live_server, settings, recognizer, live_photo, width
):
    live_photo(), live_photo()
    edition = compose(recognizer=recognizer, day=timezone.now().date())
    before = order(edition)
    chief = User.objects.create_superuser("chief", "chief@example.org")
    with signed_in(live_server, settings, chief, width) as page:
        page.goto(live_server.url + desk(edition))
        assert_accessible(page, "main.desk")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        frame = page.locator("iframe").first
        frame.scroll_into_view_if_needed()  # it loads when somebody comes to it
        assert frame.content_frame.locator("h1").inner_text() == edition.title
        assert frame.content_frame.locator("img").first.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100
        page.get_by_role("button", name="Down: photo 1").focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**#photo-*")
    assert order(edition) == before[::-1]
