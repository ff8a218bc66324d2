"""Where the bytes of a zip that somebody imports lie until it is taken apart: pieces in the private part of the store."""

import io
from uuid import UUID

from django.conf import settings

from collector.storage import store


def key_of(job_id: UUID, number: int) -> str:
    """The store's key of one piece of an import's zip. Nothing serves this kind to anybody."""
    return f"imports/{job_id.hex}{number:08x}"


class Pieces(io.RawIOBase):
    """The pieces of a job's zip as one file to read and seek in. One piece is in memory at a time, whatever the zip's size.

    Raises MissingObject where a piece is gone.
    """

    def __init__(self, job_id: UUID, length: int) -> None:
        self._job, self._length, self._at = job_id, length, 0
        self._number, self._piece = -1, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        if at < 0:
            raise ValueError("before the beginning")
        self._at = at
        return at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed's buffer type has no name at run time
        number, within = divmod(self._at, settings.IMPORT_PIECE_BYTES)
        if self._at >= self._length:
            return 0
        if number != self._number:
            self._number, self._piece = number, store().get(key_of(self._job, number))
        part = self._piece[within : within + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)
