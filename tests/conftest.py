"""What every test stands on: settings of its own, a database that is a file or a server, photos and people."""

import atexit
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import hypothesis
import pytest
from django.conf import settings

ROOT = Path(__file__).resolve().parent.parent


def _worker() -> str:
    """The name of this process among pytest-xdist's workers, "main" without them."""
    return os.environ.get("PYTEST_XDIST_WORKER", "main")


def _prepare_environment() -> Path:
    """Before Django's settings load: forget what the shell exports, and keep this process's data to itself.

    DATABASE_URL and REDIS_URL are never taken from outside, because tests empty them: a server for tests is named by
    TEST_DATABASE_URL and TEST_REDIS_URL (tests.real_servers sets them). Subprocesses inherit what is set here.
    """
    assert not settings.configured, "Django's settings were loaded before the environment was prepared"
    for name in re.findall(r'env\.\w+\(\s*"([A-Z0-9_]+)"', (ROOT / "config" / "settings.py").read_text()):
        os.environ.pop(name, None)
    var_dir = Path(tempfile.mkdtemp(prefix=f"photorally-{_worker()}-"))
    owner = os.getpid()
    # A forked child that exits must not take its parent's folder away.
    atexit.register(lambda: shutil.rmtree(var_dir, ignore_errors=True) if os.getpid() == owner else None)
    os.environ["VAR_DIR"] = str(var_dir)
    os.environ["BACKBONE_WEIGHTS"] = "random"  # tests never download
    os.environ["COREML_LIMIT_S"] = "0"  # half a minute a night; the test of it says so
    os.environ["MODERATORS_FOR_FIRST"] = "1"  # one moderator accepts; tests of several say so
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    if server := os.environ.get("TEST_DATABASE_URL"):
        os.environ["DATABASE_URL"] = urlsplit(server)._replace(path=f"/photorally_test_{_worker()}").geturl()
    if redis := os.environ.get("TEST_REDIS_URL"):
        number = int(_worker().removeprefix("gw")) if _worker() != "main" else 15  # Redis has 16 databases
        os.environ["REDIS_URL"] = urlsplit(redis)._replace(path=f"/{number}").geturl()
    return var_dir


# A fresh clone must pass or fail alike wherever it is tested: property tests try the same examples every time.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.load_profile("repeatable")

# Set here and not in pyproject.toml: pytest-django would load the settings before this file is read.
VAR_DIR = _prepare_environment()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database-only", action="store_true", help="leave out tests that ask no database")


