"""The demo's parts: what is photographed, who sends it, where it plays, and what it reports."""

import json
import os
import random
import urllib.request
from collections import Counter
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from collector.importing import prepare_recognizer
from collector.models import Photo
from config.duties import work_once
from demo import ending, stage
from demo.currency import DENOMINATIONS
from demo.day import DRAWN, DRAWN_PHONES, Day
from demo.processes import ROOT, NotRunning, Servers, commands, free_port, serving
from demo.shots import Shot, dealt, drawn, found, labels_of, mislabelled
from newsletter.models import Vote
from tests.drawing import jpeg


def shots(count: int) -> list[Shot]:
    return [Shot(DENOMINATIONS[index % 6], DENOMINATIONS[index % 6], b"") for index in range(count)]


def test_every_phone_gets_about_as_many_of_each_label_and_every_photo_is_dealt_once():
    all_shots = shots(DRAWN)
    hands = dealt(all_shots, DRAWN_PHONES)
    assert sorted(shot.photo_id for hand in hands for shot in hand) == sorted(shot.photo_id for shot in all_shots)
    for hand in hands:
        counts = Counter(shot.truth for shot in hand)
        assert len(counts) == 6
        assert max(counts.values()) - min(counts.values()) <= 1


def test_equal_seeds_draw_equal_days():
    first, again, other = (drawn(3, random.Random(seed)) for seed in (5, 5, 6))
    assert first == again
    assert [shot.body for shot in first] != [shot.body for shot in other]
    assert [shot.truth for shot in first] == list(DENOMINATIONS[:3])


def test_a_mislabelled_photo_stays_the_same_photo():
    before = shots(60)
    after = mislabelled(before, 6, random.Random(1))
    assert [shot.photo_id for shot in after] == [shot.photo_id for shot in before]
    wrong = [shot for shot in after if shot.claimed != shot.truth]
    assert len(wrong) == 6
    assert all(shot.claimed in DENOMINATIONS for shot in wrong)


def test_a_folder_of_label_folders_is_read_without_what_is_no_photo(tmp_path):
    for name in ("Red Apple", "pear", "notes"):
        (tmp_path / name).mkdir()
    (tmp_path / "Red Apple" / "1.jpg").write_bytes(jpeg(1))
    (tmp_path / "Red Apple" / "readme.txt").write_text("no photo")
    (tmp_path / "pear" / "1.jpg").write_bytes(jpeg(2))
    (tmp_path / "notes" / "readme.txt").write_text("no photo")
    (tmp_path / "labels.csv").write_text("")
    assert labels_of(tmp_path) == ["Red Apple", "pear"]
    photos = found(tmp_path, random.Random(1))
    assert [(shot.truth, shot.claimed) for shot in photos] == [("pear", "pear"), ("red-apple", "red-apple")]
    assert photos[0].read() == jpeg(2)


def test_the_demo_forgets_whatever_leads_away_from_the_embedded_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    outside = {"DATABASE_URL": "postgres://production/photos", "S3_BUCKET": "production", "EMAIL_URL": "smtp://production"}
    outside |= {"VAR_DIR": "/srv", "PATH": "/bin", "PHOTOS": "photos", "BACKBONE_WEIGHTS": "imagenet"}
    inside = stage.environment(outside, 8123)
    assert not [value for value in inside.values() if "production" in value]
    assert inside["VAR_DIR"] == str(ROOT / "var" / "demo")
    assert inside["SITE_URL"] == "http://127.0.0.1:8123"
    assert inside["PHOTOS"] == str(tmp_path / "photos")
    assert (inside["BACKBONE_WEIGHTS"], inside["PATH"]) == ("imagenet", "/bin")


def test_every_setting_that_names_a_server_or_a_place_is_forgotten():
    """A new variable in deploy/example.env's first two parts must be added to the list, or the demo might write elsewhere."""
    import re

    example = (ROOT / "deploy" / "example.env").read_text()
    parts = example.partition("# ---- limits")[0]
    harmless = {"SWEEP_S", "MAIL_TIMEOUT_S", "MAIL_DOMAIN_PER_S"}
    assert set(re.findall(r"^#? ?([A-Z0-9_]+)=", parts, re.MULTILINE)) - harmless <= stage.FORGOTTEN


