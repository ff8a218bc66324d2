"""`make bench PART=channel`: does every answer verify while releases are published, rolled back, killed; and what it costs.

Readers check manifests and files as phones do, each over connections to all worker processes, while a publisher releases
files, rolls back and makes deltas, each in a process that gets SIGKILL at a random moment. Then requests per second: of the
manifest beside an empty view in the same web process. Last, the bytes of an update over HTTP: UPDATE_FROM and UPDATE_TO name
two files, else a pair is drawn.
"""

import hashlib
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from bench import _load
from bench._facts import ROOT, claim, machine, say, whole
from bench._readers import Readers, get, rate, undone
from bench.peers.photorally import RECOGNIZER, Photorally
from clients import encodings

SEED = 20261125
PROCESSES, THREADS, CONNECTIONS = 2, 4, 4  # of readers, and of senders of a rate
MANIFEST = f"/api/v1/recognizers/{RECOGNIZER}/manifest"

READ_BACK = f"""
import hashlib
from collector.storage import store
from training.models import Channel, Encoded, Release
from training import deltas
import zstandard
releases = list(Release.objects.filter(recognizer__slug={RECOGNIZER!r}).order_by("version"))
digests = {{artifact.sha256 for release in releases for artifact in release.artifacts.all()}}
made = list(Encoded.objects.filter(state="made"))
print(json.dumps({{
    "releases": len(releases),
    "gaps": sum(release.version != at for at, release in enumerate(releases, start=1)),
    "broken": sum(hashlib.sha256(store().get(f"blobs/{{digest}}")).hexdigest() != digest for digest in digests),
    "pointers": Channel.objects.filter(recognizer__slug={RECOGNIZER!r}, release=releases[-1]).count(),
    "encodings": len(made),
    "wrong_encodings": sum(
        (deltas.restored(body, store().get(f"blobs/{{row.base}}"), most=10**9) if row.base
         else zstandard.ZstdDecompressor().decompress(body)) != store().get(f"blobs/{{row.sha256}}")
        for row in made for body in [store().get(f"encodings/{{row.body}}")]),
}}))
"""


