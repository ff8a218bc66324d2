"""The doorbell with a real Redis and a real Celery worker: what is rung is done, and what was lost is found again."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from collector.models import Photo
from collector.tasks import develop
from config import duties
from config.celery import app

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 60  # seconds; the worker starts in about 3 on a free machine
pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def worker(empty_redis):
    """A worker process of the images queue on this test's database and Redis."""
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "config",
        "worker",
        "-Q",
        "images",
        "--concurrency",
        "1",
        "--loglevel",
        "warning",
    ]
    started = subprocess.Popen(command, cwd=ROOT, env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    yield started
    started.send_signal(signal.SIGTERM)
    try:
        said, _ = started.communicate(timeout=20)
        sys.stdout.write(said.decode())  # pytest shows it where a test fails
    finally:
        started.kill()


def state_of(photo: Photo, *, until: str) -> str:
    """The photo's state, once it is `until` or PATIENCE_S are over."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        photo.refresh_from_db()
        if photo.state == until or time.monotonic() > deadline:
            return photo.state
        time.sleep(0.1)


def test_a_ring_makes_a_worker_develop_the_photo(live_photo, worker):
    photo = live_photo(state="received")
    develop.ring(str(photo.pk))
    assert state_of(photo, until="pending") == "pending"
    assert photo.thumbnail_sha256


def test_a_photo_whose_ring_was_lost_with_redis_is_found_by_the_sweeper(live_photo, empty_redis, request):
    photo = live_photo(state="received")
    develop.ring(str(photo.pk))
    assert empty_redis.llen("images") == 1
    empty_redis.flushdb()
    request.getfixturevalue("worker")
    assert empty_redis.llen("images") == 0
    assert duties.sweep() >= 1
    assert state_of(photo, until="pending") == "pending"


def test_a_thread_of_the_web_process_rings_the_same_bell(live_photo, empty_redis):
    photo = live_photo(state="received")
    thread = threading.Thread(target=duties._send, args=(develop, str(photo.pk)))
    thread.start()
    thread.join()
    assert empty_redis.llen("images") == 1


def test_rings_travel_as_json_and_expire(live_photo, empty_redis):
    import json

    photo = live_photo(state="received")
    develop.ring(str(photo.pk))
    message = json.loads(empty_redis.lindex("images", 0))
    assert message["content-type"] == "application/json"
    assert message["headers"]["task"] == "collector.develop"
    assert message["headers"]["expires"]
    assert message["headers"]["argsrepr"] == f"['{photo.pk}']"


def test_no_queue_is_without_a_worker_in_the_procfile():
    procfile = (ROOT / "deploy" / "Procfile").read_text()
    served = {line.split(" -Q ")[1].split()[0] for line in procfile.splitlines() if " -Q " in line}
    assert {duty.queue for duty in duties.DUTIES.values()} <= served == {"images", "mail", "train"}
    assert app.conf.beat_schedule["sweep"]["options"]["queue"] in served