# ---- processes ---------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_the_demo_starts_what_make_serve_starts_and_stops_it(tmp_path, live_photo):
    photo = live_photo(state="received")
    port = free_port()
    environment = {**os.environ, "HOST": "127.0.0.1", "PORT": str(port)}
    with serving(environment, tmp_path) as servers:
        assert set(servers.children) == set(commands(ROOT / "deploy" / "Procfile.embedded")) == {"web", "work"}
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
            assert json.load(answer) == {"alive": True}
        while photo.state == "received":  # the worker does what waits
            servers.check()
            photo.refresh_from_db()
        children = list(servers.children.values())
    assert photo.state == "pending"
    assert [child.returncode for child in children] == [0, 0]


def test_a_process_that_does_not_start_is_named_with_its_log(tmp_path):
    environment = {**os.environ, "HOST": "127.0.0.1", "PORT": str(free_port()), "SWEEP_S": "often"}
    servers = Servers(environment, tmp_path)
    try:
        with pytest.raises(NotRunning, match=r"process ended with status .*\.log"):
            servers.start()
    finally:
        servers.stop()


# ---- a crowd from the command line -------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_simulated_phones_send_and_vote_over_http(live_server, moderator, tmp_path):
    prepare_recognizer(slug="talu", names=list(DENOMINATIONS))
    call_command("simulate_phones", url=live_server.url, recognizer="talu", draw=6, phones=2)
    assert sorted(Photo.objects.values_list("claimed__slug", flat=True)) == sorted(DENOMINATIONS)
    assert Photo.objects.values("volunteer").distinct().count() == 2
    while work_once():
        pass
    from collector.moderation import decide

    for photo in Photo.objects.all():
        decide(photo_id=photo.pk, moderator=moderator, verdict="accept")
    (tmp_path / "1-talu").mkdir()
    (tmp_path / "1-talu" / "one.jpg").write_bytes(jpeg(1))
    call_command("simulate_phones", url=live_server.url, recognizer="talu", photos=tmp_path, phones=1, votes=4)
    assert Vote.objects.count() == 4


@pytest.mark.django_db
def test_simulated_phones_say_plainly_what_is_wrong(live_server, tmp_path):
    with pytest.raises(CommandError, match="no such recognizer"):
        call_command("simulate_phones", url=live_server.url, recognizer="nothing", draw=1, phones=1)
    with pytest.raises(CommandError, match="is no folder"):
        call_command("simulate_phones", url=live_server.url, recognizer="nothing", photos=tmp_path / "gone", phones=1)


# ---- the end -----------------------------------------------------------------------------------------------------
@pytest.fixture
def played() -> Day:
    day = Day("talu", None, password="open sesame")
    day.report |= {
        "photos": {"sent": 720, "accepted": 717, "rejected": 3, "relabelled": 3, "refused": {"photo-conflict": 1}},
        "model": {
            "weights": "none",
            "float_accuracy": 0.975,
            "int8_accuracy": 0.97,
            "held_out": 119,
            "int8_bytes": 641_424,
            "float_bytes": 1_636_396,
        },
        "release": {"version": 1, "sha256": "ab" * 32},
        "phone": {"verified": True, "accuracy": 0.95, "photos": 60, "latency_ms": 0.9},
        "votes": {"cast": 480},
        "edition": {"entries": 6, "sent": 3},
        "seconds": {"night": 200.0, "all": 282.0},
    }
    return day


def test_the_report_has_the_keys_that_programs_read(played, settings):
    ending.write_report(played.report)
    written = json.loads((Path(settings.VAR_DIR) / "report.json").read_text())
    assert written == played.report
    del played.report["phone"]["verified"]
    with pytest.raises(AssertionError, match="verified"):
        ending.write_report(played.report)


def test_the_table_says_what_happened_and_the_end_says_what_to_open(played, settings):
    table = ending.table(played)
    for fact in ("720 arrived", "1 refused (photo-conflict)", "3 rejected", "int8 97.0%", "verified", "6 photos", "3 readers"):
        assert fact in table
    settings.BASE_DIR = settings.VAR_DIR.parent.parent
    opened = ending.what_to_open(played, "8000")
    assert "make serve VAR_DIR=" in opened
    assert "open sesame" in opened
    assert "/newsletter/talu/" in opened
