"""Phones on a bad network: each sends until it is acknowledged, some send twice at once, some give up."""

import contextlib
import multiprocessing
import random
import threading
import time
import uuid
from dataclasses import dataclass
from typing import Any

from bench._load import Pieces, connect, receive, send
from bench._photos import Supply

ANSWER_LIMIT_S = 30.0  # seconds a phone waits for an answer before it sends again
PAUSE_S = (0.02, 0.3)  # seconds between two tries of a phone, from … to
ACKNOWLEDGED = {200, 201}
AGAIN = {408, 429, 500, 502, 503, 504}  # the phone sends it again later


@dataclass(frozen=True)
class Job:
    """One photo on one phone. `tries`: 0 means until it is acknowledged."""

    number: int
    photo_id: uuid.UUID
    twin: bool
    tries: int


@dataclass
class Outcome:
    """`acknowledged`: numbers of photos with a 200 or 201. `wrong`: answers that no phone should get."""

    acknowledged: list[int]
    attempts: int
    wrong: list[str]


def jobs(count: int, *, twins: float, giving_up: float, seed: int) -> list[Job]:
    """`twins`, `giving_up`: shares 0…1. UUIDs come from the seed too."""
    rng = random.Random(seed)
    return [
        Job(
            number=number,
            photo_id=uuid.UUID(int=rng.getrandbits(128), version=4),
            twin=rng.random() < twins,
            tries=1 if rng.random() < giving_up else 0,
        )
        for number in range(count)
    ]


class Phones:
    """A process with `phones` threads that work through the jobs. `progress.value` counts those that are over."""

    def __init__(self, port: int, compose: Any, photos: Supply, work: list[Job], phones: int, seed: int) -> None:
        self.port, self.compose, self.photos, self.work, self.phones, self.seed = port, compose, photos, work, phones, seed
        context = multiprocessing.get_context("fork")
        self.progress = context.Value("i", 0)
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=self._run, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()

    def alive(self) -> bool:
        return self.process.is_alive() and not self.pipe.poll()

    def outcome(self) -> Outcome:
        found: Outcome = self.pipe.recv()
        self.process.join(5)
        return found

    def _run(self, pipe: Any) -> None:
        self.outcome_so_far = Outcome([], 0, [])
        self.lock = threading.Lock()
        self.left = iter(self.work)
        threads = [threading.Thread(target=self._one_phone, args=(random.Random(self.seed + n),)) for n in range(self.phones)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        pipe.send(self.outcome_so_far)

    def _one_phone(self, rng: random.Random) -> None:
        while True:
            with self.lock:
                job = next(self.left, None)
            if job is None:
                return
            done = self._deliver(job, rng)
            with self.lock:
                if done:
                    self.outcome_so_far.acknowledged.append(job.number)
            with self.progress.get_lock():
                self.progress.value += 1

    def _deliver(self, job: Job, rng: random.Random) -> bool:
        """Whether the photo was acknowledged."""
        photo = self.photos.photos[job.number % len(self.photos.photos)].variant(job.number)
        request: Pieces = self.compose(photo, job.number, photo_id=job.photo_id)
        tries = 0
        while not (job.tries and tries >= job.tries):
            tries += 1
            if self._both(request) if job.twin else self._once(request):
                return True
            time.sleep(rng.uniform(*PAUSE_S))
        return False

    def _both(self, request: Pieces) -> bool:
        """The same request over two connections at once; one acknowledgement is enough."""
        answers: list[bool] = []
        gate = threading.Barrier(2)

        def one() -> None:
            gate.wait()
            answers.append(self._once(request))

        twin = threading.Thread(target=one)
        twin.start()
        one()
        twin.join()
        return any(answers)

    def _once(self, request: Pieces) -> bool:
        with self.lock:
            self.outcome_so_far.attempts += 1
        with contextlib.suppress(OSError), contextlib.closing(connect(self.port, ANSWER_LIMIT_S)) as connection:
            send(connection, request)
            status, body, _ = receive(connection)
            if status in ACKNOWLEDGED:
                return True
            if status not in AGAIN or status == 500:
                with self.lock:
                    self.outcome_so_far.wrong.append(f"{status}: {body[:300]!r}")
        return False
