"""`make bench PART=intake`: photos per second and CPU per photo of this API and of three peers, side by side in one run.

Every server runs from the first cell to the last. One of them is under load at a time, in an order that rotates from round to
round; the others idle, and the worker of "image work" is stopped while others are measured. A cell sends photos for some
seconds, or until there are enough; each photo's bytes are sent once. What a cell says is the median over the rounds.
Every answer's status is read, and at the end the photos that each system really kept are counted against those it
acknowledged.
"""

import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

import psutil

from bench import _load
from bench._facts import claim, machine, percentile, say, whole
from bench._load import Load
from bench._photos import LARGE, SMALL, Drawn, Supply, draw
from bench._processes import NotStarted
from bench.peers.base import NotInstalled, System
from bench.peers.label_studio import LabelStudio
from bench.peers.photorally import Photorally, PhotorallyWithWorker
from bench.peers.plain_drf import PlainDRF
from bench.peers.tus_server import Tus

SEED = 20261122
CONNECTIONS = (1, 4, 16)
DRAWN = {SMALL: 48, LARGE: 16}  # pictures; every upload is a variant of one of them
WARM_UP = (4, 12)  # connections and photos before the first measured cell of a system: code paths and pages are loaded

Cell = dict[str, float]
Key = tuple[str, str, int]  # system, size, connections


def measure() -> dict[str, Any]:
    rounds, seconds = whole("BENCH_ROUNDS", 3, 1), whole("BENCH_SECONDS", 4, 1)
    most = {SMALL: whole("BENCH_SMALL", 1000, 40), LARGE: whole("BENCH_LARGE", 120, 8)}
    say("Drawing photos …")
    photos = {size: draw(size, count, SEED) for size, count in DRAWN.items()}
    folder = Path(tempfile.mkdtemp(prefix="photorally-bench-"))
    systems: list[System] = []
    absent: dict[str, str] = {}
    try:
        _start(folder, systems, absent)
        cells, acknowledged = _all_rounds(systems, photos, rounds, seconds, most)
        counts = {system.name: (acknowledged[system.name], system.stored()) for system in systems}
    finally:
        for system in systems:
            system.stop()
        shutil.rmtree(folder, ignore_errors=True)  # a server that is leaving may still write
    settings: dict[str, Any] = {
        **machine(),
        "rounds": rounds,
        "cell": f"{seconds} s, at most {most[SMALL]} photos of {SMALL} or {most[LARGE]} of {LARGE}",
        "photos": {size: f"{sum(map(len, drawn)) // len(drawn)} bytes" for size, drawn in photos.items()},
        "memory": "peak: sum of the processes' highest RSS in the cell, shared pages in each; PSS: after the cell",
        **{system.name: system.how for system in systems},
    }
    return {
        "part": "intake",
        "settings": settings,
        "rows": [*(_row(key, found) for key, found in cells.items()), *_absent_rows(absent)],
        "claims": [*_claims(cells, absent), *_kept(counts)],
    }


def _start(folder: Path, systems: list[System], absent: dict[str, str]) -> None:
    """Install and start each system; those that cannot be had go to `absent` with the reason."""
    for kind in (Photorally, PlainDRF, Tus, LabelStudio, PhotorallyWithWorker):
        system = kind(folder / kind.__name__)
        systems.append(system)  # at once: what it starts is stopped also if it fails on the way
        try:
            system.prepare()
            if isinstance(system, PlainDRF):  # as many worker processes as this project's server has
                system.workers = len(psutil.Process(systems[0].trees[0].process.pid).children())
            say(f"Starting {system.name} …")
            system.start()
        except (NotInstalled, NotStarted) as reason:
            if isinstance(system, Photorally):
                raise
            absent[kind.name] = str(reason)
            say(f"{kind.name} is not measured: {reason}")
            systems.remove(system)
            system.stop()
        else:
            system.rest()


def _all_rounds(
    systems: list[System], photos: dict[str, list[Drawn]], rounds: int, seconds: float, most: dict[str, int]
) -> tuple[dict[Key, list[Cell]], dict[str, int]]:
    """Every cell of every round, and how many photos each system acknowledged."""
    supplies = {(system.name, size): Supply(drawn) for system in systems for size, drawn in photos.items()}
    acknowledged = dict.fromkeys((system.name for system in systems), 0)
    for system in systems:
        system.resume()
        for size in photos:
            warm = _send(system, supplies[system.name, size], WARM_UP[0], 60, WARM_UP[1])
            acknowledged[system.name] += warm.photos
        system.settle()
        system.rest()
    cells: dict[Key, list[Cell]] = {
        (system.name, size, connections): [] for size in photos for connections in CONNECTIONS for system in systems
    }
    for turn in range(rounds):
        say(f"Round {turn + 1} of {rounds} …")
        order = systems[turn % len(systems) :] + systems[: turn % len(systems)]
        for size in photos:
            for connections in CONNECTIONS:
                for system in order:
                    cell = _cell(system, supplies[system.name, size], connections, seconds, most[size])
                    acknowledged[system.name] += int(cell["photos"])
                    cells[system.name, size, connections].append(cell)
    return cells, acknowledged


