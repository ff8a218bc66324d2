"""`make bench PART=slow`: do slow and oversized requests hold up everybody else?

Uploads over four connections are timed on a quiet server, then while 200 other connections send a photo's body at one byte a
second, then while 200 send their headers so. The three take turns, several times; the percentiles are over all turns of a kind.
An upload without an answer counts with the limit as its time. Last, a JSON body of 1 GB is offered.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import _load
from bench._facts import claim, machine, percentile, say, whole
from bench._load import Load
from bench._photos import SMALL, Supply, draw
from bench._slow import Pushed, Trickle, push
from bench.peers.base import request_head
from bench.peers.photorally import Photorally

SEED = 20261124
CONNECTIONS = 4
ANSWER_LIMIT_S = 20.0  # seconds an upload waits; a server without a free thread never answers at all
QUIET, BODIES, HEADERS = "quiet", "slow bodies", "slow headers"
GIGABYTE = 2**30
READ_MAX = 1_000_000  # bytes of a refused body that may leave the phone; socket buffers hold some 100 KB of them

Request = tuple[bytes, bytes]


def measure() -> dict[str, Any]:
    seconds, rounds, slow = whole("BENCH_SECONDS", 10, 2), whole("BENCH_ROUNDS", 3, 1), whole("BENCH_SLOW", 200, 20)
    folder = Path(tempfile.mkdtemp(prefix="photorally-bench-"))
    server = Photorally(folder / "server")
    try:
        server.start()
        loads, ended = _turns(server, seconds, rounds, slow)
        say("Offering 1 GB of JSON …")
        pushed = {"announced": push(server.port, _json_head(server, GIGABYTE), GIGABYTE)}
        pushed["in chunks"] = push(server.port, _json_head(server, None), GIGABYTE, chunked=True)
    finally:
        server.stop()
        shutil.rmtree(folder)
    settings = {
        **machine(),
        "server": server.how,
        "uploads": f"{SMALL}, {CONNECTIONS} at a time, {rounds} turns of {seconds} s each; "
        f"{ANSWER_LIMIT_S:g} s without an answer end one",
        "slow": f"{slow} connections, 1 byte a second each; one that the server ends is replaced",
    }
    rows = [_row(kind, found, ended[kind]) for kind, found in loads.items()]
    bodies = [
        {
            "1-GB JSON body": kind,
            "status": one.status,
            "pushed_kb": round(one.body_bytes / 1e3),
            "seconds": round(one.seconds, 3),
        }
        for kind, one in pushed.items()
    ]
    return {"part": "slow", "settings": settings, "rows": [*rows, *bodies], "claims": _claims(loads, slow, pushed)}


def _turns(server: Photorally, seconds: float, rounds: int, slow: int) -> tuple[dict[str, list[Load]], dict[str, int]]:
    """What was measured of each kind, and how many slow connections the server ended."""
    supply = Supply(draw(SMALL, 32, SEED))
    body = b"".join(Supply(draw(SMALL, 1, SEED + 1)).take()[1])
    whole_request = server.compose((body,), 0)
    requests: dict[str, Callable[[], Request]] = {
        # The body begins as a photo does; the head is whole, so that a thread may already wait for the rest.
        BODIES: lambda: (server.compose((body,), 0)[0], body),
        HEADERS: lambda: (b"", server.compose((body,), 0)[0]),
    }
    assert len(whole_request) == 2
    loads: dict[str, list[Load]] = {QUIET: [], BODIES: [], HEADERS: []}
    ended = dict.fromkeys(loads, 0)
    _uploads(server, supply, min(seconds, 2))  # code paths and pages are loaded
    for turn in range(rounds):
        say(f"Turn {turn + 1} of {rounds} …")
        loads[QUIET].append(_uploads(server, supply, seconds))
        for kind, request in requests.items():
            with Trickle(server.port, slow, request) as trickle:
                loads[kind].append(_uploads(server, supply, seconds))
                ended[kind] += trickle.ended.value
    return loads, ended


def _uploads(server: Photorally, supply: Supply, seconds: float) -> Load:
    return _load.run(
        port=server.port,
        compose=server.compose,
        supply=supply,
        connections=CONNECTIONS,
        seconds=seconds,
        most=100_000,
        limit_s=ANSWER_LIMIT_S,
    )


def _latencies_s(loads: list[Load]) -> list[float]:
    return [latency for load in loads for latency in [*load.latencies_s, *[ANSWER_LIMIT_S] * len(load.refused)]]


def _row(kind: str, loads: list[Load], ended: int) -> dict[str, Any]:
    latencies = _latencies_s(loads)
    return {
        "meanwhile": kind,
        "photos": sum(load.photos for load in loads),
        "refused": sum(len(load.refused) for load in loads),
        "photos_per_s": round(sum(load.photos for load in loads) / sum(load.elapsed_s for load in loads), 1),
        "p50_ms": round(percentile(latencies, 0.50) * 1e3, 1),
        "p99_ms": round(percentile(latencies, 0.99) * 1e3, 1),
        "slow_ended": ended,
    }


def _json_head(server: Photorally, length: int | None) -> bytes:
    head = request_head("POST", "/api/v1/volunteers", server.port, length or 0, Content_Type="application/json")
    return head if length else head.replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")


def _claims(loads: dict[str, list[Load]], slow: int, pushed: dict[str, Pushed]) -> list[dict[str, Any]]:
    quiet = percentile(_latencies_s(loads[QUIET]), 0.99)

    def ratio(kind: str) -> float:
        return percentile(_latencies_s(loads[kind]), 0.99) / quiet

    def refused(kind: str, statuses: set[int]) -> dict[str, Any]:
        one = pushed[kind]
        return {
            "claim": f"a 1-GB JSON body ({kind}) is refused without reading it",
            "value": f"{one.status or 'no answer'} after {one.body_bytes / 1e3:.0f} KB",
            "goal": f"{' or '.join(map(str, sorted(statuses)))} after ≤ {READ_MAX / 1e3:.0f} KB, socket buffers included",
            "holds": one.status in statuses and one.body_bytes <= READ_MAX,
        }

    return [
        *(
            claim(f"p99 of uploads during {slow} {kind}, over quiet", lambda kind=kind: ratio(kind), 2.0, at_least=False)
            for kind in (BODIES, HEADERS)
        ),
        refused("announced", {413}),
        refused("in chunks", {400, 411, 413}),  # no length was announced that could be too large
    ]
