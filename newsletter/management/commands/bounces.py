"""`manage.py bounces`: take in a mailbox of reports that mail servers sent back; says what it found, in numbers."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from newsletter.bounces import take_in


class Command(BaseCommand):
    help = "Suppress addresses whose mails came back or that complained, from a mailbox (mbox) of reports. Safe to repeat."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--mbox", required=True, type=Path, help="the mailbox that MAIL_FROM's replies go to")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["mbox"]
        try:
            bar = tqdm(total=path.stat().st_size, unit="B", unit_scale=True, delay=2, leave=False)
            with path.open("rb") as mbox, bar:
                taken = take_in(mbox=mbox, tick=bar.update)
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}. Name a file in mbox format.") from error
        news = ", ".join(f"{count} {kind}" for kind, count in sorted(taken.kinds.items())) or "nothing new"
        self.stdout.write(
            f"{taken.mails} mails: {news}, {taken.known} known already, {taken.strange} that are no reports on our mails"
            f"{f', {taken.too_long} longer than is read' if taken.too_long else ''}."
        )
