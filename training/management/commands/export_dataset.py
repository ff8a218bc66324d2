"""A snapshot's photos for other tools: `manage.py export_dataset --recognizer groceries --format folders DIR`."""

from functools import partial
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from collector.models import Recognizer
from config.errors import Problem
from training import dataset, snapshot
from training.bars import bar


class Command(BaseCommand):
    help = (
        "Writes the photos of a snapshot as label folders, COCO-style JSON or TFRecord. "
        "Repeating it is safe: what is missing is added, and photos that were withdrawn meanwhile are removed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, metavar="DIR", help="a new folder, or one that the same export was begun in")
        parser.add_argument("--recognizer", required=True, help="its slug")
        parser.add_argument("--format", required=True, choices=dataset.FORMATS)
        parser.add_argument("--snapshot", default="", help="digest, or its beginning; default: the photos of this moment")
        parser.add_argument("--split", action="append", choices=[str(s) for s in snapshot.SPLITS], help="default: all three")

    def handle(self, *args: Any, folder: Path, recognizer: str, split: list[str] | None, **options: Any) -> None:
        thing = Recognizer.objects.filter(slug=recognizer).first()
        if thing is None:
            raise CommandError(f"There is no recognizer {recognizer!r}.")
        with bar("photos") as progress:
            try:
                result = dataset.export(
                    recognizer=thing,
                    folder=folder.resolve(),
                    form=options["format"],
                    digest=options["snapshot"],
                    splits=split or (),
                    progress=partial(progress, "photos"),
                )
            except Problem as problem:
                raise CommandError(problem.detail) from problem
        self._tell(result)

    def _tell(self, result: dataset.Exported) -> None:
        splits = ", ".join(f"{count} {split}" for split, count in sorted(result.per_split.items())) or "none"
        self.stdout.write(f"Snapshot {result.digest}: {splits} photos in {result.folder}.")
        self.stdout.write(f"{result.written} written, {result.kept} there already, {result.removed} removed.")
        for photo, state in sorted(result.left_out.items()):
            self.stdout.write(f"left out: {photo}, {state} since the snapshot")
