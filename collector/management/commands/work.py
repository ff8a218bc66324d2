"""`manage.py work`: worker and beat of an installation without a broker, in one process."""

import signal
import threading
import time
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import InterfaceError, OperationalError, close_old_connections

from config.duties import work_once


class Command(BaseCommand):
    help = "Do what waits: photos, mails, nights. SIGTERM or Ctrl-C ends it after the row in hand."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="do what waits now and leave, e.g. from cron")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["once"]:
            self.stdout.write(f"{work_once()} rows handled.")
            return
        leave = threading.Event()

        def on_signal(number: int, frame: FrameType | None) -> None:
            leave.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, on_signal)
        self.stdout.write(f"Looking for work every {settings.WORK_POLL_S} seconds.")
        while not leave.is_set():
            if not self._round(leave):
                leave.wait(settings.WORK_POLL_S)
        self.stdout.write("Left with nothing in hand.")

    def _round(self, leave: threading.Event) -> int:
        """Do what waits until there is nothing or we shall leave; returns how many rows that were."""
        close_old_connections()
        started = time.monotonic()
        try:
            handled = work_once(leave.is_set)
        except (OperationalError, InterfaceError) as error:
            # The database is away, e.g. restarting: the rows wait there, and so do we.
            self.stderr.write(f"The database cannot be used now, trying again: {error}")
            return 0
        if handled:
            self.stdout.write(f"{handled} rows handled in {time.monotonic() - started:.1f} s.")
        return handled
