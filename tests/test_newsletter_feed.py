"""The Atom feed and the archive: valid, stable, cheap to ask again, and as quick with a thousand editions as with one."""

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from collector.erasure import withdraw
from newsletter.edition import compose, freeze
from newsletter.models import Edition

pytestmark = pytest.mark.django_db
ATOM = "{http://www.w3.org/2005/Atom}"
FEED = "/newsletter/coins/feed.atom"
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
# RFC 4287, 4.1.1 and 4.1.2: (least, most) of each element that we may write; None: no limit.
IN_FEED = {"id": (1, 1), "title": (1, 1), "updated": (1, 1), "author": (1, None), "link": (1, None), "entry": (0, None)}
IN_ENTRY = {
    **{"id": (1, 1), "title": (1, 1), "updated": (1, 1), "published": (0, 1), "summary": (0, 1), "content": (0, 1)},
    "link": (1, None),
}


def many(recognizer, count: int, kind: str = "daily") -> None:
    first = Edition.objects.count()
    Edition.objects.bulk_create(
        Edition(
            recognizer=recognizer,
            number=first + number + 1,
            day=timezone.now().date() - timedelta(days=first + number),
            kind=kind,
            state="sent",
            title=f"{kind} {number}",
            frozen_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=first + number),
        )
        for number in range(count)
    )


def strict(data: bytes) -> ElementTree.Element:
    """Parse, and hold it against RFC 4287 as far as a feed of ours can go wrong."""
    feed = ElementTree.fromstring(data)
    assert feed.tag == f"{ATOM}feed"
    for parent, allowed in [(feed, IN_FEED), *((entry, IN_ENTRY) for entry in feed.iter(f"{ATOM}entry"))]:
        names = [child.tag.removeprefix(ATOM) for child in parent]
        assert set(names) <= set(allowed), names
        for name, (least, most) in allowed.items():
            assert least <= names.count(name) <= (most or len(names)), (name, names)
        assert re.fullmatch(r"https?://[^\s]+", parent.findtext(f"{ATOM}id"))  # an absolute IRI
        for stamp in ("updated", "published"):
            for text in parent.findall(f"{ATOM}{stamp}"):
                assert RFC3339.fullmatch(text.text)
        pairs = [(link.get("rel", "alternate"), link.get("type")) for link in parent.findall(f"{ATOM}link")]
        assert pairs.count(("alternate", None)) <= 1 and all(link.get("href") for link in parent.findall(f"{ATOM}link"))
    assert feed.find(f"{ATOM}author/{ATOM}name").text
    ids = [entry.findtext(f"{ATOM}id") for entry in feed.iter(f"{ATOM}entry")]
    assert len(set(ids)) == len(ids)
    return feed


def test_the_feed_is_what_rfc_4287_says_and_names_itself_whatever_host_asks(recognizer, client, settings) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    many(recognizer, 3)
    answer = client.get(FEED, headers={"host": "evil.example"})
    assert answer["Content-Type"] == "application/atom+xml; charset=utf-8"
    feed = strict(answer.content)
    own, page = (feed.find(f"{ATOM}link[@rel='{rel}']").get("href") for rel in ("self", "alternate"))
    assert (own, page) == (f"{settings.SITE_URL}{FEED}", f"{settings.SITE_URL}/newsletter/coins/")
    assert feed.findtext(f"{ATOM}updated") == "2026-01-01T02:00:00+00:00" and b"evil" not in answer.content


def test_a_feed_without_entries_is_valid_and_the_same_at_each_look(recognizer, client) -> None:
    first, second = client.get(FEED), client.get(FEED)
    assert strict(first.content) is not None and first.content == second.content and first["ETag"] == second["ETag"]


def test_asking_again_costs_no_body_until_something_changes_also_by_a_withdrawal(
    recognizer, client, live_photo, volunteer
) -> None:
    live_photo()
    live_photo("gold")
    edition = compose(recognizer=recognizer, day=timezone.now().date())
    freeze(edition=edition)
    first = client.get(FEED)
    strict(first.content)
    again = client.get(FEED, headers={"If-None-Match": first["ETag"]})
    assert again.status_code == 304 and again.content == b"" and "Last-Modified" not in first
    withdraw(photo_id=edition.entries.first().photo_id, volunteer=volunteer)
    changed = client.get(FEED, headers={"If-None-Match": first["ETag"]})
    assert changed.status_code == 200 and changed.content != first.content
    ids = [ElementTree.fromstring(page.content).find(f"{ATOM}entry/{ATOM}id").text for page in (first, changed)]
    assert ids[0] == ids[1]


def test_hostile_words_are_text(recognizer, client) -> None:
    type(recognizer).objects.update(name="<script>alert(1)</script> & ]]> \u202e")
    many(recognizer, 1)
    Edition.objects.update(title="</entry>&<b>", introduction="<script>x</script>\u0000".replace("\u0000", ""))
    feed = strict(client.get(FEED).content)
    assert feed.find(f"{ATOM}entry/{ATOM}title").text == "</entry>&<b>"
    assert "<script" not in feed.find(f"{ATOM}entry/{ATOM}summary").text


def test_reminders_are_neither_in_the_feed_nor_in_the_archive(recognizer, client) -> None:
    many(recognizer, 1)
    many(recognizer, 1, kind="reminder")
    assert len(strict(client.get(FEED).content).findall(f"{ATOM}entry")) == 1
    assert "reminder 0" not in client.get("/newsletter/coins/").content.decode()
    assert client.get("/newsletter/coins/2/").status_code == 404  # its mail has no link to a page: it is over with its day


def queries(client: Client, address: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as seen:
        assert client.get(address).status_code == 200
    return len(seen)


def test_the_archive_comes_by_pages_and_asks_as_little_for_a_thousand_editions_as_for_one_page(
    recognizer, client, settings
) -> None:
    many(recognizer, settings.EDITIONS_PER_PAGE + 1)
    few = queries(client, "/newsletter/coins/"), queries(client, FEED)
    many(recognizer, 1000 - Edition.objects.count())
    assert (queries(client, "/newsletter/coins/"), queries(client, FEED)) == few
    pages = 1000 // settings.EDITIONS_PER_PAGE
    seen: list[str] = []
    for number in range(1, pages + 1):
        page = client.get(f"/newsletter/coins/?page={number}").content.decode()
        seen += re.findall(r'href="/newsletter/coins/(\d+)/"', page)
        assert (f'href="?page={number + 1}"' in page) == (number < pages)
        assert (f'href="?page={number - 1}"' in page) == (number > 1)
    assert seen == [str(number) for number in range(1000, 0, -1)]
    for wrong in ("0", "21", "-1", "x", "9" * 5000, ""):
        answer = client.get(f"/newsletter/coins/?page={wrong}")
        assert answer.status_code == 404 and "It has the pages 1 to 20." in answer.content.decode()
