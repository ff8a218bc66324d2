"""`manage.py import_photos DIR|ZIP --recognizer R [--accept [--split S]]`: label folders or a zip, by the phones' door."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from collector.archives import Zip
from collector.importing import Folder, Imported, Plan, Source, import_photos
from config.errors import Problem


class Command(BaseCommand):
    help = (
        "Import photos from FOLDER/…/<label>/<photo>, or from a zip of such folders; makes the recognizer if it is new."
        " Repeating it is safe: after an interruption, start it again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, help="a folder or a .zip")
        parser.add_argument("--recognizer", required=True, help="its slug, e.g. groceries")
        parser.add_argument("--accept", action="store_true", help="accept them at once, without a moderator")
        parser.add_argument(
            "--split",
            choices=["train", "validation", "test"],
            default="",
            help="put them all there, e.g. a test set of your own; with --accept. Look-alikes of photos elsewhere are left out",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["folder"].resolve()
        try:
            plan = Plan(slug=options["recognizer"], name="", accept=options["accept"], split=options["split"])
        except Problem as problem:
            raise CommandError(f"{problem.title} Add --accept, or leave --split out.") from None
        try:
            with opened(path) as source:
                result = self.shown(source, plan)
        except Problem as problem:
            raise CommandError(f"{path}: {problem.detail}") from None
        for name, why in result.refused:
            self.stderr.write(f"refused {name}: {why}")
        for name, why in result.elsewhere:
            self.stderr.write(f"not in {plan.split}: {name}: {why}")
        if result.empty:
            raise CommandError(f"{path} holds no photo that could be taken in; nothing was imported.")
        self.stdout.write(
            f"{result.new} new, {result.known} known already, {result.accepted} accepted now, {len(result.refused)} refused,"
            f" {len(result.per_label)} labels." + (f" {len(result.elsewhere)} not in {plan.split}." if plan.split else "")
        )

    def shown(self, source: Source, plan: Plan) -> Imported:
        with tqdm(desc="importing", unit="photo", disable=None) as bar:

            def progress(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            return import_photos(source=source, plan=plan, progress=progress)


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """The folder or zip at `path`."""
    if path.is_dir():
        yield Folder(path)
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise CommandError(f"{path} cannot be opened: {error.strerror}.") from None
    with file:
        yield Zip(file)
