"""An edition as a whole: valid HTML, accessible, told by its text alone, unmoved by scanners and by hostile names."""

import hashlib
import json
import re
import shutil
import subprocess
from email import message_from_bytes, policy
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.apps import apps
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from collector.models import Challenge, Label, Recognizer, Volunteer
from collector.volunteers import register
from newsletter import mail, personal, previews
from newsletter.edition import compose, freeze
from newsletter.models import Delivery, Edition, Subscriber
from newsletter.votes import cast
from tests.browsing import assert_accessible, visiting
from tests.nights import claimed
from training import release
from training.models import Fix

pytestmark = pytest.mark.django_db
VALIDATOR = Path(__file__).resolve().parent.parent / "node_modules" / "vnu-jar" / "build" / "dist" / "vnu.jar"
HOSTILE = [
    "Ada\r\nBcc: victim@example.org\r\n\r\nSmuggled",
    "\u202egro.elpmaxe@live\u2066\u2069",
    "👩🏽‍🚀🪙" * 200,
    "x" * 10_000,
    "\x00\x1b[31m\u2028\u2029\ud800",
    '"><script>alert(1)</script><a href="javascript:alert(1)">',
    "=?utf-8?q?=0D=0ABcc:_victim@example.org?=",
    "{{ settings.SECRET_KEY }}{% debug %}",
]


@pytest.fixture
def edition(recognizer, live_photo, volunteer) -> Edition:
    """A frozen edition with two finds, likes, a leaderboard, challenges, and a model that no longer makes a mistake."""
    grace = register(consent=True, handle="Grace", address="192.0.2.8")[0]
    first, second = live_photo("gold"), live_photo("copper", by=grace)
    cast(volunteer=grace, photo_id=first.pk, like=True)
    before = claimed(recognizer, "before")
    release.publish(run=before, artifacts=[], replaces=None, message="For a test.")
    run = claimed(recognizer, "after")
    run.metrics = {"int8": {"accuracy": 0.9}, "incumbent": {"accuracy": 0.8}, "held_out": 50}
    run.save(update_fields=["metrics"])
    Fix.objects.create(run=run, mistake=second, photo=first, before=recognizer.labels.get(slug="silver"), nearness=0.9)
    release.publish(run=run, artifacts=[], replaces=release.pointer(recognizer).release, message="For a test.")
    today = timezone.now().date()
    for day in (today, today + timezone.timedelta(days=1)):
        Challenge.objects.create(recognizer=recognizer, day=day, setting="in dim light", prompt=f"Find copper on {day:%A}!")
    Subscriber.objects.create(recognizer=recognizer, email="reader@example.org", state="confirmed", volunteer=volunteer)
    made = compose(recognizer=recognizer, day=today)
    freeze(edition=made)
    return made


def sent(edition: Edition):
    delivery = Delivery.objects.select_related("subscriber", "edition__recognizer").get(edition=edition)
    own = personal.of_deliveries(edition=edition, delivery_ids=[delivery.pk]).get(delivery.pk)
    data = mail.filled(mailing=mail.prepare(edition=edition), delivery=delivery, personal=own)
    return data, message_from_bytes(data, policy=policy.default)


def parts(edition: Edition) -> tuple[str, str]:
    whole = sent(edition)[1]
    return tuple(whole.get_body([kind]).get_content() for kind in ("plain", "html"))


# ---- read --------------------------------------------------------------------------------------------------------
def test_the_text_alone_tells_the_whole_story(edition):
    text, html = parts(edition)
    flat = " ".join(text.split())
    entry = edition.entries.first()
    for told in (
        edition.title,
        entry.alt,
        entry.credit,
        entry.mended,
        "80.0 %",
        "90.0 %",
        "Find copper on",
        "Grace",
        "Your photo of Copper helped version",
        "1 like",
    ):
        assert told in flat, told
    links = set(re.findall(r'href="(https?://[^"]+)"', html))
    assert {link.replace("&amp;", "&") for link in links} <= set(re.findall(r"https?://\S+", text))


