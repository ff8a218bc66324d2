"""INBOX, measured: mails a second beside Django's send_mail and django-newsletter, a worker's memory, what kills leave behind.

Everything is real: an SMTP server in a process of its own on loopback, senders in processes of their own, SIGKILL. The same
text goes to the same addresses; the ways take turns, so that a busy machine is busy for all of them.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from bench._facts import CACHE, ROOT, claim, say, whole

PEER = "django-newsletter==1.2.1"
PEER_NEEDS = [PEER, "Django==5.2.19", "sorl-thumbnail==13.0.0"]
WORKERS = 3  # that send while they are killed
KILLS = 20
LIMIT_S = 900  # seconds until a run that does not end is given up
# For the run with kills, so that it takes minutes and not a day: waits of the ladder, of a domain's rest, of leases.
HURRIED = {"MAIL_RETRY_S": (1, 1, 2, 2, 3), "MAIL_BACKOFF_S": 1, "MAIL_BACKOFF_MAX_S": 2, "DELIVERY_CLAIM_S": 4}
SILENT_S = 5  # seconds after which what was begun is in doubt; 300 otherwise


def measure() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(rows, claims)."""
    with tempfile.TemporaryDirectory(prefix="photorally-mails-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        speed, size, killed = throughput(folder), memory(folder), kills(folder)
    rate = {row["way"]: row["mails_a_second"] for row in speed}
    held = {row["readers"]: row["peak_mb"] for row in size}
    first, last = held[min(held)], held[max(held)]
    (doubt,) = killed
    claims = [
        claim("times Django's send_mail, mails a second", lambda: rate["ours, SQLite"] / rate["send_mail"], 1.2, at_least=True),
        claim(
            "times Django's send_mail, mails a second, on PostgreSQL",
            lambda: rate["ours, PostgreSQL"] / rate["send_mail"],
            1.2,
            at_least=True,
        ),
        claim(
            "times django-newsletter, mails a second",
            lambda: rate["ours, SQLite"] / rate["django-newsletter"],
            3,
            at_least=True,
        ),
        claim("a worker's memory, most readers over fewest, away from 1", lambda: abs(last / first - 1), 0.1, at_least=False),
        claim("mails that came twice", lambda: doubt["twins"], 0, at_least=False),
        claim("readers that are in none of the four counts", lambda: doubt["uncounted"], 0, at_least=False),
        claim("in doubt for each connection in flight at a kill or a drop", lambda: doubt["doubts_each"], 1, at_least=False),
        claim("mails that went out again when sending was resumed", lambda: doubt["again"], 0, at_least=False),
    ]
    return [*speed, *size, *killed], claims


# ---- speed -------------------------------------------------------------------------------------------------------
def throughput(folder: Path) -> list[dict[str, Any]]:
    """Mails a second, the median of BENCH_ROUNDS rounds in which each way sends BENCH_MAILS mails."""
    from tests.real_servers import postgresql

    count, rounds = whole("BENCH_MAILS", 4000, 200), whole("BENCH_ROUNDS", 3, 1)
    python, found = _peer(), {}
    with contextlib.ExitStack() as stack:
        port, _ = stack.enter_context(sink(folder / "speed"))
        url = stack.enter_context(postgresql(folder / "postgresql", durable=True))  # every mail waits for a commit on disk
        ours = {"SQLite": f"sqlite:///{folder / 'speed.sqlite3'}", "PostgreSQL": url}
        message = folder / "message.json"
        bytes_ = {name: mailer("prepare", count, message, port, at)["bytes"] for name, at in ours.items()}
        peer = folder / "peer"
        peer.mkdir()
        _run(
            [python, str(ROOT / "bench" / "peers" / "newsletter" / "manage.py"), "prepare", str(count), str(message), port],
            cwd=peer,
        )
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            told = {f"ours, {name}": mailer("deliver", count, message, port, at) for name, at in ours.items()}
            told |= {way: mailer(way, count, message, port, ours["SQLite"]) for way in ("send_mail", "one connection")}
            theirs = [
                python,
                str(ROOT / "bench" / "peers" / "newsletter" / "manage.py"),
                "send",
                str(count),
                str(message),
                port,
            ]
            told["django-newsletter"] = _run(theirs, cwd=peer)
            for way, each in told.items():
                found.setdefault(way, []).append(each["mails"] / each["s"])
    return [
        {"way": way, "mails": count, "bytes": bytes_["SQLite"], "mails_a_second": round(median(rates), 1)}
        for way, rates in found.items()
    ]


# ---- memory ------------------------------------------------------------------------------------------------------
def memory(folder: Path) -> list[dict[str, Any]]:
    """What a worker holds at most while it sends an edition to more and more readers."""
    rows = []
    for count in (1000, 10_000, whole("BENCH_READERS", 50_000, 10_001)):
        with sink(folder / f"memory-{count}") as (port, _):
            database = f"sqlite:///{folder / f'memory-{count}.sqlite3'}"
            mailer("prepare", count, folder / "memory.json", port, database)
            told = mailer("deliver", count, folder / "memory.json", port, database)
        rows.append({"readers": count, "peak_mb": round(told["peak_mb"], 1), "mails_a_second": round(count / told["s"], 1)})
        say(f"{rows[-1]}")
    return rows


# ---- kills -------------------------------------------------------------------------------------------------------
def kills(folder: Path) -> list[dict[str, Any]]:
    """BENCH_RECIPIENTS readers, WORKERS workers of which one is killed every now and then, a server that answers 421, 452 and
    550, cuts connections and drops them after the message was taken. Then everybody is stopped, and sending resumed."""
    from tests.real_servers import postgresql

    count, rng = whole("BENCH_RECIPIENTS", 10_000, 500), random.Random(7)
    with postgresql(folder / "killed") as url, sink(folder / "killed.log", "seed 7") as (port, log):
        mailer("prepare", count, folder / "killed.json", port, url)

        def begin() -> subprocess.Popen[bytes]:
            return subprocess.Popen(command("worker", count, folder / "killed.json"), cwd=ROOT, env=environment(port, url))

        workers = [begin() for _ in range(WORKERS)]
        killed, mails, began = 0, 0, time.monotonic()
        step = count // (KILLS + 2)
        while killed < KILLS and time.monotonic() - began < LIMIT_S:
            mails = lines(log)
            if mails >= (killed + 1) * step:
                which = rng.randrange(WORKERS)
                workers[which].send_signal(signal.SIGKILL)
                workers[which].wait()
                workers[which] = begin()
                killed += 1
                say(f"{killed} kills, {mails} mails at the server")
            time.sleep(0.02)
        for worker in workers:  # and once all of them, in the middle of it
            worker.send_signal(signal.SIGKILL)
            worker.wait()
        before = Counter(name for _, _, name, _ in _taken(log))
        _run(command("finish", count, folder / "killed.json"), env=environment(port, url))
        after = Counter(name for _, _, name, _ in _taken(log))
        told = _run(command("counts", count, folder / "killed.json"), env=environment(port, url))
    dropped = sum(outcome == "dropped" for *_, outcome in _taken(log))
    counts = told["counts"]
    known = sum(counts[state] for state in ("sent", "failed", "unknown", "suppressed"))
    in_flight = killed + WORKERS + dropped  # each kill had one connection, and each drop was one
    return [
        {
            "readers": count,
            "kills": killed + WORKERS,
            "dropped": dropped,
            **{state: counts[state] for state in ("sent", "failed", "unknown", "suppressed", "queued", "sending")},
            "uncounted": count - known,
            "twins": sum(times - 1 for times in after.values()),
            "doubts_each": round(counts["unknown"] / max(in_flight, 1), 3),
            "again": sum(1 for name, times in after.items() if name in before and times > before[name]),
        }
    ]


# ---- processes ---------------------------------------------------------------------------------------------------
@contextlib.contextmanager
def sink(file: Path, *seed: str) -> Iterator[tuple[str, Path]]:
    """(port, file that gets a line for each mail) of an SMTP server; with a seed it answers badly."""
    server = [sys.executable, "-m", "bench._sink", str(file), *seed]
    process = subprocess.Popen(server, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), file
    finally:
        process.kill()
        process.wait()


def _taken(log: Path) -> list[list[str]]:
    return [line.split() for line in log.read_text().splitlines()]


def lines(log: Path) -> int:
    return log.read_bytes().count(b"\n") if log.exists() else 0


def environment(port: str, database: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("REDIS_URL", "S3_BUCKET")}
    folder = Path(tempfile.gettempdir()) / "photorally-mails-var"
    return kept | {"EMAIL_URL": f"smtp://127.0.0.1:{port}", "DATABASE_URL": database, "VAR_DIR": str(folder)}


def command(way: str, count: int, message: Path) -> list[str]:
    return [sys.executable, "-m", "bench._mailer", way, str(count), str(message)]


def mailer(way: str, count: int, message: Path, port: str, database: str) -> dict[str, Any]:
    return _run(command(way, count, message), env=environment(port, database))


def _run(words: list[str], *, cwd: Path = ROOT, env: dict[str, str] | None = None) -> dict[str, Any]:
    done = subprocess.run(words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _peer() -> str:
    """The Python of django-newsletter's own virtual environment, made once."""
    folder = CACHE / "django-newsletter"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        say(f"installing {PEER}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PEER_NEEDS], check=True)
        (folder / "ready").touch()
    return str(python)
