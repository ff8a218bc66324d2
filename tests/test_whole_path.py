"""The whole loop, once, small and real: phones over a socket, a worker, a moderator, a night, a phone again, votes, mail."""

import io
import os
import random
import subprocess
import sys
import uuid

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from PIL import Image

from clients.calls import ServerRefused
from clients.phone import Phone
from collector import moderation
from collector.models import Photo
from config.duties import work_once
from demo import readers
from demo.crowd import NAMES, Crowd
from demo.shots import Shot, dealt
from newsletter.models import Delivery, Edition
from tests.drawing import picture
from tests.nights import COLOURS
from training import release, runs
from training.models import Benchmark, Run

PHONES = 5  # whole volunteers are held out: three train, one validates, one tests
EACH = 33  # photos a phone; the gate wants 30 held out


def photo_of(label: str, seed: int) -> bytes:
    """Grey clutter, and a large disc whose colour is the only thing that tells the label."""
    rng = random.Random(f"{label} {seed}")
    scene = picture(rng.getrandbits(32), (128, 96)).convert("L").point(lambda value: value // 2).convert("RGB")
    side = rng.randint(50, 80)
    disc = Image.new("L", (side, side), 0)
    disc.paste(255, (6, 6, side - 6, side - 6))
    light = rng.uniform(0.8, 1.1)
    colour = tuple(min(255, int(channel * light)) for channel in COLOURS[label])
    scene.paste(colour, (rng.randint(10, 118 - side), rng.randint(5, 91 - side)), mask=disc)
    file = io.BytesIO()
    scene.save(file, "JPEG", quality=90)
    return file.getvalue()


@pytest.fixture
def site(live_server, settings) -> str:
    """The address of a server on a real socket, which is what manifests and mails name."""
    settings.SITE_URL = live_server.url
    return live_server.url


@pytest.mark.training
@pytest.mark.whole_path
@pytest.mark.django_db(transaction=True)
def test_a_photo_becomes_a_model_and_a_mail(recognizer, moderator, site, sink, settings, tmp_path):
    settings.MODERATORS_FOR_FIRST = 2
    colleague = User.objects.create_user("colleague", is_staff=True)
    labels = list(COLOURS)
    shots = [Shot(labels[index % 3], labels[index % 3], photo_of(labels[index % 3], index)) for index in range(PHONES * EACH)]
    with Crowd(site, PHONES, tmp_path) as crowd:
        # PHONE → INTAKE: over the socket, each photo once; nonsense is refused with a problem.
        crowd.register(NAMES)
        assert crowd.send("coins", dealt(shots, PHONES), lambda: None) == {}
        assert Photo.objects.filter(state=Photo.State.RECEIVED).count() == len(shots)
        with pytest.raises(ServerRefused) as refused:
            crowd.phones[0].send(b"no photo", recognizer="coins", label="gold")
        assert refused.value.code == "not-an-allowed-format"

        # INTAKE → MODERATION: the worker has a look, then a person.
        while work_once():
            pass
        waiting = list(moderation.queue(recognizer=recognizer))
        assert len(waiting) == len(shots)
        rejected = waiting.pop()
        moderation.decide(photo_id=rejected.pk, moderator=moderator, verdict="reject", reason="unclear")
        for person in (moderator, colleague):  # the first photos of each volunteer take two of them
            for photo in moderation.queue(recognizer=recognizer, moderator=person):
                moderation.decide(photo_id=photo.pk, moderator=person, verdict="accept")
        assert not moderation.queue(recognizer=recognizer).exists()

        # SNAPSHOT → … → RELEASE: a whole night in its own process.
        run, _ = runs.open_slot(recognizer=recognizer, slot="whole path")
        fence = runs.claim(run.pk)
        night = subprocess.run(
            [sys.executable, "manage.py", "execute_run", str(run.pk), str(fence)],
            env={**os.environ, "BACKBONE_WEIGHTS": "none"},  # the starter's, which ship with the project
            cwd=settings.BASE_DIR,
            capture_output=True,
            text=True,
            timeout=300,
        )
        run.refresh_from_db()
        assert run.state == Run.State.RELEASED, f"{run.message}\n{night.stderr[-2000:]}"
        released = release.pointer(recognizer).release
        sha256 = released.artifacts.get(format="int8").sha256

        # RELEASE → PHONE: verified, downloaded, used, measured.
        phone = crowd.phones[0]
        assert phone.update_model("coins") is True
        assert phone.model("coins").file().stem == sha256
        assert phone.model("coins").current.version == released.version
        assert phone.update_model("coins") is False
        unseen = [(label, photo_of(label, 10_000 + seed)) for label in labels for seed in range(10)]
        right = sum(phone.classify("coins", body)[0][0] == label for label, body in unseen)
        assert right >= 24, f"{right} of 30 unseen photos recognised"
        view = phone.frames("coins")
        for _ in range(5):
            assert phone.watch("coins", unseen[0][1], view) is not None
        phone.report_benchmark("coins", seen=[view])
        told = Benchmark.objects.get()
        assert (told.artifact_sha256, told.frames, told.frame_changes) == (sha256, 4, 0)

        # VOTES → RANKING: everybody likes one volunteer's best photo, and nothing else.
        favourite = next(photo for photo in waiting if photo.volunteer.handle == "Ada")
        crowd.vote("coins", each=200, likes=lambda photo, rng: photo == str(favourite.pk), seed=1, voted=lambda: None)
        assert favourite.votes.filter(like=True).count() == PHONES - 1

    # EDITION → INBOX: subscribed, confirmed, composed, sent once.
    for address in ("reader@example.org", "doubter@example.org"):
        readers.subscribe(f"{site}/newsletter/coins/", address)
    work_once()
    confirmation = next(mail for to, mail in sink.taken if to == "reader@example.org")
    readers.follow(confirmation, site)
    call_command("edition", recognizer="coins", send=True)
    work_once()
    edition = Edition.objects.get()
    assert edition.state == Edition.State.SENT
    assert edition.entries.first().photo == favourite
    assert not edition.entries.filter(photo=rejected).exists()
    assert [delivery.state for delivery in edition.deliveries.all()] == [Delivery.State.SENT]
    newsletters = [(to, mail) for to, mail in sink.taken if mail["List-Unsubscribe"]]
    assert [to for to, _ in newsletters] == ["reader@example.org"]
    assert edition.entries.first().alt in readers.plain_text(newsletters[0][1])

    # PHONE: a volunteer who leaves takes the photos along, and is told where they had gone.
    with Phone(site, folder=tmp_path / "phone-01") as ada:
        receipt = ada.http.call("DELETE", "api/v1/volunteers/me").json()
        assert receipt["photos"] == EACH
        assert f"coins v{released.version}" in str(receipt["receipt"])
        with pytest.raises(ServerRefused, match="401"):
            ada.send(shots[0].read(), recognizer="coins", label="gold", photo_id=uuid.uuid4())
