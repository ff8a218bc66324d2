"""INBOX: readers come from a file of addresses, and go into one.

A file that comes in is untrusted: each line stands for itself, is taken, or refused with its number and the reason.
"""

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from collector.models import Recognizer
from newsletter import suppression
from newsletter.errors import ConsentMissing, NotAnAddress, UnreadableFile
from newsletter.models import Request, Subscriber, Suppression
from newsletter.models.readers import CONSENT_CHARS
from newsletter.subscriptions import Wanted, clean_email
from newsletter.words import one_line

State = Subscriber.State
COLUMNS = ("email", "state", "daily", "weekly", "reminder", "asked_at", "confirmed_at", "left_at", "consent")
BATCH = 200  # lines a transaction takes; a file that is broken off goes on behind the last one
CONSENT_LEAST = 10  # characters; "yes" does not say where and when
YES, NO = {"1", "yes", "true", "x"}, {"0", "no", "false", ""}
# Spreadsheets take a cell that begins so for a formula. ' marks it as text, and is doubled so that reading takes it off again.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "'")


@dataclass
class Imported:
    """`refused`: (line number, reason), in order. `known`: addresses that the newsletter had already, as they are now."""

    taken: int = 0
    known: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True)
class _Line:
    number: int
    email: str
    wanted: Wanted


# ---- in ----------------------------------------------------------------------------------------------------------
def take_in(
    *,
    file: BinaryIO,
    recognizer: Recognizer,
    consent: str,
    confirmed: bool = False,
    tick: Callable[[int], object] = lambda size: None,
) -> Imported:
    """Take in a CSV file (UTF-8, a line of names of which one is `email`). Safe to repeat, also after it was broken off.

    Every address is asked by mail to confirm, unless `confirmed` says that it has confirmed elsewhere. `consent` says where and
    when these people agreed, and stays with each row. Addresses that left, bounced, complained or were erased are refused.
    `tick` gets the bytes of each line. Raises ConsentMissing, UnreadableFile.
    """
    consent = one_line(consent, CONSENT_CHARS)
    if len(consent) < CONSENT_LEAST:
        raise ConsentMissing('Like --consent "sign-up sheet of the summer fair, 12 July 2026"; it is kept with each address.')
    lines = _lines(file, tick)
    names = _names(next(lines, (1, "")))
    done, batch = Imported(), list[_Line]()
    for number, line in lines:
        try:
            if (read := _read(number, line, names)) is not None:
                batch.append(read)
        except ValueError as error:
            done.refused.append((number, str(error)))
        if len(batch) >= BATCH:
            _take(batch, recognizer, consent, confirmed, done)
            batch.clear()
    _take(batch, recognizer, consent, confirmed, done)
    done.refused.sort()
    return done


def _lines(file: BinaryIO, tick: Callable[[int], object]) -> Iterator[tuple[int, str]]:
    """Numbered lines. No cell goes over two lines here, so a forgotten quotation mark costs one line and not the file."""
    read, number, most = 0, 0, settings.READERS_CSV_LINE_CHARS * 4  # bytes of a character in UTF-8
    while data := file.readline(most + 1):
        read += len(data)
        number += 1
        if read > settings.READERS_CSV_MAX_BYTES:
            raise UnreadableFile(f"It has more than {settings.READERS_CSV_MAX_BYTES:,} bytes. Divide it.", line=number)
        tick(len(data))
        yield number, data.decode("utf-8-sig" if number == 1 else "utf-8", "surrogateescape")
        if len(data) > most and not data.endswith(b"\n"):
            raise UnreadableFile(f"Line {number} has more than {most:,} bytes: this is no list of addresses.", line=number)


def _names(first: tuple[int, str]) -> list[str]:
    names = [name.strip().lower() for name in _cells(first[1])]
    if "email" not in names:
        raise UnreadableFile("Its first line must name the columns, in UTF-8, and one of them must be email.")
    return names


def _cells(line: str) -> list[str]:
    """Raises ValueError."""
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error as error:
        raise ValueError(f"not CSV: {error}") from error


