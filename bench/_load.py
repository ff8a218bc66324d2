"""The senders: one process of its own, a blocking connection per thread, bodies that lie ready and are never copied."""

import contextlib
import multiprocessing
import resource
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench._photos import Supply

ANSWER_LIMIT_S = 120  # seconds a server may take for one answer; far above anything measured
HEAD_MAX_BYTES = 64 * 2**10  # bytes of an answer's head

Pieces = tuple[bytes, ...]
# From the pieces of a photo and the number of the request: the whole HTTP request, in pieces.
Compose = Callable[[Pieces, int], Pieces]


class Cut(ConnectionError):
    """The connection ended before the answer did."""


@dataclass(frozen=True)
class Load:
    """What a cell measured. `latencies_s` has one entry per photo that was acknowledged; `refused` the other answers' texts."""

    elapsed_s: float
    latencies_s: list[float]
    sender_cpu_s: float
    refused: list[str]

    @property
    def photos(self) -> int:
        return len(self.latencies_s)


def connect(port: int, limit_s: float = ANSWER_LIMIT_S) -> socket.socket:
    """A blocking connection; the kernel keeps the time limit, so that a large body leaves in one system call."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.settimeout(None)
    limit = struct.pack("ll", int(limit_s), int(limit_s % 1 * 1e6))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def send(connection: socket.socket, pieces: Pieces) -> None:
    """All pieces, by as few system calls as the kernel allows."""
    views = [memoryview(piece) for piece in pieces]
    while views:
        sent = connection.sendmsg(views)
        while views and sent >= len(views[0]):
            sent -= len(views.pop(0))
        if views:
            views[0] = views[0][sent:]


def receive(connection: socket.socket) -> tuple[int, bytes, bool]:
    """One answer: status, body, and whether the connection stays. Raises Cut."""
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        more = connection.recv(HEAD_MAX_BYTES)
        if not more or len(data) > HEAD_MAX_BYTES:
            raise Cut(f"after {len(data)} bytes of an answer")
        data += more
    head, body = data[:end].lower(), data[end + 4 :]
    status = int(head[9:12])
    stays = b"\r\nconnection: close" not in head
    if b"\r\ntransfer-encoding: chunked" in head:
        while not body.endswith(b"0\r\n\r\n"):
            body += _more(connection)
        return status, body, stays
    at = head.find(b"\r\ncontent-length:")
    length = int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
    while len(body) < length:
        body += _more(connection)
    return status, body, stays


def _more(connection: socket.socket) -> bytes:
    more = connection.recv(HEAD_MAX_BYTES)
    if not more:
        raise Cut("within an answer's body")
    return more


class _Senders:
    """`connections` threads that send photos, each on its own kept-alive connection, until time or photos run out."""

    def __init__(self, port: int, compose: Compose, supply: Supply, seconds: float, most: int, limit_s: float) -> None:
        self.port, self.compose, self.supply, self.most = port, compose, supply, most
        self.seconds, self.limit_s, self.started = seconds, limit_s, 0.0
        self.sent, self.lock = 0, threading.Lock()
        self.latencies: list[float] = []
        self.refused: list[str] = []

    def _another(self) -> bool:
        with self.lock:
            over = self.sent >= self.most or time.perf_counter() - self.started > self.seconds
            self.sent += not over
            return not over

    def _one_sender(self, gate: threading.Barrier) -> None:
        try:
            connection = connect(self.port, self.limit_s)
        except OSError as error:
            self.refused.append(f"{type(error).__name__}: {error}")
            gate.abort()
            return
        with contextlib.suppress(threading.BrokenBarrierError):  # `run` tells of it
            gate.wait()
        try:
            while self._another():
                number, photo = self.supply.take()
                request = self.compose(photo, number)
                began = time.perf_counter()
                send(connection, request)
                status, body, stays = receive(connection)
                if status == 201:
                    self.latencies.append(time.perf_counter() - began)
                else:
                    self.refused.append(f"{status}: {body[:300]!r}")
                if not stays:
                    connection.close()
                    connection = connect(self.port, self.limit_s)
        except OSError as error:
            self.refused.append(f"{type(error).__name__}: {error}")
        finally:
            connection.close()

    def _start_clock(self) -> None:
        self.started = time.perf_counter()

    def run(self, connections: int) -> Load:
        gate = threading.Barrier(connections + 1, action=self._start_clock)  # when all are connected
        threads = [threading.Thread(target=self._one_sender, args=(gate,), daemon=True) for _ in range(connections)]
        for thread in threads:
            thread.start()
        before = resource.getrusage(resource.RUSAGE_SELF)
        try:
            gate.wait(ANSWER_LIMIT_S)
        except threading.BrokenBarrierError:
            raise RuntimeError(f"Not every sender could connect: {self.refused[:1]}") from None
        for thread in threads:
            thread.join()
        elapsed = time.perf_counter() - self.started
        after = resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Load(elapsed, self.latencies, cpu, self.refused)


def _in_child(pipe: Any, senders: _Senders, connections: int) -> None:
    with contextlib.closing(pipe):
        try:
            pipe.send(senders.run(connections))
        except Exception as error:  # whatever it was, the parent must hear it instead of waiting
            pipe.send(error)


def run(
    *,
    port: int,
    compose: Compose,
    supply: Supply,
    connections: int,
    seconds: float,
    most: int,
    limit_s: float = ANSWER_LIMIT_S,
) -> Load:
    """Send photos over `connections` connections for `seconds`, at most `most` of them, from a process of its own.

    Every answer but 201 is a refusal; a connection that breaks, or waits `limit_s` for an answer, ends its sender. A photo is
    never sent twice from one supply.
    """
    context = multiprocessing.get_context("fork")  # the photos are shared with the child instead of being sent to it
    ours, theirs = context.Pipe()
    senders = _Senders(port, compose, supply, seconds, most, limit_s)
    child = context.Process(target=_in_child, args=(theirs, senders, connections), daemon=True)
    child.start()
    theirs.close()
    try:
        result = ours.recv()
    except EOFError:
        raise RuntimeError("The senders died.") from None
    finally:
        child.join(5)
        if child.is_alive():
            child.kill()
    if isinstance(result, Exception):
        raise result
    supply.skip(most)
    return result
