"""How small may a phone's photos be: `manage.py upload_size --recognizer groceries`."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from collector.models import Recognizer
from config.errors import Problem
from training import uploads
from training.bars import bar


class Command(BaseCommand):
    help = "Measures by the released model how small a photo may be; with --tell, phones are told (the API's `upload`)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--recognizer", required=True, help="its slug")
        parser.add_argument("--tell", action="store_true", help="keep the result: GET /api/v1/recognizers names it from now on")

    def handle(self, *args: Any, recognizer: str, tell: bool, **options: Any) -> None:
        thing = Recognizer.objects.filter(slug=recognizer).first()
        if thing is None:
            raise CommandError(f"There is no recognizer {recognizer!r}. The admin lists them.")
        with bar("photos") as progress:
            try:
                as_stored, sizes = uploads.measure(thing, progress)
            except Problem as problem:
                raise CommandError(problem.detail) from problem
        self.stdout.write(f"As stored: {as_stored:.1%} of {len(sizes[0].right)} held-out photos.")
        self.stdout.write(f"{'shorter side':>12} {'quality':>7} {'KB':>6}  loss, points")
        for each in sizes:
            loss = f"{100 * each.loss:+.1f} ± {100 * each.error:.1f}{'' if each.enough else '  too small'}"
            self.stdout.write(f"{each.side:>12} {each.quality:>7} {each.bytes / 1000:>6.1f}  {loss}")
        found = uploads.smallest(sizes)
        if found is None:
            self.stdout.write("None is enough: phones should send photos as they are.")
        else:
            self.stdout.write(
                f"Enough: {found.side} pixels at quality {found.quality}, {found.bytes / 1000:.1f} KB on average."
            )
        if tell:
            uploads.tell(thing, found)
            self.stdout.write("Phones are told so from now on.")
