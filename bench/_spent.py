"""What a command costs: CPU seconds of it and of all that it started, also of what outlived it.

`manage.py nightly` leaves when its run has ended; the run's own process tidies up behind it and would be nobody's child. So the
command runs under a small process that orphans come back to, and that waits until all are gone.
"""

import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bench._facts import ROOT

PR_SET_CHILD_SUBREAPER = 36  # prctl(2)


class Spent(NamedTuple):
    """User + system seconds of all processes together, seconds on the clock, MB of the largest process, standard output."""

    cpu_s: float
    wall_s: float
    peak_mb: float
    output: str


def spent(command: Sequence[str], environment: Mapping[str, str]) -> Spent:
    """Run it to the end, in the project's folder; its standard error goes where ours goes. Raises RuntimeError if it fails."""
    with tempfile.NamedTemporaryFile(prefix="photorally-spent-") as report:
        done = subprocess.run(
            [sys.executable, "-m", "bench._spent", report.name, *command],
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stdout[-2000:]}")
        return Spent(**json.loads(Path(report.name).read_text()), output=done.stdout)


def main(report: str, command: Sequence[str]) -> int:
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    began = time.monotonic()
    status = subprocess.Popen(command).wait()
    while _one_more_gone():
        pass
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    facts = {
        "cpu_s": round(used.ru_utime + used.ru_stime, 2),
        "wall_s": round(time.monotonic() - began, 2),
        "peak_mb": round(used.ru_maxrss * 1024 / 1e6),
    }
    Path(report).write_text(json.dumps(facts))
    return status


def _one_more_gone() -> bool:
    try:
        os.wait()
    except ChildProcessError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
