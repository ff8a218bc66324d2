"""Whole files: what is written is there to the last byte, or not at all."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config import files
from config.files import DIRECT_BUFFER, DIRECT_LEAST, PAGE, write_whole

SIZES = [
    0,
    1,
    PAGE,
    DIRECT_LEAST - 1,
    DIRECT_LEAST,
    DIRECT_LEAST + 1,
    DIRECT_LEAST + PAGE,
    DIRECT_BUFFER,
    DIRECT_BUFFER + PAGE - 1,
    2 * DIRECT_BUFFER + 5 * PAGE + 17,
]


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("size", SIZES)
def test_every_byte_arrives_whatever_the_size(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    write_whole(tmp_path / "photo", data)
    assert (tmp_path / "photo").read_bytes() == data
    assert stat.S_IMODE((tmp_path / "photo").stat().st_mode) == 0o600
    assert left(tmp_path) == ["photo"]


@pytest.mark.parametrize("taken", [1, PAGE - 1, PAGE, DIRECT_LEAST + 1])
def test_a_kernel_that_takes_less_than_it_is_given_loses_nothing(tmp_path: Path, monkeypatch: Any, taken: int) -> None:
    write = os.write
    monkeypatch.setattr(files.os, "write", lambda file, data: write(file, bytes(data[: max(taken, len(data) // 3)])))
    data = os.urandom(DIRECT_LEAST + 3 * PAGE + 5)
    write_whole(tmp_path / "photo", data)
    assert (tmp_path / "photo").read_bytes() == data


def without_direct_open(monkeypatch: Any) -> None:
    def refuse(file: int, command: int, *value: int) -> int:
        if value and value[0] & os.O_DIRECT:
            raise OSError(errno.EINVAL, "Invalid argument")
        return fcntl(file, command, *value)

    fcntl = files.fcntl.fcntl
    monkeypatch.setattr(files.fcntl, "fcntl", refuse)


def without_direct_write(monkeypatch: Any) -> None:
    def refuse(file: int, data: Any) -> int:
        if files.fcntl.fcntl(file, files.fcntl.F_GETFL) & os.O_DIRECT:
            raise OSError(errno.EINVAL, "Invalid argument")
        return write(file, data)

    write = os.write
    monkeypatch.setattr(files.os, "write", refuse)


@pytest.mark.parametrize("refuse", [without_direct_open, without_direct_write])
def test_a_file_system_without_direct_writes_gets_ordinary_ones(
    tmp_path: Path, monkeypatch: Any, refuse: Callable[[Any], None]
) -> None:
    refuse(monkeypatch)
    data = os.urandom(DIRECT_LEAST + 7)
    write_whole(tmp_path / "photo", data)
    assert (tmp_path / "photo").read_bytes() == data


@pytest.mark.parametrize("call", ["write", "fsync", "link"])
@pytest.mark.parametrize("size", [5, DIRECT_LEAST + 5])
def test_a_disk_that_is_full_leaves_nothing(tmp_path: Path, monkeypatch: Any, call: str, size: int) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, call, full)
    with pytest.raises(OSError, match="space"):
        write_whole(tmp_path / "photo", os.urandom(size))
    assert left(tmp_path) == []


@pytest.mark.parametrize("torn", [b"", b"a photo, cut", b"a photo, whole\x00", b"a photo, WHOLE"])
def test_what_a_power_cut_left_under_the_name_is_replaced(tmp_path: Path, torn: bytes) -> None:
    (tmp_path / "photo").write_bytes(torn)
    write_whole(tmp_path / "photo", b"a photo, whole")
    assert (tmp_path / "photo").read_bytes() == b"a photo, whole"
    assert left(tmp_path) == ["photo"]


def test_the_same_bytes_again_change_nothing_but_the_time(tmp_path: Path) -> None:
    path = tmp_path / "photo"
    write_whole(path, b"a photo")
    before = path.stat().st_ino
    os.utime(path, (0, 0))
    write_whole(path, b"a photo")
    assert path.stat().st_ino == before and path.stat().st_mtime > 0
    assert left(tmp_path) == ["photo"]


def test_the_file_and_its_name_are_on_the_disk_before_anybody_is_told(tmp_path: Path, monkeypatch: Any) -> None:
    """A power cut cannot be made here: what can be seen is that both were asked for, after the name was there."""
    synced: list[tuple[str, bool]] = []
    fsync = os.fsync

    def watch(file: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(file).st_mode) else "file"
        synced.append((kind, (tmp_path / "photo").exists()))
        fsync(file)

    monkeypatch.setattr(files.os, "fsync", watch)
    write_whole(tmp_path / "photo", b"new")
    assert synced == [("file", True), ("folder", True)]
    synced.clear()
    write_whole(tmp_path / "photo", b"new")  # whose writer may have died before its own fsync
    assert synced == [("file", True), ("folder", True)]
