"""Make the starter backbone anew, from pictures by formula: `manage.py pretrain`; interrupted, it goes on where it was."""

import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.errors import Problem
from training import backbone, process, recipe
from training.bars import bar

# The layers are too small to be shared: with two threads a step took as long and twice the CPU time. Drawing has the other
# core.
ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


class Command(BaseCommand):
    help = "Trains the small network on five hundred drawn things. About an hour of two cores; can be interrupted and resumed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--to", type=Path, default=backbone.STARTER_FILE, help="a .weights.h5 file; default: the one that nights begin with"
        )

    def handle(self, *args: Any, to: Path, **options: Any) -> None:
        if not to.name.endswith(".weights.h5"):
            raise CommandError(f"{to} must end in .weights.h5, by which Keras knows the layout.")
        os.environ.update({**process.ENVIRONMENT, **ONE_THREAD, **os.environ})  # read when TensorFlow is loaded
        from training.pretrain import pretrain

        with bar("epochs") as progress:
            try:
                share = pretrain(to, recipe.starter(), progress=progress)
            except Problem as problem:
                raise CommandError(problem.detail) from problem
        self.stdout.write(f"{to} ({to.stat().st_size / 1e6:.2f} MB) names {share:.1%} of new pictures of the things rightly.")
