"""The doorbell, in process: each row is handled once, and one bad row stops nobody."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config import duties
from config.duties import Duty
from tests.real_servers import free_port

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def duty(monkeypatch):
    """A duty of its own, the only one there is: `waiting` lists what is due, `done` what was performed."""

    class Bell:
        def __init__(self) -> None:
            self.waiting: list[int] = []
            self.done: list[int] = []

        def perform(self, key: int) -> None:
            if key < 0:
                raise ValueError("a bad row")
            self.waiting.remove(key)
            self.done.append(key)

    bell = Bell()
    monkeypatch.setattr(duties, "_all_duties", lambda: [Duty("test.duty", "images", lambda: bell.waiting, bell.perform)])
    return bell


def test_a_round_handles_everything_that_is_due(duty):
    duty.waiting = [1, 2, 3]
    assert duties.work_once() == 3
    assert duty.done == [1, 2, 3]
    assert duties.work_once() == 0


def test_a_row_that_fails_does_not_stop_the_others(duty):
    duty.waiting = [-1, 2]
    assert duties.work_once() == 2
    assert duty.done == [2]
    assert duty.waiting == [-1]


def test_a_worker_that_shall_leave_finishes_the_row_in_hand(duty):
    duty.waiting = [1, 2, 3]
    assert duties.work_once(stop=lambda: bool(duty.done)) == 1
    assert duty.done == [1]


def test_nothing_rings_without_a_broker(settings, django_capture_on_commit_callbacks, db):
    settings.REDIS_URL = ""
    bell = Duty("test.duty", "images", list, print)
    with django_capture_on_commit_callbacks() as callbacks:
        bell.ring(1)
    assert callbacks == []


AWAY = """
import time, django
django.setup()
from django.db import transaction
from collector.tasks import develop
began = time.monotonic()
with transaction.atomic():
    develop.ring("00000000-0000-0000-0000-000000000001")
print(f"went on after {time.monotonic() - began:.1f} s")
assert time.monotonic() - began < 4
"""


def test_a_broker_that_is_away_fails_no_request(tmp_path):
    environment = {**os.environ, "VAR_DIR": str(tmp_path), "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    environment.pop("DATABASE_URL", None)
    done = subprocess.run([sys.executable, "-c", AWAY], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "went on after" in done.stdout
    assert "Connection refused" in done.stderr  # logged, not swallowed
