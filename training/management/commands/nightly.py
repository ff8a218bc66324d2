"""A night by hand: `manage.py nightly --recognizer groceries`."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from collector.models import Recognizer
from config.errors import Problem
from training import foreground, process, runs
from training.gate import Check, Verdict
from training.models import Run


class Command(BaseCommand):
    help = "Runs one night now, with progress, and says the verdict and why. Exit code 1 if it failed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--recognizer", required=True, help="its slug")
        parser.add_argument("--long", action="store_true", help="the long night, which the calendar has once a week")
        parser.add_argument("--slot", help="the night; default: tonight's, or the next free number of today")

    def handle(self, *args: Any, recognizer: str, slot: str | None, long: bool, **options: Any) -> None:
        thing = Recognizer.objects.filter(slug=recognizer).first()
        if thing is None:
            raise CommandError(f"There is no recognizer {recognizer!r}. There are: {_known() or 'none yet'}.")
        run, _ = runs.open_slot(recognizer=thing, slot=slot or runs.slot_for_now(thing), long=long)
        try:
            with foreground.Screen() as screen:
                run = foreground.run_now(run=run, screen=screen)
        except Problem as problem:
            raise CommandError(f"{problem.detail} Leave --slot out for a new one.") from problem
        except KeyboardInterrupt:
            self.stderr.write(f"Stopped. Slot {run.slot} can be run again: by this command, or by the next worker.")
            sys.exit(130)
        self._tell(run)
        if run.state == Run.State.FAILED:
            self.stderr.write(f"Log: {process.log_path(run, run.fence)}")
            sys.exit(1)

    def _tell(self, run: Run) -> None:
        for reason in run.metrics.get("reasons", []):
            self.stdout.write(reason)
        if checks := run.verdict.get("checks"):
            self.stdout.write(Verdict(run.verdict["passed"], [Check(**check) for check in checks]).as_text())
        self.stdout.write(f"{run}. {run.message}")


def _known() -> str:
    return ", ".join(Recognizer.objects.values_list("slug", flat=True))
