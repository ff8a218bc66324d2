"""INTAKE, measured: how long does a near-duplicate look-up take among 10,000, 100,000 and 1,000,000 different photos?

Each database is filled in a process of its own, in a temporary folder, with hashes that are spread like those of photos: signs
of random DCT coefficients whose size falls with their frequency. Then single look-ups are timed by the verb that the worker
calls: of new photos, of near copies, of the same picture, of variants of a flooded picture, and of hashes that were made to
share a band. The last row of each size is the whole of what a new photo costs, with its commit.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
SIZES = (10_000, 100_000, 1_000_000)
LOOK_UPS = 400  # of each kind
GOAL_MS = 10
FLOOD = 400  # variants sent of one picture; FINGERPRINTS_PER_CLUSTER of them are kept
CROWD = 2000  # different pictures made to share one band
WORST = ("new", "near", "same", "flooded", "crowded")  # what the claim is about


def measure() -> dict[str, Any]:
    from tests.real_servers import find, postgresql

    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="photorally-bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL's user must pass through it
        rows += _in_a_process("SQLite", f"sqlite:///{folder / 'bench.sqlite3'}", folder)
        if find("postgres"):
            url = stack.enter_context(postgresql(folder / "postgresql"))
            rows += _in_a_process("PostgreSQL", url, folder)
        else:
            print("PostgreSQL is not installed (Debian: apt-get install postgresql): that claim does not hold.")
    return {
        "part": "duplicates",
        "settings": {"look_ups": LOOK_UPS, "flood": FLOOD, "crowd": CROWD, "postgresql": "fsync off, warm"},
        "rows": rows,
        "claims": [_claim(rows, database) for database in ("SQLite", "PostgreSQL")],
    }


def _claim(rows: list[dict[str, Any]], database: str) -> dict[str, Any]:
    p99 = [
        row["p99_ms"] for row in rows if (row["database"], row["photos"]) == (database, SIZES[-1]) and row["look_up"] in WORST
    ]
    return {
        "claim": f"p99 look-up at 10^6, {database}, ms",
        "value": max(p99) if p99 else None,
        "goal": f"< {GOAL_MS}",
        "holds": bool(p99) and max(p99) < GOAL_MS,
    }


def _in_a_process(database: str, url: str, folder: Path) -> list[dict[str, Any]]:
    """A process of its own: Django's settings name one database for good."""
    environment = {**os.environ, "DATABASE_URL": url, "VAR_DIR": str(folder / database), "BACKBONE_WEIGHTS": "none"}
    environment.pop("REDIS_URL", None)
    result = folder / f"{database}.json"
    subprocess.run([sys.executable, "-m", "bench.duplicates", str(result)], cwd=ROOT, env=environment, check=True)
    return [{"database": database, **row} for row in json.loads(result.read_text())]