def pytest_configure(config: pytest.Config) -> None:
    """Test modules import models at their top, so Django is set up before the first one is collected."""
    if config.getoption("numprocesses", None):
        # pytest-xdist's workers inherit this environment; each prepares its own, and tests are collected and run only there.
        for name in ("DJANGO_SETTINGS_MODULE", "VAR_DIR", "DATABASE_URL", "REDIS_URL"):
            os.environ.pop(name, None)
        return
    import django

    django.setup()


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """Tests use the very database that a subprocess finds by the environment: a file or one on a server, never in memory."""
    default = settings.DATABASES["default"]
    default.setdefault("TEST", {})["NAME"] = default["NAME"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where a server is missing, its tests are skipped, and the report says which and why."""
    if config.getoption("--database-only"):
        asked = [item for item in items if item.get_closest_marker("redis") or asks_the_database(item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in asked])
        items[:] = asked
    # Files that train come first, so that two workers end at about the same time.
    slow = {item.path for item in items if item.get_closest_marker("training")}
    items.sort(key=lambda item: item.path not in slow)
    no_redis = pytest.mark.skip(reason="NOT RUN: no Redis server (make test starts one)")
    no_browser = pytest.mark.skip(reason="NOT RUN: no Chromium at /usr/bin/chromium")
    for item in items:
        if item.get_closest_marker("redis") and not os.environ.get("REDIS_URL"):
            item.add_marker(no_redis)
        if item.get_closest_marker("browser") and not Path("/usr/bin/chromium").exists():
            item.add_marker(no_browser)


def asks_the_database(item: pytest.Item) -> bool:
    fixtures = getattr(item, "fixturenames", ())
    return bool(item.get_closest_marker("django_db")) or bool({"db", "transactional_db", "live_server"} & set(fixtures))


@pytest.fixture(autouse=True)
def _nothing_held(settings):
    """A test's rows go without a trace, and it asks at once for what it has just released: nothing is held of a channel."""
    settings.MANIFEST_HOLD_S = 0


@pytest.fixture
def recognizer(db: None):
    """A recognizer "coins" with the labels copper, silver and gold, in this order."""
    from collector.models import Label, Recognizer

    made = Recognizer.objects.create(slug="coins", name="Coins")
    for position, slug in enumerate(("copper", "silver", "gold")):
        Label.objects.create(recognizer=made, slug=slug, name=slug.capitalize(), position=position)
    return made


@pytest.fixture
def registered(db: None):
    """A volunteer and the token that only they know."""
    from collector.volunteers import register

    return register(consent=True, handle="Ada", address="192.0.2.1")


@pytest.fixture
def volunteer(registered):
    return registered[0]


@pytest.fixture
def token(registered) -> str:
    return registered[1]


@pytest.fixture
def api(token: str):
    """DRF's client, signed in as `volunteer`."""
    from rest_framework.test import APIClient

    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    return client


@pytest.fixture
def moderator(db: None):
    from django.contrib.auth.models import User

    return User.objects.create_user("moderator", is_staff=True)


@pytest.fixture
def jpeg() -> Callable[..., bytes]:
    """`jpeg(seed=1, size=(96, 64), **options)` draws a small real JPEG; other seeds are other motifs, far apart in hash."""
    from tests.drawing import jpeg as draw

    return draw


@pytest.fixture
def live_photo(recognizer, volunteer, moderator, jpeg) -> Callable[..., object]:
    """`live_photo(label="copper", state="accepted", seed=…)`: a photo that came there through the real verbs.

    `state` is received, pending, accepted or rejected; without a seed each photo shows another motif.
    """
    from itertools import count

    from collector.develop import develop
    from collector.intake import receive
    from collector.models import Photo
    from collector.moderation import decide

    seeds = count(1000)

    def make(label: str = "copper", state: str = "accepted", *, by=None, seed: int | None = None, challenge=None, of=None):
        owner = of or recognizer
        body = jpeg(next(seeds) if seed is None else seed)
        photo, _ = receive(
            photo_id=uuid.uuid4(),
            volunteer=by or volunteer,
            recognizer=owner,
            label=owner.labels.get(slug=label),
            challenge=challenge,
            body=body,
        )
        if state != "received":
            develop(photo_id=photo.pk)
        if state == "accepted":
            decide(photo_id=photo.pk, moderator=moderator, verdict="accept")
        elif state == "rejected":
            decide(photo_id=photo.pk, moderator=moderator, verdict="reject", reason="unclear")
        return Photo.objects.get(pk=photo.pk)

    return make


@pytest.fixture
def sink(settings, request):
    """A real SMTP server on loopback, which EMAIL_URL names; its parameter False: one that takes no commands ahead."""
    from tests.sink import Running, Sink

    made = Sink(pipelining=getattr(request, "param", True))
    running = Running(made)
    running.start()
    settings.EMAIL_URL = running.url
    yield made
    running.stop()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_endpoint(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a stand-in for S3 (moto: a real socket, not the real service), and credentials that it takes."""
    for name, value in {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    return s3_server


@pytest.fixture
def empty_redis() -> Iterator[object]:
    """This process's own Redis database, empty before and after."""
    import redis

    client = redis.Redis.from_url(settings.REDIS_URL)
    client.flushdb()
    yield client
    client.flushdb()
    client.close()
