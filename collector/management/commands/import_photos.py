"""`manage.py import_photos DIR --recognizer R [--accept]`: a folder of label folders, through the same door as phones."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from collector.importing import import_photos
from config.errors import Problem


class Command(BaseCommand):
    help = "Import photos from DIR/<label>/<photo>; makes the recognizer if it is new. Repeating it is safe."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument("--recognizer", required=True, help="its slug, e.g. groceries")
        parser.add_argument("--accept", action="store_true", help="accept them at once, without a moderator")

    def handle(self, *args: Any, **options: Any) -> None:
        with tqdm(desc="importing", unit="photo", disable=None) as bar:

            def progress(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            try:
                result = import_photos(
                    root=options["folder"].resolve(),
                    recognizer_slug=options["recognizer"],
                    accept=options["accept"],
                    progress=progress,
                )
            except Problem as problem:
                raise CommandError(problem.detail) from None
        for name, why in result.refused:
            self.stderr.write(f"refused {name}: {why}")
        self.stdout.write(
            f"{result.new} new, {result.known} known already, {result.accepted} accepted now, {len(result.refused)} refused,"
            f" {len(result.per_label)} labels."
        )
