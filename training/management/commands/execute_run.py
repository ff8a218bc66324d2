"""Internal: what a run's own process executes. `nightly` and the worker start it; nobody types it."""

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from training import process


class Command(BaseCommand):
    help = "Internal: executes one claimed run in this process. Use `nightly` instead."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("run_id", type=int)
        parser.add_argument("fence", type=int)

    def handle(self, *args: Any, run_id: int, fence: int, **options: Any) -> None:
        from training.nightly import night

        os.nice(process.NICENESS)
        sys.exit(process.execute(run_id, fence, lambda run: night(run, progress=process.write_progress)))
