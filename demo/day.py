"""The whole loop, once, from photos to inbox: `play` is the list of its steps."""

import os
import random
import secrets
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db.models import F
from tqdm import tqdm

from clients.calls import ServerRefused
from clients.phone import Phone
from collector import moderation
from collector.importing import prepare_recognizer
from collector.models import Photo, Recognizer
from demo import readers, shots
from demo.crowd import NAMES, Crowd
from demo.currency import DENOMINATIONS
from demo.processes import Servers, serving
from demo.shots import Shot
from newsletter.models import Delivery, Edition, Subscriber
from training.models import Artifact, Release, Run

SEED = 2026
DRAWN, DRAWN_PHONES = 720, 12  # photos; two of twelve phones are held out, which makes about 120 photos
FOLDER_PHONES = 24  # real photos have more labels: more volunteers leave every split some of each
FRESH = 60  # photos that a phone takes after the release and that nobody has seen before
WRONG = 6  # drawn photos whose volunteer claims something else
VOTES_EACH = 40
READERS = ("ada@example.org", "babak@example.org", "chloe@example.org")
DOUBTER = "dmitri@example.org"  # subscribes and never confirms: gets no edition
LOOK_S = 0.3  # seconds between two looks at the rows
DELIVERY_LIMIT_S = 60  # seconds in which the worker must have sent four mails


class DemoFailed(RuntimeError):
    """A step did not do what it is there for; the text says which and what came instead."""


@dataclass
class Day:
    """What the steps share, and what they found out."""

    recognizer: str
    folder: Path | None  # of real photos; None: they are drawn
    rng: random.Random = field(default_factory=lambda: random.Random(SEED))
    report: dict[str, dict[str, Any]] = field(default_factory=lambda: {"seconds": {}})
    shots: list[Shot] = field(default_factory=list)
    moderators: list[User] = field(default_factory=list)
    password: str = ""

    @property
    def phones(self) -> int:
        return FOLDER_PHONES if self.folder else DRAWN_PHONES

    @contextmanager
    def step(self, name: str, what: str) -> Iterator[None]:
        """Say what begins, and record how long it took."""
        tqdm.write(f"• {what}")
        began = time.monotonic()
        yield
        self.report["seconds"][name] = round(time.monotonic() - began, 1)


def play(folder: Path | None) -> Day:
    """Play the day. Raises DemoFailed, NotRunning, NoMail, ServerRefused or TryLater: each says what went wrong."""
    day = Day("photos" if folder else "talu", folder)
    began = time.monotonic()
    with day.step("setup", "An empty installation: SQLite, local disk, no broker, mail to files"):
        prepare(day)
    with day.step("photos", "Looking for photos" if folder else f"Drawing {DRAWN} photos of a currency that does not exist"):
        take_photos(day)
    with (
        serving(os.environ, settings.VAR_DIR / "log") as servers,
        Crowd(settings.SITE_URL, day.phones, settings.VAR_DIR / "phones") as crowd,
    ):
        with day.step("upload", f"{day.phones} phones join and send them over HTTP"):
            upload(day, crowd, servers)
        with day.step("moderation", "A moderator looks at every photo, a second one at the first photos of each volunteer"):
            moderate(day)
        with day.step("night", "The night: snapshot, fine-tune, evaluate, export, gate, release"):
            night(day)
        with day.step("phone", "A phone fetches the manifest, verifies it, downloads the model and looks at new photos"):
            use_model(day, crowd.phones[0])
        with day.step("votes", f"{day.phones} volunteers vote"):
            vote(day, crowd)
        with day.step("edition", f"{len(READERS)} readers confirm their subscription; the edition is composed and sent"):
            newsletter(day, servers)
    day.report["seconds"]["all"] = round(time.monotonic() - began, 1)
    return day


def prepare(day: Day) -> None:
    call_command("migrate", verbosity=0)
    names = shots.labels_of(day.folder) if day.folder else list(DENOMINATIONS)
    if len(names) < 2:
        raise DemoFailed(f"{day.folder} needs at least two folders with photos, like {day.folder}/<label>/<photo>.jpg.")
    prepare_recognizer(slug=day.recognizer, names=names)
    day.password = secrets.token_urlsafe(9)
    # As many as must agree on a newcomer's first photos; whoever opens the demo signs in as the first.
    names = ["demo", *(f"demo-{number}" for number in range(2, settings.MODERATORS_FOR_FIRST + 1))]
    day.moderators = [User.objects.create_superuser(name, password=day.password) for name in names]


