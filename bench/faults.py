"""`make bench PART=faults`: does every acknowledged photo survive a bad network and a web server that is killed over and over?

Phones send small photos through a proxy that drops 30 % of the answers and cuts some requests half-way; some photos are sent
over two connections at once, some phones give up. At random moments every process of the web server is killed with SIGKILL
and started again. Afterwards the rows and the bytes are read back and compared with what each phone sent.

SIGKILL does not lose the page cache: what was written but not yet on the disk survives it. Whether bytes are synced before
they are acknowledged is a question for tests/test_collector_storage.py, not for this bench.
"""

import contextlib
import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench._facts import machine, say, whole
from bench._mailers import Job, Outcome, Phones, jobs
from bench._photos import SMALL, Supply, draw
from bench._proxy import BadNetwork
from bench.peers.photorally import Photorally

SEED = 20261123
DRAWN = 32  # pictures; every photo is a variant of one of them
PHONES = 16  # threads that send
DROPPED, CUT, TWINS, GIVING_UP = 0.30, 0.05, 0.20, 0.02  # shares of answers, of requests, of photos, of photos
LONGEST_WAIT_S = 3000  # seconds after which phones that still send are taken for stuck

# Runs in a Django process of the installation; what phones sent is drawn again from the seed.
READ_BACK = """
import hashlib
from django.core.management import call_command, get_commands
from django.conf import settings
from collector.models import Allowance, Photo
from collector.storage import MissingObject, store
from collector.strip import strip
from bench import faults

photos, work = faults.sent(settings_count)
rows = {{row.pk: row for row in Photo.objects.all()}}

def whole(number):
    row = rows.get(work[number].photo_id)
    if row is None:
        return False
    body = b"".join(photos[number % len(photos)].variant(number))
    if row.sent_sha256 != hashlib.sha256(body).hexdigest():
        return False
    try:
        return store().get(f"originals/{{row.sha256}}") == strip(body).data
    except MissingObject:
        return False

def orphans():
    columns = {{"originals": "sha256", "views": "view_sha256", "thumbnails": "thumbnail_sha256"}}
    living = Photo.objects.exclude(state=Photo.State.WITHDRAWN)
    named = {{(kind, digest) for kind, column in columns.items() for digest in living.values_list(column, flat=True)}}
    files = (path for kind in columns for path in (settings.STORE_DIR / kind).glob("*/*"))
    return sum((path.parent.parent.name, path.name) not in named for path in files)

before = orphans()
sweeper = "sweep_store" in get_commands()
if sweeper:
    call_command("sweep_store", grace_s=0)
print(json.dumps({{
    "lost": sum(not whole(number) for number in {acknowledged}),
    "rows": len(rows),
    "strangers": len(set(rows) - {{job.photo_id for job in work}}),
    "bytes_twice": len(rows) - len({{row.sent_sha256 for row in rows.values()}}),
    "counted": sum(Allowance.objects.filter(subject__startswith="photos:").values_list("used", flat=True)),
    "orphans_before": before,
    "orphans_after": orphans(),
    "sweeper": sweeper,
}}))
"""


def sent(count: int) -> tuple[list[Any], list[Job]]:
    """The pictures and the jobs of a run of `count` photos: the same in every process."""
    return draw(SMALL, DRAWN, SEED), jobs(count, twins=TWINS, giving_up=GIVING_UP, seed=SEED)


def measure() -> dict[str, Any]:
    count, kills = whole("BENCH_UPLOADS", 10_000, 200), whole("BENCH_KILLS", 24, 3)
    folder = Path(tempfile.mkdtemp(prefix="photorally-bench-"))
    folder.chmod(0o755)  # PostgreSQL's user must pass through it
    try:
        with _database(folder) as (name, url):
            server = Photorally(folder / "server", database_url=url)
            server.how = f"the web line of deploy/Procfile.embedded on {name} and local disk"
            began = time.monotonic()
            outcome, network, killed = _storm(server, count, kills)
            took = time.monotonic() - began
            say("Reading everything back …")
            found = _read_back(server, count, outcome)
    finally:
        shutil.rmtree(folder)
    settings = {
        **machine(),
        "database": name,
        "server": server.how,
        "network": f"{DROPPED:.0%} of answers dropped, {CUT:.0%} of requests cut; {TWINS:.0%} of photos sent twice at once, "
        f"{GIVING_UP:.0%} of phones give up after one try; {PHONES} phones at a time",
        "not covered": "SIGKILL keeps the page cache: this says nothing about a power cut",
    }
    row = {
        "photos": count,
        "acknowledged": len(outcome.acknowledged),
        "requests": outcome.attempts,
        **network,
        "kills": killed,
        **{name: value for name, value in found.items() if name not in ("sweeper", "strangers")},
        "minutes": round(took / 60, 1),
    }
    return {"part": "faults", "settings": settings, "rows": [row], "claims": _claims(count, outcome, found, killed, kills)}