class Publisher:
    """bench._publisher in the server's installation."""

    def __init__(self, server: Photorally, size: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench._publisher", RECOGNIZER, str(size), str(SEED)],
            cwd=ROOT,
            env=server.environment | {"DJANGO_SETTINGS_MODULE": "config.settings"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def do(self, what: str, limit_s: float = 0) -> tuple[bool, float]:
        """Whether it was done, in how many seconds; False: it was killed."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{what} {limit_s}\n")
        self.process.stdin.flush()
        said, seconds = (self.process.stdout.readline() or "died 0").split()
        if said not in ("done", "killed"):
            raise RuntimeError("The publisher failed.")
        return said == "done", float(seconds)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def measure() -> dict[str, Any]:
    reads, moves = whole("BENCH_READS", 100_000, 1000), whole("BENCH_MOVES", 200, 6)
    size, seconds, rounds = whole("BENCH_BLOB_BYTES", 65_536, 16_384), whole("BENCH_SECONDS", 4, 1), whole("BENCH_ROUNDS", 5, 1)
    folder = Path(tempfile.mkdtemp(prefix="photorally-bench-"))
    server = Photorally(folder / "server")
    server.procfile["web"] = server.procfile["web"].replace("config.wsgi", "bench.peers.with_empty_view")
    publisher = Publisher(server, size)
    try:
        server.start()
        publisher.do("move 0")
        counts, wrong, moved, killed, took = _storm(server, publisher, reads, moves)
        say("Reading everything back …")
        found = server.inside(READ_BACK)
        say("Requests per second …")
        rates = _rates(server, seconds, rounds)
        update = _update(server, publisher, folder)
    finally:
        publisher.stop()
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    settings = {
        **machine(),
        "server": "the web line of deploy/Procfile.embedded with one more address, SQLite and local disk",
        "readers": f"{PROCESSES * THREADS}, files of {size} bytes; 5 % of the requests on a new connection",
        "rates": f"median of {rounds} rounds of {seconds} s, {CONNECTIONS} kept-alive connections",
        "update": update.pop("files"),
    }
    storm = {"answers": sum(counts.values()), **dict(sorted(counts.items())), "moves": moved, "killed": killed, **found}
    rows = [
        storm | {"seconds": round(took)},
        *({"request": name, "per_s": round(per_s)} for name, per_s in rates.items()),
        update,
    ]
    claims = _claims(reads, moves, counts, wrong, moved, killed, found, rates, update)
    return {"part": "channel", "settings": settings, "rows": rows, "claims": claims}


def _storm(server: Photorally, publisher: Publisher, reads: int, moves: int) -> tuple[Counter[str], list[str], int, int, float]:
    """What readers counted, what did not verify, and how many moves were done and killed."""
    rng, began = random.Random(SEED), time.monotonic()
    readers = Readers(server.port, RECOGNIZER, processes=PROCESSES, threads=THREADS, most=reads, seed=SEED)
    moved = killed = number = 0
    typical = [publisher.do(f"move {number - 3}")[1] for number in (4, 5, 6)]
    number = 10
    while readers.alive() or min(moved, killed) < moves:
        number += 1
        # Spread over all reads: twice as many tries as moves, because half of them are killed.
        while readers.alive() and readers.progress.value < reads * number // (2.4 * moves + 10):
            time.sleep(0.002)
        done, took = publisher.do(f"move {number}", rng.uniform(0.001, 2 * statistics.median(typical[-20:])))
        moved, killed = moved + done, killed + (not done)
        typical.append(took if done else 2 * took)  # beside readers a move takes longer: half of them are to come to their end
        if done:
            publisher.do("encode", rng.choice([0, rng.uniform(0.01, 0.2)]))
        if number % 50 == 0:
            say(f"{readers.progress.value} of {reads} answers; {moved} moves, {killed} killed")
    counts, wrong = readers.outcome(PROCESSES * THREADS)
    return counts, wrong, moved, killed, time.monotonic() - began


def _rates(server: Photorally, seconds: float, rounds: int) -> dict[str, float]:
    """Medians of requests/s; each kind once a round, so that a slow minute is everybody's."""
    with _load.connect(server.port) as connection:
        # With an ETag that is no manifest's: the storm's last move is younger than what a web process may hold.
        token = get(connection, server.port, MANIFEST, If_None_Match='"none"')[1]
    etag = f'"{hashlib.sha256(token).hexdigest()}"'
    kinds: dict[str, tuple[str, dict[str, str], int]] = {
        "empty view": ("/empty", {}, 200),
        "manifest, as before (304)": (MANIFEST, {"If_None_Match": etag}, 304),
        "manifest (200)": (MANIFEST, {}, 200),
    }
    found: dict[str, list[float]] = {name: [] for name in kinds}
    for path, headers, status in kinds.values():
        rate(server.port, path, connections=CONNECTIONS, seconds=0.5, headers=headers, status=status)
    for _ in range(rounds):
        for name, (path, headers, status) in kinds.items():
            one = rate(server.port, path, connections=CONNECTIONS, seconds=seconds, headers=headers, status=status)
            found[name].append(one)
    return {name: statistics.median(values) for name, values in found.items()}


def drawn_pair(size: int = 2_800_000, share: float = 0.18) -> tuple[bytes, bytes]:
    """Two int8 files of which the last `share` differs by at most one step in each weight, as after a careful night."""
    rng = np.random.default_rng(SEED)
    before = rng.normal(0, 30, size).round().clip(-127, 127).astype(np.int8)
    after = before.copy()
    changed = round(size * share)
    after[-changed:] = (after[-changed:] + rng.choice([-1, 0, 1], changed, p=[0.1, 0.8, 0.1])).astype(np.int8)
    return before.tobytes(), after.tobytes()


def _update(server: Photorally, publisher: Publisher, folder: Path) -> dict[str, Any]:
    """Release one file after the other; what a phone that has the first loads to get the second, over HTTP."""
    names = [os.environ.get(name, "").strip() for name in ("UPDATE_FROM", "UPDATE_TO")]
    before, after = [Path(name).read_bytes() for name in names] if all(names) else drawn_pair()
    for number, data in enumerate((before, after)):
        path = folder / f"update-{number}"
        path.write_bytes(data)
        publisher.do(f"publish {path}")
    publisher.do("encode")
    path = f"/blobs/{hashlib.sha256(after).hexdigest()}"
    headers = {name.replace("-", "_"): value for name, value in encodings.wanted(before).items()}
    with _load.connect(server.port) as connection:
        _, encoded, _ = get(connection, server.port, path, **headers)
        _, zstd, _ = get(connection, server.port, path, Accept_Encoding="zstd")
        _, plain, _ = get(connection, server.port, path)
    return {
        "files": "UPDATE_FROM → UPDATE_TO" if all(names) else "drawn: 18 % of the weights may differ by one step",
        "full_bytes": len(plain),
        "zstd_bytes": len(zstd),
        "delta_bytes": len(encoded),
        "delta_%": round(100 * len(encoded) / len(plain), 2),
        "verified": plain == after and undone(encoded, before) == after,
    }


def _claims(
    reads: int,
    moves: int,
    counts: Counter[str],
    wrong: list[str],
    moved: int,
    killed: int,
    found: dict[str, int],
    rates: dict[str, float],
    update: dict[str, Any],
) -> list[dict[str, Any]]:
    def zero(text: str, value: int) -> dict[str, Any]:
        return {"claim": text, "value": value, "goal": "= 0", "holds": value == 0}

    empty = rates["empty view"]
    example = "".join(f", e.g. {text}" for text in wrong[:1])
    return [
        zero(f"answers of {reads} that do not verify{example}", len(wrong)),
        claim("answers that were read and verified", lambda: sum(counts.values()), reads, at_least=True),
        claim("releases published and rolled back meanwhile", lambda: moved, moves, at_least=True),
        claim("publishers killed in the middle", lambda: killed, moves, at_least=True),
        zero(
            "gaps in the versions, files or deltas that are not what rows say",
            sum(found[n] for n in ("gaps", "broken", "wrong_encodings")),
        ),
        claim("channels that point at the newest version", lambda: found["pointers"], 1, at_least=True),
        claim(
            "manifest requests/s, as before (304), over an empty view's",
            lambda: rates["manifest, as before (304)"] / empty,
            0.5,
            at_least=True,
        ),
        claim("manifest requests/s (200), over an empty view's", lambda: rates["manifest (200)"] / empty, 0.5, at_least=True),
        {"claim": "the delta gives the newer file", "value": update["verified"], "goal": "true", "holds": update["verified"]},
    ]
