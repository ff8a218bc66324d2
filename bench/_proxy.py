"""A bad network: a TCP proxy that loses answers and cuts requests, by a seeded choice for each connection."""

import contextlib
import multiprocessing
import random
import socket
import struct
import threading
from multiprocessing.connection import Connection
from typing import Any

CHUNK = 64 * 2**10  # bytes passed on at a time
PATIENCE_S = 30  # seconds without a byte in either direction after which a connection is given up
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close() sends RST, as a phone's network does that went away


class BadNetwork:
    """Listens on `port`; every connection carries one request. A process of its own; `stop()` returns what it did."""

    def __init__(self, upstream: int, *, drop: float, cut: float, longest: int, seed: int) -> None:
        """`drop`, `cut`: shares 0…1 of connections. `longest`: bytes after which a request is cut at the latest."""
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self.listener.getsockname()[1]
        self.upstream, self.drop, self.cut, self.longest, self.seed = upstream, drop, cut, longest, seed
        context = multiprocessing.get_context("fork")
        self.control, theirs = context.Pipe()
        self.process = context.Process(target=self._serve, args=(theirs,), daemon=True)
        self.process.start()
        self.listener.close()

    def stop(self) -> dict[str, int]:
        """Stop listening; returns how many connections were passed, dropped, cut, ended by the server, or found none."""
        self.control.send("stop")
        counts: dict[str, int] = self.control.recv()
        self.process.join(5)
        return counts

    def _serve(self, control: "Connection[Any, Any]") -> None:
        self.counts = {"passed": 0, "answers dropped": 0, "requests cut": 0, "no answer": 0, "no server": 0}
        self.lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()
        control.recv()
        control.send(self.counts)

    def _accept(self) -> None:
        rng = random.Random(self.seed)
        while True:
            phone, _ = self.listener.accept()
            draw = rng.random()
            fate = "drop" if draw < self.drop else "cut" if draw < self.drop + self.cut else "pass"
            cut_after = rng.randrange(self.longest) if fate == "cut" else 0
            threading.Thread(target=self._carry, args=(phone, fate, cut_after), daemon=True).start()

    def _count(self, what: str) -> None:
        with self.lock:
            self.counts[what] += 1

    def _carry(self, phone: socket.socket, fate: str, cut_after: int) -> None:
        with phone, contextlib.suppress(OSError):
            phone.settimeout(PATIENCE_S)
            try:
                server = socket.create_connection(("127.0.0.1", self.upstream), timeout=PATIENCE_S)
            except OSError:
                self._count("no server")
                return
            with server:
                if fate == "cut":
                    self._cut(phone, server, cut_after)
                    return
                threading.Thread(target=self._forward, args=(phone, server), daemon=True).start()
                answer = server.recv(CHUNK)  # from here on the server has decided
                if fate == "drop" and answer:
                    self._count("answers dropped")
                    # Not close(): the thread that waits in recv() would keep the connection open.
                    phone.shutdown(socket.SHUT_RDWR)
                    return
                self._count("passed" if answer else "no answer")
                while answer:
                    phone.sendall(answer)
                    answer = server.recv(CHUNK)
                phone.shutdown(socket.SHUT_RDWR)

    def _cut(self, phone: socket.socket, server: socket.socket, after: int) -> None:
        self._count("requests cut")
        while after > 0 and (data := phone.recv(min(CHUNK, after))):
            server.sendall(data)
            after -= len(data)
        for end in (phone, server):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    def _forward(self, phone: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := phone.recv(CHUNK):
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)  # the phone has left: the server need not keep the connection