def _send(system: System, supply: Supply, connections: int, seconds: float, most: int) -> Load:
    """Senders against one system; a system that died is named, with the end of its log."""
    try:
        return _load.run(
            port=system.port, compose=system.compose, supply=supply, connections=connections, seconds=seconds, most=most
        )
    except RuntimeError as error:
        ends = [(tree.process.poll(), tree.log.read_text(errors="replace")[-1500:]) for tree in system.trees]
        raise RuntimeError(f"{system.name}, {connections} connections: {error} Exit status, log: {ends}") from error


def _cell(system: System, supply: Supply, connections: int, seconds: float, most: int) -> Cell:
    system.resume()
    system.forget_peak()
    before = system.cpu_s()
    load = _send(system, supply, connections, seconds, most)
    system.settle()
    cpu = system.cpu_s() - before
    peak, pss = system.memory_mb()
    system.rest()
    if load.refused:
        say(f"{system.name}, {connections} connections: {len(load.refused)} refused, the first with {load.refused[0]}")
    if not load.photos:
        raise RuntimeError(f"{system.name} took no photo at all: {load.refused[:1]}")
    return {
        "photos": load.photos,
        "refused": len(load.refused),
        "photos_per_s": load.photos / load.elapsed_s,
        "p50_ms": percentile(load.latencies_s, 0.50) * 1e3,
        "p99_ms": percentile(load.latencies_s, 0.99) * 1e3,
        "cpu_ms": cpu / load.photos * 1e3,
        "peak_rss_mb": peak,
        "pss_mb": pss,
        "sender_cpu_ms": load.sender_cpu_s / load.photos * 1e3,
    }


def _median(found: list[Cell], name: str) -> float:
    return statistics.median(cell[name] for cell in found)


def _row(key: Key, found: list[Cell]) -> dict[str, Any]:
    system, size, connections = key
    measured = {
        name: round(_median(found, name), 2 if name.startswith(("cpu", "sender")) else 1)
        for name in ("photos_per_s", "p50_ms", "p99_ms", "cpu_ms", "peak_rss_mb", "pss_mb", "sender_cpu_ms")
    }
    counted = {name: int(sum(cell[name] for cell in found)) for name in ("photos", "refused")}
    return {"system": system, "size": size, "connections": connections, **measured, **counted}


def _absent_rows(absent: dict[str, str]) -> list[dict[str, Any]]:
    return [{"system": name, "not measured": reason} for name, reason in absent.items()]


def _claims(cells: dict[Key, list[Cell]], absent: dict[str, str]) -> list[dict[str, Any]]:
    def ratio(name: str, peer: str, connections: int) -> float:
        """This API's median over the peer's, 12-MP photos. Raises KeyError with why a peer is absent."""
        if peer in absent:
            raise KeyError(absent[peer])
        ours, theirs = cells[Photorally.name, LARGE, connections], cells[peer, LARGE, connections]
        return _median(ours, name) / _median(theirs, name)

    def one(text: str, name: str, peer: str, connections: int, goal: float, *, at_least: bool) -> dict[str, Any]:
        title = f"{text}, {LARGE}, {connections} at a time, over {peer}"
        return claim(title, lambda: ratio(name, peer, connections), goal, at_least=at_least)

    return [
        one("photos/s", "photos_per_s", LabelStudio.name, 1, 6.0, at_least=True),
        one("CPU per photo", "cpu_ms", LabelStudio.name, 1, 0.5, at_least=False),
        one("photos/s", "photos_per_s", PlainDRF.name, 4, 1.5, at_least=True),
        one("CPU per photo", "cpu_ms", PlainDRF.name, 4, 0.7, at_least=False),
        *(one("photos/s", "photos_per_s", Tus.name, connections, 1.0, at_least=True) for connections in CONNECTIONS),
    ]


def _kept(counts: dict[str, tuple[int, int]]) -> list[dict[str, Any]]:
    """What was acknowledged is there, at every system; otherwise the figures above compare different work."""
    return [
        {"claim": f"photos kept by {name}", "value": stored, "goal": f"= {sent} acknowledged", "holds": stored == sent}
        for name, (sent, stored) in counts.items()
    ]
