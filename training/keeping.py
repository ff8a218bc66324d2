"""EVALUATE, the rows that it leaves: one transaction that only the run's holder can write in, and that knows who withdrew."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction
from django.db.models import F

from collector.models import Photo, Recognizer
from training import runs
from training.models import Run
from training.signals import photos_judged


@contextmanager
def kept_by(run: Run) -> Iterator[set[str]]:
    """Inside it write rows about photos; gives the ids of the recognizer's photos that are there. Raises FencedOff.

    Fenced: a process that lost its run replaces nobody's rows. A withdrawal takes the same turn: either it comes first, and its
    photos are not among those given; or it comes after, and removes the rows that were written here.
    """
    with transaction.atomic():
        runs.renew(run.pk, run.fence)
        Recognizer.objects.filter(pk=run.recognizer_id).update(turn=F("turn") + 1)
        there = Photo.objects.filter(recognizer=run.recognizer_id).exclude(state=Photo.State.WITHDRAWN)
        yield {str(key) for key in there.order_by().values_list("pk", flat=True).iterator()}
        photos_judged.send(sender=Run, recognizer_id=run.recognizer_id)
