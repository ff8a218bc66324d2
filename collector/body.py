"""INTAKE: a photo's body comes in, counted as it arrives, within limits of length, memory and patience."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from django.conf import settings

from collector.errors import EmptyBody, LengthMismatch, LengthRequired, PhotoTooLarge, TooBusy
from config.database import lend_connection_back
from config.errors import BodyBroken

CHUNK = 256 * 2**10  # bytes asked for at a time: they fit a core's cache, and a phone that sends slowly holds no more than this


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
def whole_body(stream: Readable, declared: str | None, *, most: int | None = None) -> Iterator[bytes]:
    """Exactly the declared length; the memory counts as taken until the block ends.

    The body stays in memory, at most `most` bytes (PHOTO_MAX_BYTES): metadata such as the location never touches a disk.
    Raises what `announced` raises, LengthMismatch, BodyBroken, TooBusy.
    """
    length = announced(declared, most=most or settings.PHOTO_MAX_BYTES)
    with _held(stream, length) as (body, broken):
        if broken:
            raise BodyBroken(f"{len(body)} of {length} bytes came. Send it again.")
        if len(body) < length:
            raise LengthMismatch(f"{length} bytes were announced, {len(body)} came. Send it again.")
        yield body


@contextmanager
def prefix_of_body(stream: Readable, length: int) -> Iterator[bytes]:
    """Up to `length` bytes: what came before the connection broke, for an upload that goes on later. Raises TooBusy."""
    with _held(stream, length) as (body, _):
        yield body


@contextmanager
def _held(stream: Readable, length: int) -> Iterator[tuple[bytes, bool]]:
    """What comes of `length` bytes, and whether an error ended it; the room is given back when the block ends."""
    lend_connection_back()
    pieces: list[bytes] = []
    received, broken = 0, False
    try:
        while received < length:
            try:
                piece = stream.read(min(CHUNK, length - received))
            except OSError:  # the connection broke, or config.web lost its patience with it
                broken = True
                break
            if not piece:
                break
            room.take(len(piece))
            received += len(piece)
            pieces.append(piece)
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        yield body, broken
    finally:
        room.give_back(received)
