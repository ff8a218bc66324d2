"""One more machine for the night's training: `manage.py train_along`, with TF_CONFIG (docs/several-machines.md)."""

import os
import signal
import subprocess
import sys
import time
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.errors import Problem
from training import along, cluster, process

PAUSE_S = 5.0  # seconds before the next night is waited for: a machine that fails at once must not spin


class Command(BaseCommand):
    help = "Waits for nights whose chief gathers machines, and trains along. TF_CONFIG names them; this is not the first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="one night, then end; exit code 1 if it came to no end")

    def handle(self, *args: Any, once: bool, **options: Any) -> None:
        try:
            machines = cluster.parse(settings.TF_CONFIG)
        except Problem as problem:
            raise CommandError(problem.detail) from problem
        if machines is None or machines.is_chief:
            raise CommandError(
                "TF_CONFIG must name several machines and an index above 0; the first of them carries out the night. "
                f"Write it like {cluster.EXAMPLE}, here with index 1."
            )
        signal.signal(signal.SIGTERM, _leave)
        if not once:
            _again_and_again()
        os.nice(process.NICENESS)
        try:
            count = along.take_part(along.wait(), machines, progress=process.write_progress)
        except Problem as problem:
            raise CommandError(problem.detail) from problem
        self.stdout.write(f"Trained along {count} times.")


def _again_and_again() -> None:
    """A fresh process for each night: TensorFlow joins a cluster once. Ends with this one: `run` kills it on the way out."""
    while True:
        command = [sys.executable, *sys.argv, "--once"]
        subprocess.run(command, env={**process.ENVIRONMENT, **os.environ}, check=False)  # noqa: S603  our own command line
        time.sleep(PAUSE_S)


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