@contextlib.contextmanager
def _database(folder: Path) -> Iterator[tuple[str, str]]:
    """SQLite; with BENCH_DATABASE=postgresql a PostgreSQL of its own that is stopped at the end. Yields name and URL."""
    wanted = os.environ.get("BENCH_DATABASE", "").strip() or "sqlite"
    if wanted == "sqlite":
        yield "SQLite", ""
        return
    if wanted != "postgresql":
        raise SystemExit(f"BENCH_DATABASE={wanted!r} is neither sqlite nor postgresql.")
    from tests.real_servers import postgresql

    with postgresql(folder / "postgresql") as url:
        yield "PostgreSQL", url


def _storm(server: Photorally, count: int, kills: int) -> tuple[Outcome, dict[str, int], int]:
    """Everything is sent while the server dies again and again; returns what phones, network and killer say."""
    photos, work = sent(count)
    longest = max(map(len, photos))
    try:
        server.start()
        network = BadNetwork(server.port, drop=DROPPED, cut=CUT, longest=longest, seed=SEED)
        try:
            phones = Phones(network.port, server.compose, Supply(photos), work, PHONES, SEED)
            killed = _kill_at_random(server, phones, count, kills)
            outcome = phones.outcome()
        finally:
            counts = network.stop()
    finally:
        server.stop()
    return outcome, counts, killed


def _kill_at_random(server: Photorally, phones: Phones, count: int, kills: int) -> int:
    """Kill when the phones are through with a random number of photos, a random moment later; returns how often."""
    rng = random.Random(SEED)
    moments = sorted(rng.randrange(count // 50, count * 49 // 50) for _ in range(kills))
    deadline, killed, told = time.monotonic() + LONGEST_WAIT_S, 0, 0
    while phones.alive():
        if time.monotonic() > deadline:
            phones.process.kill()
            raise RuntimeError(f"The phones were stuck at {phones.progress.value} of {count} photos.")
        if moments and phones.progress.value >= moments[0]:
            moments.pop(0)
            time.sleep(rng.uniform(0, 0.25))  # not at an acknowledgement: anywhere in the next ones
            server.kill_web()
            killed += 1
            server.start_web()
        if phones.progress.value * 10 // count > told:
            told = phones.progress.value * 10 // count
            say(f"{told * 10} % of {count} photos, {killed} kills")
        time.sleep(0.005)
    return killed


def _read_back(server: Photorally, count: int, outcome: Outcome) -> dict[str, Any]:
    code = READ_BACK.format(acknowledged=json.dumps(outcome.acknowledged)).replace("settings_count", str(count))
    found: dict[str, Any] = server.inside(code)
    return found


def _claims(count: int, outcome: Outcome, found: dict[str, Any], killed: int, kills: int) -> list[dict[str, Any]]:
    def zero(text: str, value: int) -> dict[str, Any]:
        return {"claim": text, "value": value, "goal": "= 0", "holds": value == 0}

    after = zero("orphans after the sweeper", found["orphans_after"])
    if not found["sweeper"]:
        after |= {"claim": "orphans (no sweep_store command here: nothing was swept)", "value": found["orphans_after"]}
    return [
        zero("acknowledged photos lost, in row or bytes", found["lost"]),
        zero(
            "twins: rows of UUIDs that nobody sent, or of bytes that another row has", found["strangers"] + found["bytes_twice"]
        ),
        zero("photos counted against the daily limit beyond the rows", abs(found["counted"] - found["rows"])),
        after,
        zero(
            "answers that no phone should get (4xx, 500)" + "".join(f", e.g. {text}" for text in outcome.wrong[:1]),
            len(outcome.wrong),
        ),
        {"claim": "kills", "value": killed, "goal": f"≥ {kills}", "holds": killed >= kills},
    ]
