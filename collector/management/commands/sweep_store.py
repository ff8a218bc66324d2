"""`manage.py sweep_store [--grace-s N]`: compare the whole store with the rows now, instead of a part at a time."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from collector.sweeping import sweep_all


class Command(BaseCommand):
    help = "Remove objects that no row needs; it also happens by itself, every SWEEP_STORE_S seconds."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--grace-s",
            type=int,
            default=settings.ORPHAN_GRACE_S,
            help="leave objects younger than this many seconds; below the default only while no photo comes in",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["grace_s"] < 0:
            raise CommandError("--grace-s is a number of seconds, 0 or more.")
        with tqdm(desc="sweeping", unit="part", disable=None) as bar:

            def progress(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            swept = sweep_all(grace_s=options["grace_s"], progress=progress)
        for key in swept.removed:
            self.stdout.write(f"removed {key}")
        self.stdout.write(f"{swept.seen} objects looked at, {len(swept.removed)} removed.")