def _read(number: int, line: str, names: list[str]) -> _Line | None:
    """A line as it may be taken, None for an empty one. Raises ValueError with the reason."""
    if not line.strip():
        return None
    if any("\ud800" <= char <= "\udfff" for char in line):
        raise ValueError("not UTF-8")
    if len(line) > settings.READERS_CSV_LINE_CHARS:
        raise ValueError(f"longer than {settings.READERS_CSV_LINE_CHARS} characters")
    cells = dict(zip(names, map(without_mark, _cells(line)), strict=False))
    if (state := cells.get("state", "").strip().lower()) not in ("", State.CONFIRMED):
        raise ValueError("its state in this file is not confirmed" + (f" but {state}" if state in State.values else ""))
    try:
        email = clean_email(cells.get("email", ""))
    except NotAnAddress:
        raise ValueError("not a mail address") from None
    flags = {f"wants_{name}": _flag(cells[name]) for name in ("daily", "weekly", "reminder") if name in cells}
    # Only some columns: the others are "no", or nobody could ask for the weekly edition alone.
    return _Line(number, email, Wanted(**{"wants_daily": not flags, **flags}))


def _flag(cell: str) -> bool:
    word = cell.strip().lower()
    if word not in YES | NO:
        raise ValueError("daily, weekly and reminder are yes or no")
    return word in YES


def _take(lines: list[_Line], recognizer: Recognizer, consent: str, confirmed: bool, done: Imported) -> None:
    """One batch, in one transaction."""
    digests = {suppression.digest_of(line.email): line.email for line in lines}
    kept_out = {digests[row.digest]: row for row in Suppression.objects.filter(digest__in=digests)}
    known = dict(Subscriber.objects.filter(recognizer=recognizer, email__in=digests.values()).values_list("email", "state"))
    fresh: dict[str, _Line] = {}
    for line in lines:
        if line.email in kept_out:
            done.refused.append((line.number, f"not written to: {kept_out[line.email].get_reason_display()}"))
        elif known.get(line.email) == State.LEFT:
            done.refused.append((line.number, "left the newsletter; only its reader can subscribe it again"))
        elif line.email in known or line.email in fresh:
            done.known += 1
        else:
            fresh[line.email] = line
    with transaction.atomic():
        done.taken += _write(list(fresh.values()), recognizer, consent, confirmed)


def _write(lines: list[_Line], recognizer: Recognizer, consent: str, confirmed: bool) -> int:
    now = timezone.now()
    state, confirmed_at = (State.CONFIRMED, now) if confirmed else (State.PENDING, None)
    rows = [
        Subscriber(
            recognizer=recognizer,
            email=line.email,
            state=state,
            consent=consent,
            asked_at=now,
            confirmed_at=confirmed_at,
            **vars(line.wanted),
        )
        for line in lines
    ]
    # Conflicts: somebody filled in the form at this moment, and their own word counts.
    Subscriber.objects.bulk_create(rows, ignore_conflicts=True)
    made = Subscriber.objects.in_bulk([row.pk for row in rows])
    if not confirmed:
        Request.objects.bulk_create(
            Request(subscriber=row, asked_at=now, confirmation_due=now, **vars(line.wanted))
            for row, line in zip(rows, lines, strict=True)
            if row.pk in made
        )
    return len(made)


# ---- out ---------------------------------------------------------------------------------------------------------
def lines_of(readers: QuerySet[Subscriber]) -> Iterator[str]:
    """A CSV file in lines, all states, by address; what `take_in` reads. Nothing is kept in memory but a page of rows."""
    yield _line(COLUMNS)
    for row in readers.order_by("email").iterator(chunk_size=1000):
        wanted = (str(int(wants)) for wants in (row.wants_daily, row.wants_weekly, row.wants_reminder))
        times = (at.isoformat() if at else "" for at in (row.asked_at, row.confirmed_at, row.left_at))
        yield _line((row.email, row.state, *wanted, *times, row.consent))


def _line(cells: tuple[str, ...]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(map(harmless, cells))  # RFC 4180
    return out.getvalue()


def harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def without_mark(cell: str) -> str:
    """The cell before `harmless`."""
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(FORMULA) else cell