def fill_and_time() -> list[dict[str, Any]]:
    """In the process of one database: fill it step by step, time look-ups at each step."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from collector.models import Recognizer

    recognizer = Recognizer.objects.create(slug="bench", name="Bench")
    rng = np.random.default_rng(7)
    flooded = int(_hashes(rng, 1)[0])
    crowd = _crowd(rng)
    known = np.empty(0, np.uint64)
    rows = []
    for size in SIZES:
        fresh = _hashes(rng, size - len(known))
        if len(known) == 0:
            fresh = np.concatenate([crowd[CROWD // 2 :], fresh])[: size - len(known)]
        began = time.perf_counter()
        _insert(recognizer.pk, fresh)
        known = np.concatenate([known, fresh])
        filled_s = time.perf_counter() - began
        if len(rows) == 0:
            _flood(recognizer.pk, flooded, rng)
        print(f"{size} photos, filled in {filled_s:.0f} s", file=sys.stderr)
        asked = {
            "new": _hashes(rng, LOOK_UPS),
            "near": [_flipped(int(one), int(rng.integers(1, 7)), rng) for one in rng.choice(known, LOOK_UPS)],
            "same": rng.choice(known, LOOK_UPS),
            "flooded": [_flipped(flooded, 4, rng) for _ in range(LOOK_UPS)],
            "crowded": crowd[: min(LOOK_UPS, CROWD // 2)],
        }
        rows += [{"photos": size, "look_up": kind, **_timed(recognizer.pk, hashes)} for kind, hashes in asked.items()]
        rows.append({"photos": size, "look_up": "and keep", **_timed(recognizer.pk, _hashes(rng, LOOK_UPS), keep=True)})
        print(*rows[-6:], sep="\n", file=sys.stderr)
    return rows


def _hashes(rng: np.random.Generator, count: int) -> np.ndarray:
    """`count` hashes (uint64): 64 coefficients N(0, 1 / frequency²), the first one large, each bit "above the median"."""
    frequency = np.sqrt(np.add.outer(np.arange(8.0) ** 2, np.arange(8.0) ** 2)).ravel()
    frequency[0] = 1.0
    weights = np.uint64(1) << np.arange(64, dtype=np.uint64)
    parts = []
    for start in range(0, count, 100_000):
        drawn = rng.normal(size=(min(100_000, count - start), 64)) / frequency
        drawn[:, 0] += 8.0
        parts.append(
            ((drawn > np.median(drawn, axis=1, keepdims=True)).astype(np.uint64) * weights).sum(axis=1, dtype=np.uint64)
        )
    return np.concatenate(parts) if parts else np.empty(0, np.uint64)


def _crowd(rng: np.random.Generator) -> np.ndarray:
    """Hashes that agree in the whole of one indexed band (bits 0, 4, 8, … from the top) and in nothing else."""
    mask = np.uint64(sum(1 << 63 - bit for bit in range(0, 64, 4)))
    first = _hashes(rng, 1)[0]
    return (_hashes(rng, CROWD) & ~mask) | (first & mask)


def _flipped(value: int, bits: int, rng: np.random.Generator) -> int:
    for bit in rng.choice(64, bits, replace=False):
        value ^= 1 << int(bit)
    return value


def _bands(value: int) -> tuple[int, ...]:
    return tuple(value >> 16 * band & 0xFFFF for band in range(4))


def _insert(recognizer: int, hashes: np.ndarray) -> None:
    """Fill as a restored backup is filled: rows first, then the indexes."""
    from django.db import connection, transaction

    from collector.models import Fingerprint

    indexes = Fingerprint._meta.indexes
    with connection.schema_editor() as schema:
        for index in indexes:
            schema.remove_index(Fingerprint, index)
    with transaction.atomic():
        _copy([_row(recognizer, value) for value in np.unique(hashes).tolist()])
    with connection.schema_editor() as schema:
        for index in indexes:
            schema.add_index(Fingerprint, index)
    with connection.cursor() as cursor:
        # What autovacuum does on a server that runs for longer than a benchmark: statistics, and a map of settled pages.
        cursor.execute("ANALYZE" if connection.vendor == "sqlite" else "VACUUM ANALYZE collector_fingerprint")


def _row(recognizer: int, value: int) -> tuple[Any, ...]:
    from collector.duplicates import as_bits, indexed_bands

    bits = as_bits(_bands(value))
    return (recognizer, bits, *indexed_bands(bits), uuid.uuid4().hex, 1)


def _copy(rows: list[tuple[Any, ...]]) -> None:
    from django.db import connection

    columns = "collector_fingerprint (recognizer_id, bits, band_0, band_1, band_2, band_3, cluster, photos)"
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.executemany(f"INSERT OR IGNORE INTO {columns} VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", rows)
            return
        with cursor.copy(f"COPY {columns} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


def _flood(recognizer: int, picture: int, rng: np.random.Generator) -> None:
    """One picture and variants of it, through the verbs."""
    for number in range(FLOOD):
        _keep(recognizer, picture if number == 0 else _flipped(picture, 4, rng))


def _keep(recognizer: int, value: int) -> None:
    from django.db import transaction
    from django.db.models import F

    from collector.duplicates import cluster_of, remember
    from collector.models import Photo, Recognizer

    photo, bands = Photo(pk=uuid.uuid4(), recognizer_id=recognizer), _bands(value)
    with transaction.atomic():
        Recognizer.objects.filter(pk=recognizer).update(turn=F("turn") + 1)
        remember(photo, bands, cluster_of(photo, bands))


def _timed(recognizer: int, hashes: Any, *, keep: bool = False) -> dict[str, float]:
    from collector.duplicates import cluster_of
    from collector.models import Photo

    took, cpu, joined = [], [], 0  # the processor time of this process, beside what a busy machine makes of it
    for value in map(int, hashes):
        photo = Photo(pk=uuid.uuid4(), recognizer_id=recognizer)
        began, began_cpu = time.perf_counter(), time.process_time()
        if keep:
            _keep(recognizer, value)
        else:
            joined += cluster_of(photo, _bands(value)) != photo.pk
        took.append(1000 * (time.perf_counter() - began))
        cpu.append(1000 * (time.process_time() - began_cpu))
    p50, p99 = np.percentile(took, [50, 99])
    return {
        "p50_ms": round(float(p50), 2),
        "p99_ms": round(float(p99), 2),
        "max_ms": round(max(took), 2),
        "cpu_p50_ms": round(float(np.median(cpu)), 2),
    } | ({} if keep else {"joined": joined})


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    Path(sys.argv[1]).write_text(json.dumps(fill_and_time()))
