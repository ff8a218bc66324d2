"""A run's own process: started fresh, never forked, kept alive by a lease, and ended by itself when it has lost its run.

TensorFlow's runtime does not survive a fork, and what it leaks goes with the process. `start` is called by whoever found the
row; `execute` is what the new process does.
"""

import errno
import faulthandler
import os
import re
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from config.errors import Problem
from training import runs
from training.errors import FencedOff, ReplicaLost
from training.models import Run

# What libraries read when they are loaded; what the operator's environment says goes before.
ENVIRONMENT = {
    # TensorFlow's faster convolutions, which it leaves off on CPUs without AVX-512: 84 images per CPU second instead of 70
    # (forward and backward behind block_12_add, width 1.0, 224 pixels, AVX2, one thread).
    "TF_ENABLE_ONEDNN_OPTS": "1",
    # Half of the cores for one operation: its threads wait for each other. With two of them the same took 68 images per CPU
    # second instead of 84. Operations beside each other may be as many as there are cores: allowing one saved 3 % of a night's
    # CPU time on two cores, and made it 17 % longer.
    "TF_NUM_INTRAOP_THREADS": str(max(1, (os.cpu_count() or 1) // 2)),
    # OpenBLAS' threads wait by spinning: on two cores a softmax regression on 2,936 photos took 9.4 CPU seconds instead of 3.2.
    "OPENBLAS_NUM_THREADS": "1",
}
DONE, FAILED, LOST, TOO_LONG = 0, 1, 3, 4  # exit codes of the process
NICENESS = 10  # of 19: uploads and pages go first on a machine that does everything
PROGRESS_EVERY_S = 0.25  # seconds; a step with thousands of photos must not fill the log
PROGRESS_MARK = "@"  # log lines that begin with it are progress: "@ 3/14 epochs"
_PROGRESS = re.compile(rf"{PROGRESS_MARK} ([0-9]{{1,9}})/([0-9]{{1,9}}) ([^\n]*)\n".encode())
TAIL_BYTES = 4096  # of a log, read for its last progress: some fifty lines
log = structlog.get_logger()
_children: list["subprocess.Popen[bytes]"] = []


@dataclass(frozen=True)
class Started:
    """A process that executes a claimed run, and where it writes."""

    fence: int
    process: "subprocess.Popen[bytes]"
    log: Path


def log_path(run: Run, fence: int) -> Path:
    """Where the process of this attempt writes: its progress, and a traceback if it fails."""
    return Path(settings.VAR_DIR) / "runs" / f"{run.recognizer.slug}-{run.slot}-{fence}.log"


def start(run_id: int) -> Started | None:
    """Claim a run and launch its process; returns at once. None where there was nothing to claim.

    A process that dies before it writes anything is like one that dies later: its lease ends and the run is claimed again.
    """
    fence = runs.claim(run_id)
    if fence is None:
        return None
    run = Run.objects.select_related("recognizer").get(pk=run_id)
    path = log_path(run, fence)
    path.parent.mkdir(parents=True, exist_ok=True)
    _children[:] = [child for child in _children if child.poll() is None]  # reap: a worker lives longer than many nights
    with path.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603  our own interpreter and file, and two numbers
            [sys.executable, str(settings.BASE_DIR / "manage.py"), "execute_run", str(run_id), str(fence)],
            cwd=settings.BASE_DIR,
            env={**ENVIRONMENT, **os.environ, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # a worker that is stopped or recycled leaves the night alone
        )
    _children.append(process)
    log.info("run started", run=str(run), fence=fence, pid=process.pid, log=str(path))
    return Started(fence, process, path)


def stop(started: Started) -> None:
    """End the process for good: asked first, killed after five seconds."""
    started.process.terminate()
    try:
        started.process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        started.process.kill()
        started.process.wait()


def execute(run_id: int, fence: int, work: Callable[[Run], None]) -> int:
    """Do `work` on a claimed run while a thread renews the lease. Returns the process's exit code.

    A failure keeps the incumbent and ends in one sentence on the row; the traceback goes to the log alone.
    """
    try:
        run = runs.held(run_id, fence)
    except FencedOff:
        log.warning("not ours", run=run_id, fence=fence)
        return LOST
    heartbeat = Heartbeat(run_id, fence)
    heartbeat.start()
    # A call that never comes back to Python stops the heartbeat too: others take the run over, and this ends the process.
    faulthandler.dump_traceback_later(settings.RUN_LIMIT_S + settings.RUN_LEASE_S, exit=True, file=2)  # stderr, as a number
    try:
        work(run)
        return DONE
    except FencedOff:
        log.warning("fenced off", run=run_id, fence=fence)
        return LOST
    except ReplicaLost as lost:  # the machines that helped are no reason to lose a night: the next attempt does without them
        log.warning("training together failed", run=run_id, reason=lost.detail)
        runs.give_back(run_id, fence)
        return LOST
    except Exception as error:
        # Whatever it was, the row must say that the night is over: nobody else will look at this process.
        log.error("run failed", run=run_id, stage=run.stage)
        traceback.print_exc()
        return _fail(run, error)
    finally:
        faulthandler.cancel_dump_traceback_later()
        heartbeat.stop()


def write_progress(step: str, done: int, total: int) -> None:
    """Training's progress as log lines that `training.foreground` turns into bars."""
    global _last_progress
    now = time.monotonic()
    if done < total and now - _last_progress < PROGRESS_EVERY_S:
        return
    _last_progress = now
    sys.stdout.write(f"{PROGRESS_MARK} {done}/{total} {step}\n")
    sys.stdout.flush()


_last_progress = 0.0


def parse_progress(line: bytes) -> tuple[str, int, int] | None:
    """(step, done, total) of a log line that `write_progress` wrote; None for any other, and for one that is not whole."""
    found = _PROGRESS.fullmatch(line)
    return (found[3].decode(errors="replace"), int(found[1]), int(found[2])) if found else None


def last_progress(run: Run) -> tuple[str, int, int] | None:
    """What the run's present attempt wrote last; None where it wrote nothing, or on another machine."""
    path = log_path(run, run.fence)
    if not path.exists():
        return None
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        found = [parse_progress(line) for line in file]
    return next((each for each in reversed(found) if each), None)


class Heartbeat(threading.Thread):
    """Renews the lease four times in its length, on a database connection of its own, and ends the process when it must.

    `os._exit`: nothing of a process that lost its run may go on, least of all a `finally` that writes.
    """

    def __init__(self, run_id: int, fence: int) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self.run_id, self.fence = run_id, fence
        self.began = self.renewed = time.monotonic()
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()
        self.join(timeout=5)

    def run(self) -> None:
        try:
            while not self._stopped.wait(settings.RUN_LEASE_S / 4):
                self._beat()
        finally:
            connection.close()

    def _beat(self) -> None:
        try:
            if time.monotonic() - self.began > settings.RUN_LIMIT_S:
                self._end_for_good()
            runs.renew(self.run_id, self.fence)
            self.renewed = time.monotonic()
        except FencedOff:
            if self._is_finished():  # by the main thread, which now does what comes after
                self._stopped.set()
                return
            log.error("fenced off, ending", run=self.run_id, fence=self.fence)
            os._exit(LOST)
        except DatabaseError:
            # A database that restarts is no reason to lose a night, unless the lease has run out meanwhile.
            log.exception("lease not renewed", run=self.run_id)
            connection.close()
            if time.monotonic() - self.renewed > settings.RUN_LEASE_S:
                os._exit(LOST)

    def _is_finished(self) -> bool:
        return Run.objects.filter(pk=self.run_id, fence=self.fence, state__in=Run.FINISHED).exists()

    def _end_for_good(self) -> None:
        run = runs.held(self.run_id, self.fence)
        minutes = settings.RUN_LIMIT_S / 60
        log.error("run limit reached", run=self.run_id, stage=run.stage)
        message = f"It was still at “{run.stage}” after {minutes:.0f} minutes and was ended. The incumbent stays."
        runs.finish(run, Run.State.FAILED, message)
        os._exit(TOO_LONG)


def _fail(run: Run, error: Exception) -> int:
    first_line = (str(error).strip().splitlines() or ["no further words"])[0]
    reason = error.detail if isinstance(error, Problem) else f"{type(error).__name__}: {first_line[:200]}."
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        reason = f"the disk is full. Free some space for {settings.VAR_DIR}, then run `manage.py nightly`."
    message = f"It failed at “{run.stage}”: {reason} The incumbent stays; the traceback is in {log_path(run, run.fence).name}."
    try:
        runs.finish(run, Run.State.FAILED, message)
    except FencedOff:  # finished already (what came after failed), or another process has it
        log.warning("failure not recorded", run=run.pk, fence=run.fence)
    return FAILED
