"""`manage.py demo`: one whole day on the embedded default; what `make demo` runs."""

import logging
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import requests
import structlog
from django.core.management.base import BaseCommand, CommandError

from clients.calls import ServerRefused, TryLater
from clients.refusals import Refused
from config.errors import Problem
from demo import stage
from demo.processes import NotRunning
from demo.readers import NoMail


class Command(BaseCommand):
    help = "Play one whole day: photos, moderation, night, release, phone, votes, newsletter. Replaces var/demo."
    requires_system_checks: list[str] = []  # they run in the process that plays, with its settings

    def handle(self, *args: Any, **options: Any) -> None:
        if not stage.is_set():
            stage.enter()
        signal.signal(signal.SIGTERM, _interrupt)  # whoever ends us leaves no processes behind
        # What is only for the log would stand between the bars.
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
        from demo import day, ending

        self.check(display_num_errors=False)
        try:
            played = day.play(self._folder())
        except KeyboardInterrupt:
            self.stderr.write("Interrupted; all processes of the demo are stopped.")
            sys.exit(130)
        except (day.DemoFailed, NotRunning, NoMail, ServerRefused, TryLater, Refused, requests.RequestException) as problem:
            raise CommandError(f"The demo stops here. {problem}") from problem
        except Problem as problem:
            raise CommandError(f"The demo stops here. {problem.title} {problem.detail}") from problem
        ending.write_report(played.report)
        self.stdout.write(f"\nWhat happened\n{ending.table(played)}\n")
        self.stdout.write(f"\nWhat to open\n{ending.what_to_open(played, os.environ['PORT'])}\n")

    def _folder(self) -> Path | None:
        """PHOTOS, if it is set."""
        name = os.environ.get("PHOTOS", "").strip()
        if name and not Path(name).is_dir():
            raise CommandError(f"PHOTOS={name} is no folder. Name one that looks like <folder>/<label>/<photo>.jpg.")
        return Path(name) if name else None


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second one must not cut the cleaning up short
    raise KeyboardInterrupt
