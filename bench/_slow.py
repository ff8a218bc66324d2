"""Connections that send a request a byte a second, and one that sends a body far larger than anybody takes."""

import contextlib
import multiprocessing
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

BODY_STEP = 64 * 2**10  # bytes given to the kernel at a time
SEND_BUFFER = 16 * 2**10  # bytes; a small one, so that what was pushed is about what the server took
ANSWER_LIMIT_S = 30  # seconds
STATUS_BYTES = len(b"HTTP/1.1 413")


class Trickle:
    """`count` connections held open by a process of its own, each sending one byte of its request a second.

    A connection that the server ends is replaced at once, so that there are always `count` of them.
    """

    def __init__(self, port: int, count: int, request: Callable[[], tuple[bytes, bytes]]) -> None:
        """`request` returns what is sent at once, and what follows byte by byte."""
        context = multiprocessing.get_context("fork")
        self.port, self.count, self.request = port, count, request
        self.ended = context.Value("i", 0)
        self.open = context.Event()
        self.over = context.Event()
        self.process = context.Process(target=self._run, daemon=True)

    def __enter__(self) -> "Trickle":
        self.process.start()
        self.open.wait(ANSWER_LIMIT_S)
        return self

    def __exit__(self, *error: Any) -> None:
        self.over.set()
        self.process.join(10)
        if self.process.is_alive():
            self.process.kill()

    def _run(self) -> None:
        lines = [self._connect() for _ in range(self.count)]
        while not self.over.wait(1.0):
            for at, (line, rest) in enumerate(lines):
                if not self._one_byte(line, rest):
                    line.close()
                    with self.ended.get_lock():
                        self.ended.value += 1
                    with contextlib.suppress(OSError):
                        lines[at] = self._connect()
            self.open.set()  # every connection has sent a byte: the server knows them all

    def _connect(self) -> tuple[socket.socket, Any]:
        line = socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_LIMIT_S)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        at_once, rest = self.request()
        line.sendall(at_once)
        line.setblocking(False)
        return line, iter(rest)

    def _one_byte(self, line: socket.socket, rest: Any) -> bool:
        """Whether the server still wants more."""
        with contextlib.suppress(BlockingIOError):
            try:
                line.recv(BODY_STEP)
                return False  # an answer, or the end: either way the server has had enough
            except BlockingIOError:
                line.send(bytes([next(rest, 0)]))
            except OSError:
                return False
        return True


@dataclass(frozen=True)
class Pushed:
    """`status` of the answer (0: none came), and the bytes of the body that the kernel took before it arrived."""

    status: int
    body_bytes: int
    seconds: float


def push(port: int, head: bytes, body_bytes: int, *, chunked: bool = False) -> Pushed:
    """Send `head` and zeros as fast as the server takes them, up to `body_bytes`, until an answer arrives.

    The bytes counted include what lies in the socket buffers of both ends: some 100 KB more than the server read.
    """
    step = b"%x\r\n%b\r\n" % (BODY_STEP, bytes(BODY_STEP)) if chunked else bytes(BODY_STEP)
    began, pushed, data, ended = time.perf_counter(), 0, b"", False
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        line.connect(("127.0.0.1", port))
        line.sendall(head)
        line.setblocking(False)
        left = memoryview(step)
        while len(data) < STATUS_BYTES and not ended and time.perf_counter() - began < ANSWER_LIMIT_S:
            wants = [line] if pushed < body_bytes and not data else []
            readable, writable, _ = select.select([line], wants, [], 0.05)
            try:
                if readable:
                    more = line.recv(STATUS_BYTES - len(data))
                    data, ended = data + more, not more
                elif writable:
                    sent = line.send(left)
                    pushed += sent
                    left = left[sent:] or memoryview(step)
            except OSError:  # the server closed without having read everything
                ended = True
    status = int(data[9:12]) if len(data) == STATUS_BYTES else 0
    return Pushed(status, pushed, time.perf_counter() - began)
