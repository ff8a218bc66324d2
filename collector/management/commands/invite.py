"""`manage.py invite --recognizer R [--uses N] [--days D]`: a code that lets volunteers into a closed group; shown once."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from collector.invitations import LONGEST_DAYS, MOST_USES, invite
from collector.models import Recognizer


class Command(BaseCommand):
    help = "Make an invitation code. It is shown now and kept nowhere. Without --recognizer it only lets volunteers register."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--recognizer", help="its slug, e.g. groceries")
        parser.add_argument("--uses", type=int, default=1, help="how many volunteers it lets in (1)")
        parser.add_argument("--days", type=int, default=30, help="days until it expires (30)")
        parser.add_argument("--note", default="", help="for whom it is; only moderators read it")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["uses"] <= MOST_USES or not 1 <= options["days"] <= LONGEST_DAYS:
            raise CommandError(f"--uses goes from 1 to {MOST_USES}, --days from 1 to {LONGEST_DAYS}.")
        slug = options["recognizer"]
        recognizer = Recognizer.objects.filter(slug=slug).first() if slug else None
        if slug and recognizer is None:
            raise CommandError(f"There is no recognizer {slug!r}.")
        _, code = invite(recognizer=recognizer, uses=options["uses"], days=options["days"], note=options["note"][:120])
        self.stdout.write(code)
