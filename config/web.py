"""How the web process treats connections: gunicorn's threads, with patience that ends.

Each request has a thread of its own while its bytes arrive, so that what arrived before a connection broke can be kept. A
thread that waits costs little, but not nothing: whoever sends slower than any phone on any network is cut off, in the headers
as well as in the body.
"""

import ctypes
import errno
import socket
import time
from typing import Any

from gunicorn.http.body import Body, LengthReader
from gunicorn.http.message import Request
from gunicorn.http.parser import _DRAIN_MAX_BYTES  # gunicorn reads less than so much of an unread body to keep a connection
from gunicorn.util import close_graceful
from gunicorn.workers.gthread import TConn, ThreadWorker

SILENCE_S = 30  # seconds between two packets; a phone that changes from Wi-Fi to mobile is back sooner
GRACE_S = 20  # seconds of waiting for the client that are free in each request: a handshake of networks, a pause
SEND_BYTES = 256 * 2**10  # bytes handed to the kernel at a time; what it takes of them counts as moved
DIRECT_BYTES = 16 * 2**10  # bytes; smaller reads go through gunicorn's buffer
KEPT_BYTES = 128 * 2**20  # bytes of freed memory that a worker keeps for the next photos instead of giving them back
LEAST_BYTES_PER_S = 500  # after that, on average; GPRS, the slowest network that carries a photo at all, gives 2,000


class PacedSocket(socket.socket):
    """A client's socket that counts how long the current request kept us waiting, and ends what is too slow.

    Its errors are ConnectionResetError, as if the client had left: to gunicorn and to us that means the same.
    """

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self.begin_request()

    def begin_request(self) -> None:
        self._waited_s, self._moved = 0.0, 0

    def setblocking(self, flag: bool, /) -> None:
        """gunicorn says "blocking" where it reads a request; a client that says nothing must not hold its thread for ever."""
        self.settimeout(SILENCE_S if flag else 0.0)

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        started = time.monotonic()
        try:
            data = super().recv(size, flags)
        except TimeoutError:
            raise _silent() from None
        self._moved += len(data)
        self._waited_since(started)
        return data

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Piece by piece: Python's own sendall() wants the whole answer gone within one timeout, a model takes minutes."""
        rest = memoryview(data)
        while rest:
            started = time.monotonic()
            try:
                sent = self.send(rest[:SEND_BYTES], flags)
            except TimeoutError:
                raise _silent() from None
            self._moved += sent
            self._waited_since(started)
            rest = rest[sent:]

    def _waited_since(self, started: float) -> None:
        """Raises ConnectionResetError where too little has moved for the time that we waited."""
        self._waited_s += time.monotonic() - started
        if self._moved < (self._waited_s - GRACE_S) * LEAST_BYTES_PER_S:
            raise ConnectionResetError(errno.ECONNRESET, f"{self._moved} bytes in {self._waited_s:.0f} s")


def _silent() -> ConnectionResetError:
    return ConnectionResetError(errno.ECONNRESET, f"nothing moved for {SILENCE_S} s")


def keep_freed_memory() -> None:
    """Let the C library keep what it frees, see malloc's M_MMAP_THRESHOLD, M_TRIM_THRESHOLD and M_ARENA_MAX (mallopt(3)).

    As it comes, glibc fetches each buffer of a photo from the kernel and gives it back: a page fault every 4 KB, in every copy.
    Measured with uploads of 2 MB: 6 of 24 ms of CPU were the kernel's. Other C libraries have no mallopt: then nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    # -8: one arena for all threads, whom the interpreter's lock serves one by one anyway; -3: heap instead of mmap up to 32 MB,
    # the most that glibc takes; -1: give back to the kernel only what exceeds this.
    for option, value in ((-8, 1), (-3, 32 * 2**20), (-1, KEPT_BYTES)):
        mallopt(option, value)


class DirectBody(Body):
    """A body of known length whose large reads come straight from the socket; gunicorn's own copies each byte five times."""

    def read(self, size: int | None = None) -> bytes:
        size = self.getsize(size)
        if self.buf.tell() or size < DIRECT_BYTES:  # the rest of a readline(), or too little to be worth it
            return super().read(size)
        unreader, left = self.reader.unreader, min(size, self.reader.length)
        ahead = unreader.take_buffered()  # what came together with the headers
        unreader.unread(ahead[left:])
        pieces = [ahead[:left]] if ahead else []
        left -= len(ahead[:left])
        try:
            while left and (piece := unreader.sock.recv(left)):
                pieces.append(piece)
                left -= len(piece)
        except OSError:
            self.failed = True  # where the next request begins is unknown: gunicorn closes the connection
            raise
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.reader.length -= len(data)
        return data


class Worker(ThreadWorker):
    """gunicorn's gthread with paced sockets; what may take long happens in the request's own thread."""

    def init_process(self) -> None:
        keep_freed_memory()
        super().init_process()

    def handle(self, conn: TConn) -> Any:
        if not isinstance(conn.sock, PacedSocket):
            conn.sock = PacedSocket(conn.sock)
        conn.sock.begin_request()
        keep = super().handle(conn)
        if keep is False:
            # gunicorn would linger up to two seconds for the client's own close in the one thread that accepts connections.
            close_graceful(conn.sock)
        return keep


def prepare(request: Request, *, most: int) -> None:
    """Before the application sees it: a body that nobody will take is neither invited nor read to keep the connection."""
    reader = request.body.reader
    if type(reader) is LengthReader:
        request.body = DirectBody(reader)
        said = request.should_close
        # An answer that leaves so much unread ends the connection and has to say so: else the next request is sent into it.
        request.should_close = lambda: said() or reader.length >= _DRAIN_MAX_BYTES
    headers = dict(request.headers)
    if int(headers.get("CONTENT-LENGTH", "0")) > most or "TRANSFER-ENCODING" in headers:  # gunicorn has checked the number
        request.force_close()
        request._expected_100_continue = False  # "100 Continue" would invite it
