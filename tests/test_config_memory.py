"""Making many objects at once."""

import gc
import weakref

import pytest

from config.memory import without_collecting


class Circle:
    def __init__(self) -> None:
        self.me = self


def made() -> "weakref.ref[Circle]":
    """A circle that nobody needs any more."""
    return weakref.ref(Circle())


def test_circles_wait_until_the_many_are_made_and_are_found_then():
    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        with without_collecting():
            waiting = made()
            _ = [[] for _ in range(100)]
            assert waiting() is not None
        _ = [[] for _ in range(100)]
        gc.collect()
        assert waiting() is None
    finally:
        gc.set_threshold(*threshold)


@pytest.mark.parametrize("collecting", [True, False])
def test_the_collector_is_left_as_it_was_found_also_after_an_error(collecting):
    (gc.enable if collecting else gc.disable)()
    try:
        with pytest.raises(KeyError), without_collecting():
            assert not gc.isenabled()
            raise KeyError
        assert gc.isenabled() is collecting
    finally:
        gc.enable()
