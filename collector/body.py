"""INTAKE: a photo's body comes in, counted and hashed as it arrives, within limits of length, memory and patience."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from django.conf import settings

from collector.errors import EmptyBody, LengthMismatch, LengthRequired, PhotoTooLarge, TooBusy
from config.bodies import lend_connection_back
from config.errors import BodyBroken

# Bytes asked for at a time. gunicorn keeps what it has read ahead in one buffer and copies it at every read: smaller pieces of
# a large photo cost more than hashing it.
CHUNK = 2**20


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Room:
    """How many bytes of bodies this process holds. Counted as they arrive: who announces much and sends slowly takes little."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held = 0

    def take(self, size: int) -> None:
        """Raises TooBusy where `size` bytes more would pass BODIES_MAX_BYTES."""
        with self._lock:
            if self._held + size > settings.BODIES_MAX_BYTES:
                raise TooBusy("Send it again a little later.", retry_after_s=settings.BODIES_RETRY_S)
            self._held += size

    def give_back(self, size: int) -> None:
        with self._lock:
            self._held -= size


room = Room()


def announced(declared: str | None, *, most: int) -> int:
    """The body's length in bytes, by its header. Raises LengthRequired, PhotoTooLarge, EmptyBody; nothing was read then."""
    if declared is None or not (declared.isascii() and declared.isdecimal()):
        raise LengthRequired("Photos are not taken in chunks: send Content-Length.")
    if len(declared) > len(str(most)) or int(declared) > most:
        raise PhotoTooLarge(f"At most {most} bytes are taken, {declared[:20]} were announced.", most=most)
    if int(declared) == 0:
        raise EmptyBody("Send the photo's bytes as the body.")
    return int(declared)


@contextmanager
def whole_body(stream: Readable, declared: str | None) -> Iterator[tuple[bytes, str]]:
    """Exactly the declared length, and its SHA-256 (hex); the memory counts as taken until the block ends.

    The body stays in memory, at most PHOTO_MAX_BYTES: metadata such as the location never touches a disk.
    Raises what `announced` raises, LengthMismatch, BodyBroken, TooBusy.
    """
    length = announced(declared, most=settings.PHOTO_MAX_BYTES)
    lend_connection_back()
    digest, pieces, received = hashlib.sha256(), [], 0
    try:
        while received < length:
            piece = _read(stream, min(CHUNK, length - received), received, length)
            room.take(len(piece))
            received += len(piece)
            digest.update(piece)
            pieces.append(piece)
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        del pieces, piece
        yield body, digest.hexdigest()
    finally:
        room.give_back(received)


def _read(stream: Readable, size: int, received: int, length: int) -> bytes:
    try:
        piece = stream.read(size)
    except OSError as error:  # the connection broke, or config.web lost its patience with it
        raise BodyBroken(f"{received} of {length} bytes came. Send it again.") from error
    if not piece:
        raise LengthMismatch(f"{length} bytes were announced, {received} came. Send it again.")
    return piece
