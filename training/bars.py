"""Long steps → people: a bar on standard error for what reports its progress; none where it would fill a log."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from training.images import Progress


@contextmanager
def bar(title: str = "") -> Iterator[Progress]:
    """The progress that verbs ask for, drawn under `title`; "": under the step that reports it."""
    with tqdm(desc=title, unit="", file=sys.stderr, disable=None) as shown:

        def progress(step: str, done: int, total: int) -> None:
            if not title:
                shown.set_description(step, refresh=False)
            shown.total = total
            shown.update(done - shown.n)

        yield progress
