"""Nights that wait to be killed: `python -m tests.killed FOLDER` reads "RUN FENCE STAGE MOMENT" lines and forks for each.

Everything is loaded once, so that a night takes a fraction of a second; each is a process of its own. Only fine-tuning and
converting are not real: `tests/data` holds networks that were trained before. It writes "pid N", then "there" when the night
has come to that moment and waits, and "ended STATUS". FOLDER/calls gets a line for each work that is begun or kept.
"""

import ctypes
import dataclasses
import errno
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import django

django.setup()

import numpy as np  # noqa: E402
from django.conf import settings  # noqa: E402

from config import files  # noqa: E402
from tests.nights import mean_colours  # noqa: E402
from training import (  # noqa: E402
    checkpoints,
    inference,  # noqa: F401
    leave,
    moves,
    network,
    nightly,
    photos,
    plan,
    process,
    release,
    runs,
    snapshot,
    weights,
)
from training.recipe import from_scratch  # noqa: E402

DATA = Path(__file__).parent / "data"
STAGES = (
    "snapshot", "photos", "suspects", "training", "refit", "exporting", "evaluating", "gate", "values", "files", "publishing",
)  # fmt: skip
MOMENTS = ("before", "in", "after")
WAYS = [
    dataclasses.replace(from_scratch(), name=name, image_size=32, view_size=32, source_size=32, refit=True)
    for name in ("one", "two")
]


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Night:
    """One attempt that comes to `stage` and waits there, or has an accident."""

    def __init__(self, calls: Path, stage: str, moment: str) -> None:
        self.calls, self.wanted, self.stage = calls, (stage, moment), ""

    def note(self, line: str) -> None:
        with self.calls.open("a") as file:
            file.write(f"{line}\n")

    def reach(self, stage: str, moment: str) -> None:
        if moment == "before":
            self.stage = stage
            self.accident(stage)
        if self.wanted == (stage, moment):
            say("there")
            signal.pause()

    def accident(self, stage: str) -> None:
        if self.wanted == (stage, "full"):
            files.os = SimpleNamespace(**vars(os) | {"write": _half(os.write)})
        elif self.wanted == (stage, "hang"):
            ctypes.PyDLL(None).sleep(60)  # PyDLL: with the interpreter's lock, so that no thread runs
        elif self.wanted == (stage, "slow"):
            nightly.time = SimpleNamespace(monotonic=lambda: time.monotonic() + 10**6, process_time=time.process_time)

    def around(self, module: Any, name: str, stage: str, *, call: int = 1, behind: bool = False) -> None:
        """Be in the middle of `stage` at the n-th call of this function there, or right behind it."""
        really, count = getattr(module, name), 0

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += self.stage == stage
            now = self.stage == stage and count == call
            if now and not behind:
                self.reach(stage, "in")
            answer = really(*args, **kwargs)
            if now and behind:
                self.reach(stage, "in")
            return answer

        setattr(module, name, wrapped)

    def prepare(self) -> None:
        self._pretend()
        real_stage, advance, publish, keep = nightly.Clock.stage, runs.advance, release.publish, checkpoints._keep

        @contextmanager
        def stage(clock: nightly.Clock, name: str) -> Iterator[None]:
            self.reach(name, "before")
            with real_stage(clock, name):
                yield
            self.reach(name, "after")

        def advanced(run: Any, name: str) -> None:
            if name == "publishing":
                self.reach(name, "before")
            advance(run, name)

        def published(**facts: Any) -> None:
            publish(**facts)
            self.reach("publishing", "after")

        def kept(run: Any, name: str, *facts: Any) -> None:
            keep(run, name, *facts)
            self.note(f"kept {name}")

        nightly.Clock.stage, runs.advance, release.publish, checkpoints._keep = stage, advanced, published, kept
        self.around(snapshot, "put_blob", "snapshot", behind=True)  # the object is there, its row is not
        self.around(photos, "from_pictures", "photos", call=2)
        self.around(nightly, "doubt", "suspects")
        self.around(checkpoints, "put_blob", "exporting", behind=True)
        self.around(nightly, "classify", "evaluating", call=2)
        self.around(nightly, "judge", "gate")
        self.around(nightly, "tell_conditions", "values")
        self.around(leave, "put_blob", "files", call=2, behind=True)
        self.around(moves, "note_what_left", "publishing")  # the release's row and the pointer are written, not committed

    def _pretend(self) -> None:
        made = {kind: (DATA / f"good-{kind}.tflite").read_bytes() for kind in ("float32", "int8")}
        made["float16"] = made["float32"]

        def finetune(recipe: Any, start: Any, *, train: Any, validation: Any, labels: list[str], progress: Any) -> Any:
            self.note(f"{self.stage} {recipe.name} with {len(train)}")
            if self.stage == "refit" or recipe.name == "two":
                self.reach(self.stage, "in")
            if recipe.name == "one":
                self.accident("way")
            fit = weights.Fit(start.backbone.digest, start.backbone.digest, 0.35, 32, labels)
            judged = dict.fromkeys(validation.ids, True)
            trained = weights.Weights(fit, [np.full(1, len(train), np.float32)], [np.zeros(1, np.float32)], judged)
            return SimpleNamespace(weights=trained, history={"loss": [1.0]}, seconds={"all": 1.0}, temperature=1.0)

        def export(model: Any, *, calibration: np.ndarray) -> dict[str, bytes]:
            self.note("exporting")
            return made

        modules: dict[str, Any] = {
            "training.finetune": SimpleNamespace(finetune=finetune, Start=SimpleNamespace),
            "training.export": SimpleNamespace(export=export),
            "training.embed": SimpleNamespace(embed=mean_colours),
        }
        modules["training.finetune"].Start = lambda backbone, weights: SimpleNamespace(backbone=backbone, weights=weights)
        sys.modules.update(modules)
        plan.ways = lambda backbone, *, long, again: WAYS
        network.restored = lambda weights, size=0: (weights, weights)
        network.assemble = lambda *parts: parts


def _half(really: Callable[[int, Any], int]) -> Callable[[int, Any], int]:
    """A disk that takes half of what it is given, then nothing."""
    given: set[int] = set()

    def write(file: int, data: Any) -> int:
        if file in given or len(data) < 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        given.add(file)
        return really(file, bytes(data)[: len(data) // 2])

    return write


def attempt(calls: Path, run_id: int, fence: int, stage: str, moment: str) -> int:
    """One attempt; returns the exit code of its process."""
    if moment == "hang":
        settings.RUN_LIMIT_S = settings.RUN_LEASE_S = 1
    Night(calls, stage, moment).prepare()
    return process.execute(run_id, fence, lambda run: nightly.night(run, progress=lambda step, done, total: None))


def main(folder: Path) -> None:
    for line in sys.stdin:
        run_id, fence, stage, moment = line.split()
        child = os.fork()
        if child == 0:
            code = 70
            try:
                code = attempt(folder / "calls", int(run_id), int(fence), stage, moment)
            finally:
                os._exit(code)
        say(f"pid {child}")
        _, status = os.waitpid(child, 0)
        say(f"ended {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
