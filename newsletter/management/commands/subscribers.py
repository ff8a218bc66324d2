"""`manage.py subscribers`: readers come from a file, go into one, are erased, or may be written to again."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from collector.models import Recognizer
from config.errors import Problem
from newsletter import forgetting, reader_files, suppression
from newsletter.reader_files import Imported

REFUSALS_SHOWN = 50  # lines; the rest is counted


class Command(BaseCommand):
    help = "Readers: import and export files of addresses, erase an address, let a suppressed one be asked again."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        taken = verbs.add_parser("import", help="take in a CSV file; every address is asked by mail to confirm")
        taken.add_argument("file", type=Path)
        taken.add_argument("--recognizer", required=True, help="slug")
        taken.add_argument("--consent", required=True, help="where and when these people agreed; kept with each address")
        taken.add_argument("--confirmed", action="store_true", help="they confirmed elsewhere: nobody is asked again")
        given = verbs.add_parser("export", help="write all readers with their states and dates as CSV")
        given.add_argument("--recognizer", required=True, help="slug")
        given.add_argument("--to", type=Path, help="a file; left out: the screen")
        erased = verbs.add_parser("erase", help="erase an address from all newsletters, and keep it out of imports")
        erased.add_argument("email")
        lifted = verbs.add_parser("lift", help="let an address that bounced or complained ask again; subscribes nobody")
        lifted.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        verbs = {"import": self._import, "export": self._export, "erase": self._erase, "lift": self._lift}
        try:
            verbs[options["verb"]](options)
        except Problem as problem:
            raise CommandError(f"{problem.title} {problem.detail}") from problem
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}.") from error

    def _import(self, options: dict[str, Any]) -> None:
        recognizer, path = _recognizer(options["recognizer"]), options["file"]
        with path.open("rb") as file, tqdm(total=path.stat().st_size, unit="B", unit_scale=True, delay=2, leave=False) as bar:
            done = reader_files.take_in(
                file=file,
                recognizer=recognizer,
                consent=options["consent"],
                confirmed=options["confirmed"],
                tick=bar.update,
            )
        self._say(done, "confirmed" if options["confirmed"] else "asked by mail to confirm")

    def _say(self, done: Imported, how: str) -> None:
        for number, reason in done.refused[:REFUSALS_SHOWN]:
            self.stderr.write(f"line {number}: {reason}")
        if (more := len(done.refused) - REFUSALS_SHOWN) > 0:
            self.stderr.write(f"… and {more} more lines")
        self.stdout.write(f"{done.taken} {how}, {done.known} known before, {len(done.refused)} refused.")

    def _export(self, options: dict[str, Any]) -> None:
        recognizer = _recognizer(options["recognizer"])
        count = -1  # the line of names
        with _opened(options["to"]) as out:
            for line in reader_files.lines_of(recognizer.subscribers.all()):
                out.write(line)
                count += 1
        self.stderr.write(f"{count} readers.")

    def _erase(self, options: dict[str, Any]) -> None:
        count = forgetting.erase(email=options["email"])
        self.stdout.write(f"Erased from {count} newsletters; no import brings it back.")

    def _lift(self, options: dict[str, Any]) -> None:
        found = suppression.lift(email=options["email"])
        self.stdout.write("It may ask again by the form." if found else "It was not suppressed.")


def _recognizer(slug: str) -> Recognizer:
    recognizer = Recognizer.objects.filter(slug=slug).first()
    if recognizer is None:
        known = ", ".join(Recognizer.objects.values_list("slug", flat=True)) or "none yet"
        raise CommandError(f"There is no recognizer {slug!r}. There are: {known}.")
    return recognizer


@contextmanager
def _opened(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        path.chmod(0o600)  # addresses of people
        yield file
