"""Draws many photos in a few fresh processes, which load nothing but the drawing."""

import multiprocessing
import random
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from demo.currency import draw

DRAWERS = 2  # processes; about 35 ms a photo each, so that a day's photos take some 15 s


def draw_all(wanted: list[tuple[str, int]]) -> Iterator[bytes]:
    """A JPEG for each (denomination, seed), in their order. The processes ignore Ctrl-C and end with this generator."""
    context = multiprocessing.get_context("spawn")  # a fork would copy the locks of our threads
    pool = ProcessPoolExecutor(DRAWERS, context, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))
    try:
        yield from pool.map(_draw_one, wanted, chunksize=8)
    finally:
        pool.shutdown(cancel_futures=True)


def _draw_one(wanted: tuple[str, int]) -> bytes:
    name, seed = wanted
    return draw(name, random.Random(seed))