def take_photos(day: Day) -> None:
    if day.folder:
        day.shots = shots.found(day.folder, day.rng)
    else:
        with bar(DRAWN, "drawing", "photo") as drawing:
            day.shots = shots.mislabelled(shots.drawn(DRAWN, day.rng, drawing.update), WRONG, day.rng)


def upload(day: Day, crowd: Crowd, servers: Servers) -> None:
    crowd.register(NAMES)
    with bar(len(day.shots), "sending", "photo") as sending:
        refused = crowd.send(day.recognizer, shots.dealt(day.shots, day.phones), sending.update)
    refused += send_nonsense(day, crowd.phones[0])
    arrived = Photo.objects.count()
    with bar(arrived, "looking at them", "photo") as seen:
        while waiting := Photo.objects.filter(state=Photo.State.RECEIVED).count():
            servers.check()
            seen.update(arrived - waiting - seen.n)
            time.sleep(LOOK_S)
        seen.update(arrived - seen.n)
    day.report["photos"] = {"sent": arrived, "refused": dict(refused)}


def send_nonsense(day: Day, phone: Phone) -> Counter[str]:
    """What a server must not take: text, half a photo, another photo under a used UUID. Returns the problems' codes."""
    shot = shots.dealt(day.shots, day.phones)[0][0]  # this phone's own
    other = next(other for other in day.shots if other.photo_id != shot.photo_id).read()
    codes: Counter[str] = Counter()
    for body, photo_id in (
        (b"This is no photo.", uuid.uuid4()),
        (other[: len(other) // 2], uuid.uuid4()),
        (other, shot.photo_id),
    ):
        try:
            phone.send(body, recognizer=day.recognizer, label=shot.claimed, photo_id=photo_id)
        except ServerRefused as refusal:
            codes[refusal.code] += 1
        else:
            raise DemoFailed("The server took something that is no whole new photo.")
    return codes


def moderate(day: Day) -> None:
    """Each moderator goes through what waits for them; all of them see what a photo shows, so they agree."""
    recognizer = Recognizer.objects.get(slug=day.recognizer)
    verdicts = _verdicts(day, recognizer)
    for moderator in day.moderators:
        waiting = list(moderation.queue(recognizer=recognizer, moderator=moderator))
        with bar(len(waiting), "deciding", "photo") as deciding:
            for photo in waiting:
                moderation.decide(photo_id=photo.pk, moderator=moderator, seen_state=photo.state, **verdicts[photo.pk])
                deciding.update()
    photos = Photo.objects.filter(recognizer=recognizer)
    day.report["photos"] |= {
        "accepted": photos.filter(state=Photo.State.ACCEPTED).count(),
        "rejected": photos.filter(state=Photo.State.REJECTED).count(),
        "relabelled": photos.filter(state=Photo.State.ACCEPTED).exclude(label=F("claimed")).count(),
        "broken": photos.filter(state=Photo.State.BROKEN).count(),
    }


def _verdicts(day: Day, recognizer: Recognizer) -> dict[uuid.UUID, dict[str, Any]]:
    """Accept what shows what it claims; of the rest, relabel every second one and reject the others."""
    truth = {shot.photo_id: shot.truth for shot in day.shots}
    labels = {label.slug: label for label in recognizer.labels.all()}
    verdicts: dict[uuid.UUID, dict[str, Any]] = {}
    wrong = 0
    for photo in moderation.queue(recognizer=recognizer):
        shown = truth[photo.pk]
        if shown == photo.claimed.slug:
            verdicts[photo.pk] = {"verdict": "accept"}
            continue
        relabel = {"verdict": "relabel", "label": labels[shown]}
        verdicts[photo.pk] = {"verdict": "reject", "reason": "wrong-label"} if wrong % 2 else relabel
        wrong += 1
    return verdicts


def night(day: Day) -> None:
    try:
        call_command("nightly", recognizer=day.recognizer)
    except SystemExit as left:  # how the command says that it was interrupted, or that the run failed
        if left.code == 130:
            raise KeyboardInterrupt from None
    run = Run.objects.filter(recognizer__slug=day.recognizer).latest("queued_at")
    if run.state != Run.State.RELEASED:
        raise DemoFailed(f"The night released nothing: {run.message}")
    release = Release.objects.get(run=run)
    day.report["model"] = {
        "weights": run.metrics["weights"],
        "float_accuracy": run.metrics["float"]["accuracy"],
        "int8_accuracy": run.metrics["int8"]["accuracy"],
        "held_out": run.metrics["held_out"],
        "int8_bytes": run.metrics["int8_bytes"],
        "float_bytes": run.metrics["float_bytes"],
    }
    sha256 = release.artifacts.get(format=Artifact.Format.INT8).sha256
    day.report["release"] = {"version": release.version, "sha256": sha256}


def use_model(day: Day, phone: Phone) -> None:
    phone.update_model(day.recognizer)
    file = phone.model(day.recognizer).file()  # verified: signature, version, expiry, length and digest
    unseen = held_out(day)
    right = 0
    with bar(len(unseen), "recognising", "photo") as recognising:
        for shot in unseen:
            right += phone.classify(day.recognizer, shot.read())[0][0] == shot.truth
            recognising.update()
    benchmark = phone.report_benchmark(day.recognizer)
    day.report["phone"] = {
        "verified": file.stem == day.report["release"]["sha256"],
        "accuracy": round(right / len(unseen), 4),
        "photos": len(unseen),
        "latency_ms": benchmark["latency_ms"],
    }


def held_out(day: Day) -> list[Shot]:
    """Photos that the night never learned from: drawn just now, or the folder's files of the test split."""
    if day.folder is None:
        with bar(FRESH, "drawing", "photo") as drawing:
            return shots.drawn(FRESH, random.Random(SEED + 1), drawing.update)
    test = Photo.objects.filter(recognizer__slug=day.recognizer, state=Photo.State.ACCEPTED, split=Photo.Split.TEST)
    ids = set(test.values_list("pk", flat=True))
    return [shot for shot in day.shots if shot.photo_id in ids]


def vote(day: Day, crowd: Crowd) -> None:
    appeal = {str(shot.photo_id): shot.appeal for shot in day.shots}
    with bar(VOTES_EACH * day.phones, "voting", "vote") as voting:
        votes = crowd.vote(
            day.recognizer,
            each=VOTES_EACH,
            likes=lambda photo_id, rng: rng.random() < appeal[photo_id],
            seed=SEED,
            voted=voting.update,
        )
    day.report["votes"] = {"cast": votes}


def newsletter(day: Day, servers: Servers) -> None:
    mail = settings.VAR_DIR / "mail"
    page = f"{settings.SITE_URL}/newsletter/{day.recognizer}/"
    for address in (*READERS, DOUBTER):
        readers.subscribe(page, address)
    for address in READERS:
        readers.confirm(mail, address, settings.SITE_URL)
    confirmed = Subscriber.objects.filter(recognizer__slug=day.recognizer, state=Subscriber.State.CONFIRMED).count()
    call_command("edition", recognizer=day.recognizer, send=True)
    edition = Edition.objects.filter(recognizer__slug=day.recognizer).latest("number")
    deadline = time.monotonic() + DELIVERY_LIMIT_S
    while edition.deliveries.filter(state__in=(Delivery.State.QUEUED, Delivery.State.SENDING)).exists():
        servers.check()
        if time.monotonic() > deadline:
            raise DemoFailed(f"The edition was not sent within {DELIVERY_LIMIT_S} s; see {servers.logs / 'work'}.log.")
        time.sleep(LOOK_S)
    sent = edition.deliveries.filter(state=Delivery.State.SENT).count()
    if sent != len(READERS) or confirmed != len(READERS):
        raise DemoFailed(f"{len(READERS)} readers confirmed, and {sent} mails were sent.")
    day.report["edition"] = {"entries": edition.entries.count(), "sent": sent, "number": edition.number}


def bar(total: int, what: str, unit: str) -> "tqdm[Any]":
    """A progress bar; nothing where output goes to a file."""
    return tqdm(total=total, desc=f"  {what}", unit=unit, disable=None, leave=False)
