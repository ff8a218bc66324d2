"""Phones without a screen: they read manifests and files over kept-alive connections and check every answer as a phone does."""

import contextlib
import hashlib
import json
import multiprocessing
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from bench import _load
from bench.peers.base import request_head
from clients import encodings
from clients.manifest import TYPE, Offer, judge
from clients.signatures import Envelope
from clients.trust import Trust

APP = "1.0"
KEYS = "/.well-known/photorally-keys.json"


def get(connection: socket.socket, port: int, path: str, **headers: str) -> tuple[int, bytes, bool]:
    """Status, body, whether the connection stays."""
    _load.send(connection, (request_head("GET", path, port, 0, **headers),))
    return _load.receive(connection)


def undone(encoded: bytes, base: bytes) -> bytes:
    """The file that a `dcz` body gives to a phone with `base`. Raises BadEncoding."""
    return b"".join(encodings.undone("dcz", iter([encoded]), base))


@dataclass
class Reader:
    """One phone: the newest offer it has verified, and that offer's file."""

    port: int
    slug: str
    keys: dict[str, Any]
    rng: random.Random
    have: Offer | None = None
    etag: str = ""
    file: bytes = b""
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.connection = _load.connect(self.port)
        _, self.signers = Trust.pinned(self.keys["root"]).follow(self.keys, clock=time.time())

    def ask(self, path: str, **headers: str) -> tuple[int, bytes]:
        if self.rng.random() < 0.05:  # another connection may reach another worker process
            self.connection.close()
            self.connection = _load.connect(self.port)
        status, body, stays = get(self.connection, self.port, path, **headers)
        if not stays:
            self.connection.close()
            self.connection = _load.connect(self.port)
        return status, body

    def manifest(self) -> None:
        """Raises a Refused, or AssertionError, where the answer must not be trusted."""
        known = {"If_None_Match": self.etag} if self.etag else {}
        status, token = self.ask(f"/api/v1/recognizers/{self.slug}/manifest", **known)
        self.counts[f"manifest {status}"] += 1
        if status == 304 and known:
            return
        assert status == 200, status
        now, envelope = time.time(), Envelope.read(token.decode(), TYPE)
        offer = Offer.of(envelope.open(self.signers.signer(envelope.kid, now=now)))
        judge(offer, recognizer=self.slug, channel="stable", app=APP, now=now, have=self.have)
        self.have, self.etag = offer, f'"{hashlib.sha256(token).hexdigest()}"'

    def blob(self) -> None:
        """The file of the newest offer, as a delta where one is there. Raises AssertionError, BadEncoding."""
        assert self.have is not None
        asks = {}
        if self.file and self.rng.random() < 0.7:
            asks = {name.replace("-", "_"): value for name, value in encodings.wanted(self.file).items()}
            asks["Accept_Encoding"] = "dcz"
        status, body = self.ask(urlsplit(self.have.url).path, **asks)
        assert status == 200, status
        encoded = bool(asks) and body.startswith(encodings.DCZ_MAGIC)
        self.counts["blob dcz" if encoded else "blob plain"] += 1
        if encoded:
            body = undone(body, self.file)
        assert (len(body), hashlib.sha256(body).hexdigest()) == (self.have.bytes, self.have.sha256)
        self.file = body


def _read(port: int, slug: str, keys: dict[str, Any], seed: int, progress: Any, most: int) -> tuple[Counter[str], list[str]]:
    """One reader until `most` answers were read by all; its counts, and what was wrong with answers."""
    reader, wrong = Reader(port, slug, keys, random.Random(seed)), []
    while True:
        with progress.get_lock():
            if progress.value >= most:
                return reader.counts, wrong
            progress.value += 1
        try:
            reader.manifest() if reader.have is None or reader.rng.random() < 0.5 else reader.blob()
        except Exception as error:  # whatever it is, this answer does not verify
            wrong.append(f"{type(error).__name__}: {error}")
            with contextlib.suppress(OSError):
                reader.connection.close()
            reader.connection = _load.connect(port)


class Readers:
    """`processes` × `threads` readers that run until `most` manifests and files were read."""

    def __init__(self, port: int, slug: str, *, processes: int, threads: int, most: int, seed: int) -> None:
        context = multiprocessing.get_context("fork")
        self.most, self.progress, self.results = most, context.Value("q", 0), context.Queue()
        with _load.connect(port) as connection:
            keys = json.loads(get(connection, port, KEYS)[1])
        work: Callable[[int], tuple[Counter[str], list[str]]] = lambda n: _read(  # noqa: E731
            port, slug, keys, seed + n, self.progress, most
        )
        self.processes = [
            context.Process(target=self._process, args=(work, range(at * threads, (at + 1) * threads)), daemon=True)
            for at in range(processes)
        ]
        for process in self.processes:
            process.start()

    def _process(self, work: Callable[[int], tuple[Counter[str], list[str]]], numbers: range) -> None:
        threads = [threading.Thread(target=lambda n=n: self.results.put(work(n)), daemon=True) for n in numbers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.results.close()
        self.results.join_thread()

    def alive(self) -> bool:
        return any(process.is_alive() for process in self.processes)

    def outcome(self, readers: int) -> tuple[Counter[str], list[str]]:
        """All counts, and everything that was wrong."""
        counts, wrong = Counter[str](), list[str]()
        for _ in range(readers):
            found, bad = self.results.get(timeout=600)
            counts += found
            wrong += bad
        for process in self.processes:
            process.join(10)
        return counts, wrong


def rate(port: int, path: str, *, connections: int, seconds: float, headers: dict[str, str], status: int) -> float:
    """Requests per second over kept-alive connections, from a process of its own. Raises RuntimeError for another status."""
    context = multiprocessing.get_context("fork")
    queue = context.Queue()

    def one(until: float, found: list[int]) -> None:
        count = 0
        with _load.connect(port) as connection:
            while time.monotonic() < until:
                got, _, stays = get(connection, port, path, **headers)
                if got != status or not stays:
                    return  # counted as nothing: the sum below is short by this sender
                count += 1
        found.append(count)

    def process() -> None:
        found: list[int] = []
        until = time.monotonic() + seconds
        threads = [threading.Thread(target=one, args=(until, found)) for _ in range(connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        queue.put(found)

    child = context.Process(target=process, daemon=True)
    child.start()
    found = queue.get(timeout=seconds + 120)
    child.join()
    if len(found) != connections:
        raise RuntimeError(f"{path} answered otherwise than {status}.")
    return sum(found) / seconds
