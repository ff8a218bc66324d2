"""The public pages: they say what there is, show only what may be shown, and are built for screen readers."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from collector.erasure import withdraw
from newsletter import links
from newsletter.edition import compose, freeze
from newsletter.models import Delivery, Edition, Request, Subscriber
from training.models import Channel, Release, Run

pytestmark = pytest.mark.django_db
ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.fixture
def edition(recognizer, live_photo) -> Edition:
    live_photo()
    live_photo("gold")
    return compose(recognizer=recognizer, day=timezone.now().date())


def text(client: Client, address: str, status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status, answer.content
    return answer.content.decode()


class Outline(HTMLParser):
    """What a screen reader makes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.levels: list[int] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.append((tag, dict(attrs)))
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.attributes if name == tag]


def test_home_says_what_it_is_and_what_is_asked_today(recognizer, client) -> None:
    page = text(client, "/")
    assert "Volunteers photograph everyday objects" in page and "Today’s challenge:</strong> Find" in page
    assert "No model has been released yet." in page
    for address in ("/newsletter/coins/", "/fame/coins", "/api/schema/", "/admin/"):
        assert f'href="{address}"' in page
    metrics = {"int8": {"accuracy": 0.9333}, "incumbent": None, "held_out": 60}
    run = Run.objects.create(recognizer=recognizer, slot="night", metrics=metrics)
    Channel.objects.create(recognizer=recognizer, release=Release.objects.create(recognizer=recognizer, version=7, run=run))
    page = " ".join(text(client, "/").split())
    assert "model version 7, which is right in 93.3 % of 60 photos" in page


def test_home_stands_with_no_recognizer_and_with_one_that_has_no_labels(db, client, recognizer) -> None:
    recognizer.labels.all().delete()
    assert "There is no challenge today." in text(client, "/")
    recognizer.delete()
    assert "Nothing is collected at the moment." in text(client, "/")


def test_a_draft_is_public_nowhere(recognizer, edition, client) -> None:
    assert "No edition has been published yet." in text(client, "/newsletter/coins/")
    assert "There is no such edition." in text(client, "/newsletter/coins/1/", 404)
    assert edition.title not in text(client, "/newsletter/coins/feed.atom")


def test_a_frozen_edition_is_in_the_archive_the_feed_and_on_its_page(recognizer, edition, client) -> None:
    freeze(edition=edition)
    assert 'href="/newsletter/coins/1/"' in text(client, "/newsletter/coins/")
    page = text(client, "/newsletter/coins/1/")
    for entry in edition.entries.all():
        assert f'src="/media/{entry.view_sha256}"' in page and f'alt="{entry.alt}"' in page
        assert client.get(f"/media/{entry.view_sha256}").status_code == 200
    feed = ElementTree.fromstring(text(client, "/newsletter/coins/feed.atom"))
    [entry] = feed.findall(f"{ATOM}entry")
    assert entry.find(f"{ATOM}title").text == edition.title
    assert entry.find(f"{ATOM}link").get("href") == links.edition(edition)


def test_a_withdrawn_photo_leaves_page_and_feed_and_the_page_says_that_one_is_gone(
    recognizer, edition, client, volunteer
) -> None:
    freeze(edition=edition)
    gone = edition.entries.first()
    withdraw(photo_id=gone.photo_id, volunteer=volunteer)
    page = text(client, "/newsletter/coins/1/")
    assert gone.view_sha256 not in page and gone.alt not in page and "1 photo of this edition is no longer shown." in page
    assert gone.alt not in text(client, "/newsletter/coins/feed.atom")


def test_unknown_addresses_are_pages_with_a_way_on(recognizer, client) -> None:
    for address in ("/newsletter/none/", "/newsletter/none/1/", "/fame/none", "/newsletter/coins/99/"):
        page = text(client, address, 404)
        assert 'href="/"' in page and "<h1>" in page
    assert client.get("/newsletter/none/feed.atom").status_code == 404
    assert client.get("/newsletter/coins")["Location"] == "/newsletter/coins/"


def test_a_browser_gets_a_page_and_a_program_problem_json_where_there_is_nothing(db, client) -> None:
    page = client.get("/no/such/page", headers={"Accept": "text/html,application/xhtml+xml"})
    assert page.status_code == 404 and "<h1>There is nothing at this address</h1>" in page.content.decode()
    assert client.get("/no/such/page")["Content-Type"] == "application/problem+json"


