"""`manage.py fame`: bring the leaderboards up to date; with --rebuild make all their rows anew, which gives the same."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from collector.models import Recognizer
from newsletter import fame_rows
from newsletter.models import FameBadge, FameDay

PROGRESS_DELAY_S = 2  # what is over sooner needs no bar


class Command(BaseCommand):
    help = "Recount what is marked; with --rebuild recount everything. May be interrupted: it is gone on with by a worker."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--recognizer", help="slug; all recognizers if left out")
        parser.add_argument("--rebuild", action="store_true", help="from photos, votes and values, whatever the rows say")

    def handle(self, *args: Any, **options: Any) -> None:
        chosen = Recognizer.objects.order_by("slug")
        if options["recognizer"]:
            chosen = chosen.filter(slug=options["recognizer"])
            if not chosen.exists():
                known = ", ".join(Recognizer.objects.values_list("slug", flat=True)) or "none yet"
                raise CommandError(f"There is no recognizer {options['recognizer']!r}. There are: {known}.")
        for recognizer in chosen:
            if options["rebuild"]:
                with tqdm(unit=" steps", desc=recognizer.slug, delay=PROGRESS_DELAY_S, leave=False) as bar:
                    fame_rows.rebuild(recognizer=recognizer, tick=bar.update, steps=bar.reset)
            else:
                fame_rows.settle(recognizer=recognizer)
            rows = FameDay.objects.filter(recognizer=recognizer)
            days, people = (rows.order_by().values(name).distinct().count() for name in ("day", "volunteer"))
            badges = FameBadge.objects.filter(recognizer=recognizer).count()
            self.stdout.write(f"{recognizer.slug}: {people} volunteers on {days} days, {badges} badges.")
