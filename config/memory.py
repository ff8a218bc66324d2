"""How millions of objects are made without being looked through again and again."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collecting() -> Iterator[None]:
    """Around the making of very many objects that refer to each other in no circle: those go by their reference counts.

    Python's collector of circles looks through all of them each time their number has grown by a quarter: a third of the time
    that reading a million votes took. Circles made meanwhile are found afterwards. Where two threads are here at once, it may
    begin again when the first leaves: slower, and nothing else.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
