"""INTAKE for owners of photos: reads a stranger's zip member by member, without believing anything that it says."""

import struct
import zipfile
import zlib
from typing import IO

from django.conf import settings

from collector.errors import PhotoTooLarge
from collector.importing import is_wanted, read_at_most
from config.errors import Problem

ENTRY_BYTES = 256  # of the list of members, for each of IMPORT_ZIP_MAX_MEMBERS: names of about 200 letters
ENCRYPTED = 0x1  # flag bit 0 (PKWARE APPNOTE 4.4.4)
UTF8 = 0x800  # flag bit 11
TAKEN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others' decompressors cannot be told to stop after so many bytes
# What the standard library's reader raises on damaged or hostile archives, besides BadZipFile.
DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError)


class NotAZip(Problem):
    status, code, title = 422, "not-a-zip", "The file is not a zip that can be read."


class TooManyMembers(Problem):
    status, code, title = 413, "too-many-members", "The zip holds too many files."


class UnreadableMember(Problem):
    status, code, title = 422, "unreadable-member", "This file of the zip cannot be read."


class OutsideOfIt(OSError):
    """A place before the beginning. An OSError, for the reader expects one where it looks for parts that may be missing."""


class Zip:
    """The members of a zip that may be photos. `file` is seekable and open for as long as members are read.

    Opening raises NotAZip, TooManyMembers. Nothing is ever extracted to a path.
    """

    def __init__(self, file: IO[bytes]) -> None:
        try:
            self._zip = zipfile.ZipFile(_Guarded(file))  # it asks for seek, tell and read
        except (*DAMAGE, OutsideOfIt) as error:
            raise NotAZip(f"It cannot be opened: {error or type(error).__name__}. Was it sent whole?") from None
        members = self._zip.infolist()
        if len(members) > settings.IMPORT_ZIP_MAX_MEMBERS:
            raise _too_many(str(len(members)))
        named = ((_name(member), member) for member in members if not member.is_dir())
        self._members = [(name, member) for name, member in named if is_wanted(name)]
        self.names = [name for name, _ in self._members]

    def read(self, number: int) -> bytes:
        """One member, inflated. Raises PhotoTooLarge, UnreadableMember."""
        _, member = self._members[number]
        if member.flag_bits & ENCRYPTED:
            raise UnreadableMember("It is encrypted.")
        if member.compress_type not in TAKEN:
            raise UnreadableMember("It is compressed in an unusual way; zip with deflate or without compression.")
        try:
            with self._zip.open(member) as file:
                return read_at_most(file)
        except PhotoTooLarge:
            raise
        except (*DAMAGE, OutsideOfIt) as error:
            raise UnreadableMember(f"The zip is damaged here ({error or type(error).__name__}).") from None


class _Guarded:
    """A file that gives no more in one read than an honest list of members takes: the reader takes that list whole."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.tell = file.tell

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError):
            raise OutsideOfIt("it points outside of itself") from None

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        most = settings.IMPORT_ZIP_MAX_MEMBERS * ENTRY_BYTES
        data = self._file.read(most + 1 if size < 0 else min(size, most + 1))
        if len(data) > most:
            raise _too_many("more")
        return data


def _too_many(count: str) -> TooManyMembers:
    most = settings.IMPORT_ZIP_MAX_MEMBERS
    return TooManyMembers(f"{most} files are taken at the most, it lists {count}. Make several zips of it.", most=most)


def _name(member: zipfile.ZipInfo) -> str:
    """The member's name. Finder and others write UTF-8 without saying so; then the standard library reads code page 437."""
    if member.flag_bits & UTF8:
        return member.filename
    try:
        return member.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return member.filename
