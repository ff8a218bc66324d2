"""`make test`'s own promises: what is missing is said, nothing is passed over in silence, and servers are stopped."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests import real_servers


@pytest.fixture
def bare_machine(monkeypatch):
    """A machine without servers and browser, whose user may not install any; the SQLite pass succeeds."""
    monkeypatch.setattr(real_servers, "find", lambda binary: None)
    monkeypatch.setattr(real_servers.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(real_servers, "pytest", lambda title, arguments, **environment: 0)
    monkeypatch.setattr(real_servers.sys, "argv", ["real_servers"])
    monkeypatch.setattr(real_servers.signal, "signal", lambda *args: None)
    monkeypatch.delenv("CI", raising=False)


def test_what_was_not_run_is_reported_with_what_to_install(bare_machine, capsys):
    assert real_servers.main() == 0
    first, *_, last = capsys.readouterr().out.strip().splitlines()
    assert first.startswith("Not found: chromium, default-jre-headless, nodejs, npm, postgresql, redis-server.")
    not_run = "NOT RUN: every test on PostgreSQL and Redis, tests in a browser, the HTML validator, the official tus client"
    assert f"{not_run} (install chromium default-jre-headless nodejs npm postgresql redis-server)" in last


def test_in_ci_a_missing_server_is_a_failure(bare_machine, capsys, monkeypatch):
    monkeypatch.setenv("CI", "true")
    assert real_servers.main() == 1
    assert "a missing server is a failure" in capsys.readouterr().out


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_server_is_stopped_whatever_happens(tmp_path):
    port = real_servers.free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with (
        pytest.raises(ZeroDivisionError),
        real_servers.running(command, port=port, folder=tmp_path, user=None, stop=signal.SIGTERM),
    ):
        assert listens(port)
        raise ZeroDivisionError
    assert not listens(port)


def test_a_server_that_does_not_start_says_why(tmp_path):
    command = [sys.executable, "-c", "raise SystemExit('no room on this disk')"]
    with (
        pytest.raises(RuntimeError, match="no room on this disk"),
        real_servers.running(command, port=real_servers.free_port(), folder=tmp_path, user=None, stop=signal.SIGTERM),
    ):
        pass


def test_the_shells_database_is_never_the_tests_database(tmp_path):
    """Tests empty their database: one that the shell exports must not be theirs."""
    root = Path(__file__).resolve().parent.parent
    code = (
        "import os; os.environ.update(DATABASE_URL='postgres://production/photos', REDIS_URL='redis://production',"
        " S3_BUCKET='production', VAR_DIR='/srv')\n"
        "import tests.conftest\n"
        "from django.conf import settings\n"
        "assert 'production' not in f'{settings.DATABASES} {settings.REDIS_URL} {settings.S3_BUCKET} {settings.VAR_DIR}'\n"
        "assert str(settings.VAR_DIR) != '/srv'"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
