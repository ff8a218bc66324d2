"""PHONE: what it keeps, written whole or not at all."""

from pathlib import Path


def replace(path: Path, data: bytes) -> None:
    """Have `data` at `path` in one step: whoever reads it meanwhile, or after a crash, finds the old or the new, never half."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.rename(path)
