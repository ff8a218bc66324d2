"""Who publishes and rolls back while others read, and is killed at it: `python -m bench._publisher RECOGNIZER SIZE SEED`.

Reads "move N", "encode" or "publish FILE", with a limit in seconds behind it ("0": none), and forks for each; a child that
lasts longer than its limit gets SIGKILL. Answers "done SECONDS" or "killed SECONDS".
"""

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SPEC = {"width": 224, "height": 224, "channels": "RGB", "layout": "NHWC", "batch": 1, "dtype": "uint8", "range": [0, 255]}


def drawn(number: int, size: int, seed: int) -> bytes:
    """The file of a move: a hundredth of it is its own, the rest is in all of them, as in two nights' files."""
    common = random.Random(seed).randbytes(size)
    own = random.Random(f"{seed} {number}")
    at = own.randrange(size - size // 100)
    return common[:at] + own.randbytes(size // 100) + common[at + size // 100 :]


def publish(slug: str, data: bytes, slot: str) -> None:
    """As a night does it. A run that a killed one left is over: here nobody waits for its lease."""
    from django.utils import timezone

    from collector.models import Recognizer
    from training import release, runs
    from training.models import Run

    recognizer = Recognizer.objects.get(slug=slug)
    row = release.pointer(recognizer)
    Run.objects.exclude(state__in=Run.FINISHED).update(state=Run.State.FAILED, finished_at=timezone.now())
    run, _ = runs.open_slot(recognizer=recognizer, slot=slot)
    fence = runs.claim(run.pk)
    assert fence is not None
    labels = list(recognizer.labels.order_by("position").values_list("slug", flat=True))
    artifact = release.Exported("int8", data, SPEC, labels, {})
    release.publish(
        run=runs.held(run.pk, fence), artifacts=[artifact], replaces=row.release if row else None, message="For the bench."
    )


def move(slug: str, number: int, size: int, seed: int) -> None:
    """Every third move goes back."""
    from collector.models import Recognizer
    from training import release
    from training.errors import NothingToRollBackTo, UnknownChannel

    if number % 3 == 2:
        try:
            release.rollback(recognizer=Recognizer.objects.get(slug=slug))
            return
        except (NothingToRollBackTo, UnknownChannel):
            pass
    publish(slug, drawn(number, size, seed), f"move {number}")


def encode() -> None:
    """What a worker does of deltas."""
    from training import deltas

    for pair in deltas.due():
        deltas.make(pair)


def within(work: Callable[[], None], limit_s: float) -> tuple[str, float]:
    """Do it in a child of its own. A limit kills: anywhere, also between two system calls of a commit."""
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            sys.stderr.flush()
            os._exit(code)
    while limit_s and time.monotonic() - began < limit_s:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        time.sleep(0.0005)
    else:
        if limit_s:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, -signal.SIGKILL):
        raise RuntimeError(f"A move ended with {code}.")
    return ("killed" if code else "done"), time.monotonic() - began


def main(slug: str, size: int, seed: int) -> None:
    import django

    django.setup()
    from training import deltas as _  # noqa: F401  loaded once, before the forks

    for line in sys.stdin:
        what, *rest = line.split()
        works: dict[str, Callable[[], Any]] = {
            "move": lambda rest=rest: move(slug, int(rest[0]), size, seed),
            "encode": encode,
            "publish": lambda rest=rest: publish(slug, Path(rest[0]).read_bytes(), f"file {time.time_ns()}"),
        }
        said, seconds = within(works[what], float(rest[-1]))
        sys.stdout.write(f"{said} {seconds:.4f}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