@pytest.mark.skipif(not shutil.which("java"), reason="NOT RUN: no Java (make test installs one)")
def test_mail_and_pages_are_valid_html(edition, client, tmp_path):
    html = parts(edition)[1]
    pages = {
        "mail": html,
        "dark": previews.forced(html, "dark"),
        "edition": client.get("/newsletter/coins/1/").content.decode(),
        "archive": client.get("/newsletter/coins/").content.decode(),
        "fame": client.get("/fame/coins").content.decode(),
        "home": client.get("/").content.decode(),
    }
    for name, page in pages.items():
        (tmp_path / f"{name}.html").write_text(page)
    command = ["java", "-jar", str(VALIDATOR), "--format", "json", *(str(path) for path in sorted(tmp_path.glob("*.html")))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = [
        (Path(each["url"]).name, each["message"], each.get("extract"))
        for each in json.loads(done.stderr)["messages"]
        if each["type"] == "error"
    ]
    assert found == []


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_mail_is_accessible_and_fits_in_light_and_dark_on_phone_and_desktop(
    edition, live_server, settings, tmp_path, width, scheme
):
    shown = previews.forced(previews.preview(edition=edition, personal=True).html, scheme)
    (tmp_path / "mail.html").write_text(shown)
    with visiting(live_server, settings, width) as page:
        page.goto((tmp_path / "mail.html").as_uri())
        assert_accessible(page, "body")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        # Without pictures the words are there all the same.
        assert edition.entries.first().alt in page.locator("body").inner_text() or page.locator("img[alt]").count() == 2


@pytest.mark.parametrize("images", ["attached", "hosted"])
def test_images_travel_in_the_mail_or_have_an_address_that_is_the_same_for_everybody(edition, settings, images):
    settings.MAIL_IMAGES = images
    data, whole = sent(edition)
    html = whole.get_body(["html"]).get_content()
    sources = re.findall(r'<img[^>]* src="([^"]+)"', html)
    assert len(sources) == 2 and all(source.startswith("cid:" if images == "attached" else "http") for source in sources)
    assert sum(part.get_content_maintype() == "image" for part in whole.walk()) == (2 if images == "attached" else 0)
    reader = Delivery.objects.get().reader
    assert not any(str(reader.pk) in source or reader.pk.hex in source for source in sources)
    assert len(html.encode()) < settings.MAIL_HTML_MAX_BYTES and data.isascii()


# ---- scanners ----------------------------------------------------------------------------------------------------
def rows() -> str:
    """A digest of every row there is, without what counts requests."""
    told = hashlib.sha256()
    for model in sorted(apps.get_models(), key=lambda model: model._meta.label):
        if model._meta.label not in ("collector.Allowance", "sessions.Session"):
            told.update(repr(sorted(map(repr, model._default_manager.values_list()))).encode())
    return told.hexdigest()


@pytest.mark.parametrize("agent", ["Mozilla/5.0", "SafeLinks/1.0 (scanner)", "\u00ff<script>"])
def test_a_scanner_that_follows_every_link_by_get_and_head_changes_nothing(edition, settings, agent):
    text, html = parts(edition)
    whole = sent(edition)[1]
    found = set(re.findall(r"https?://[^\s\"<>]+", f"{text} {html} {whole['List-Unsubscribe']} {whole['List-Archive']}"))
    assert len(found) >= 5
    before, mails = rows(), sorted(Path(settings.EMAIL_URL.removeprefix("file://")).glob("*"))
    scanner = Client(headers={"User-Agent": agent})
    for link in sorted(found):
        address = urlsplit(link.replace("&amp;", "&"))
        for ask in (scanner.get, scanner.head):
            answer = ask(address.path + (f"?{address.query}" if address.query else ""))
            assert answer.status_code in (200, 301), link
            assert not answer.cookies or set(answer.cookies) == {"csrftoken"}
    assert rows() == before
    assert sorted(Path(settings.EMAIL_URL.removeprefix("file://")).glob("*")) == mails
    assert Subscriber.objects.get().state == "confirmed"


def test_one_click_leaves_at_once_without_cookie_or_login(edition):
    address = urlsplit(sent(edition)[1]["List-Unsubscribe"].strip("<>")).path
    answer = Client(enforce_csrf_checks=True).post(address, {"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200 and Subscriber.objects.get().state == "left"


class Elements(HTMLParser):
    """What a mail program would make of the HTML: the names of its elements and where its links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]


# ---- hostile names -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", HOSTILE)
@hypothesis_settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(more=st.text(max_size=200))
@example(more="")
def test_no_name_title_or_prompt_can_add_a_header_or_break_a_line(edition, name, more):
    words = (name + more).replace("\x00", "\x01").encode("utf-8", "replace").decode()  # PostgreSQL takes neither
    Recognizer.objects.update(name=words[:80])
    Label.objects.update(name=words[:80])
    Volunteer.objects.update(handle=None)
    Edition.objects.update(title=words[:120], introduction=words)
    Challenge.objects.update(prompt=words[:240])
    for entry in edition.entries.all():
        entry.caption, entry.alt, entry.credit, entry.mended = words[:160], words[:240], words[:60], words[:240]
        entry.save()
    fresh = Edition.objects.select_related("recognizer").get(pk=edition.pk)
    data, whole = sent(fresh)
    assert max(map(len, data.split(b"\r\n"))) <= 998 and data.isascii()
    names = [header.lower() for header in whole.keys()]  # noqa: SIM118  each time it occurs
    assert len(names) == len(set(names)) and "bcc" not in names and whole["To"] == "reader@example.org"
    assert {"list-id", "list-unsubscribe", "list-unsubscribe-post", "message-id", "auto-submitted", "date"} <= set(names)
    html = whole.get_body(["html"]).get_content()
    seen = Elements()
    seen.feed(html)
    assert "script" not in seen.names and all(link.startswith("http") for link in seen.links)
    assert len(html.encode()) <= 100_000
    assert not set("\u202e\u2066\u2028") & set(str(whole["Subject"]))
