"""A night by hand: opens a slot, starts its process as a worker would, and shows what it writes until it ends."""

import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Never, Self

from tqdm import tqdm

from training import process, runs
from training.models import Run

LOOK_S = 0.25  # seconds between two looks at the row and the log
LINE_EVERY_S = 5.0  # seconds between two lines about one step, where bars cannot be drawn


def run_now(*, run: Run, screen: "Screen") -> Run:
    """See a run through, whoever executes it: this command's process, or a worker's that was faster. Returns the ended row.

    Raises AlreadyFinished. On KeyboardInterrupt a process of ours is ended and the run can be claimed again at once.
    """
    runs.refuse_finished(run)
    started: process.Started | None = None
    waits = False
    try:
        while run.state not in Run.FINISHED:
            if started and started.process.poll() is not None:  # it died: nobody need wait for its lease
                runs.give_back(run.pk, started.fence)
                started = None
            started = started or process.start(run.pk)
            run.refresh_from_db()
            if run.state == Run.State.QUEUED and not waits:
                others = ", ".join(str(other) for other in runs.running().select_related("recognizer"))
                screen.line(f"Waiting for another run: {others or 'it is just ending'}.")
                waits = True
            screen.show(run)
            time.sleep(LOOK_S)
            run.refresh_from_db()
        screen.show(run)
    except KeyboardInterrupt:
        if started:
            process.stop(started)
            runs.give_back(run.pk, started.fence)
        raise
    return run


class Screen:
    """Progress on standard error: a bar for each step, or lines where that is no terminal."""

    def __init__(self) -> None:
        self.bars = sys.stderr.isatty()
        self._bar: tqdm[Never] | None = None
        self._step = self._stage = ""
        self._shown = 0.0
        self._log: Path | None = None
        self._offset = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()

    def line(self, text: str) -> None:
        tqdm.write(text, file=sys.stderr)

    def show(self, run: Run) -> None:
        """The run's stage, and what its process wrote since the last look."""
        if run.stage and run.stage != self._stage:
            self._close()
            self._stage = run.stage
            self.line(f"{run.slot}: {run.stage}")
        if run.fence:
            self._read(process.log_path(run, run.fence))

    def progress(self, step: str, done: int, total: int) -> None:
        if self.bars:
            self._draw(step, done, total)
            return
        now = time.monotonic()
        if step != self._step or done >= total or now - self._shown > LINE_EVERY_S:
            self._step, self._shown = step, now
            self.line(f"  {step}: {done}/{total}")

    def _draw(self, step: str, done: int, total: int) -> None:
        bar = self._bar
        if bar is None or step != self._step or done < bar.n:
            self._close()
            bar = self._bar = tqdm(total=total, desc=f"  {step}", file=sys.stderr)
        self._step = step
        bar.update(done - bar.n)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _read(self, path: Path) -> None:
        """New whole lines of the log; only progress is shown, the rest is for whoever opens the file."""
        if path != self._log:
            self._log, self._offset = path, 0
        if not path.exists():  # a worker on another machine writes there
            return
        with path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                if found := process.parse_progress(line):
                    self.progress(*found)
