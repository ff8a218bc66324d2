"""One of two machines that train together: `python -m tests.replica FOLDER`, with TF_CONFIG. FOLDER holds a backbone.

FOLDER/<index>-<case>.npz gets the weights that it came to, FOLDER/<index>-said what went wrong on purpose. In the end the
second machine kills itself in the middle of a training.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import django

django.setup()

from django.conf import settings  # noqa: E402

from config.errors import Problem  # noqa: E402
from tests.learning import LABELS, cached, pictures, quiet, small  # noqa: E402
from training import cluster  # noqa: E402
from training.backbone import find_backbone  # noqa: E402
from training.recipe import Recipe, from_scratch, top_blocks  # noqa: E402
from training.seen import Seen  # noqa: E402
from training.weights import as_bytes  # noqa: E402

# Without dropout, from cached views, two machines do what one does. Mixed photos are of the whole batch.
STEADY = small(top_blocks(), views=2, head_epochs=4, head_rate=1e-2, top_epochs=4, top_rate=2e-3, dropout=0.0, mix=0.2)
# Dropout, batch statistics and random views are each machine's own.
LIVELY = small(from_scratch(), top_epochs=12, top_rate=3e-3)


BACKBONE = (
    "backbone.weights.h5"  # it has learned: gradients that are nearly nothing would be noise, and AdamW makes steps of it
)


def steady(folder: Path) -> tuple[Recipe, Path | None, Seen]:
    return STEADY, folder / BACKBONE, cached(6, 1, STEADY, folder / BACKBONE)


def head(folder: Path) -> tuple[Recipe, Path | None, Seen]:
    recipe, weights, train = steady(folder)
    return replace(recipe, top_epochs=0), weights, train


def lively(folder: Path) -> tuple[Recipe, Path | None, Seen]:
    return LIVELY, None, pictures(32, 1)


CASES = {"head": head, "steady": steady, "lively": lively}


def trained(recipe: Recipe, weights: Path | None, train: Seen, progress: Callable[[str, int, int], None] = quiet) -> bytes:
    """The weights that come of it, as a file."""
    from training.finetune import Start, finetune

    start = Start(find_backbone(str(weights or "random"), decision_s=1), None)
    found = finetune(recipe, start, train=train, validation=pictures(10, 3), labels=LABELS, progress=progress)
    return as_bytes(found.weights)


def said(folder: Path, index: int, work: Callable[[], object]) -> None:
    """Note the error that `work` ends in."""
    try:
        work()
    except Problem as problem:
        with (folder / f"{index}-said").open("a") as file:
            file.write(json.dumps([problem.code, problem.detail]) + "\n")


def main(folder: Path) -> None:
    machines = cluster.parse(settings.TF_CONFIG)
    assert machines is not None
    cluster.join(machines)
    index = machines.index
    for name, case in CASES.items():
        (folder / f"{index}-{name}.npz").write_bytes(trained(*case(folder)))
    said(folder, index, lambda: trained(replace(LIVELY, batch=13), None, pictures(5, 1)))
    said(folder, index, lambda: trained(LIVELY, None, pictures(5, seed=1 + index)))

    def die(step: str, done: int, total: int) -> None:
        if index == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    said(folder, index, lambda: trained(LIVELY, None, pictures(5, 1), progress=die))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
