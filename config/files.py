"""Whole files: what is written is there to the last byte, also after a power cut, or not at all."""

import os
import uuid
from pathlib import Path

PART = ".part"  # the end of a name that is not finished; whoever lists a folder may remove old ones


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to `path`, readable by its owner only. Its folder must exist. Raises OSError, and then left nothing."""
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}{PART}")  # two writers of one name must not mix
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0) as file:
            rest = memoryview(data)
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        part.rename(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the rename itself survives a power cut
    finally:
        os.close(folder)
