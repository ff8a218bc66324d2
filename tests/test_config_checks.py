"""System checks: what is wrong with the settings as a whole, and how to mend it."""

import stat

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured

from config import checks


def found(deploy: bool = False) -> dict[str, str]:
    """id → text and hint of our own messages."""
    messages = run_checks(include_deployment_checks=deploy)
    return {m.id: f"{m.msg} {m.hint}" for m in messages if m.id and m.id.startswith("photorally.")}


@pytest.fixture
def clean(settings):
    """Settings with which nothing is wrong."""
    settings.SECRET_KEY = "k" * 64
    settings.SITE_URL = "https://photorally.example"
    settings.EMAIL_URL = "smtp://mail.example:587"
    settings.REDIS_URL = ""
    settings.BACKBONE_WEIGHTS = "none"
    return settings


def test_sound_settings_are_left_alone(clean):
    assert found(deploy=True) == {}


def test_the_example_key_is_refused(clean):
    clean.SECRET_KEY = clean.EXAMPLE_SECRET_KEY
    assert "secrets.token_urlsafe" in found()["photorally.E001"]
    clean.DEBUG = True
    assert found() == {}


def test_a_short_key_is_refused(clean):
    clean.SECRET_KEY = "short" * 9
    assert "45 characters; 50 are the least" in found()["photorally.E002"]


def test_plain_http_to_the_world_is_a_warning(clean):
    clean.SITE_URL = "http://photorally.example"
    assert "BEHIND_TLS_PROXY=1" in found()["photorally.W001"]
    clean.SITE_URL = "http://127.0.0.1:8000"
    assert found() == {}


def test_weights_must_be_a_word_or_a_file(clean, tmp_path):
    clean.BACKBONE_WEIGHTS = str(tmp_path / "weights.h5")
    assert "imagenet" in found()["photorally.E003"]
    (tmp_path / "weights.h5").touch()
    assert found() == {}


def test_an_endpoint_without_a_bucket_is_refused(clean):
    clean.S3_ENDPOINT_URL = "http://127.0.0.1:9000"
    assert "Set S3_BUCKET" in found()["photorally.E004"]
    clean.S3_BUCKET = "photos"
    assert found() == {}


def test_many_workers_on_sqlite_are_a_warning(clean, monkeypatch):
    clean.REDIS_URL = "redis://127.0.0.1"
    monkeypatch.setitem(clean.DATABASES["default"], "ENGINE", "django.db.backends.sqlite3")
    assert "DATABASE_URL=postgres://" in found()["photorally.W002"]
    monkeypatch.setitem(clean.DATABASES["default"], "ENGINE", "django.db.backends.postgresql")
    assert found() == {}


def test_a_folder_that_cannot_be_written_is_refused(clean, tmp_path, monkeypatch):
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(stat.S_IRUSR | stat.S_IXUSR)
    monkeypatch.setattr(checks.os, "access", lambda path, mode: path != locked)  # root may write anywhere
    clean.STORE_DIR = locked / "deep" / "store"
    assert str(clean.STORE_DIR) in found()["photorally.E005"]
    clean.S3_BUCKET = "photos"  # nothing is stored locally then
    assert found() == {}


@pytest.mark.parametrize(
    "shares",
    [
        {"train": 0.7, "validation": 0.2, "test": 0.2},
        {"train": 1.0},
        {"train": 1.0, "validation": 0.0, "test": 0.0},
    ],
)
def test_shares_that_lose_photos_are_refused(clean, shares):
    clean.SPLIT_SHARES = shares
    assert "together 1" in found()["photorally.E006"]


def test_a_decoder_with_too_little_memory_is_refused(clean):
    clean.PHOTO_MAX_PIXELS = 108_000_000
    assert "Raise DECODE_MEMORY_BYTES" in found()["photorally.E041"]
    clean.DECODE_MEMORY_BYTES = 2**29
    assert found() == {}


def test_time_limits_of_decoding_that_contradict_each_other_are_refused(clean):
    clean.DECODE_CPU_S = clean.DECODE_WALL_S + 1
    assert "DECODE_WALL_S" in found()["photorally.E042"]
    clean.DECODE_CPU_S = 1
    clean.DEVELOP_LEASE_S = 10
    assert "contradict" in found()["photorally.E042"]


def test_mail_to_files_is_a_warning_where_it_is_deployed(clean):
    clean.EMAIL_URL = "file:///tmp/mail"
    assert found() == {}
    assert "no subscriber gets any" in found(deploy=True)["photorally.W003"]


def test_processes_outside_manage_py_refuse_errors_too(clean):
    checks.refuse_errors()
    clean.SECRET_KEY = clean.EXAMPLE_SECRET_KEY
    with pytest.raises(ImproperlyConfigured, match=r"photorally\.E001.*token_urlsafe"):
        checks.refuse_errors()