def test_an_inactive_recognizer_keeps_its_archive_but_leaves_the_home_page(recognizer, edition, client) -> None:
    freeze(edition=edition)
    type(recognizer).objects.update(active=False)
    assert edition.title in text(client, "/newsletter/coins/") and "Coins" not in text(client, "/")


def test_every_page_is_built_for_a_screen_reader(recognizer, edition, client) -> None:
    freeze(edition=edition)
    reader = Subscriber.objects.create(recognizer=recognizer, email="reader@example.org")
    asked, leave = Request.objects.create(subscriber=reader), links.leave(reader.pk)
    own = (links.confirm(asked), leave, links.preferences(leave), f"{leave}/erase")
    own = [address.removeprefix("http://127.0.0.1:8000") for address in own]
    for address in ("/", "/newsletter/coins/", "/newsletter/coins/1/", "/fame/coins", *own):
        outline = Outline(text(client, address))
        assert outline.all("html") == [{"lang": "en"}]
        assert outline.levels[0] == 1 and outline.levels.count(1) == 1, address
        assert all(after - before <= 1 for before, after in zip(outline.levels, outline.levels[1:], strict=False)), address
        assert outline.tags.count("main") == outline.tags.count("footer") == 1 and "nav" in outline.tags
        assert outline.all("a")[0]["href"] == "#main" and outline.all("main")[0]["id"] == "main"
        assert all(picture.get("alt") for picture in outline.all("img")), address
        labelled = {label.get("for") for label in outline.all("label")}
        asked = [field for field in outline.all("input") if field.get("type") != "hidden"]
        assert all(field["id"] in labelled for field in asked), address
        assert any(meta.get("name") == "viewport" for meta in outline.all("meta"))
        assert "script" not in outline.tags and "style" not in outline.tags


def test_the_stylesheet_is_served_and_loads_nothing_else(client) -> None:
    answer = client.get("/static/photorally.css")
    css = b"".join(answer.streaming_content).decode()  # whitenoise streams files
    assert answer.status_code == 200 and "prefers-color-scheme: dark" in css
    assert "url(" not in css and "@import" not in css


# ---- the editor's side -------------------------------------------------------------------------------------------
@pytest.fixture
def editor(client) -> Client:
    user = User.objects.create_user("editor", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="newsletter"))
    client.force_login(user)
    return client


def press_freeze(client: Client, *editions: Edition):
    data = {"action": "freeze_and_send", "_selected_action": [edition.pk for edition in editions]}
    return client.post("/admin/newsletter/edition/", data, follow=True)


def test_an_editor_previews_freezes_and_sends(edition, editor, recognizer) -> None:
    Subscriber.objects.create(recognizer=recognizer, email="reader@example.org", state="confirmed")
    preview = text(editor, f"/admin/newsletter/edition/{edition.pk}/preview/")
    assert edition.title in preview and edition.entries.first().alt in preview
    page = press_freeze(editor, edition).content.decode()
    assert "is frozen and goes to 1 subscribers" in page and "1 queued, 1 total" in page
    edition.refresh_from_db()
    assert edition.state == "frozen" and Delivery.objects.count() == 1
    assert "This edition is frozen already." in press_freeze(editor, edition).content.decode()
    assert Delivery.objects.count() == 1


def test_a_get_of_the_admin_never_freezes(edition, editor) -> None:
    editor.get(f"/admin/newsletter/edition/?action=freeze_and_send&_selected_action={edition.pk}")
    edition.refresh_from_db()
    assert edition.state == "draft"


def test_the_admin_lists_subscribers_and_deliveries_but_changes_no_delivery(edition, editor, recognizer) -> None:
    reader = Subscriber.objects.create(recognizer=recognizer, email="reader@example.org", state="confirmed")
    freeze(edition=edition)
    row = Delivery.objects.get()
    assert "reader@example.org" in text(editor, "/admin/newsletter/subscriber/")
    assert "reader@example.org" in text(editor, "/admin/newsletter/delivery/")
    assert editor.get(f"/admin/newsletter/delivery/{row.pk}/change/").status_code == 200
    assert editor.post(f"/admin/newsletter/delivery/{row.pk}/change/", {"state": "sent"}).status_code == 403
    editor.post("/admin/newsletter/subscriber/", {"action": "suppress", "_selected_action": [reader.pk]})
    reader.refresh_from_db()
    assert reader.state == "suppressed"


def test_without_the_permission_an_editor_freezes_nothing(edition, client) -> None:
    user = User.objects.create_user("looker", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_edition"))
    client.force_login(user)
    press_freeze(client, edition)
    edition.refresh_from_db()
    assert edition.state == "draft"
