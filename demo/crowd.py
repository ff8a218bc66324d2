"""PHONE: a crowd of reference phones, each a thread that talks HTTP; they join, send and vote."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Self, TypeVar

from clients.calls import ServerRefused
from clients.phone import Phone
from demo.shots import Shot

T = TypeVar("T")
# fmt: off
NAMES = (
    "Ada", "Babak", "Chloé", "Dmitri", "Emeka", "Fatima", "Goran", "Hana", "Ines", "Juan", "Kofi", "Lena",
    "Mina", "Noor", "Olga", "Pavel", "Qiu", "Rosa", "Sami", "Tara", "Uma", "Viktor", "Wanda", "Yara",
)
# fmt: on


class Crowd:
    """`count` phones of one server, each with a folder of its own below `folder`."""

    def __init__(self, base_url: str, count: int, folder: Path) -> None:
        self.phones = [Phone(base_url, folder=folder / f"phone-{number:02}") for number in range(1, count + 1)]
        self._stop = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        for phone in self.phones:
            phone.http.session.close()

    def register(self, names: Sequence[str] = ()) -> None:
        """Every phone joins, the first ones with names that rankings can show; names must be new to the server."""
        for phone, name in zip_longest(self.phones, names[: len(self.phones)]):
            phone.register(consent=True, handle=name)

    def send(self, recognizer: str, hands: Sequence[Sequence[Shot]], sent: Callable[[], object]) -> Counter[str]:
        """Each phone uploads its shots; returns how many the server refused, by the problem's code."""
        refused: Counter[str] = Counter()
        today = self.phones[0].challenge(recognizer)
        asked = {label["slug"] for label in today["labels"]}

        def upload(phone: Phone, hand: Sequence[Shot]) -> None:
            for shot in self._until_stopped(hand):
                challenge = today["id"] if shot.claimed in asked else None
                try:
                    phone.send(
                        shot.read(), recognizer=recognizer, label=shot.claimed, challenge=challenge, photo_id=shot.photo_id
                    )
                except ServerRefused as refusal:
                    refused[refusal.code] += 1
                sent()

        with self._threads() as submit:
            for phone, hand in zip(self.phones, hands, strict=True):
                submit(upload, phone, hand)
        return refused

    def vote(
        self, recognizer: str, *, each: int, likes: Callable[[str, random.Random], bool], seed: int, voted: Callable[[], object]
    ) -> int:
        """Each phone votes on up to `each` photos of its ballots; `likes(photo id, generator)` decides. Returns the votes."""
        votes: Counter[str] = Counter()

        def answer(phone: Phone, rng: random.Random) -> None:
            left = each
            while left > 0 and (ballot := phone.ballot(recognizer)[:left]):
                for entry in self._until_stopped(ballot):
                    phone.vote(entry["id"], like=likes(entry["id"], rng))
                    votes["cast"] += 1
                    voted()
                left = 0 if self._stop.is_set() else left - len(ballot)

        with self._threads() as submit:
            for index, phone in enumerate(self.phones):
                submit(answer, phone, random.Random(seed + index))
        return votes["cast"]

    @contextmanager
    def _threads(self) -> Iterator[Callable[..., object]]:
        """One thread a phone. The first error, or Ctrl-C, lets all others stop after the call in hand."""
        pool, futures = ThreadPoolExecutor(len(self.phones)), []
        try:
            yield lambda *job: futures.append(pool.submit(*job))
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            self._stop.set()
            pool.shutdown(cancel_futures=True)
            self._stop.clear()
        for future in futures:
            future.result()

    def _until_stopped(self, items: Sequence[T]) -> Iterator[T]:
        for item in items:
            if self._stop.is_set():
                return
            yield item
