"""Whole files: what is written is there to the last byte, also after a power cut, or not at all."""

import errno
import fcntl
import mmap
import os
import uuid
from collections import deque
from pathlib import Path

PART = ".part"  # the end of a name that is not finished; whoever lists a folder may remove old ones
PAGE = 4096  # bytes; what direct writes are aligned to, in memory and in the file
DIRECT_LEAST = 2**18  # bytes; smaller files, such as thumbnails, are soon read and belong in the cache
DIRECT_BUFFER = 4 * 2**20  # bytes of an aligned buffer; nearly every photo fits

_buffers: deque[mmap.mmap] = deque(maxlen=4)  # kept for the next files: 16 MiB of a process


def write_whole(path: Path, data: bytes) -> None:
    """Have `data` at `path`, readable by its owner only, with a time of now. Its folder must exist.

    What is there already stays if it is the same, and is replaced in one step if not. Raises OSError, and then changed nothing.

    A new name comes before the one fsync, which on common file systems takes both to the disk in one journal commit (two cost
    a fifth of an upload's time). So a power cut in this moment may leave an empty or torn file under a name that nobody was
    told of; that is why what is there already is compared.
    """
    part = Path(f"{path}.{uuid.uuid4().hex}{PART}")  # two writers of one name must not mix
    file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        rest = memoryview(data)[_written_directly(file, data) :]
        while rest:
            rest = rest[os.write(file, rest) :]
        try:
            os.link(part, path)  # rename() would replace what a rival has written, and told somebody of
        except FileExistsError:
            if not _is_whole(path, data):
                os.fsync(file)
                part.rename(path)
        else:
            try:
                os.fsync(file)
            except BaseException:
                path.unlink()
                raise
        _folder_to_disk(path.parent)
    finally:
        os.close(file)
        part.unlink(missing_ok=True)


def _is_whole(path: Path, data: bytes) -> bool:
    """Whether `path` holds exactly `data`; if so, it is on the disk now and as young as a file written now."""
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:  # deleted meanwhile
        return False
    try:
        if os.fstat(file).st_size != len(data) or os.pread(file, len(data), 0) != data:
            return False
        os.utime(file)
        os.fsync(file)  # whoever wrote it may not have come so far yet
    finally:
        os.close(file)
    return True


def _folder_to_disk(path: Path) -> None:
    """POSIX promises a new name no earlier; where the file's fsync wrote it, there is little left to do."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _written_directly(file: int, data: bytes) -> int:
    """Write whole pages of large data past the kernel's cache; returns how many bytes, 0 where the file system cannot.

    What comes in all day is read once more, if at all: in the cache it would only drive out what is read often. And on a
    virtual machine fresh pages for it have to be fetched from the host: 2.3 MB took 10 ms of CPU to write and sync that way,
    and take 1 ms this way.
    """
    if len(data) < DIRECT_LEAST or not hasattr(os, "O_DIRECT"):  # macOS has none
        return 0
    flags = fcntl.fcntl(file, fcntl.F_GETFL)
    try:
        fcntl.fcntl(file, fcntl.F_SETFL, flags | os.O_DIRECT)
    except OSError:
        return 0
    try:
        buffer = _buffers.pop()
    except IndexError:
        buffer = mmap.mmap(-1, DIRECT_BUFFER)
    source, done = memoryview(data), 0
    try:
        while done + PAGE <= len(data) and done % PAGE == 0:  # a write that was cut short ends it: the rest is not aligned
            size = min(DIRECT_BUFFER, (len(data) - done) // PAGE * PAGE)
            buffer[:size] = source[done : done + size]
            with memoryview(buffer) as view, view[:size] as filled:
                done += os.write(file, filled)
    except OSError as error:
        if error.errno != errno.EINVAL:  # "cannot" may be said as late as here
            raise
    finally:
        fcntl.fcntl(file, fcntl.F_SETFL, flags)
        _buffers.append(buffer)
    return done
