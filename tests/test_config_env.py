"""A missing or bad setting: the process does not start, and says which and how to mend it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from config import env
from config.secrets import read_or_make

ROOT = Path(__file__).resolve().parent.parent


def start(arguments: list[str], tmp_path: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run one of the project's processes with these settings and no others; it must end by itself."""
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "VAR_DIR": str(tmp_path), **settings}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=90,
    )


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("DEBUG", "perhaps", "Set it to 1 or 0"),
        ("SWEEP_S", "often", "a whole number of seconds from 1 to 3600"),
        ("PHOTO_MAX_BYTES", "0", "a whole number of bytes from 1024"),
        ("SITE_URL", "photorally.example", "does not start with one of http://, https://"),
        ("DATABASE_URL", "mysql://there", "sqlite://, postgres://, postgresql://"),
        ("REDIS_URL", "localhost:6379", "redis://, rediss://"),
        ("EMAIL_URL", "mail.example", "file://, smtp://, smtps://"),
        ("VAR_DIR", "var", "Set it to an absolute one"),
    ],
)
def test_a_malformed_variable_stops_every_command_with_one_line(name, value, advice, tmp_path):
    done = start(["manage.py", "check"], tmp_path, **{name: value})
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert done.stderr.startswith("photorally does not start: ")
    assert name in done.stderr
    assert advice in done.stderr


PROCESSES = {
    "web": ["-m", "gunicorn", "--config", "deploy/gunicorn.conf.py", "config.wsgi", "--bind", "127.0.0.1:0"],
    "worker": ["-m", "celery", "-A", "config", "worker", "--pool", "solo"],
    "beat": ["-m", "celery", "-A", "config", "beat", "--pidfile=", "--schedule={tmp_path}/beat"],
    "embedded worker": ["manage.py", "work"],
}
BAD = {
    "a malformed value": ({"SWEEP_S": "often"}, "SWEEP_S='often' is not a whole number of seconds"),
    "the example's secret key": ({"SECRET_KEY": "example-only-change-me"}, "SECRET_KEY is the one from the example"),
}


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("bad", BAD)
def test_no_process_starts_with(bad, process, tmp_path):
    settings, said = BAD[bad]
    done = start([part.format(tmp_path=tmp_path) for part in PROCESSES[process]], tmp_path, **settings)
    assert done.returncode != 0
    assert said in done.stderr, done.stderr[-2000:]


def test_the_example_key_is_accepted_in_debug(tmp_path):
    done = start(["manage.py", "check"], tmp_path, SECRET_KEY="example-only-change-me", DEBUG="1")
    assert done.returncode == 0, done.stderr


def test_the_example_file_is_complete_and_its_key_is_the_refused_one(settings):
    """deploy/example.env names every variable that the settings read, and nothing else."""
    import re

    example = (ROOT / "deploy" / "example.env").read_text()
    named = set(re.findall(r"^#? ?([A-Z0-9_]+)=", example, re.MULTILINE))
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z0-9_]+)"', (ROOT / "config" / "settings.py").read_text()))
    assert named == read
    assert f"SECRET_KEY={settings.EXAMPLE_SECRET_KEY}\n" in example


@pytest.mark.parametrize(("raw", "value"), [("yes", True), (" ON ", True), ("0", False), ("", True)])
def test_flags_read_the_usual_words(raw, value, monkeypatch):
    monkeypatch.setenv("FLAG", raw)
    assert env.flag("FLAG", True) is value


@pytest.mark.parametrize("raw", ["1.5", "-1", "eleven", "11"])
def test_whole_numbers_keep_their_bounds(raw, monkeypatch):
    monkeypatch.setenv("NUMBER", raw)
    with pytest.raises(env.SettingError, match="from 0 to 10"):
        env.whole("NUMBER", 5, least=0, most=10, unit="things")


def test_a_folder_must_not_be_a_file(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("PLACE", str(tmp_path / "file"))
    with pytest.raises(env.SettingError, match="Set it to a folder"):
        env.folder("PLACE", tmp_path)


def test_words_are_split_at_commas(monkeypatch):
    monkeypatch.setenv("WORDS", "a, b ,,c")
    assert env.words("WORDS", []) == ["a", "b", "c"]


def test_a_made_secret_is_its_owners_alone_and_stays(tmp_path):
    path = tmp_path / "deep" / "secret"
    assert read_or_make(path, lambda: "first") == "first"
    assert read_or_make(path, lambda: "second") == "first"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_twin_that_was_faster_decides_the_secret(tmp_path):
    path = tmp_path / "secret"

    def slow() -> str:
        path.write_text("the twin's")
        return "mine"

    assert read_or_make(path, slow) == "the twin's"


@pytest.mark.django_db(transaction=True)
def test_the_embedded_worker_leaves_when_it_is_asked_to(live_photo):
    photo = live_photo(state="received")
    worker = subprocess.Popen(
        [sys.executable, "manage.py", "work"],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert worker.stdout is not None
    try:
        assert worker.stdout.readline().startswith("Looking for work every")
        assert worker.stdout.readline().startswith("1 rows handled in ")
        asked = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        said, _ = worker.communicate(timeout=20)
    finally:
        worker.kill()
    assert worker.returncode == 0, said
    assert said == "Left with nothing in hand.\n"
    assert time.monotonic() - asked < 10
    photo.refresh_from_db()
    assert photo.state == "pending"
